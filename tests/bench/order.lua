-- The load of order-5, for wrk: a closed loop of POSTs whose bodies take turns, each with an id of its own.
--
-- Told by the environment:
--   BENCH_BODIES  files, separated by ":"; "__ID__" in one becomes the id
--   BENCH_RUN     begins every id, so that two runs on one database never share one
--   BENCH_WRAP    "yes" sends {"input": <body>}
--   BENCH_TOKEN   bearer token, if any
--   BENCH_OUT     file for the result, one JSON object
--
-- Answers are counted by wrk, not read here: reading them would slow the load more than the engine.

local frames, sent = {}, 0
local mark = "__ID__"

local function frame(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a"):match("^(.-)%s*$")
  file:close()
  if os.getenv("BENCH_WRAP") == "yes" then
    text = '{"input":' .. text .. "}"
  end
  local first, last = text:find(mark, 1, true)
  assert(first, path .. " has no " .. mark)
  return { before = text:sub(1, first - 1) .. os.getenv("BENCH_RUN") .. "-", after = text:sub(last + 1) }
end

function init()
  for path in os.getenv("BENCH_BODIES"):gmatch("[^:]+") do
    frames[#frames + 1] = frame(path)
  end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  local token = os.getenv("BENCH_TOKEN")
  if token then
    wrk.headers["Authorization"] = "Bearer " .. token
  end
end

function request()
  local turn = frames[sent % #frames + 1]
  sent = sent + 1
  return wrk.format(nil, nil, nil, turn.before .. sent .. turn.after)
end

function done(summary, latency)
  local errors, seconds = summary.errors, summary.duration / 1e6
  local fields = {
    requests = summary.requests,
    seconds = seconds,
    per_second = summary.requests / seconds,
    p50_ms = latency:percentile(50) / 1e3,
    p99_ms = latency:percentile(99) / 1e3,
    max_ms = latency.max / 1e3,
    errors = errors.status + errors.connect + errors.read + errors.write + errors.timeout,
  }
  local parts = {}
  for name, value in pairs(fields) do
    parts[#parts + 1] = string.format('"%s":%.10g', name, value)
  end
  local out = assert(io.open(os.getenv("BENCH_OUT"), "w"))
  out:write("{" .. table.concat(parts, ",") .. "}\n")
  out:close()
end
