<?php

declare(strict_types=1);

/*
 * Sends PHP arrays to a typed service that answers `/t/echo` with the message it
 * read, and compares what comes back with `===`: types and order count.
 *
 * Takes the options of client.php. Prints one line at the end, and fails with
 * what differs.
 */

require_once __DIR__ . '/options.php';

/** The fields of the message in their order; those that are always there with their defaults. */
const FIELDS = [
    'flag', 'i32', 'i64', 'u32', 'u64', 's64', 'fixed', 'f32', 'f64', 'text', 'raw', 'color', 'leaf',
    'numbers', 'leaves', 'colors', 'counts', 'by_number', 'maybe', 'note', 'word', 'tree', 'number',
    'at', 'took', 'extra', 'any', 'list', 'nick', 'serial', 'mask', 'nothing',
];
const DEFAULTS = [
    'flag' => false, 'i32' => 0, 'i64' => 0, 'u32' => 0, 'u64' => 0, 's64' => 0, 'fixed' => 0,
    'f32' => 0.0, 'f64' => 0.0, 'text' => '', 'raw' => '', 'color' => 0,
    'numbers' => [], 'leaves' => [], 'colors' => [], 'counts' => [], 'by_number' => [],
];

/** The whole message in which these fields are set. */
function message(array $set): array
{
    $set += DEFAULTS;
    $ordered = [];
    foreach (FIELDS as $field) {
        if (array_key_exists($field, $set)) {
            $ordered[$field] = $set[$field];
        }
    }
    return $ordered;
}

function leaf(string $name, array ...$leaves): array
{
    return ['name' => $name, 'leaves' => $leaves];
}

/** @return array<array{mixed, array}> what is sent, and what is set in the message that comes back */
function exact(): array
{
    $same = [
        ['flag' => true],
        ['i32' => PHP_INT_MAX >> 32],
        ['i32' => -2147483648, 'i64' => PHP_INT_MIN, 's64' => -1],
        ['i64' => PHP_INT_MAX, 'u32' => 4294967295, 'u64' => PHP_INT_MAX],
        ['u64' => '9223372036854775808', 'fixed' => '18446744073709551615'],
        ['f32' => 0.1, 'f64' => 0.1 + 0.2],
        ['f32' => -1.5, 'f64' => -0.0],
        ['f64' => INF],
        ['f64' => 5e-324],
        ['text' => "你好\0\n", 'raw' => "\0bin\xff\xfe"],
        ['color' => 2],
        ['color' => 77],
        ['leaf' => leaf('')],
        ['leaf' => leaf('a', leaf('b', leaf('c')), leaf('d'))],
        ['numbers' => [3, -1, 0], 'leaves' => [leaf('a'), leaf('b')], 'colors' => [1, 2, 0]],
        ['counts' => ['one' => 1]],
        ['counts' => [5 => 1]],
        ['by_number' => [-3 => leaf('minus')]],
        ['maybe' => 0, 'note' => ''],
        ['word' => ''],
        ['tree' => leaf('oak')],
        ['number' => 0],
        ['at' => '2017-01-15T01:30:15Z', 'took' => '1.500s'],
        ['extra' => ['a' => 1]],
        ['extra' => ['deep' => ['list' => [1, 2.5, 'x', true, null]]]],
        ['any' => 'text'],
        ['any' => [1, 2]],
        ['any' => ['k' => 'v']],
        ['list' => [1, 'two', [3.5]]],
        ['nick' => '', 'serial' => '18446744073709551615'],
        ['mask' => 'id,address.zip'],
        ['nothing' => []],
    ];
    return array_map(fn (array $set) => [$set, $set], $same);
}

