<?php

declare(strict_types=1);

require_once __DIR__ . '/DoraFrame.php';
require_once __DIR__ . '/ReferenceService.php';

/** One accepted connection. */
final class DoraConnection
{
    public string $in = '';
    public string $out = '';
    /** Requests whose last answer is not written yet. */
    public int $running = 0;
    /** The client has sent its FIN, or must not be read any more. */
    public bool $finished = false;

    /** @param resource $stream */
    public function __construct(public readonly mixed $stream)
    {
    }
}

/** One request that is being worked on. */
final class DoraRequest
{
    /** @var array<string|int, mixed> what the calls came to, in order of completion */
    public array $results = [];
    /** A call died, which leaves the request without an answer. */
    public bool $dead = false;

    public function __construct(
        public readonly DoraConnection $connection,
        public readonly string $guid,
        public readonly string $type,
        public readonly int $calls,
    ) {
    }
}

/**
 * A stand-in for the server of Dora-RPC since June 2016, over plain stream sockets.
 *
 * One process and one loop. The calls of a request run side by side and answers
 * go out in the order of completion, as with the original's task workers: work
 * that takes time is a timer.
 *
 * It keeps what the original does on well-formed input, odd as it may be (no
 * answer to a multi request without calls or when a worker dies). Where the
 * original breaks its stream or dies of a broken packet, this one answers the
 * code the original meant, with the guid of the header.
 */
class DoraServer
{
    /** What the original's buffer_output_size lets through. */
    private const MAX_ANSWER = 3 * 1024 * 1024;

    /** type => waits, is single, pushes the result later */
    protected const TYPES = [
        'W_S' => [true, true, false],
        'W_M' => [true, false, false],
        'AN_S' => [false, true, false],
        'AN_M' => [false, false, false],
        'AM_S' => [false, true, true],
        'AM_M' => [false, false, true],
    ];

    /** @var resource|null */
    private $listener = null;
    /** @var array<int, DoraConnection> */
    private array $connections = [];
    /** Callbacks by the time they are due. */
    private SplPriorityQueue $timers;

    private readonly int $startTime;
    private int $accepted = 0;
    private int $closed = 0;
    private int $requests = 0;
    private int $tasking = 0;

    public function __construct(
        protected readonly DoraFrame $frame,
        private readonly ReferenceService $service,
    ) {
        $this->startTime = time();
        $this->timers = new SplPriorityQueue();
        $this->timers->setExtractFlags(SplPriorityQueue::EXTR_BOTH);
    }

    /** Listens, and returns the port: the one given, or a free one for 0. */
    public function listen(string $host, int $port): int
    {
        $this->listener = stream_socket_server("tcp://$host:$port", $code, $message);
        if ($this->listener === false) {
            throw new RuntimeException("cannot listen on $host:$port: $message", $code);
        }
        stream_set_blocking($this->listener, false);
        $name = stream_socket_get_name($this->listener, false);
        return (int) substr($name, strrpos($name, ':') + 1);
    }

    /**
     * Serves until $lifeline, whatever comes from it, closes.
     *
     * @param resource $lifeline
     */
    public function run($lifeline): void
    {
        while (true) {
            $read = [$lifeline, $this->listener];
            $write = [];
            foreach ($this->connections as $connection) {
                if (!$connection->finished) {
                    $read[] = $connection->stream;
                }
                if ($connection->out !== '') {
                    $write[] = $connection->stream;
                }
            }
            $none = null;
            [$seconds, $micros] = $this->untilNextTimer();
            if (stream_select($read, $write, $none, $seconds, $micros) === false) {
                continue;
            }
            foreach ($read as $stream) {
                if ($stream === $lifeline) {
                    fread($lifeline, 4096);
                    if (feof($lifeline)) {
                        return;
                    }
                } elseif ($stream === $this->listener) {
                    $this->accept();
                } elseif (isset($this->connections[(int) $stream])) {
                    $this->receive($this->connections[(int) $stream]);
                }
            }
            $this->runTimers();
            foreach ($this->connections as $connection) {
                $this->flush($connection);
            }
        }
    }

