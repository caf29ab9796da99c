-- Takes an instance back, if it is still of this run. Answers 1, or 0 if it was not there.
-- ARGV: prefix, address, generation, the most bytes of a record
local prefix, address, generation = ARGV[1], ARGV[2], ARGV[3]
local known = decoded(record_of(prefix, address, tonumber(ARGV[4])))
if known.generation ~= generation then
  return 0
end
local time = redis.call('TIME')
local revision = time[1] .. string.format('%06d', time[2])
redis.call('DEL', prefix .. ':instance:' .. address)
for _, group in ipairs(known.groups) do
  redis.pcall('ZREM', prefix .. ':group:' .. group, address)
  redis.call('SET', prefix .. ':revision:' .. group, revision)
  redis.call('PUBLISH', prefix .. ':changes:' .. group, revision)
end
local wrote = redis.pcall('HGET', prefix .. ':php', address)
if type(wrote) == 'string' then
  local name = time_key(wrote)
  redis.pcall('SREM', 'dora.serverlist', wrote)
  redis.call('HDEL', prefix .. ':php', address)
  if name then
    redis.call('DEL', name)
  end
end
return 1
