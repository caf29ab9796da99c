-- Members of dora.serverlist, a few at a time. Writes nothing.
-- ARGV: cursor, how many, the most bytes of a member
-- Answers: the next cursor, 0 behind the last ones; the members, '' for one that is too long.
local found = redis.call('SSCAN', 'dora.serverlist', ARGV[1], 'COUNT', ARGV[2])
for index, member in ipairs(found[2]) do
  if #member > tonumber(ARGV[3]) then
    found[2][index] = ''
  end
end
return found
