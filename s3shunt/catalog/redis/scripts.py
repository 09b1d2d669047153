"""What the server does at once, in Lua."""

READ = """
local found = redis.call('GET', KEYS[1])
if not found then redis.call('SET', KEYS[1], ARGV[1], 'PX', 1000) end
return found
"""
FILL = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
"""
FORGET = """
for _, name in ipairs(KEYS) do redis.call('DEL', name) end
redis.call('PUBLISH', ARGV[1], ARGV[2])
"""
SPEND = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local wanted, each, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local spent = math.min(math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now), now + each * burst)
local room = math.floor((now - spent) / each + burst + 1e-6)
if room < 1 then return {0, math.max(1, math.ceil(spent - now - each * (burst - 1)))} end
local granted = math.min(wanted, room)
spent = spent + granted * each
redis.call('SET', KEYS[1], string.format('%.3f', spent), 'PX', math.ceil(spent - now) + 1)
return {granted, 0}
"""
