-- Replaces a log's state by what a replay of the log gave, if the log has not
-- grown since.
-- KEYS  state, log
-- ARGV  size, then fields and values of the state
-- Returns {'ok'}, or {'grew'}: another size.
local state, log = KEYS[1], KEYS[2]

if redis.call('XLEN', log) ~= tonumber(ARGV[1]) then return {'grew'} end
redis.call('DEL', state)
redis.call('HSET', state, unpack(ARGV, 2))
return {'ok'}
