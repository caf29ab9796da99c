<?php

declare(strict_types=1);

require_once __DIR__ . '/DoraClient.php';
require_once __DIR__ . '/DoraFrame.php';

/**
 * A stand-in for the clients of 2015 to June 2016, over plain stream sockets.
 *
 * One request, one read: whatever comes next is the answer, and an error if it
 * is another request's. A late answer so spoils the calls after it. What a call
 * returns is the client's own envelope (without a guid), in it the server's
 * packet, in that what the business code returned, or the packet of an exception.
 */
final class DoraBareClient
{
    /** mode => type, single and multi */
    private const TYPES = [
        DoraClient::MODE_WAITRESULT => ['SSS', 'SSM'],
        DoraClient::MODE_NORESULT => ['SRS', 'SRM'],
    ];

    private readonly DoraFrame $frame;
    private readonly float $timeout;
    private readonly string $of;

    /** @var resource|null kept from call to call */
    private $socket = null;
    private string $buffer = '';

    /**
     * @param array{signed?: bool, salt?: string, gzip?: bool, timeout?: float, of?: string} $options
     */
    public function __construct(
        private readonly string $host,
        private readonly int $port,
        array $options = [],
    ) {
        $this->frame = new DoraFrame(
            DoraFrame::BARE,
            $options['signed'] ?? false,
            $options['salt'] ?? DoraFrame::DEFAULT_SALT,
            $options['gzip'] ?? false,
        );
        $this->timeout = $options['timeout'] ?? 3.0;
        $this->of = $options['of'] ?? 'june2016';
    }

    /** Calls one API. */
    public function single(
        string $name,
        mixed $param,
        int $mode = DoraClient::MODE_WAITRESULT,
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
    public function multi(
        array $calls,
        int $mode = DoraClient::MODE_WAITRESULT,
        int $retry = 0,
    ): array {
        return $this->request($calls, $this->type($mode, 1), $retry);
    }

    /** The server's own packet about its state. */
    public function stat(): array
    {
        return $this->control('getStat');
    }

    /** No server of these years knows it. */
    public function reload(): array
    {
        return $this->control('reloadTask');
    }

    public function getAsyncData(): never
    {
        throw new Exception('unknow mode have been set', 100099);
    }

    private function type(int $mode, int $several): string
    {
        return self::TYPES[$mode][$several]
            ?? throw new Exception('unknow mode have been set', 100099);
    }

    private function control(string $command): array
    {
        return $this->request(['cmd' => ['name' => $command, 'param' => []]], 'SC', 0);
    }

    private function request(array $api, string $type, int $retry): array
    {
        $guid = md5(random_bytes(16));
        $request = ['guid' => $guid, 'api' => $api, 'type' => $type];
        // A retry sends the same guid again.
        do {
            $result = $this->exchange($request, $guid);
        } while ($this->failed($result) && $retry-- > 0);
        return $result;
    }

    /** The client of July 2015 looks at the server's code, and takes an acknowledgement for a failure. */
    private function failed(array $result): bool
    {
        $code = $this->of === 'july2015' ? $result['data']['code'] ?? -1 : $result['code'];
        return $code !== 0;
    }

    private function exchange(array $request, string $guid): array
    {
        if (!$this->connect() || !$this->send($this->frame->encode($request, $guid))) {
            $this->disconnect();
            return self::packet('the recive wrong or timeout', 100009, []);
        }
        $content = $this->receive(microtime(true) + $this->timeout);
        if ($content === null) {
            return self::packet('the recive wrong or timeout', 100009, []);
        }
        $decoded = $this->frame->decode($content);
        $result = self::packet($decoded['msg'], $decoded['code'], $decoded['data'] ?? []);
        if (($result['data']['guid'] ?? null) !== $guid) {
            return self::packet('guid wront please retry..', 100100, $result);
        }
        return $result;
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

    /** The next frame, whosever it is; null when none comes. */
    private function receive(float $deadline): ?string
    {
        while ($this->socket !== null) {
            try {
                $content = $this->frame->cut($this->buffer);
            } catch (UnexpectedValueException) {
                $this->disconnect();
                return null;
            }
            if ($content !== null) {
                return $content;
            }
            $left = max(0, (int) (($deadline - microtime(true)) * 1e6));
            $read = [$this->socket];
            $none = null;
            if (stream_select($read, $none, $none, intdiv($left, 1000000), $left % 1000000) === 0) {
                return null;
            }
            $bytes = fread($this->socket, 65536);
            if ($bytes === '' || $bytes === false) {
                $this->disconnect();
                return null;
            }
            $this->buffer .= $bytes;
        }
        return null;
    }

    private function disconnect(): void
    {
        if ($this->socket !== null) {
            fclose($this->socket);
        }
        $this->socket = null;
        $this->buffer = '';
    }

    private static function packet(string $msg, int $code, array $data): array
    {
        return ['code' => $code, 'msg' => $msg, 'data' => $data];
    }
}