    private function accept(): void
    {
        $stream = @stream_socket_accept($this->listener, 0);
        if ($stream !== false) {
            stream_set_blocking($stream, false);
            $this->connections[(int) $stream] = new DoraConnection($stream);
            $this->accepted++;
        }
    }

    private function receive(DoraConnection $connection): void
    {
        $bytes = @fread($connection->stream, 65536);
        if ($bytes === '' || $bytes === false) {
            $connection->finished = true;
            return;
        }
        $connection->in .= $bytes;
        try {
            while (($content = $this->frame->cut($connection->in)) !== null) {
                $this->handle($connection, $content);
            }
        } catch (UnexpectedValueException) {
            $this->close($connection);
        }
    }

    private function handle(DoraConnection $connection, string $content): void
    {
        $this->requests++;
        $decoded = $this->frame->decode($content);
        if ($decoded['code'] !== 0) {
            $this->refuse($connection, $decoded['guid'], $decoded['code'], $decoded['msg']);
            // Shorter than its own header: where the next frame starts is a guess.
            $connection->finished = $connection->finished || $decoded['code'] === 100007;
            return;
        }
        $packet = $decoded['data'];
        $guid = $packet['guid'] ?? null;
        if (!is_string($guid) || strlen($guid) !== 32) {
            $guid = $decoded['guid'];
        }
        $api = $packet['api'] ?? null;
        if (!is_array($api)) {
            $this->refuse($connection, $guid, 100003, 'param api is empty');
            return;
        }
        $type = $packet['type'] ?? '';
        if ($type === 'SC') {
            $this->control($connection, $guid, $api);
        } elseif (is_string($type) && isset(static::TYPES[$type])) {
            $this->call($connection, $guid, $type, $api);
        } else {
            $this->refuse($connection, $guid, 100002, $this->unknownType());
        }
    }

    protected function unknownType(): string
    {
        return 'unknow task type.未知类型任务';
    }

    protected function accepted(): string
    {
        return 'transfer success.已经成功投递';
    }

    protected function control(DoraConnection $connection, string $guid, array $api): void
    {
        $command = $api['cmd']['name'] ?? null;
        if ($command !== 'getStat' && $command !== 'reloadTask') {
            $this->refuse($connection, $guid, 100011, 'unknow cmd');
            return;
        }
        $this->answer($connection, $guid, 'OK', 0, [
            'server' => $this->stats(),
            'logqueue' => ['queue_num' => 0, 'queue_bytes' => 0],
        ]);
    }

    protected function stats(): array
    {
        return [
            'start_time' => $this->startTime,
            'connection_num' => count($this->connections),
            'accept_count' => $this->accepted,
            'close_count' => $this->closed,
            'tasking_num' => $this->tasking,
            'request_count' => $this->requests,
            'worker_request_count' => $this->requests,
        ];
    }

    private function call(DoraConnection $connection, string $guid, string $type, array $api): void
    {
        [$waits, $isSingle] = static::TYPES[$type];
        // The original looks for the key `one` and for nothing else.
        $calls = $isSingle ? ['one' => $api['one'] ?? null] : $api;
        $request = new DoraRequest($connection, $guid, $type, count($calls));
        if (!$waits) {
            $this->answer($connection, $guid, $this->accepted(), 100001, []);
        }
        if ($calls !== []) {
            $connection->running++;
        }
        foreach ($calls as $key => $call) {
            $this->tasking++;
            $this->work($request, $key, $this->task($type, $guid, $call));
        }
    }

    protected function task(string $type, string $guid, mixed $call): array
    {
        return ['type' => $type, 'guid' => $guid, 'protocol' => 'tcp', 'api' => $call];
    }

    private function work(DoraRequest $request, string|int $key, array $task): void
    {
        try {
            $result = $this->service->doWork($task);
        } catch (Error) {
            $this->die($request);
            return;
        } catch (Exception $exception) {
            $this->done($request, $key, $this->thrown($request->guid, $exception));
            return;
        }
        if ($result instanceof Later) {
            $done = fn () => $this->done(
                $request,
                $key,
                $this->returned($request->guid, $result->value),
            );
            $this->timers->insert($done, -(microtime(true) + $result->seconds));
        } else {
            $this->done($request, $key, $this->returned($request->guid, $result));
        }
    }

