<?php
// Serves App\Rpc\AccountInterface 2.1 as Swoft does, with PHP's own JSON:
//   php swoft_server.php <1|2>
// It prints `ready <port>`, serves one call at a time on each connection, and ends when
// its input does.

[, $generation] = $argv;
$end = $generation === '1' ? "\r\n" : "\r\n\r\n";

class Accounts
{
    public function find(int $id, array $names = [], ?string $tag = null, ?array $near = null): array
    {
        if ($id === 2) {
            throw new Exception('locked', 1231);
        }
        return ['id' => $id, 'names' => $names, 'tag' => $tag ?? 'none', 'x' => $near['x'] ?? 0.5];
    }

    public function length(string $text): int
    {
        return preg_match_all('/./us', $text);
    }

    public function ping()
    {
        return null;
    }

    public function echo($value)
    {
        return $value;
    }

    public function count(...$values): int
    {
        return count($values);
    }

    public function sleep(int $us): int
    {
        usleep($us);
        return $us;
    }
}

function answer(array $request, string $generation): array
{
    if ($generation === '1') {
        [$interface, $version, $method] = [$request['interface'], $request['version'], $request['method']];
    } else {
        [$version, $interface, $method] = explode('::', $request['method']);
    }
    try {
        if ($interface !== 'App\Rpc\AccountInterface' || $version !== '2.1') {
            throw new Exception("Route($version-$interface) is not founded!", -32600);
        }
        if ($method === 'beside') {
            $result = $generation === '1' ? $request['logid'] : $request['ext'];
        } elseif (method_exists(Accounts::class, $method)) {
            $result = (new Accounts())->$method(...$request['params']);
        } else {
            throw new Exception("Method($interface::$method) is not founded!", -32601);
        }
        return $generation === '1'
            ? ['data' => $result, 'status' => 200, 'msg' => '']
            : ['jsonrpc' => '2.0', 'result' => $result];
    } catch (Throwable $error) {
        return $generation === '1'
            ? ['data' => '', 'status' => $error->getCode(), 'msg' => $error->getMessage()]
            : ['jsonrpc' => '2.0', 'error' => ['code' => $error->getCode(), 'message' => $error->getMessage()]];
    }
}

$server = stream_socket_server('tcp://127.0.0.1:0') or exit(1);
echo 'ready ', substr(strrchr(stream_socket_get_name($server, false), ':'), 1), "\n";
$peers = [];
$read = [];
while (true) {
    $ready = [$server, STDIN, ...array_column($peers, 'stream')];
    $write = $except = null;
    stream_select($ready, $write, $except, 60);
    foreach ($ready as $stream) {
        if ($stream === STDIN) {
            if (fgets(STDIN) === false) {
                exit(0);
            }
            continue;
        }
        if ($stream === $server) {
            $peer = stream_socket_accept($server);
            stream_set_blocking($peer, false);
            $peers[(int) $peer] = ['stream' => $peer, 'read' => ''];
            continue;
        }
        $bytes = fread($stream, 65536);
        if ($bytes === false || ($bytes === '' && feof($stream))) {
            unset($peers[(int) $stream]);
            fclose($stream);
            continue;
        }
        $peer = &$peers[(int) $stream];
        $peer['read'] .= $bytes;
        while (($place = strpos($peer['read'], $end)) !== false) {
            $frame = substr($peer['read'], 0, $place);
            $peer['read'] = substr($peer['read'], $place + strlen($end));
            $request = json_decode($frame, true, 512, JSON_THROW_ON_ERROR);
            $method = $request['method'];
            // A server that goes away in a call, and one that says more than it was asked.
            if (str_ends_with($method, 'leave')) {
                unset($peers[(int) $stream]);
                fclose($stream);
                break;
            }
            $answer = json_encode(answer($request, $generation), JSON_UNESCAPED_UNICODE) . $end;
            stream_set_blocking($stream, true);
            @fwrite($stream, str_ends_with($method, 'twice') ? $answer . $answer : $answer);
            stream_set_blocking($stream, false);
        }
        unset($peer);
    }
}
