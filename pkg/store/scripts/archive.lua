-- Replaces a closed auction, which is archived, by a tombstone.
-- KEYS  state, log, answers, certs: of the auction
-- ARGV  size of the log that was archived
-- Returns {'ok'}, {'done'}: it is a tombstone already, or {'grew'}: it is open, or
--       of another size.
local state, log, answers, certs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local size = ARGV[1]

local s = redis.call('HMGET', state, 'closed', 'archived')
if s[2] then return {'done'} end
if not s[1] or redis.call('XLEN', log) ~= tonumber(size) then return {'grew'} end
redis.call('DEL', state, log, answers, certs)
redis.call('HSET', state, 'archived', size)
return {'ok'}
