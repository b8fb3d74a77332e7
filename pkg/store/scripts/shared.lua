-- What the scripts that judge or append share. It stands in front of each.

-- late says whether a call is past its deadline, by Redis's own clock.
local function late(deadline)
  local clock = redis.call('TIME')
  return tonumber(clock[1]) * 1000000 + tonumber(clock[2]) > tonumber(deadline)
end

-- latest returns the later of two times, as text.
local function latest(a, b)
  return tonumber(a) > tonumber(b) and a or b
end

-- answered returns the reply to a pseudonym that is known, nil to a new one.
local function answered(answers, log, pseudonym, identity)
  local known = redis.call('HGET', answers, pseudonym)
  if not known then return nil end
  if string.sub(known, 1, 64) ~= identity then return {'refused', 'pseudonym_used', '0'} end
  local seq, code, least = string.match(string.sub(known, 65), '^(%d*) (%S*) (%d+)$')
  if code ~= '' then return {'refused', code, least} end
  return {'again', seq, unpack(redis.call('XRANGE', log, seq .. '-0', seq .. '-0')[1][2])}
end

-- refuse remembers a refusal and returns it, but for one that a resumption lifts.
-- Of each participant it remembers so many and no more, so that refusals fill no
-- memory: auction.MaxRefused. The count stands beside what it counts, so that no
-- loss of the state, and no rebuild of it, begins it anew.
local function refuse(answers, pseudonym, identity, code, least)
  if code == 'suspended' then return {'refused', code, least} end
  local field = 'refused:' .. string.sub(identity, 1, 32)
  if tonumber(redis.call('HGET', answers, field) or '0') >= 100 then return {'refused', 'rate_limited', '0'} end
  redis.call('HINCRBY', answers, field, '1')
  redis.call('HSET', answers, pseudonym, identity .. ' ' .. code .. ' ' .. least)
  return {'refused', code, least}
end

-- headless holds the rule about the head that a command names (its size; 0: no
-- prefix of the log): auction.Chain.checkHead.
local function headless(log, head, stamp, skew, freshness)
  local near = redis.call('XRANGE', log, head .. '-0', string.format('%.0f-0', tonumber(head) + 1))
  if head == '0' or #near == 0 then return 'bad_head' end
  if tonumber(near[1][2][2]) > stamp + skew then return 'head_in_future' end
  if near[2] and tonumber(near[2][2][2]) < stamp - freshness then return 'stale_head' end
end

-- unfresh holds the rule about the arrival: auction.checkFresh.
local function unfresh(now, stamp, skew, freshness)
  if now < stamp - skew then return 'stamp_in_future' end
  if now > stamp + freshness then return 'stamp_too_old' end
end

-- append gives an event its number, adds the entry, and returns both.
local function append(log, m, tail, commitment, salt, private, chain)
  local seq = string.format('%.0f', redis.call('XLEN', log) + 1)
  local event = '{"seq":' .. seq .. tail
  local entry = {'m', m, 'e', event, 'c', commitment, 's', salt, 'p', private}
  if chain then entry[11], entry[12] = 'x', chain end
  redis.call('XADD', log, seq .. '-0', unpack(entry))
  return seq, event
end
