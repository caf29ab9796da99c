<?php

declare(strict_types=1);

require_once __DIR__ . '/DoraFrame.php';

/**
 * A stand-in for the client of Dora-RPC since June 2016, over plain stream sockets.
 *
 * It puts the same bytes on the wire and returns the same arrays as the
 * original: the client's own envelope, in it the server's packet, in that the
 * packet of the API (or a map of them), in that what the business code returned.
 */
final class DoraClient
{
    public const MODE_WAITRESULT = 1;
    public const MODE_NORESULT = 2;
    public const MODE_ASYNCRESULT = 3;

    /** mode => type, single and multi */
    private const TYPES = [
        self::MODE_WAITRESULT => ['W_S', 'W_M'],
        self::MODE_NORESULT => ['AN_S', 'AN_M'],
        self::MODE_ASYNCRESULT => ['AM_S', 'AM_M'],
    ];

    private readonly DoraFrame $frame;
    private readonly float $timeout;

    /** @var resource|null kept from call to call */
    private $socket = null;
    private string $buffer = '';
    private string $guid = '';

    /** @var array<string, true> async calls whose result was not fetched yet */
    private array $pending = [];
    /** @var array<string, array> results that came while waiting for something else */
    private array $results = [];

    /**
     * @param array{generation?: string, signed?: bool, salt?: string, gzip?: bool,
     *     timeout?: float} $options
     */
    public function __construct(
        private readonly string $host,
        private readonly int $port,
        array $options = [],
    ) {
        $this->frame = new DoraFrame(
            $options['generation'] ?? DoraFrame::GUID,
            $options['signed'] ?? false,
            $options['salt'] ?? DoraFrame::DEFAULT_SALT,
            $options['gzip'] ?? false,
        );
        $this->timeout = $options['timeout'] ?? 3.0;
    }

    /** Calls one API. */
    public function single(
        string $name,
        mixed $param,
        int $mode = self::MODE_WAITRESULT,
        int $retry = 0,
    ): array {
        $api = ['one' => ['name' => $name, 'param' => $param]];
        return $this->request($api, $this->type($mode, 0), $retry);
    }

    /**
     * Calls several APIs in one request; the server runs them side by side.
     *
     * @param array<string|int, array{name: string, param: mixed}> $calls
     */
    public function multi(array $calls, int $mode = self::MODE_WAITRESULT, int $retry = 0): array
    {
        return $this->request($calls, $this->type($mode, 1), $retry);
    }

    /** Waits for the results of all async calls so far: a map from guid to packet. */
    public function getAsyncData(): array
    {
        $deadline = microtime(true) + $this->timeout;
        while ($this->pending !== []) {
            $answer = $this->read($deadline);
            if (!is_array($answer)) {
                $this->failPending($answer);
            } elseif ($this->isPending($answer)) {
                $this->keep($answer, 0);
            }
        }
        $results = $this->results;
        $this->results = [];
        return self::packet($this->guid, 'OK', 0, $results);
    }

    /** The server's own packet about its state. */
    public function stat(): array
    {
        return $this->control('getStat');
    }

    /** The same, after which the server reloads its task workers. */
    public function reload(): array
    {
        return $this->control('reloadTask');
    }

    private function type(int $mode, int $several): string
    {
        return self::TYPES[$mode][$several]
            ?? throw new Exception('unknow mode have been set', 100099);
    }

    private function control(string $command): array
    {
        $guid = $this->newGuid();
        $api = ['cmd' => ['name' => $command, 'param' => []]];
        $request = $this->frame->generation === DoraFrame::PLAIN
            ? ['guid' => $guid, 'api' => $api, 'type' => 'SC']
            : ['api' => $api, 'type' => 'SC', 'guid' => $guid];
        $answer = $this->exchange($request, $guid);
        return is_array($answer) ? $answer : self::timedOut($guid);
    }

