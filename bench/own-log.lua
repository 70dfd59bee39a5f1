-- For wrk: asks for a random record, tile or tile of records. Arguments after --: KIND PREFIX COUNT
local kind, prefix, count

function init(args)
  kind, prefix, count = args[1], args[2], tonumber(args[3])
  math.randomseed(os.time() + tonumber(string.sub(tostring({}), 8), 16) % 100000)
end

function request()
  local i = math.random(0, count - 1)
  if kind == 'record' then
    return wrk.format('GET', string.format('%s/lookup/forge.example/organisation-%d/some-module-%d@v1.0.0', prefix, i % 997, i))
  end
  local full = math.floor(count / 256)
  local n = math.random(0, math.max(full, 1) - 1)
  local level = kind == 'tile' and '0' or 'data'
  local groups = n < 1000 and string.format('%03d', n) or string.format('x%03d/%03d', math.floor(n / 1000), n % 1000)
  return wrk.format('GET', string.format('%s/tile/8/%s/%s', prefix, level, groups))
end
