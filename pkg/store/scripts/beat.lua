-- Makes a heartbeat of the house, and keeps the time since the one before as an
-- outage if it was too long: auction.Pulse.
-- KEYS  beat, outages: of the house
-- ARGV  deadline, now (the replica's trusted time), least (an outage's length, in
--       microseconds), most (outages that are kept)
-- Returns {'ok', beat (the latest heartbeat), new (1: it ends an outage), outage,
--       ...} with the outages, each as its two times, in their order, or
--       {'stale'}: nothing done.
local beat, outages = KEYS[1], KEYS[2]
local deadline, now, least, most = unpack(ARGV)

if late(deadline) then return {'stale'} end
local before, new = redis.call('GET', beat), '0'
if before and tonumber(now) - tonumber(before) >= tonumber(least) then
  redis.call('RPUSH', outages, before .. ' ' .. now)
  redis.call('LTRIM', outages, '-' .. most, '-1')
  new = '1'
end
now = latest(now, before or '0')
redis.call('SET', beat, now)
return {'ok', now, new, unpack(redis.call('LRANGE', outages, '0', '-1'))}
