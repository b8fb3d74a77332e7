-- Keeps the first disclosure of a side.
-- KEYS  mail, log (whose watchers are woken too): of the auction
-- ARGV  side, disclosure
-- Returns {'ok'}, or {'used'}: the side has disclosed something else.
local mail, log = KEYS[1], KEYS[2]
local side, disclosure = ARGV[1], ARGV[2]

if redis.call('HSETNX', mail, side, disclosure) == 1 then
  redis.call('PUBLISH', log, side)
  redis.call('PUBLISH', mail, side)
elseif redis.call('HGET', mail, side) ~= disclosure then
  return {'used'}
end
return {'ok'}
