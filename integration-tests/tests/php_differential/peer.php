<?php
// Answers one frame per frame: a command byte and a payload, each frame with a
// 32-bit big-endian length before it.
//   U  unserialize the payload, answer "1" and its serialization again, or "0"
//   G  answer a generated value: the payload is its seed, in decimal
//   J  answer "1" and the json_encode of the serialized payload, or "0"
ini_set('serialize_precision', '-1');
error_reporting(0);

enum Suit: string {
    case Up = 'u';
    case Down = 'd';
}

enum A {
    case B;
}

class Base {
    private $name;
    protected $inner;
    public $open;

    public function __construct() {
        $this->name = string_of(3);
        $this->inner = mt_rand(0, 1) ? null : [1, 'a' => 2.5];
        $this->open = Suit::Down;
    }
}

class Derived extends Base {
    private $name = 'own';
    public $more;

    public function __construct($more) {
        parent::__construct();
        $this->more = $more;
    }
}

/** Serializes as what it likes: integer names too. */
class Magic {
    private $state;

    public function __construct($state) {
        $this->state = $state;
    }

    public function __serialize(): array {
        return [7, 'k' => $this->state, -1 => null];
    }

    public function __unserialize(array $state): void {
        $this->state = $state['k'] ?? null;
    }
}

function any_object(int $depth) {
    switch (mt_rand(0, 4)) {
        case 0: return Suit::Up;
        case 1: return new Derived(any_value($depth - 1));
        case 2: return new Magic(any_value($depth - 1));
        case 3: return new ArrayObject([any_value($depth - 1)]);
        default:
            $object = new stdClass();
            for ($i = mt_rand(0, 4); $i > 0; $i--) {
                $object->{mt_rand(0, 2) ? chr(mt_rand(97, 122)) : (string) mt_rand(0, 9)} = any_value($depth - 1);
            }
            return $object;
    }
}

function float_of_bits(): float {
    $bits = '';
    for ($i = 0; $i < 8; $i++) {
        $bits .= chr(mt_rand(0, 255));
    }
    return unpack('d', $bits)[1];
}

function string_of(int $most): string {
    $string = '';
    for ($i = mt_rand(0, $most); $i > 0; $i--) {
        $string .= chr(mt_rand(0, 255));
    }
    return $string;
}

function any_float(): float {
    switch (mt_rand(0, 5)) {
        case 0: return float_of_bits();
        case 1: return mt_rand(-1000000, 1000000) / 100;
        case 2: return mt_rand(1, 9999) * (10.0 ** mt_rand(-30, 30));
        case 3: return (float) mt_rand();
        case 4: return 2.0 ** mt_rand(-1074, 1023);
        default: return [0.0, -0.0, INF, -INF, NAN, 0.1, 1e15, 1e16, 1e17, 1e-4, 1e-5][mt_rand(0, 10)];
    }
}

function any_key() {
    switch (mt_rand(0, 4)) {
        case 0: return mt_rand(-3, 20);
        case 1: return (string) mt_rand(-3, 20);
        case 2: return ['', '-', '-0', '05', '+5', '1.5', ' 1', (string) PHP_INT_MAX, (string) PHP_INT_MIN, '9223372036854775808'][mt_rand(0, 9)];
        default: return string_of(6);
    }
}

function any_value(int $depth) {
    switch (mt_rand(0, $depth > 0 ? 9 : 5)) {
        case 0: return null;
        case 1: return (bool) mt_rand(0, 1);
        case 2: return [0, -1, PHP_INT_MAX, PHP_INT_MIN, mt_rand(), -mt_rand()][mt_rand(0, 5)];
        case 3: return any_float();
        case 4: return any_float();
        case 5: return string_of(20);
        case 6:
            $list = [];
            for ($i = mt_rand(0, 6); $i > 0; $i--) {
                $list[] = any_value($depth - 1);
            }
            return $list;
        case 7: return any_object($depth);
        default:
            $map = [];
            for ($i = mt_rand(0, 24); $i > 0; $i--) {
                $map[any_key()] = any_value($depth - 1);
            }
            return $map;
    }
}

function answer(string $request): string {
    $payload = substr($request, 1);
    if ($request[0] === 'G') {
        mt_srand((int) $payload);
        return serialize(any_value(3));
    }
    $allowed = $request[0] === 'J' ? ['Base', 'Derived', 'stdClass'] : ['Suit', 'A'];
    try {
        // The few classes that are known have no code that runs by itself.
        $value = unserialize($payload, ['allowed_classes' => $allowed]);
    } catch (Throwable $refused) {
        return '0';
    }
    if ($value === false && strncmp($payload, 'b:0;', 4) !== 0) {
        return '0';
    }
    if ($request[0] === 'J') {
        $json = json_encode($value, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
        return $json === false ? '0' : '1' . $json;
    }
    return '1' . serialize($value);
}

while (($head = fread(STDIN, 4)) !== false && strlen($head) === 4) {
    $length = unpack('N', $head)[1];
    $request = '';
    while (strlen($request) < $length) {
        $request .= fread(STDIN, $length - strlen($request));
    }
    $answer = answer($request);
    fwrite(STDOUT, pack('N', strlen($answer)) . $answer);
}
