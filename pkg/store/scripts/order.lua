-- Extends or cancels an auction for the operator: auction.State.ExtendEvent and
-- CancelEvent, which say why.
-- KEYS  state, log, mail (whose watchers are woken too): of the auction
-- ARGV  deadline, arrival, ends (0: it is cancelled), tail (the event after its
--       number), commitment, salt, private
-- Returns {'ok', seq, event}, {'refused', code, '0'}, {'stale'}: nothing done, or
--       {'unknown'}: no state.
local state, log, mail = KEYS[1], KEYS[2], KEYS[3]
local deadline, arrival, ends, tail, commitment, salt, private = unpack(ARGV)

if late(deadline) then return {'stale'} end
local s = redis.call('HMGET', state, 'closed', 'm', 'ends', 'suspended')
if not s[2] then return {'unknown'} end
local m = latest(arrival, s[2])
if s[1] then return {'refused', 'auction_ended', '0'} end
if ends ~= '0' then
  if s[4] then return {'refused', 'suspended', '0'} end
  if tonumber(m) >= tonumber(s[3]) then return {'refused', 'auction_ended', '0'} end
  if tonumber(ends) <= tonumber(s[3]) then return {'refused', 'bad_terms', '0'} end
end
local seq, event = append(log, m, tail, commitment, salt, private)
if ends == '0' then
  redis.call('HSET', state, 'm', m, 'closed', '1')
else
  redis.call('HSET', state, 'm', m, 'ends', ends)
end
redis.call('PUBLISH', log, seq)
redis.call('PUBLISH', mail, seq)
return {'ok', seq, event}
