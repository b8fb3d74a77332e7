-- Judges a bid and appends it: auction.State.JudgeBid, in its order
-- KEYS  state, log, answers, certs: of the auction
-- ARGV  deadline, pseudonym, identity (participant and digest, 32 bytes each),
--       ts, arrival, amount, currency, terms, head (size; 0: no prefix of the log),
--       tail (the event after its number), commitment, salt, private,
--       thumb (of the certificate), chain
-- Returns {'ok', seq, event}, {'again', seq, field, value, ...} of the entry,
--       {'refused', code, least}, {'stale'}: nothing done, or {'unknown'}: no state
local state, log, answers, certs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local deadline, pseudonym, identity, ts, arrival, amount, currency, terms, head,
  tail, commitment, salt, private, thumb, chain = unpack(ARGV)

local clock = redis.call('TIME')
if tonumber(clock[1]) * 1000000 + tonumber(clock[2]) > tonumber(deadline) then return {'stale'} end

local known = redis.call('HGET', answers, pseudonym)
if known then
  if string.sub(known, 1, 64) ~= identity then return {'refused', 'pseudonym_used', '0'} end
  local seq, code, least = string.match(string.sub(known, 65), '^(%d*) (%S*) (%d+)$')
  if code ~= '' then return {'refused', code, least} end
  return {'again', seq, unpack(redis.call('XRANGE', log, seq .. '-0', seq .. '-0')[1][2])}
end

local s = redis.call('HMGET', state, 'terms', 'currency', 'seller', 'closed', 'm', 'listed', 'ends',
  'skew', 'freshness', 'max_recorded', 'minimum', 'increment', 'tie_window', 'lead', 'lead_ts', 'tie_ends')
if not s[1] then return {'unknown'} end
local participant = string.sub(identity, 1, 32)
local m = s[5]
if tonumber(arrival) > tonumber(m) then m = arrival end
local now, stamp, value = tonumber(m), tonumber(ts), tonumber(amount)
local ends, skew, freshness = tonumber(s[7]), tonumber(s[8]), tonumber(s[9])
local lead = s[14] and tonumber(s[14])
local function judge()
  if s[4] then return 'auction_ended' end
  if terms ~= s[1] then return 'wrong_terms' end
  if currency ~= s[2] then return 'wrong_currency' end
  if participant == s[3] then return 'own_auction' end
  local near = redis.call('XRANGE', log, head .. '-0', string.format('%.0f-0', tonumber(head) + 1))
  if head == '0' or #near == 0 then return 'bad_head' end
  if tonumber(near[1][2][2]) > stamp + skew then return 'head_in_future' end
  if near[2] and tonumber(near[2][2][2]) < stamp - freshness then return 'stale_head' end
  if stamp <= tonumber(s[6]) then return 'before_listing' end
  if stamp >= ends then return 'auction_ended' end
  if now < stamp - skew then return 'stamp_in_future' end
  if now > stamp + freshness then return 'stamp_too_old' end
  if now >= ends then
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
if code then
  redis.call('HSET', answers, pseudonym, identity .. ' ' .. code .. ' ' .. (least or '0'))
  return {'refused', code, least or '0'}
end
local seq = string.format('%.0f', redis.call('XLEN', log) + 1)
if now >= ends then tail = string.sub(tail, 1, -2) .. ',"recorded":true}' end
local event = '{"seq":' .. seq .. tail
local entry = {'m', m, 'e', event, 'c', commitment, 's', salt, 'p', private}
if redis.call('HSETNX', certs, thumb, seq) == 1 then entry[11], entry[12] = 'x', chain end
redis.call('XADD', log, seq .. '-0', unpack(entry))
redis.call('HSET', answers, pseudonym, identity .. seq .. '  0')
redis.call('HSET', state, 'm', m)
if now >= ends then
  redis.call('HINCRBY', state, 'recorded:' .. participant, '1')
else
  if value ~= lead then
    redis.call('HSET', state, 'tie_ends',
      s[13] == '0' and '0' or string.format('%.0f', now + tonumber(s[13])))
  end
  redis.call('HSET', state, 'lead', amount, 'lead_ts', ts)
end
redis.call('PUBLISH', log, seq)
return {'ok', seq, event}
