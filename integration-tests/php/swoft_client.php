<?php
// Calls a Swoft server as the packet classes of Swoft do, with PHP's own JSON:
//   php swoft_client.php <host:port> <1|2> < calls
// A call is a line of JSON: {"interface":..,"version":..,"method":..,"params":[..]}; its
// answer is printed as a line of JSON, as json_decode() gives it.

[, $address, $generation] = $argv;
$end = $generation === '1' ? "\r\n" : "\r\n\r\n";
$flags = JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION | JSON_THROW_ON_ERROR;
$stream = stream_socket_client("tcp://$address", $errno, $error, 10) or exit("$error\n");
stream_set_timeout($stream, 30);
while (($line = fgets(STDIN)) !== false) {
    $call = json_decode($line, true, 512, JSON_THROW_ON_ERROR);
    $request = $generation === '1'
        ? $call + ['logid' => uniqid('', true), 'spanid' => 0]
        : [
            'jsonrpc' => '2.0',
            'method' => "{$call['version']}::{$call['interface']}::{$call['method']}",
            'params' => $call['params'],
            'id' => '',
            'ext' => ['traceid' => 'abc', 'spanid' => '1', 'parentid' => '', 'extra' => null],
        ];
    fwrite($stream, json_encode($request, $generation === '1' ? JSON_UNESCAPED_UNICODE : 0) . $end);
    $answer = '';
    while (!str_ends_with($answer, $end)) {
        $more = fgets($stream);
        if ($more === false) {
            fwrite(STDERR, "no answer to $line");
            exit(1);
        }
        $answer .= $more;
    }
    echo json_encode(json_decode($answer, true, 512, JSON_THROW_ON_ERROR), $flags), "\n";
}
