<?php

declare(strict_types=1);

/*
 * The reference service on the Dora wire:
 *
 *     php server.php [--host 127.0.0.1] --port 0 [--generation guid|plain|bare]
 *                    [--of june2016|phalcon|july2015] [--sign] [--salt STRING] [--gzip]
 *
 * Prints `listening <port>` and serves until its standard input closes, so that
 * it never outlives whoever started it.
 */

require_once __DIR__ . '/DoraBareServer.php';
require_once __DIR__ . '/options.php';

$options = options($argv, ['host', 'port', 'generation', 'of', 'salt'], ['sign', 'gzip']);
$frame = frameOf($options);
$service = new ReferenceService();
$server = $frame->generation === DoraFrame::BARE
    ? new DoraBareServer($frame, $service, $options['of'] ?? 'june2016')
    : new DoraServer($frame, $service);
$port = $server->listen($options['host'] ?? '127.0.0.1', (int) ($options['port'] ?? 0));
echo "listening $port\n";
$server->run(STDIN);
