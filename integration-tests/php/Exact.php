<?php

declare(strict_types=1);

/**
 * Values without loss as JSON: the notation of ../vectors/dora-php/README.md.
 */
final class Exact
{
    public static function write(mixed $value): array
    {
        return match (true) {
            $value === null => ['t' => 'null'],
            is_bool($value) => ['t' => 'bool', 'v' => $value],
            is_int($value) => ['t' => 'int', 'v' => (string) $value],
            is_float($value) => [
                't' => 'float',
                'bits' => bin2hex(pack('E', $value)),
                'repr' => var_export($value, true),
            ],
            is_string($value) => self::writeString($value),
            is_array($value) => ['t' => 'array', 'e' => self::writePairs($value)],
            default => self::writeObject($value),
        };
    }

    public static function read(array $notation): mixed
    {
        return match ($notation['t']) {
            'null' => null,
            'bool' => $notation['v'],
            'int' => (int) $notation['v'],
            'float' => unpack('E', hex2bin($notation['bits']))[1],
            'str' => isset($notation['hex']) ? hex2bin($notation['hex']) : $notation['utf8'],
            'array' => self::readPairs($notation['e']),
            'object' => (object) self::readPairs($notation['p']),
        };
    }

    private static function writeString(string $value): array
    {
        return preg_match('//u', $value) === 1
            ? ['t' => 'str', 'utf8' => $value]
            : ['t' => 'str', 'hex' => bin2hex($value)];
    }

    private static function writeObject(object $value): array
    {
        $properties = (array) $value;
        $class = $properties['__PHP_Incomplete_Class_Name'] ?? get_class($value);
        unset($properties['__PHP_Incomplete_Class_Name']);
        return ['t' => 'object', 'class' => $class, 'p' => self::writePairs($properties)];
    }

    private static function writePairs(array $array): array
    {
        $pairs = [];
        foreach ($array as $key => $value) {
            $pairs[] = [self::write($key), self::write($value)];
        }
        return $pairs;
    }

    private static function readPairs(array $pairs): array
    {
        $array = [];
        foreach ($pairs as [$key, $value]) {
            $array[self::read($key)] = self::read($value);
        }
        return $array;
    }
}
