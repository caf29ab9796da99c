<?php

declare(strict_types=1);

/*
 * Runs calls of DoraClient for a test, one after the other on one connection:
 *
 *     php client.php [--host 127.0.0.1] --port N [--generation guid|plain|bare]
 *                    [--of june2016|phalcon|july2015] [--sign] [--salt STRING] [--gzip]
 *                    [--timeout 3.0] < calls.json
 *
 * calls.json is a list of
 *
 *     {"call": "single", "name": "/t/echo", "param": 1, "mode": "wait"}
 *     {"call": "multi", "calls": {"key": {"name": ..., "param": ...}}, "mode": "async"}
 *     {"call": "async"}     {"call": "stat"}     {"call": "reload"}
 *     {"call": "pause", "ms": 20}
 *
 * mode is `wait` (the default), `noresult`, `async` or a number; `exact` in
 * place of `param` gives a value in the notation of Exact.php, `nested` so many
 * arrays within one another, `referring` the same beside a value that stands in
 * two places, `numbers` and `letters` so many of them; `retry` is a number. Prints one line of JSON per call, but for
 * `pause`: `call`, `ms`, and either `returns` (exact) or `throws` (class, code,
 * message).
 */

require_once __DIR__ . '/DoraClient.php';
require_once __DIR__ . '/Exact.php';
require_once __DIR__ . '/options.php';

const MODES = [
    'wait' => DoraClient::MODE_WAITRESULT,
    'noresult' => DoraClient::MODE_NORESULT,
    'async' => DoraClient::MODE_ASYNCRESULT,
];

function nested(int $levels): mixed
{
    return array_reduce(range(1, $levels), fn (mixed $inner) => [$inner]);
}

function param(array $call): mixed
{
    if (isset($call['nested'])) {
        return nested($call['nested']);
    }
    if (isset($call['referring'])) {
        $shared = 'shared';
        return [&$shared, &$shared, nested($call['referring'])];
    }
    if (isset($call['numbers'])) {
        return range(1, $call['numbers']);
    }
    if (isset($call['letters'])) {
        return str_repeat('x', $call['letters']);
    }
    return isset($call['exact']) ? Exact::read($call['exact']) : ($call['param'] ?? null);
}

function execute(DoraClient|DoraBareClient $client, array $call): array
{
    $mode = $call['mode'] ?? 'wait';
    $mode = MODES[$mode] ?? (int) $mode;
    $retry = $call['retry'] ?? 0;
    $several = fn () => array_map(
        fn (array $one) => ['name' => $one['name'], 'param' => param($one)],
        $call['calls'],
    );
    return match ($call['call']) {
        'single' => $client->single($call['name'], param($call), $mode, $retry),
        'multi' => $client->multi($several(), $mode, $retry),
        'async' => $client->getAsyncData(),
        'stat' => $client->stat(),
        'reload' => $client->reload(),
    };
}

$client = clientOf($argv);
$calls = json_decode(stream_get_contents(STDIN), true, 4096, JSON_THROW_ON_ERROR);
foreach ($calls as $call) {
    if ($call['call'] === 'pause') {
        usleep($call['ms'] * 1000);
        continue;
    }
    $start = microtime(true);
    try {
        $outcome = ['returns' => Exact::write(execute($client, $call))];
    } catch (Exception $exception) {
        $outcome = ['throws' => [
            'class' => get_class($exception),
            'code' => $exception->getCode(),
            'message' => $exception->getMessage(),
        ]];
    }
    $took = (int) round((microtime(true) - $start) * 1000);
    echo json_encode(
        ['call' => $call['call'], 'ms' => $took] + $outcome,
        JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_THROW_ON_ERROR,
        4096,
    ), "\n";
}
