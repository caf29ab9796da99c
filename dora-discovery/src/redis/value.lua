-- What stands under a key, and its type; no more of it than so many bytes. Writes nothing.
local is = redis.call('TYPE', KEYS[1]).ok
return { is, is == 'string' and redis.call('GETRANGE', KEYS[1], 0, ARGV[1]) or '' }
