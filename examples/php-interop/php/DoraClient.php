<?php

declare(strict_types=1);

/**
 * The client of Dora-RPC in small: one connection, one request at a time.
 *
 * Every method returns what the original returns, arrays within one another:
 * the client's own (code, msg, data), in its `data` the server's answer, in
 * that the API's packet (or a map of them), in that what the API returned.
 */
final class DoraClient
{
    /** Wait for the result. */
    public const MODE_WAITRESULT = 1;
    /** The server takes the call and answers at once; the result is not wanted. */
    public const MODE_NORESULT = 2;
    /** The same, but getAsyncData() fetches the result later. */
    public const MODE_ASYNCRESULT = 3;

    /** mode => `type` of a single and of a multi request */
    private const TYPES = [1 => ['W_S', 'W_M'], 2 => ['AN_S', 'AN_M'], 3 => ['AM_S', 'AM_M']];

    /** @var resource|null kept from call to call */
    private $socket = null;
    /** @var array<string, array|null> results of async calls by guid; null: still to come */
    private array $async = [];

    public function __construct(
        private readonly string $host,
        private readonly int $port,
        private readonly int $timeout = 3,
    ) {
    }

    /** Calls one API. */
    public function single(string $name, mixed $param, int $mode = self::MODE_WAITRESULT): array
    {
        return $this->request(self::TYPES[$mode][0], ['one' => ['name' => $name, 'param' => $param]]);
    }

    /**
     * Calls several APIs in one request; the server runs them side by side.
     *
     * @param array<string|int, array{name: string, param: mixed}> $calls
     */
    public function multi(array $calls, int $mode = self::MODE_WAITRESULT): array
    {
        return $this->request(self::TYPES[$mode][1], $calls);
    }

    /** Waits for the results of all async calls so far: answers by guid. */
    public function getAsyncData(): array
    {
        try {
            while (in_array(null, $this->async, true)) {
                $this->keep($this->read());
            }
        } catch (RuntimeException $lost) {
            $failed = self::packet('', $lost->getMessage(), 100012, []);
            $this->async = array_map(fn (?array $answer) => $answer ?? $failed, $this->async);
        }
        $results = $this->async;
        $this->async = [];
        return self::packet('', 'OK', 0, $results);
    }

    private function request(string $type, array $api): array
    {
        $guid = bin2hex(random_bytes(16));
        try {
            $this->write($guid, ['api' => $api, 'guid' => $guid, 'type' => $type]);
            while (($answer = $this->read())['guid'] !== $guid) {
                $this->keep($answer);
            }
        } catch (RuntimeException $lost) {
            return self::packet($guid, $lost->getMessage(), 100009, []);
        }
        if (str_starts_with($type, 'AM_') && $answer['code'] === 100001) {
            $this->async[$guid] = null;
        }
        return self::packet($guid, 'OK', 0, $answer);
    }

    /** Keeps the result of an async call; an answer that nobody waits for is dropped. */
    private function keep(array $answer): void
    {
        if (array_key_exists($answer['guid'], $this->async)) {
            $this->async[$answer['guid']] = $answer;
        }
    }

    /** A frame: the length of what follows, the guid, the body. */
    private function write(string $guid, array $packet): void
    {
        $this->socket ??= $this->connect();
        $content = $guid . serialize($packet);
        if (@fwrite($this->socket, pack('N', strlen($content)) . $content) === false) {
            $this->fail('cannot send');
        }
    }

    private function read(): array
    {
        $length = unpack('N', $this->take(4))[1];
        return unserialize(substr($this->take($length), 32), ['allowed_classes' => false]);
    }

    private function take(int $count): string
    {
        for ($bytes = ''; strlen($bytes) < $count; $bytes .= $some) {
            $some = fread($this->socket, $count - strlen($bytes));
            if ($some === '' || $some === false) {
                $this->fail('the recive wrong or timeout');
            }
        }
        return $bytes;
    }

    /** @return resource */
    private function connect(): mixed
    {
        $address = "tcp://$this->host:$this->port";
        $socket = @stream_socket_client($address, $code, $message, $this->timeout);
        if ($socket === false) {
            throw new RuntimeException("cannot connect to $address: $message");
        }
        stream_set_timeout($socket, $this->timeout);
        return $socket;
    }

    private function fail(string $reason): never
    {
        fclose($this->socket);
        $this->socket = null;
        throw new RuntimeException($reason);
    }

    private static function packet(string $guid, string $msg, int $code, array $data): array
    {
        return ['guid' => $guid, 'code' => $code, 'msg' => $msg, 'data' => $data];
    }
}
