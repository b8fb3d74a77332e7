-- Judges a listing and appends it to the house log: auction.House.JudgeList, in
-- its order. open.lua then opens the auction.
-- KEYS  state, log, answers, due: of the house
-- ARGV  deadline, pseudonym (the auction's id), identity (participant and digest,
--       32 bytes each), ts, arrival, policy (hash), head (size; 0: no prefix of
--       the log), span (1: closes in the time that the rules allow), closes,
--       tail (the event after its number), commitment, salt, private, chain
-- Returns {'ok', seq, event}, {'again', seq, field, value, ...} of the entry,
--       {'refused', code, least}, or {'stale'}: nothing done.
local state, log, answers, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local deadline, pseudonym, identity, ts, arrival, policy, head, span, closes,
  tail, commitment, salt, private, chain = unpack(ARGV)

local clock = redis.call('TIME')
if tonumber(clock[1]) * 1000000 + tonumber(clock[2]) > tonumber(deadline) then return {'stale'} end

local known = redis.call('HGET', answers, pseudonym)
if known then
  if string.sub(known, 1, 64) ~= identity then return {'refused', 'pseudonym_used', '0'} end
  local seq, code, least = string.match(string.sub(known, 65), '^(%d*) (%S*) (%d+)$')
  if code ~= '' then return {'refused', code, least} end
  return {'again', seq, unpack(redis.call('XRANGE', log, seq .. '-0', seq .. '-0')[1][2])}
end

local s = redis.call('HMGET', state, 'in_force', 'm', 'skew', 'freshness')
local m = s[2] or '0'
if tonumber(arrival) > tonumber(m) then m = arrival end
local now, stamp = tonumber(m), tonumber(ts)

local function judge()
  if policy ~= s[1] then return 'unknown_policy' end
  local skew, freshness = tonumber(s[3]), tonumber(s[4])
  local near = redis.call('XRANGE', log, head .. '-0', string.format('%.0f-0', tonumber(head) + 1))
  if head == '0' or #near == 0 then return 'bad_head' end
  if tonumber(near[1][2][2]) > stamp + skew then return 'head_in_future' end
  if near[2] and tonumber(near[2][2][2]) < stamp - freshness then return 'stale_head' end
  if now < stamp - skew then return 'stamp_in_future' end
  if now > stamp + freshness then return 'stamp_too_old' end
  if span ~= '1' then return 'bad_terms' end
end

local code = judge()
if code then
  redis.call('HSET', answers, pseudonym, identity .. ' ' .. code .. ' 0')
  return {'refused', code, '0'}
end
local seq = string.format('%.0f', redis.call('XLEN', log) + 1)
local event = '{"seq":' .. seq .. tail
redis.call('XADD', log, seq .. '-0',
  'm', m, 'e', event, 'c', commitment, 's', salt, 'p', private, 'x', chain)
redis.call('HSET', answers, pseudonym, identity .. seq .. '  0')
redis.call('ZADD', due, closes, pseudonym)
redis.call('HSET', state, 'm', m)
redis.call('PUBLISH', log, seq)
return {'ok', seq, event}
