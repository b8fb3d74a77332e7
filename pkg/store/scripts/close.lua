-- Appends the close record if the log has the size that was judged and stamped.
-- KEYS  state, log, mail (whose watchers are woken too): of the auction
-- ARGV  deadline, size, arrival, tail (the event after its number), commitment,
--       salt, private
-- Returns {'ok', seq, event}, {'done'}: closed already, {'grew'}: another size,
--       {'stale'}: nothing done, or {'unknown'}: no state.
local state, log, mail = KEYS[1], KEYS[2], KEYS[3]
local deadline, size, arrival, tail, commitment, salt, private = unpack(ARGV)

if late(deadline) then return {'stale'} end

local s = redis.call('HMGET', state, 'closed', 'm')
if s[1] then return {'done'} end
local m = s[2]
if not m then return {'unknown'} end
if redis.call('XLEN', log) ~= tonumber(size) then return {'grew'} end
m = latest(arrival, m)
local seq, event = append(log, m, tail, commitment, salt, private)
redis.call('HSET', state, 'closed', '1', 'm', m)
redis.call('PUBLISH', log, seq)
redis.call('PUBLISH', mail, seq)
return {'ok', seq, event}
