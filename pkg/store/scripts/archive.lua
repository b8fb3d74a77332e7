-- Replaces a closed auction, which is kept elsewhere, by a tombstone.
-- KEYS  state, log, answers, certs, mail: of the auction
-- ARGV  size of the log that is kept, last (what the tombstone keeps)
-- Returns {'ok'}, {'done'}: it is a tombstone already, or {'grew'}: it is open, or
--       of another size.
local state, log, answers, certs, mail = unpack(KEYS)
local size, last = ARGV[1], ARGV[2]

local s = redis.call('HMGET', state, 'closed', 'archived')
if s[2] then return {'done'} end
if not s[1] or redis.call('XLEN', log) ~= tonumber(size) then return {'grew'} end
redis.call('UNLINK', state, log, answers, certs, mail)
redis.call('HSET', state, 'archived', last)
return {'ok'}
