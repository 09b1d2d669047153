-- wrk's requests, one after the other, from a file of lines "[HEAD ]TARGET<tab>HEADER: value<tab>...", and its figures as one line.
local file, all, n = nil, {}, 0

function init(given)
  for line in io.lines(given[1]) do
    local fields = {}
    for field in line:gmatch("[^\t]+") do fields[#fields + 1] = field end
    local target = table.remove(fields, 1)
    local method = "GET"
    if target:sub(1, 5) == "HEAD " then method, target = "HEAD", target:sub(6) end
    all[#all + 1] = method .. " " .. target .. " HTTP/1.1\r\n" .. table.concat(fields, "\r\n") .. "\r\n\r\n"
  end
end

function request()
  n = n % #all + 1
  return all[n]
end

function done(summary, latency)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  print(string.format("FIGURES %d %d %d %d %d %d", summary.requests, summary.duration, summary.bytes, failed,
    latency:percentile(50), latency:percentile(99)))
end
