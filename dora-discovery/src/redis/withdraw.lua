-- Takes an instance back, if it is still of this run. Answers 1, or 0 if it was not there.
-- ARGV: prefix, address, generation
local prefix, address, generation = ARGV[1], ARGV[2], ARGV[3]
local key = prefix .. ':instance:' .. address
local ok, known = pcall(cjson.decode, redis.call('GET', key) or '')
if not ok or type(known) ~= 'table' or known.generation ~= generation then
  return 0
end
local time = redis.call('TIME')
local revision = time[1] .. string.format('%06d', time[2])
redis.call('DEL', key)
for _, group in ipairs(known.groups) do
  redis.call('ZREM', prefix .. ':group:' .. group, address)
  redis.call('SET', prefix .. ':revision:' .. group, revision)
  redis.call('PUBLISH', prefix .. ':changes:' .. group, revision)
end
local wrote = redis.call('HGET', prefix .. ':php', address)
if wrote then
  local node = cjson.decode(wrote).node
  redis.call('SREM', 'dora.serverlist', wrote)
  redis.call('DEL', 'dora.servertime.' .. node.ip .. '.' .. node.port .. '.time')
  redis.call('HDEL', prefix .. ':php', address)
end
return 1
