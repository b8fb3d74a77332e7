-- Notes that an entry is lost, once, and suspends the auction, if the log has the
-- size that was judged: auction.State.SuspendEvent, which says that it lacks the
-- entry.
-- KEYS  state, log, mail (whose watchers are woken too): of the auction
-- ARGV  deadline, arrival, size, lost (number and leaf), tail (the event after
--       its number), commitment, salt, private
-- Returns {'ok', seq, event}, {'done'}: the log says so already, {'grew'}: another
--       size, {'refused', code, '0'}, {'stale'}: nothing done, or {'unknown'}: no state,
--       or no log to note it in.
local state, log, mail = KEYS[1], KEYS[2], KEYS[3]
local deadline, arrival, size, lost, tail, commitment, salt, private = unpack(ARGV)

if late(deadline) then return {'stale'} end
local s = redis.call('HMGET', state, 'closed', 'm', 'lost:' .. lost)
if not s[2] or redis.call('EXISTS', log) == 0 then return {'unknown'} end
if s[1] then return {'refused', 'auction_ended', '0'} end
if s[3] then return {'done'} end
if redis.call('XLEN', log) ~= tonumber(size) then return {'grew'} end
local m = latest(arrival, s[2])
local seq, event = append(log, m, tail, commitment, salt, private)
redis.call('HSET', state, 'm', m, 'lost:' .. lost, '1')
redis.call('HSETNX', state, 'suspended', m)
redis.call('PUBLISH', log, seq)
redis.call('PUBLISH', mail, seq)
return {'ok', seq, event}
