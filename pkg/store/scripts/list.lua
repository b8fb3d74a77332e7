-- Judges a listing and appends it to the house log: auction.House.JudgeList, in
-- its order. open.lua then opens the auction.
-- KEYS  state, log, answers, due: of the house
-- ARGV  deadline, pseudonym (the auction's id), identity (participant and digest,
--       32 bytes each), ts, arrival, policy (hash), head (size; 0: no prefix of
--       the log), in_span (1: closes in the time that the rules allow), closes,
--       tail (the event after its number), commitment, salt, private, chain
-- Returns {'ok', seq, event}, {'again', seq, field, value, ...} of the entry,
--       {'refused', code, least}, {'stale'}: nothing done, or {'unknown'}: the
--       projections are lost.
local state, log, answers, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local deadline, pseudonym, identity, ts, arrival, policy, head, in_span, closes,
  tail, commitment, salt, private, chain = unpack(ARGV)

if late(deadline) then return {'stale'} end
local s = redis.call('HMGET', state, 'in_force', 'm', 'skew', 'freshness')
if not s[1] and redis.call('EXISTS', log) == 1 then return {'unknown'} end
local known = answered(answers, log, pseudonym, identity)
if known then return known end

local m = latest(arrival, s[2] or '0')
local function judge()
  if policy ~= s[1] then return 'unknown_policy' end
  local stamp, skew, freshness = tonumber(ts), tonumber(s[3]), tonumber(s[4])
  return headless(log, head, stamp, skew, freshness)
    or unfresh(tonumber(m), stamp, skew, freshness)
    or in_span ~= '1' and 'bad_terms' or nil
end

local code = judge()
if code then return refuse(answers, pseudonym, identity, code, '0') end
-- Of each participant so many in a thousand seconds, whatever the replicas:
-- auction.MaxListed.
local field, span = 'listed:' .. string.sub(identity, 1, 32), string.sub(m, 1, -10)
local count = string.match(redis.call('HGET', answers, field) or '', '^' .. span .. ' (%d+)$') or '0'
if tonumber(count) >= 200 then return {'refused', 'rate_limited', '0'} end
local seq, event = append(log, m, tail, commitment, salt, private, chain)
redis.call('HSET', answers, pseudonym, identity .. seq .. '  0',
  field, span .. string.format(' %.0f', tonumber(count) + 1))
redis.call('ZADD', due, closes, pseudonym)
redis.call('HSET', state, 'm', m)
redis.call('PUBLISH', log, seq)
return {'ok', seq, event}
