-- Moves the end of an auction, and ends its suspension if it has one, if the log
-- has the size that was judged: auction.State.ResumeEvent and OutageEvent, which say
-- why and until when.
-- KEYS  state, log, mail (whose watchers are woken too): of the auction
-- ARGV  deadline, arrival, size, ends (0: where it is), tail (the event after its
--       number), commitment, salt, private
-- Returns {'ok', seq, event}, {'grew'}: another size, {'stale'}: nothing done, or
--       {'unknown'}: no state.
local state, log, mail = KEYS[1], KEYS[2], KEYS[3]
local deadline, arrival, size, ends, tail, commitment, salt, private = unpack(ARGV)

if late(deadline) then return {'stale'} end
local m = redis.call('HGET', state, 'm')
if not m then return {'unknown'} end
if redis.call('XLEN', log) ~= tonumber(size) then return {'grew'} end
m = latest(arrival, m)
local seq, event = append(log, m, tail, commitment, salt, private)
redis.call('HSET', state, 'm', m)
redis.call('HDEL', state, 'suspended')
if ends ~= '0' then redis.call('HSET', state, 'ends', ends) end
redis.call('PUBLISH', log, seq)
redis.call('PUBLISH', mail, seq)
return {'ok', seq, event}
