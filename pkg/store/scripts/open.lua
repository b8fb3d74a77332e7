-- Opens an auction with its listing, which is in the house log: entry 1 of its
-- own log, and its state. A function of that entry, so it may run again at will.
-- KEYS  state, log, answers, certs: of the auction
-- ARGV  pseudonym, identity (participant and digest, 32 bytes each), m, event,
--       commitment, salt, private, thumb, chain, then fields and values of the state
-- Returns {'ok'}, {'rebuild'}: there is a log and no state, or {'archived'}: there
--       was one.
local state, log, answers, certs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local pseudonym, identity, m, event, commitment, salt, private, thumb, chain = unpack(ARGV)

if redis.call('HEXISTS', state, 'archived') == 1 then return {'archived'} end
if redis.call('EXISTS', state) == 1 then return {'ok'} end
if redis.call('XLEN', log) > 0 then return {'rebuild'} end
redis.call('XADD', log, '1-0',
  'm', m, 'e', event, 'c', commitment, 's', salt, 'p', private, 'x', chain)
redis.call('HSET', certs, thumb, '1')
redis.call('HSET', answers, pseudonym, identity .. '1  0')
redis.call('HSET', state, unpack(ARGV, 10))
redis.call('PUBLISH', log, '1')
return {'ok'}
