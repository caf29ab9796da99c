<?php

declare(strict_types=1);

require_once __DIR__ . '/DoraFrame.php';

/**
 * A stand-in for how the original client uses a group of servers (`changeMode`
 * with type 1): the part of it that a restart is felt by.
 *
 * A connection is kept per server and given up only when a *send* fails: a read
 * that ends early fails its call alone, and the next one is sent on the same
 * connection. Each request goes to a random server of the group. One that could
 * not be connected to, or sent to, is blocked until all of them are; then none is.
 */
final class DoraGroupClient
{
    /** A read that ended early, or in no time, as the original words it. */
    private const NO_ANSWER = 100009;
    /** What the original gives is the errno; all of them are failures of its first layer. */
    private const NOT_SENT = -1;

    /** @var array<string, resource> */
    private array $sockets = [];
    /** @var array<string, string> what was received of an answer that is not whole yet */
    private array $buffers = [];
    /** @var array<string, true> */
    private array $blocked = [];

    /** @param list<string> $servers each `host:port` */
    public function __construct(
        private readonly array $servers,
        private readonly DoraFrame $frame,
        private readonly float $timeout,
    ) {
    }

    /** Calls one API and waits for its result. */
    public function single(string $name, mixed $param, int $retry = 0): array
    {
        $guid = md5(random_bytes(16));
        $type = $this->frame->generation === DoraFrame::BARE ? 'SSS' : 'W_S';
        $api = ['one' => ['name' => $name, 'param' => $param]];
        $bytes = $this->frame->encode(['guid' => $guid, 'api' => $api, 'type' => $type], $guid);
        // A retry sends the same bytes again, and looks at the first layer alone.
        do {
            $result = $this->request($bytes, $guid);
        } while ($result['code'] !== 0 && $retry-- > 0);
        return $result;
    }

    /** How many servers there is a connection to. */
    public function connected(): int
    {
        return count($this->sockets);
    }

    private function request(string $bytes, string $guid): array
    {
        if (count($this->blocked) >= count($this->servers)) {
            $this->blocked = [];
        }
        $open = array_values(array_diff($this->servers, array_keys($this->blocked)));
        $server = $open[random_int(0, count($open) - 1)];
        if (!$this->connect($server) || !$this->send($server, $bytes)) {
            $this->drop($server);
            $this->blocked[$server] = true;
            return ['code' => self::NOT_SENT, 'msg' => 'not sent', 'data' => []];
        }
        $answer = $this->receive($server, $guid);
        if ($answer === null) {
            return ['code' => self::NO_ANSWER, 'msg' => 'the recive wrong or timeout', 'data' => []];
        }
        return ['code' => 0, 'msg' => 'OK', 'data' => $answer];
    }

    private function connect(string $server): bool
    {
        if (!isset($this->sockets[$server])) {
            $socket = @stream_socket_client("tcp://$server", $code, $message, $this->timeout);
            if ($socket === false) {
                return false;
            }
            stream_set_timeout($socket, (int) ceil($this->timeout));
            $this->sockets[$server] = $socket;
            $this->buffers[$server] = '';
        }
        return true;
    }

    private function drop(string $server): void
    {
        if (isset($this->sockets[$server])) {
            fclose($this->sockets[$server]);
        }
        unset($this->sockets[$server], $this->buffers[$server]);
    }

    private function send(string $server, string $bytes): bool
    {
        for ($sent = 0; $sent < strlen($bytes); $sent += $count) {
            $count = @fwrite($this->sockets[$server], substr($bytes, $sent));
            if ($count === false || $count === 0) {
                return false;
            }
        }
        return true;
    }

    /** The packet that has this guid; null when the read fails, which costs the connection nothing. */
    private function receive(string $server, string $guid): ?array
    {
        $deadline = microtime(true) + $this->timeout;
        while (true) {
            $content = $this->frame->cut($this->buffers[$server]);
            if ($content !== null) {
                $packet = $this->frame->decode($content)['data'] ?? [];
                if (($packet['guid'] ?? null) === $guid) {
                    return $packet;
                }
                continue;
            }
            $left = max(0, (int) (($deadline - microtime(true)) * 1e6));
            $read = [$this->sockets[$server]];
            $none = null;
            if (stream_select($read, $none, $none, intdiv($left, 1000000), $left % 1000000) === 0) {
                return null;
            }
            $bytes = @fread($this->sockets[$server], 65536);
            if ($bytes === '' || $bytes === false) {
                return null;
            }
            $this->buffers[$server] .= $bytes;
        }
    }
}
