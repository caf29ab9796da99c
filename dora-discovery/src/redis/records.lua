-- The records of these addresses, as many as fit into a page, in their order. Writes nothing.
-- ARGV: prefix, the most bytes of a record, the bytes of a page, addresses
local records = page(ARGV[1], ARGV, 4, tonumber(ARGV[2]), tonumber(ARGV[3]))
return records
