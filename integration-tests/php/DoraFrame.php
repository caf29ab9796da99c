<?php

declare(strict_types=1);

/**
 * Cuts frames from a stream, and turns packets into frames and back.
 *
 * All integers are big-endian. `len` counts everything after itself:
 *
 *     generation     unsigned              signed
 *     guid           len guid[32] body     len crc guid[32] body
 *     plain, bare    len body              len crc body
 *
 * `body` is serialize() of the packet, through gzencode() when compressing.
 * `crc` is crc32(body . salt). Signing, salt and compression are constants of
 * a system: both sides must be configured alike.
 */
final class DoraFrame
{
    public const GUID = 'guid';
    public const PLAIN = 'plain';
    public const BARE = 'bare';

    public const DEFAULT_SALT = '=&$*#@(*&%(@';

    /** The largest whole packet, its length field included. */
    public const MAX_PACKET = 2097152;

    private const GZIP_LEVEL = 4;

    public function __construct(
        public readonly string $generation = self::GUID,
        public readonly bool $signed = false,
        public readonly string $salt = self::DEFAULT_SALT,
        public readonly bool $gzip = false,
    ) {
        if (!in_array($generation, [self::GUID, self::PLAIN, self::BARE], true)) {
            throw new InvalidArgumentException("unknown generation '$generation'");
        }
    }

    /** The whole frame of a packet. */
    public function encode(array $packet, string $guid): string
    {
        $body = serialize($packet);
        if ($this->gzip) {
            $body = gzencode($body, self::GZIP_LEVEL);
        }
        $content = ($this->generation === self::GUID ? $guid : '') . $body;
        if ($this->signed) {
            $content = pack('N', crc32($body . $this->salt)) . $content;
        }
        return pack('N', strlen($content)) . $content;
    }

    /**
     * Takes the first whole frame, without its length field, off the buffer.
     *
     * @return string|null null when it has not come in full yet
     * @throws UnexpectedValueException when it is longer than any packet may be
     */
    public function cut(string &$buffer): ?string
    {
        if (strlen($buffer) < 4) {
            return null;
        }
        $length = unpack('N', $buffer)[1];
        if ($length + 4 > self::MAX_PACKET) {
            throw new UnexpectedValueException("a frame of $length bytes");
        }
        if (strlen($buffer) < $length + 4) {
            return null;
        }
        $content = substr($buffer, 4, $length);
        $buffer = substr($buffer, 4 + $length);
        return $content;
    }

    /**
     * Opens what cut() returned.
     *
     * @return array{code: int, msg: string, guid: string, data: mixed} code is 0
     *     when the body was decoded to data; guid is the header's, '' in the
     *     generations without it
     */
    public function decode(string $content): array
    {
        $header = ($this->signed ? 4 : 0) + ($this->generation === self::GUID ? 32 : 0);
        if (strlen($content) < $header) {
            return self::failure(100007, 'packet length invalid 包长度非法', '');
        }
        $guid = $this->generation === self::GUID ? substr($content, $header - 32, 32) : '';
        $body = substr($content, $header);
        if ($this->signed && unpack('N', $content)[1] !== crc32($body . $this->salt)) {
            $code = $this->generation === self::BARE ? 100010 : 100005;
            return self::failure($code, 'Signed check error!', $guid);
        }
        if ($this->gzip) {
            $body = @gzdecode($body);
        }
        // Classes of the other side are not loaded; their objects can still be echoed.
        $data = $body === false ? false : @unserialize($body, ['allowed_classes' => false]);
        if (!is_array($data)) {
            return self::failure(100003, 'param api is empty', $guid);
        }
        return ['code' => 0, 'msg' => 'OK', 'guid' => $guid, 'data' => $data];
    }

    private static function failure(int $code, string $msg, string $guid): array
    {
        return ['code' => $code, 'msg' => $msg, 'guid' => $guid, 'data' => null];
    }
}
