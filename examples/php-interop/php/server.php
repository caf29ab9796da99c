<?php

declare(strict_types=1);

/*
 * An untyped API on the Dora wire, as PHP systems have them:
 *
 *     php server.php 127.0.0.1:9568
 *
 * Prints the address it listens on. Port 0 is a free one.
 */

const PRICES = ['engine' => 1200000, 'punch card' => 2];

/** What an application writes: an API name and an array go in, an array comes out. */
function doWork(string $name, mixed $param): mixed
{
    return match ($name) {
        '/price/quote' => quote($param['item'], $param['count']),
        '/price/items' => array_keys(PRICES),
        default => throw new Exception("no API is called $name", 404),
    };
}

function quote(string $item, int $count): array
{
    $price = PRICES[$item] ?? throw new Exception("we do not sell $item", 1404);
    return ['item' => $item, 'cents' => $price * $count, 'currency' => 'GBP'];
}

// The rest is the wire, which Dora-RPC does for you in PHP.

/** One call: its packet is (guid, code, msg, data). */
function packetOf(string $guid, mixed $call): array
{
    try {
        $data = doWork($call['name'] ?? '', $call['param'] ?? null);
        return ['guid' => $guid, 'code' => 0, 'msg' => 'OK', 'data' => $data];
    } catch (Throwable $thrown) {
        $code = $thrown->getCode();
        return ['guid' => $guid, 'code' => $code, 'msg' => $thrown->getMessage(), 'data' => []];
    }
}

/** @return array[] the packets that answer a request, one or two */
function answersTo(array $request): array
{
    ['guid' => $guid, 'type' => $type, 'api' => $api] = $request;
    [$mode, $several] = explode('_', $type) + [1 => ''];
    if (!in_array($mode, ['W', 'AN', 'AM'], true)) {
        return [['guid' => $guid, 'code' => 100002, 'msg' => 'unknow task type', 'data' => []]];
    }
    $packets = array_map(fn (mixed $call) => packetOf($guid, $call), $api);
    $result = ['guid' => $guid, 'code' => 0, 'msg' => 'OK'];
    $result['data'] = $several === 'S' ? $packets['one'] : $packets;
    $accepted = ['guid' => $guid, 'code' => 100001, 'msg' => 'transfer success', 'data' => []];
    return match ($mode) {
        'W' => [$result],
        'AN' => [$accepted],
        'AM' => [$accepted, $result + ['isresult' => 1]],
    };
}

/** Answers the whole frames in a buffer, and leaves the rest in it. */
function serve(mixed $connection, string &$buffer): void
{
    while (strlen($buffer) >= 4 && strlen($buffer) >= 4 + ($length = unpack('N', $buffer)[1])) {
        $body = substr($buffer, 36, $length - 32);
        $buffer = substr($buffer, 4 + $length);
        $request = unserialize($body, ['allowed_classes' => false]);
        foreach (answersTo($request) as $answer) {
            $content = $request['guid'] . serialize($answer);
            fwrite($connection, pack('N', strlen($content)) . $content);
        }
    }
}

$listener = stream_socket_server('tcp://' . ($argv[1] ?? '127.0.0.1:9568'), $code, $message);
if ($listener === false) {
    exit(1);
}
echo 'listening on ', stream_socket_get_name($listener, false), "\n";
$connections = [];
$buffers = [];
while (true) {
    $ready = [$listener, ...$connections];
    $none = null;
    stream_select($ready, $none, $none, null);
    foreach ($ready as $stream) {
        if ($stream === $listener) {
            $stream = stream_socket_accept($listener);
            $connections[(int) $stream] = $stream;
            $buffers[(int) $stream] = '';
            continue;
        }
        $bytes = fread($stream, 65536);
        if ($bytes === '' || $bytes === false) {
            unset($connections[(int) $stream], $buffers[(int) $stream]);
            fclose($stream);
            continue;
        }
        $buffers[(int) $stream] .= $bytes;
        serve($stream, $buffers[(int) $stream]);
    }
}
