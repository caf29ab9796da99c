-- Announces an instance, or anew.
-- ARGV: prefix, address, record (JSON), the most bytes of a record, lease in ms, PHP's member
-- of dora.serverlist or '', the term that this run was given before or 0.
-- Answers: the term of this run, 0 if a later one has the address; what is wrong with PHP's
-- keys, or ''.
local prefix, address, record, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local lease, member, term = tonumber(ARGV[5]), ARGV[6], number(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key = prefix .. ':instance:' .. address
local mine = decoded(record)
local old = record_of(prefix, address, most)
local known = decoded(old)

-- Runs are ordered by when they were first announced: by the time of this server, and behind
-- all terms that were given before, whatever its clock, or a successor's, says since.
local theirs = number(known.term)
local given = redis.pcall('GET', prefix .. ':term')
local last = math.max(number(type(given) == 'string' and given), theirs)
if known.generation == mine.generation then
  term = math.max(term, theirs)
elseif term > 0 and theirs >= term then
  return { 0, '' }
end
if term == 0 then
  term = math.max(time[1] * 1000000 + time[2], last + 1)
end
local text = string.format('%.0f', term)
if term >= last and given ~= text then
  redis.call('SET', prefix .. ':term', text)
end
record = string.sub(record, 1, -2) .. ',"term":' .. text .. '}'

-- What is below the prefix is ours: what has another type there is replaced.
local function own(name, wanted)
  local is = redis.call('TYPE', name).ok
  if is ~= wanted and is ~= 'none' then
    redis.call('DEL', name)
  end
  return name
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
  local list = own(prefix .. ':group:' .. group, 'zset')
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
    if type(group) == 'string' and not groups[group]
      and redis.pcall('ZREM', prefix .. ':group:' .. group, address) == 1 then
      changed(group)
    end
  end
end

-- PHP's view. What we wrote for an address is kept beside it, for a set's members do not
-- expire: so what is stale can be told from what others wrote. PHP's keys are not ours: what
-- has another type there is left, and told.
local complaint = ''
local function foreign(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then
    complaint = 'dora.serverlist: ' .. answer.err
  end
end

local ours = own(prefix .. ':php', 'hash')
local wrote = redis.call('HGET', ours, address)
if wrote and wrote ~= member then
  foreign('SREM', 'dora.serverlist', wrote)
  redis.call('HDEL', ours, address)
end
if member ~= '' then
  redis.call('HSET', ours, address, member)
  foreign('SADD', 'dora.serverlist', member)
  redis.call('SET', time_key(member), time[1], 'EX', 60)
end
if old ~= record then
  -- Those of ours who died without a word. If the time is fresh, somebody else has the
  -- address by now, and the member.
  local all = redis.call('HGETALL', ours)
  for index = 1, #all, 2 do
    if redis.call('EXISTS', prefix .. ':instance:' .. all[index]) == 0 then
      local name = time_key(all[index + 1])
      local seen = name and number(redis.pcall('GET', name))
      if name and time[1] - seen > 20 then
        foreign('SREM', 'dora.serverlist', all[index + 1])
      end
      redis.call('HDEL', ours, all[index])
    end
  end
end
return { term, complaint }
