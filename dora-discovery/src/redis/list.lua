-- The instances of a group, if they are not as they were when the fingerprint was given.
-- Writes nothing. Between two revisions a list can only shrink, so revision and length tell
-- lists apart.
-- ARGV: prefix, group, fingerprint, the most bytes of a record
-- Answers: whether there is a list; its fingerprint, '' if the group has no revision; ms to
-- the end of the first lease, or -1; the records.
local prefix, group, known, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local list = prefix .. ':group:' .. group
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local live = '(' .. string.format('%.0f', now)
local first = redis.call('ZRANGEBYSCORE', list, live, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local wait = first[2] and math.max(1, tonumber(first[2]) - now) or -1
local revision = redis.call('GET', prefix .. ':revision:' .. group)
local print = revision and (revision .. '.' .. redis.call('ZCOUNT', list, live, '+inf')) or ''
if print ~= '' and print == known then
  return { 0, print, wait, {} }
end
local addresses = redis.call('ZRANGEBYSCORE', list, live, '+inf')
local records = {}
for _, address in ipairs(addresses) do
  -- One byte more than there may be: enough to tell that it is too long, and no more to send.
  local record = redis.pcall('GETRANGE', prefix .. ':instance:' .. address, 0, most)
  if type(record) ~= 'string' then
    records[#records + 1] = 'of another type: ' .. address
  elseif record ~= '' then
    records[#records + 1] = record
  end
end
return { 1, print, wait, records }
