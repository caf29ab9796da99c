-- Announces an instance, or anew. Answers 1, or 0 if a later run has the address.
-- ARGV: prefix, address, record (JSON), lease in ms, PHP's member of dora.serverlist or ''
local prefix, address, record, lease, member = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key = prefix .. ':instance:' .. address
local mine = cjson.decode(record)

local known = {}
local old = redis.call('GET', key)
if old and old ~= record then
  local ok, decoded = pcall(cjson.decode, old)
  if ok and type(decoded) == 'table' then
    known = decoded
  end
  local theirs, ours = tonumber(known.started) or 0, tonumber(mine.started) or 0
  if theirs > ours or (theirs == ours and tostring(known.generation) > mine.generation) then
    return 0
  end
end

local function changed(group)
  -- Microseconds: no two changes have the same, nor does one from before a loss of data.
  local revision = time[1] .. string.format('%06d', time[2])
  redis.call('SET', prefix .. ':revision:' .. group, revision)
  redis.call('PUBLISH', prefix .. ':changes:' .. group, revision)
end

redis.call('SET', key, record, 'PX', lease)
local groups = {}
for _, group in ipairs(mine.groups) do
  groups[group] = true
  local list = prefix .. ':group:' .. group
  local until_ = redis.call('ZSCORE', list, address)
  local is_new = old ~= record or not until_ or tonumber(until_) <= now
  redis.call('ZADD', list, now + lease, address)
  redis.call('PEXPIRE', list, lease * 10)
  if is_new then
    redis.call('ZREMRANGEBYSCORE', list, '-inf', now)
    changed(group)
  end
end
if type(known.groups) == 'table' then
  for _, group in pairs(known.groups) do
    if not groups[group] and redis.call('ZREM', prefix .. ':group:' .. group, address) == 1 then
      changed(group)
    end
  end
end

-- PHP's view. What we wrote for an address is kept beside it, for a set's members do not
-- expire: so what is stale can be told from what others wrote.
local ours = prefix .. ':php'
local wrote = redis.call('HGET', ours, address)
if wrote and wrote ~= member then
  redis.call('SREM', 'dora.serverlist', wrote)
  redis.call('HDEL', ours, address)
end
if member ~= '' then
  local node = cjson.decode(member).node
  redis.call('HSET', ours, address, member)
  redis.call('SADD', 'dora.serverlist', member)
  redis.call('SET', 'dora.servertime.' .. node.ip .. '.' .. node.port .. '.time', time[1], 'EX', 60)
end
if old ~= record then
  -- Those of ours who died without a word. If the time is fresh, somebody else has the
  -- address by now, and the member.
  local all = redis.call('HGETALL', ours)
  for index = 1, #all, 2 do
    if redis.call('EXISTS', prefix .. ':instance:' .. all[index]) == 0 then
      local node = cjson.decode(all[index + 1]).node
      local seen = redis.call('GET', 'dora.servertime.' .. node.ip .. '.' .. node.port .. '.time')
      if not seen or time[1] - (tonumber(seen) or 0) > 20 then
        redis.call('SREM', 'dora.serverlist', all[index + 1])
      end
      redis.call('HDEL', ours, all[index])
    end
  end
end
return 1
