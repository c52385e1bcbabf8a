"""What `store` has Redis run in one piece: compare, then set. Lua."""

from typing import Final

SAVE: Final = """
local n = redis.call('HGET', KEYS[1], 'n') or '0'
if n ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'n', ARGV[2], 'v', ARGV[3], 's', ARGV[4], 'p', ARGV[5],
           'd', ARGV[6], 'o', ARGV[7], 't', ARGV[8])
if ARGV[9] ~= '' then
  redis.call('HSET', KEYS[1], 'w', ARGV[9])
else
  redis.call('HDEL', KEYS[1], 'w')
end
return 1
"""

# Writes what lies beside the state alone (outbox and waiting moments), where there is a state.
SAVE_BESIDE: Final = """
if redis.call('HGET', KEYS[1], 'n') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'n', ARGV[2], 'o', ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'w', ARGV[4])
else
  redis.call('HDEL', KEYS[1], 'w')
end
return 1
"""

# KEYS: position, set of buckets, then one hash for each bucket. ARGV: position expected, position
# to write; and packed (msgpack), since to pass each value by itself would cost more than all the
# rest: for each bucket its number, then items and what to add to each of their counts.
COUNT: Final = """
local standing = redis.call('GET', KEYS[1]) or ''
if standing ~= ARGV[1] then return standing end
for i, entry in ipairs(cmsgpack.unpack(ARGV[3])) do
  local key = KEYS[i + 2]
  redis.call('ZADD', KEYS[2], entry[1], entry[1])
  for j = 2, #entry, 2 do
    local sums = entry[j + 1]
    local old = redis.call('HGET', key, entry[j])
    if old then
      local place = 0
      for count in string.gmatch(old, '%d+') do
        place = place + 1
        sums[place] = sums[place] + tonumber(count)
      end
    end
    for place = 1, #sums do sums[place] = string.format('%d', sums[place]) end
    redis.call('HSET', key, entry[j], table.concat(sums, ','))
  end
end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
"""
