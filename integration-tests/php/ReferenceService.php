<?php

declare(strict_types=1);

/** What a call comes to later. */
final class Later
{
    public function __construct(public readonly float $seconds, public readonly mixed $value)
    {
    }
}

/** An object with fields of every visibility, whose class the caller does not know. */
final class Point
{
    public int $x = 1;
    protected int $y = 2;
    private int $z = 3;
}

/** The service behind the recorded frames in ../vectors/dora-php. */
final class ReferenceService
{
    /**
     * @param array $task type, guid, protocol, api (one call)
     * @return mixed what the business code returned, or a Later
     * @throws Exception where the business code throws
     * @throws Error where it dies of a fault
     */
    public function doWork(array $task): mixed
    {
        $api = $task['api'];
        $name = is_array($api) ? ($api['name'] ?? null) : null;
        $param = is_array($api) ? ($api['param'] ?? null) : null;
        return match ($name) {
            '/t/echo' => $param,
            '/t/task' => $task,
            '/t/throw' => throw new Exception('asbddddfds', 1231),
            '/t/throw_cn' => throw new Exception('业务异常: 库存不足', -42),
            '/t/throw0' => throw new Exception('plain message', 0),
            '/t/throw_pdo' => throw new Exception('code kept as int', 100001),
            '/t/error', '/t/exit' => throw new Error('the worker dies'),
            '/t/null', '/t/void' => null,
            '/t/true' => true,
            '/t/int' => PHP_INT_MIN,
            '/t/float' => 0.1 + 0.2,
            '/t/string' => "你好\0bin\xff\xfe",
            '/t/list' => [10, 20, 30],
            '/t/sparse' => [5 => 'a', 7 => 'b', 'k' => 'c', -3 => 'd'],
            '/t/empty' => [],
            '/t/object' => (object) ['a' => 1, 'b' => ['x' => null]],
            '/t/point' => new Point(),
            '/t/big' => str_repeat('D', (int) $param['n']),
            '/t/sleep' => new Later($param['us'] / 1e6, ['slept' => $param['us']]),
            default => ['hehe' => 'ohyes123'],
        };
    }
}