    /** What an answer holds of a call that returned. */
    protected function returned(string $guid, mixed $result): mixed
    {
        return $this->packet($guid, 'OK', 0, $result);
    }

    /** What an answer holds of a call that threw. */
    protected function thrown(string $guid, Exception $exception): mixed
    {
        return $this->packet($guid, $exception->getMessage(), $exception->getCode(), []);
    }

    /** Whether the server does not notice that a call came to this. */
    protected function overlooks(mixed $outcome): bool
    {
        return false;
    }

    private function die(DoraRequest $request): void
    {
        $this->tasking--;
        if (!$request->dead) {
            $request->dead = true;
            $request->connection->running--;
        }
    }

    private function done(DoraRequest $request, string|int $key, mixed $outcome): void
    {
        if ($this->overlooks($outcome)) {
            $this->die($request);
            return;
        }
        $this->tasking--;
        $request->results[$key] = $outcome;
        if (count($request->results) < $request->calls) {
            return;
        }
        $request->connection->running--;
        [$waits, $isSingle, $pushes] = static::TYPES[$request->type];
        if ($waits || $pushes) {
            $data = $isSingle ? $outcome : $request->results;
            $extra = $pushes ? ['isresult' => 1] : [];
            $this->answer($request->connection, $request->guid, 'OK', 0, $data, $extra);
        }
    }

    /** Releases before 2017 do not say whose request an error belongs to. */
    protected function refuse(DoraConnection $connection, string $guid, int $code, string $msg): void
    {
        $packet = $this->packet($guid, $msg, $code, []);
        $this->write($connection, $packet, $guid);
    }

    protected function answer(
        DoraConnection $connection,
        string $guid,
        string $msg,
        int $code,
        mixed $data,
        array $extra = [],
    ): void {
        $packet = $this->packet($guid, $msg, $code, $data);
        if ($this->frame->generation !== DoraFrame::GUID) {
            $packet['guid'] = $guid;
        }
        $this->write($connection, $packet + $extra, $guid);
    }

    protected function packet(string $guid, string $msg, int $code, mixed $data): array
    {
        $packet = ['code' => $code, 'msg' => $msg, 'data' => $data];
        return $this->frame->generation === DoraFrame::GUID ? ['guid' => $guid] + $packet : $packet;
    }

    private function write(DoraConnection $connection, array $packet, string $guid): void
    {
        $bytes = $this->frame->encode($packet, str_pad($guid, 32, '0'));
        if (strlen($bytes) <= self::MAX_ANSWER) {
            $connection->out .= $bytes;
        }
    }

    private function flush(DoraConnection $connection): void
    {
        if ($connection->out !== '') {
            $sent = @fwrite($connection->stream, $connection->out);
            if ($sent === false) {
                $this->close($connection);
                return;
            }
            $connection->out = substr($connection->out, $sent);
        }
        if ($connection->finished && $connection->running === 0 && $connection->out === '') {
            $this->close($connection);
        }
    }

    private function close(DoraConnection $connection): void
    {
        $connection->finished = true;
        if (isset($this->connections[(int) $connection->stream])) {
            unset($this->connections[(int) $connection->stream]);
            fclose($connection->stream);
            $this->closed++;
        }
    }

    /** @return array{int|null, int|null} seconds and microseconds; null: no timer */
    private function untilNextTimer(): array
    {
        if ($this->timers->isEmpty()) {
            return [null, null];
        }
        $micros = (int) ceil(max(0, -$this->timers->top()['priority'] - microtime(true)) * 1e6);
        return [intdiv($micros, 1000000), $micros % 1000000];
    }

    private function runTimers(): void
    {
        $now = microtime(true);
        while (!$this->timers->isEmpty() && -$this->timers->top()['priority'] <= $now) {
            ($this->timers->extract()['data'])();
        }
    }
}