    private function request(array $api, string $type, int $retry): array
    {
        $guid = $this->newGuid();
        $request = $this->frame->generation === DoraFrame::PLAIN
            ? ['guid' => $guid, 'api' => $api, 'type' => $type]
            : ['api' => $api, 'guid' => $guid, 'type' => $type];
        // Noted before it is sent, and whatever it is answered: getAsyncData() waits for it.
        if (str_starts_with($type, 'AM_')) {
            $this->pending[$guid] = true;
        }
        // A retry sends the same guid again.
        do {
            $answer = $this->exchange($request, $guid);
        } while (!is_array($answer) && $retry-- > 0);
        if (!is_array($answer)) {
            return self::timedOut($guid);
        }
        return self::packet($guid, 'OK', 0, $answer);
    }

    /** @return array|string the server's packet, or why there is none */
    private function exchange(array $request, string $guid): array|string
    {
        $deadline = microtime(true) + $this->timeout;
        if (!$this->connect() || !$this->send($this->frame->encode($request, $guid))) {
            return $this->disconnect();
        }
        while (true) {
            $answer = $this->read($deadline);
            if (!is_array($answer)) {
                return $answer;
            }
            if ($this->isPending($answer)) {
                $this->keep($answer, 1);
            } elseif (($answer['guid'] ?? null) === $guid) {
                return $answer;
            }
        }
    }

    private function isPending(array $answer): bool
    {
        return ($answer['isresult'] ?? 0) === 1 && isset($this->pending[$answer['guid'] ?? '']);
    }

    private function keep(array $answer, int $fromWait): void
    {
        $answer['fromwait'] = $fromWait;
        $this->results[$answer['guid']] = $answer;
        unset($this->pending[$answer['guid']]);
    }

    private function failPending(string $reason): void
    {
        foreach (array_keys($this->pending) as $guid) {
            $this->results[$guid] = $reason === 'closed'
                ? self::packet($guid, 'Get Async Result Fail: Client Closed.', 100012, [])
                : self::timedOut($guid);
        }
        $this->pending = [];
    }

    private function connect(): bool
    {
        if ($this->socket === null) {
            $address = "tcp://$this->host:$this->port";
            $socket = @stream_socket_client($address, $code, $message, $this->timeout);
            if ($socket === false) {
                return false;
            }
            stream_set_timeout($socket, (int) ceil($this->timeout));
            $this->socket = $socket;
            $this->buffer = '';
        }
        return true;
    }

    private function send(string $bytes): bool
    {
        for ($sent = 0; $sent < strlen($bytes); $sent += $count) {
            $count = @fwrite($this->socket, substr($bytes, $sent));
            if ($count === false || $count === 0) {
                return false;
            }
        }
        return true;
    }

    /**
     * The next packet that can be decoded; what cannot is dropped.
     *
     * @return array|string a packet, 'timeout' or 'closed'
     */
    private function read(float $deadline): array|string
    {
        while ($this->socket !== null) {
            try {
                $content = $this->frame->cut($this->buffer);
            } catch (UnexpectedValueException) {
                return $this->disconnect();
            }
            if ($content !== null) {
                $decoded = $this->frame->decode($content);
                if ($decoded['code'] === 0) {
                    return $decoded['data'];
                }
                continue;
            }
            $left = max(0, (int) (($deadline - microtime(true)) * 1e6));
            $read = [$this->socket];
            $none = null;
            if (stream_select($read, $none, $none, intdiv($left, 1000000), $left % 1000000) === 0) {
                return 'timeout';
            }
            $bytes = fread($this->socket, 65536);
            if ($bytes === '' || $bytes === false) {
                return $this->disconnect();
            }
            $this->buffer .= $bytes;
        }
        return 'closed';
    }

    private function disconnect(): string
    {
        if ($this->socket !== null) {
            fclose($this->socket);
        }
        $this->socket = null;
        $this->buffer = '';
        return 'closed';
    }

    private function newGuid(): string
    {
        return $this->guid = md5(random_bytes(16));
    }

    private static function timedOut(string $guid): array
    {
        return self::packet($guid, 'the recive wrong or timeout', 100009, []);
    }

    private static function packet(string $guid, string $msg, int $code, array $data): array
    {
        return ['guid' => $guid, 'code' => $code, 'msg' => $msg, 'data' => $data];
    }
}
