-- What the scripts share; it stands before each of them.

-- A number as terms of runs are: 0 for all else.
local function number(value)
  local is = tonumber(value)
  return is and is >= 0 and is < 2 ^ 53 and is or 0
end

-- The table that this JSON is; an empty one for all else.
local function decoded(json)
  local ok, value = pcall(cjson.decode, json)
  return ok and type(value) == 'table' and value or {}
end

-- The key of the time of a member of dora.serverlist; nothing for what we would not have written.
local function time_key(member)
  local node = decoded(member).node
  if type(node) == 'table' and type(node.ip) == 'string' and type(node.port) == 'number' then
    return 'dora.servertime.' .. node.ip .. '.' .. node.port .. '.time'
  end
end

-- The record of an address, '' if there is none: one byte more than there may be, enough to
-- tell that it is too long, and no more to send.
local function record_of(prefix, address, most)
  local key = prefix .. ':instance:' .. address
  local record = redis.pcall('GETRANGE', key, 0, most)
  return type(record) == 'string' and record or 'of another type: ' .. key
end

-- The records of these addresses, from one of them on, until they have so many bytes; and the
-- first one that was left out.
local function page(prefix, addresses, from, most, bytes)
  local records, size = {}, 0
  while from <= #addresses and size < bytes do
    local record = record_of(prefix, addresses[from], most)
    records[#records + 1] = record
    size = size + #record
    from = from + 1
  end
  return records, from
end