/** The same, of what PHP code says when it does not care for types. */
function lenient(): array
{
    return [
        [[], []],
        [null, []],
        [['unknown' => ['deep' => [1]], 'i32' => 1], ['i32' => 1]],
        [['i32' => '1117', 'i64' => '-5', 'u64' => '7'], ['i32' => 1117, 'i64' => -5, 'u64' => 7]],
        [['i32' => 3.0, 'i64' => ' 12 ', 'u32' => true], ['i32' => 3, 'i64' => 12, 'u32' => 1]],
        [['i64' => '1e3'], ['i64' => 1000]],
        [['f32' => 1, 'f64' => '2.5'], ['f32' => 1.0, 'f64' => 2.5]],
        [['flag' => 1], ['flag' => true]],
        [['flag' => '1'], ['flag' => true]],
        [['flag' => ''], []],
        [['flag' => 0, 'i32' => null, 'text' => null], []],
        [['text' => 1117], ['text' => '1117']],
        [['text' => 2.5], ['text' => '2.5']],
        [['text' => true, 'raw' => 42], ['text' => '1', 'raw' => '42']],
        [['color' => 'COLOR_GREEN'], ['color' => 2]],
        [['color' => '1', 'colors' => ['COLOR_RED', 2]], ['color' => 1, 'colors' => [1, 2]]],
        [['leaf' => array()], ['leaf' => leaf('')]],
        [['leaf' => null, 'maybe' => null, 'word' => null], []],
        [['leaf' => (array) (object) ['name' => 'x']], ['leaf' => leaf('x')]],
        [['numbers' => [7 => '1', 3 => 2]], ['numbers' => [1, 2]]],
        [['counts' => []], []],
        [['counts' => ['5' => '6']], ['counts' => [5 => 6]]],
        [['counts' => [10]], ['counts' => [10]]],
        [['by_number' => ['12' => ['name' => 'x']]], ['by_number' => [12 => leaf('x')]]],
        [['word' => 'first', 'number' => 2], ['number' => 2]],
        [['at' => 1484443815], ['at' => '2017-01-15T01:30:15Z']],
        [['at' => '2017-01-15 01:30:15Z', 'took' => 1.5], ['at' => '2017-01-15T01:30:15Z', 'took' => '1.500s']],
        [['nick' => 5, 'serial' => '9'], ['nick' => '5', 'serial' => 9]],
        [['mask' => ['id', 'address.zip']], ['mask' => 'id,address.zip']],
        [['nothing' => ['x' => 1]], ['nothing' => []]],
        [['extra' => []], ['extra' => []]],
    ];
}

/** @return array<array{mixed, string}> what is sent, and how the refusal begins */
function refused(): array
{
    return [
        [['i32' => [1]], 'i32: expected an int32, got an array'],
        [['i32' => 2147483648], 'i32: expected an int32, got the int 2147483648'],
        [['u32' => -1], 'u32: expected a uint32, got the int -1'],
        [['i64' => 'seven'], 'i64: expected an int64, got the string "seven"'],
        [['i64' => 1.5], 'i64: expected an int64, got the float 1.5'],
        [['flag' => 2], 'flag: expected a bool, got the int 2'],
        [['text' => "\xff"], 'text: expected a string'],
        [['color' => 'COLOR_PINK'], 'color: '],
        [['leaf' => 'oak'], 'leaf: '],
        [['leaf' => ['leaves' => [['name' => 'a'], ['name' => []]]]], 'leaf.leaves[1].name: expected a string'],
        [['numbers' => 5], 'numbers: '],
        [['leaves' => [leaf('a'), 5]], 'leaves[1]: '],
        [['counts' => ['x' => 'y']], 'counts.x: expected an int64'],
        [['at' => 'yesterday'], 'at: expected a timestamp'],
        ['scalar', ''],
    ];
}

function fail(string $what, mixed $sent, mixed $came, mixed $wanted): never
{
    $show = fn (mixed $value) => var_export($value, true);
    echo "$what\nsent {$show($sent)}\ncame {$show($came)}\nwanted {$show($wanted)}\n";
    exit(1);
}

/** What the call came to, as a packet of its own whether it came in one or not. */
function outcome(DoraClient|DoraBareClient $client, mixed $result): mixed
{
    if ($client instanceof DoraClient) {
        return is_array($result) ? array_diff_key($result, ['guid' => 0]) : $result;
    }
    $thrown = is_array($result) && array_keys($result) === ['code', 'msg', 'data'];
    return $thrown ? $result : ['code' => 0, 'msg' => 'OK', 'data' => $result];
}

$client = clientOf($argv);
$count = 0;
foreach ([...exact(), ...lenient()] as [$sent, $set]) {
    $reply = $client->single('/t/echo', $sent);
    $packet = outcome($client, $reply['data']['data'] ?? null);
    $wanted = ['code' => 0, 'msg' => 'OK', 'data' => message($set)];
    if ($packet !== $wanted) {
        fail('an echo', $sent, $reply, $wanted);
    }
    $count++;
}
foreach (refused() as [$sent, $start]) {
    $reply = $client->single('/t/echo', $sent);
    $packet = outcome($client, $reply['data']['data'] ?? null);
    $msg = "not the message expected (php): $start";
    if (!is_array($packet) || $packet['code'] !== 100203 || $packet['data'] !== [] || !str_starts_with($packet['msg'], $msg)) {
        fail('a refusal', $sent, $reply, $msg);
    }
    $count++;
}
$calls = ['good' => ['name' => '/t/echo', 'param' => ['i32' => '5']], 9 => ['name' => '/t/echo', 'param' => ['i32' => []]]];
$packets = $client->multi($calls)['data']['data'] ?? [];
$packets = array_map(fn (mixed $result) => outcome($client, $result), $packets);
if (($packets['good']['data'] ?? null) !== message(['i32' => 5]) || ($packets[9]['code'] ?? null) !== 100203) {
    fail('a multi', $calls, $packets, 'one good, one refused');
}
echo "$count arrays\n";
