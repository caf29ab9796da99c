<?php

declare(strict_types=1);

/*
 * Calls the users, in every mode:
 *
 *     php client.php 127.0.0.1 9567
 *
 * Nothing here shows that they are served by Rust.
 */

require_once __DIR__ . '/DoraClient.php';

if ($argc !== 3) {
    exit("usage: php client.php HOST PORT\n");
}
$client = new DoraClient($argv[1], (int) $argv[2]);

/** What a call of one API came to, out of the arrays around it. */
function answer(array $reply): array
{
    if ($reply['code'] !== 0) {
        fwrite(STDERR, "the call failed: $reply[msg]\n");
        exit(1);
    }
    return $reply['data'];
}

// Wait for the result.
$api = answer($client->single('/user/get', ['id' => 7]))['data'];
$user = $api['data'];
echo "wait:      user $user[id] is $user[name] of {$user['address']['city']}\n";

// PHP is lenient, and so is Rust when PHP calls.
$api = answer($client->single('/user/get', ['id' => '8']))['data'];
$city = isset($api['data']['address']) ? 'an address' : 'no address';
echo "wait:      user '8' is {$api['data']['name']}, with $city\n";

// An exception has the code and the message that it always had.
$api = answer($client->single('/user/get', ['id' => 9]))['data'];
echo "exception: $api[msg] with code $api[code]\n";

// What cannot be meant is refused, with the name of the field.
$api = answer($client->single('/user/get', ['id' => ['7']]))['data'];
echo "refused:   $api[msg]\n";

// Several APIs in one request, side by side.
$apis = answer($client->multi([
    'ada' => ['name' => '/user/get', 'param' => ['id' => 7]],
    'all' => ['name' => '/user/find', 'param' => ['prefix' => 'Ad']],
]))['data'];
$names = implode(' and ', array_column($apis['all']['data']['users'], 'name'));
$tags = implode(', ', $apis['ada']['data']['tags']);
echo "multi:     $names; Ada is $tags\n";

// No result wanted: accepted, and done.
$mail = ['id' => 7, 'text' => 'hello'];
$server = answer($client->single('/user/mail', $mail, DoraClient::MODE_NORESULT));
echo "no result: $server[code] $server[msg]\n";

// The result later, over the same connection.
$server = answer($client->single('/user/mail', $mail, DoraClient::MODE_ASYNCRESULT));
echo "async:     $server[code], and we go on working\n";
foreach (answer($client->getAsyncData()) as $result) {
    $sent = $result['data']['data'];
    echo "async:     $sent[bytes] bytes went to $sent[to]\n";
}
