-- The instances of a group, if they are not as they were when the fingerprint was given.
-- Writes nothing. Between two revisions a list can only shrink, so revision and length tell
-- lists apart.
-- ARGV: prefix, group, fingerprint, the most bytes of a record, the bytes of a page
-- Answers: whether there is a list; its fingerprint, '' if the group has no revision; ms to
-- the end of the first lease, or -1; the records of a page; the addresses of the other ones.
local prefix, group, known = ARGV[1], ARGV[2], ARGV[3]
local most, bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
local list = prefix .. ':group:' .. group
local is = redis.call('TYPE', list).ok
if is ~= 'zset' and is ~= 'none' then
  return { 1, '', -1, { 'of another type: ' .. list }, {} }
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local live = '(' .. string.format('%.0f', now)
local first = redis.call('ZRANGEBYSCORE', list, live, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local wait = first[2] and math.min(2 ^ 31, math.max(1, tonumber(first[2]) - now)) or -1
local revision = redis.pcall('GET', prefix .. ':revision:' .. group)
local print = ''
if type(revision) == 'string' then
  print = revision .. '.' .. redis.call('ZCOUNT', list, live, '+inf')
end
if print ~= '' and print == known then
  return { 0, print, wait, {}, {} }
end
local addresses = redis.call('ZRANGEBYSCORE', list, live, '+inf')
local records, from = page(prefix, addresses, 1, most, bytes)
local others = {}
for index = from, #addresses do
  others[#others + 1] = addresses[index]
end
return { 1, print, wait, records, others }
