<?php

declare(strict_types=1);

/*
 * Calls `/t/echo` of a group of servers, one call after the other:
 *
 *     php steady.php --servers HOST:PORT[,HOST:PORT..] [--retry 0] [--pause 5]
 *                    [--over BYTES] [--generation guid|plain|bare] [--sign]
 *                    [--salt STRING] [--gzip] [--timeout 3.0]
 *
 * Prints `steady` once each server has answered, and goes on, with `pause`
 * milliseconds between two calls, until its standard input closes. Then it makes
 * 200 calls more; with `over` the first of them has a parameter of so many bytes.
 *
 * The last line is JSON: `calls` and `failed` since it was steady, `codes` (how
 * often each code of the first layer that is not 0), `ms` (from the first to the
 * last failure), `wrong` (answers that are not its own).
 */

require_once __DIR__ . '/DoraGroupClient.php';
require_once __DIR__ . '/options.php';

/** How many calls are made once the input has closed. */
const AFTER = 200;

$options = options(
    $argv,
    ['servers', 'retry', 'pause', 'over', 'generation', 'salt', 'timeout'],
    ['sign', 'gzip'],
);
$frame = frameOf($options);
$servers = explode(',', $options['servers']);
$client = new DoraGroupClient($servers, $frame, (float) ($options['timeout'] ?? 3.0));
$retry = (int) ($options['retry'] ?? 0);
$pause = (int) ($options['pause'] ?? 5) * 1000;

$calls = $failed = $wrong = 0;
$codes = [];
$first = $last = null;

/** What the business code returned, in whatever layer the generation has it. */
$echoed = fn (array $reply) => $frame->generation === DoraFrame::BARE
    ? $reply['data']['data'] ?? null
    : $reply['data']['data']['data'] ?? null;
$call = function (mixed $param) use (&$calls, &$failed, &$wrong, &$codes, &$first, &$last, $client, $retry, $echoed): void {
    $reply = $client->single('/t/echo', $param, $retry);
    $calls++;
    if ($reply['code'] !== 0) {
        $failed++;
        $codes[$reply['code']] = ($codes[$reply['code']] ?? 0) + 1;
        $last = microtime(true);
        $first ??= $last;
    } elseif ($echoed($reply) !== $param) {
        $wrong++;
    }
};
$asked = function (): bool {
    $read = [STDIN];
    $none = null;
    return stream_select($read, $none, $none, 0, 0) > 0;
};

while ($client->connected() < count($servers)) {
    $call('early');
}
if ($failed > 0) {
    fwrite(STDERR, "failed before it was steady\n");
    exit(1);
}
$calls = 0;
echo "steady\n";
while (!$asked()) {
    $call("call $calls");
    usleep($pause);
}
for ($left = AFTER; $left > 0; $left--) {
    $call($left === AFTER && isset($options['over']) ? str_repeat('x', (int) $options['over']) : "call $calls");
    usleep($pause);
}
echo json_encode([
    'calls' => $calls,
    'failed' => $failed,
    'codes' => (object) $codes,
    'ms' => $first === null ? 0 : (int) round(($last - $first) * 1000),
    'wrong' => $wrong,
]), "\n";
