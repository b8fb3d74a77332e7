-- Judges a bid and appends it: auction.State.JudgeBid, in its order. A bid that
-- moves the end is followed by the entry that says so.
-- KEYS  state, log, answers, certs: of the auction
-- ARGV  deadline, pseudonym, identity (participant and digest, 32 bytes each),
--       ts, arrival, amount, currency, terms, head (size; 0: no prefix of the log),
--       tail (the event after its number), extension (that of an extension, up to
--       its end), commitment, salt, private, thumb (of the certificate), chain
-- Returns {'ok', seq, event, extension (the event, empty without one)},
--       {'again', seq, field, value, ...} of the entry, {'refused', code, least},
--       {'stale'}: nothing done, or {'unknown'}: no state.
local state, log, answers, certs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local deadline, pseudonym, identity, ts, arrival, amount, currency, terms, head,
  tail, extension, commitment, salt, private, thumb, chain = unpack(ARGV)

if late(deadline) then return {'stale'} end
local known = answered(answers, log, pseudonym, identity)
if known then return known end

local s = redis.call('HMGET', state, 'terms', 'currency', 'seller', 'closed', 'm', 'listed', 'ends',
  'skew', 'freshness', 'max_recorded', 'minimum', 'increment', 'tie_window', 'lead', 'lead_ts', 'tie_ends',
  'soft_window', 'soft_extension', 'soft_latest', 'suspended')
if not s[1] then return {'unknown'} end
local participant = string.sub(identity, 1, 32)
local m = latest(arrival, s[5])
local now, stamp, value, ends = tonumber(m), tonumber(ts), tonumber(amount), tonumber(s[7])
local lead = s[14] and tonumber(s[14])
local soft = s[19] and ends < tonumber(s[19])
local recorded = now >= ends and not soft

local function judge()
  if s[4] then return 'auction_ended' end
  if s[20] then return 'suspended' end
  if terms ~= s[1] then return 'wrong_terms' end
  if currency ~= s[2] then return 'wrong_currency' end
  if participant == s[3] then return 'own_auction' end
  local skew, freshness = tonumber(s[8]), tonumber(s[9])
  local code = headless(log, head, stamp, skew, freshness)
  if code then return code end
  if stamp <= tonumber(s[6]) then return 'before_listing' end
  if stamp >= ends then return 'auction_ended' end
  code = unfresh(now, stamp, skew, freshness)
  if code then return code end
  if recorded then
    local n = redis.call('HGET', state, 'recorded:' .. participant) or '0'
    return tonumber(n) >= tonumber(s[10]) and 'too_many_recorded' or nil
  end
  local least = lead and lead + tonumber(s[12]) or tonumber(s[11])
  if value >= least then return nil end
  if lead and value == lead and stamp < tonumber(s[15]) and now <= tonumber(s[16]) then return nil end
  if least > 9007199254740991 then least = 0 end
  return 'bid_too_low', string.format('%.0f', least)
end

local code, least = judge()
if code then return refuse(answers, pseudonym, identity, code, least or '0') end
if recorded then tail = string.sub(tail, 1, -2) .. ',"recorded":true}' end
local new = redis.call('HSETNX', certs, thumb, string.format('%.0f', redis.call('XLEN', log) + 1)) == 1
local seq, event = append(log, m, tail, commitment, salt, private, new and chain)
redis.call('HSET', answers, pseudonym, identity .. seq .. '  0')
redis.call('HSET', state, 'm', m)
local moved = ''
if recorded then
  redis.call('HINCRBY', state, 'recorded:' .. participant, '1')
else
  if value ~= lead then
    redis.call('HSET', state, 'tie_ends',
      s[13] == '0' and '0' or string.format('%.0f', now + tonumber(s[13])))
    local later = soft and now + tonumber(s[18]) or 0
    if soft and later > tonumber(s[19]) then later = tonumber(s[19]) end
    if later > ends and stamp >= ends - tonumber(s[17]) then
      later = string.format('%.0f', later)
      local _
      _, moved = append(log, m, extension .. later .. ',"cause":"bid"}', commitment, salt, private)
      redis.call('HSET', state, 'ends', later)
    end
  end
  redis.call('HSET', state, 'lead', amount, 'lead_ts', ts)
end
redis.call('PUBLISH', log, seq)
return {'ok', seq, event, moved}
