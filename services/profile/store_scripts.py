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

# KEYS: position, set of buckets, then one hash for each bucket. ARGV: position expected, position
# to write, number of buckets kept, bucket numbers..., then triples (key index, item, increments).
COUNT: Final = """
local standing = redis.call('GET', KEYS[1]) or ''
if standing ~= ARGV[1] then return standing end
local buckets = #KEYS - 2
for i = 1, buckets do redis.call('ZADD', KEYS[2], ARGV[3 + i], ARGV[3 + i]) end
for i = 4 + buckets, #ARGV, 3 do
  local key = KEYS[2 + tonumber(ARGV[i])]
  local old = redis.call('HGET', key, ARGV[i + 1])
  local new = ARGV[i + 2]
  if old then
    local sums, add = {}, string.gmatch(new, '%d+')
    for count in string.gmatch(old, '%d+') do
      sums[#sums + 1] = string.format('%d', tonumber(count) + tonumber(add()))
    end
    new = table.concat(sums, ',')
  end
  redis.call('HSET', key, ARGV[i + 1], new)
end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
"""
