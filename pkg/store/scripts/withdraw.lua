-- Judges a withdrawal and ends the auction with it: auction.State.JudgeWithdraw,
-- in its order.
-- KEYS  state, log, answers, certs: of the auction
-- ARGV  deadline, pseudonym, identity (participant and digest, 32 bytes each),
--       ts, arrival, head (size; 0: no prefix of the log), tail (the event after
--       its number), commitment, salt, private, thumb (of the certificate), chain
-- Returns as place.lua does: {'ok', seq, event}, {'again', seq, field, value, ...},
--       {'refused', code, least}, {'stale'} or {'unknown'}.
local state, log, answers, certs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local deadline, pseudonym, identity, ts, arrival, head,
  tail, commitment, salt, private, thumb, chain = unpack(ARGV)

if late(deadline) then return {'stale'} end
local known = answered(answers, log, pseudonym, identity)
if known then return known end

local s = redis.call('HMGET', state, 'seller', 'closed', 'm', 'listed', 'ends', 'skew', 'freshness', 'lead',
  'suspended')
if not s[1] then return {'unknown'} end
local m = latest(arrival, s[3])
local now, stamp, ends = tonumber(m), tonumber(ts), tonumber(s[5])

local function judge()
  if s[2] then return 'auction_ended' end
  if s[9] then return 'suspended' end
  if string.sub(identity, 1, 32) ~= s[1] then return 'not_your_auction' end
  local skew, freshness = tonumber(s[6]), tonumber(s[7])
  local code = headless(log, head, stamp, skew, freshness)
  if code then return code end
  if stamp <= tonumber(s[4]) then return 'before_listing' end
  if stamp >= ends then return 'auction_ended' end
  code = unfresh(now, stamp, skew, freshness)
  if code then return code end
  if now >= ends then return 'auction_ended' end
  if s[8] then return 'has_bids' end
end

local code = judge()
if code then return refuse(answers, pseudonym, identity, code, '0') end
local new = redis.call('HSETNX', certs, thumb, string.format('%.0f', redis.call('XLEN', log) + 1)) == 1
local seq, event = append(log, m, tail, commitment, salt, private, new and chain)
redis.call('HSET', answers, pseudonym, identity .. seq .. '  0')
redis.call('HSET', state, 'm', m, 'closed', '1')
redis.call('PUBLISH', log, seq)
return {'ok', seq, event}
