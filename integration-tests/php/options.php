<?php

declare(strict_types=1);

require_once __DIR__ . '/DoraBareClient.php';
require_once __DIR__ . '/DoraClient.php';

/**
 * The command line of the scripts here.
 *
 * @param string[] $values names of options that take a value
 * @param string[] $flags names of options that do not
 * @return array<string, string|true>
 */
function options(array $argv, array $values, array $flags): array
{
    $options = [];
    for ($at = 1; $at < count($argv); $at++) {
        $name = preg_replace('/^--/', '', $argv[$at], 1, $dashes);
        if ($dashes === 1 && in_array($name, $flags, true)) {
            $options[$name] = true;
        } elseif ($dashes === 1 && in_array($name, $values, true) && isset($argv[$at + 1])) {
            $options[$name] = $argv[++$at];
        } else {
            fwrite(STDERR, "cannot make sense of '$argv[$at]'\n");
            exit(2);
        }
    }
    return $options;
}

/** The frames that the options of a script describe. */
function frameOf(array $options): DoraFrame
{
    return new DoraFrame(
        $options['generation'] ?? DoraFrame::GUID,
        isset($options['sign']),
        $options['salt'] ?? DoraFrame::DEFAULT_SALT,
        isset($options['gzip']),
    );
}

/** The client that the command line of a client's script describes. */
function clientOf(array $argv): DoraClient|DoraBareClient
{
    $options = options(
        $argv,
        ['host', 'port', 'generation', 'of', 'salt', 'timeout'],
        ['sign', 'gzip'],
    );
    $generation = $options['generation'] ?? DoraFrame::GUID;
    $class = $generation === DoraFrame::BARE ? DoraBareClient::class : DoraClient::class;
    return new $class($options['host'] ?? '127.0.0.1', (int) $options['port'], [
        'generation' => $generation,
        'of' => $options['of'] ?? 'june2016',
        'signed' => isset($options['sign']),
        'salt' => $options['salt'] ?? DoraFrame::DEFAULT_SALT,
        'gzip' => isset($options['gzip']),
        'timeout' => (float) ($options['timeout'] ?? 3.0),
    ]);
}
