<?php

declare(strict_types=1);

/*
 * The reference service on the Dora wire:
 *
 *     php server.php [--host 127.0.0.1] --port 0 [--generation guid|plain]
 *                    [--sign] [--salt STRING] [--gzip]
 *
 * Prints `listening <port>` and serves until its standard input closes, so that
 * it never outlives whoever started it.
 */

require_once __DIR__ . '/DoraServer.php';
require_once __DIR__ . '/options.php';

$options = options($argv, ['host', 'port', 'generation', 'salt'], ['sign', 'gzip']);
$server = new DoraServer(
    new DoraFrame(
        $options['generation'] ?? DoraFrame::GUID,
        isset($options['sign']),
        $options['salt'] ?? DoraFrame::DEFAULT_SALT,
        isset($options['gzip']),
    ),
    new ReferenceService(),
);
$port = $server->listen($options['host'] ?? '127.0.0.1', (int) ($options['port'] ?? 0));
echo "listening $port\n";
$server->run(STDIN);
