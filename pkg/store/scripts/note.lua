-- Appends an event that no participant commands to the house log, once.
-- KEYS  state, log, answers: of the house
-- ARGV  deadline, mark (what is there once; a policy has none), policy (its hash;
--       else empty), skew, freshness, arrival, tail (the event after its number),
--       commitment, salt, private
-- Returns {'ok', seq, event}, {'done'}: it is there already, {'stale'}: nothing
--       done, or {'unknown'}: the projections are lost.
local state, log, answers = KEYS[1], KEYS[2], KEYS[3]
local deadline, mark, policy, skew, freshness, arrival, tail, commitment, salt, private = unpack(ARGV)

if late(deadline) then return {'stale'} end

local s = redis.call('HMGET', state, 'in_force', 'm')
if not s[1] and redis.call('EXISTS', log) == 1 then return {'unknown'} end
if mark ~= '' and redis.call('HEXISTS', answers, mark) == 1 then return {'done'} end
if policy ~= '' and policy == s[1] then return {'done'} end
local m = latest(arrival, s[2] or '0')
local seq, event = append(log, m, tail, commitment, salt, private)
redis.call('HSET', state, 'm', m)
if policy ~= '' then
  redis.call('HSET', state, 'in_force', policy, 'skew', skew, 'freshness', freshness)
end
if mark ~= '' then redis.call('HSET', answers, mark, seq) end
redis.call('PUBLISH', log, seq)
return {'ok', seq, event}
