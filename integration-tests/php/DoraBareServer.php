<?php

declare(strict_types=1);

require_once __DIR__ . '/DoraServer.php';

/**
 * A stand-in for the servers of 2015 to June 2016: two layers, where a call's
 * result is the bare value.
 *
 * Three of them, named by `of`. All of them answer an unknown type or command
 * without a guid.
 *
 *     june2016   the last one with these words
 *     phalcon    DoraPhalcon's copy: falsy results and exceptions are never answered
 *     july2015   falsy results are never answered, no commands, messages in Chinese only
 */
final class DoraBareServer extends DoraServer
{
    protected const TYPES = [
        'SSS' => [true, true, false],
        'SSM' => [true, false, false],
        'SRS' => [false, true, false],
        'SRM' => [false, false, false],
    ];

    public function __construct(
        DoraFrame $frame,
        ReferenceService $service,
        private readonly string $of,
    ) {
        if (!in_array($of, ['june2016', 'phalcon', 'july2015'], true)) {
            throw new InvalidArgumentException("unknown server '$of'");
        }
        parent::__construct($frame, $service);
    }

    protected function control(DoraConnection $connection, string $guid, array $api): void
    {
        if ($this->of === 'july2015') {
            $this->refuse($connection, $guid, 100002, $this->unknownType());
        } elseif (($api['cmd']['name'] ?? null) === 'getStat') {
            $this->answer($connection, $guid, 'OK', 0, ['server' => $this->stats()]);
        } else {
            $this->refuse($connection, $guid, 100011, 'unknow cmd');
        }
    }

    protected function unknownType(): string
    {
        return $this->of === 'july2015' ? '未知类型任务' : parent::unknownType();
    }

    protected function accepted(): string
    {
        return $this->of === 'july2015' ? '已经成功投递' : parent::accepted();
    }

    protected function task(string $type, string $guid, mixed $call): array
    {
        return ['type' => $type, 'guid' => $guid, 'api' => $call];
    }

    protected function returned(string $guid, mixed $result): mixed
    {
        return $result;
    }

    /** DoraPhalcon's task worker forgets to return what it made of the exception. */
    protected function thrown(string $guid, Exception $exception): mixed
    {
        return $this->of === 'phalcon' ? null : parent::thrown($guid, $exception);
    }

    /** A task worker that returns nothing truthy has, to its server, not finished. */
    protected function overlooks(mixed $outcome): bool
    {
        return $this->of !== 'june2016' && !$outcome;
    }
}
