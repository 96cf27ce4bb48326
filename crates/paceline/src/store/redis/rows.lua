-- The twin of paceline-core's ledger, for Redis and Valkey: the same commands, the same answers, the same state.
-- Rows: what is read of the five keys, and what is written back, once, at the end.
local LEDGER, SESSIONS, TICKETS, LINE, OWNERS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local floor, min, max, NEVER = math.floor, math.min, math.max, math.huge
local format, byte, sub = string.format, string.byte, string.sub
local insert, call, pack = table.insert, redis.call, cmsgpack.pack

local M -- the row of the ledger itself
local META = { "epoch", "seq", "run_id", "clock", "wall", "arrivals", "generations", "virtual", "held_off", "kept_until",
  "keep", "next_expiry", "keeper", "keeper_due", "lane_numbers", "limits", "waits", "dead", "sweep", "time_outs",
  "alive", "restored", "owed" }
local clock, wall -- the ledger's own clock, and the store's, at this step
local grants_left, looks_left, more -- how much this step may still do, and whether it left something undone
local limits, resources, lanes, tickets, sessions = {}, {}, {}, {}, {} -- rows read so far; false: there is none
local waiting -- the keys of the lanes in which somebody waits
local written = {} -- rows to be written or removed: hash -> field -> value, or false
local line_adds, line_removes, owner_adds, owner_removes = {}, {}, {}, {}
local decisions = {} -- on tickets that waited, oldest first

local function read(packed) return packed and cmsgpack.unpack(packed) or false end

-- A row as it is, or as it is to be written.
local function row_of(hash, field)
  local row = written[hash] and written[hash][field]
  if row == nil then return read(call("HGET", hash, field)) end
  return type(row) == "string" and read(row) or row
end

local function write(hash, field, value)
  local rows = written[hash]
  if not rows then rows = {}; written[hash] = rows end
  rows[field] = value
end

-- Strings by their bytes: the order of names, whatever the server's locale.
local function before(a, b)
  if a == b then return false end
  for at = 1, min(#a, #b) do
    local x, y = byte(a, at), byte(b, at)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Whole division of x >= 0 below 2^53: quotient and remainder.
local function div(x, y)
  local q = floor(x / y)
  local r = x - q * y
  if r < 0 then return q - 1, r + y elseif r >= y then return q + 1, r - y end
  return q, r
end

local function read_limit(number, fixed, moving)
  local l, m = read(fixed), read(moving)
  limits[number] = l
  if not l then return false end
  l.number, l.generation, l.held, l.pause, l.refuse, l.empty_own, l.empty_resource = number, m[1], m[2], m[3], m[4], m[5], m[6]
  l.observed, l.observed_until, l.came_back, l.clock, l.wall = m[7], m[8], m[9], m[10], m[11]
  if l.kind == "bucket" then
    l.level, l.rest, l.at, l.fills = m[12], m[13], m[14], m[15]
  elseif l.kind == "sliding" then
    l.total, l.starts, l.counts, l.first = m[12], m[13], m[14], 1
  else
    l.start, l.previous, l.current, l.next, l.stop = m[12], m[13], m[14], m[15], m[16]
  end
  if l.observed then for name, value in pairs(m[17]) do l[name] = value end end
  return l
end

local function limit_at(number)
  local l = limits[number]
  if l == nil then
    local rows = call("HMGET", LEDGER, "l" .. number, "d" .. number)
    l = read_limit(number, rows[1], rows[2])
  end
  return l
end

local function write_limit(l)
  local m = { l.generation, l.held, l.pause, l.refuse, l.empty_own, l.empty_resource, l.observed, l.observed_until, l.came_back, l.clock, l.wall }
  if l.kind == "bucket" then
    m[12], m[13], m[14], m[15] = l.level, l.rest, l.at, l.fills
  elseif l.kind == "sliding" then
    local starts, counts = l.starts, l.counts
    if l.first > 1 then
      starts, counts = {}, {}
      for at = l.first, #l.starts do insert(starts, l.starts[at]); insert(counts, l.counts[at]) end
    end
    m[12], m[13], m[14] = l.total, starts, counts
  else
    m[12], m[13], m[14], m[15], m[16] = l.start, l.previous, l.current, l.next, l.stop
  end
  if l.observed then
    for at = #m + 1, 16 do m[at] = false end
    m[17] = { amount = l.amount, most = l.most, unit = l.unit, window = l.window }
  end
  write(LEDGER, "d" .. l.number, pack(m))
end

local function read_resource(name, fixed, moving)
  local r, m = read(fixed), read(moving)
  resources[name] = r
  if not r then return false end
  r.name, r.waiting, r.waiting_lanes, r.idle_lanes, r.in_flight = name, m[1], m[2], m[3], m[4]
  r.pause, r.refuse, r.purged, r.purged_lanes, r.draws = m[5], m[6], m[7], m[8], {}
  return r
end

local function resource_at(name)
  local r = resources[name]
  if r == nil then
    local rows = call("HMGET", LEDGER, "r" .. name, "q" .. name)
    r = read_resource(name, rows[1], rows[2])
  end
  return r
end

local function lane_key(resource, name) return name and resource .. "\0" .. name or resource end

local function lane_at(key)
  local lane = lanes[key]
  if lane == nil then lane = row_of(LEDGER, "n" .. key); lanes[key] = lane end
  return lane
end

-- What is remembered of a lane: number, virtual time, tickets that wait, permits granted, the last place, what is wanted.
local function new_lane(resource, name)
  M.lane_numbers = M.lane_numbers + 1
  return { resource = resource, name = name, number = format("%08x", M.lane_numbers), virtual = 0, waiting = 0, granted = 0, tail = "", demand = {} }
end

local function ticket_key(session, number) return session .. format("%012x", number) end

local function ticket_at(key)
  local t = tickets[key]
  if t == nil then t = row_of(TICKETS, key); tickets[key] = t end
  return t
end

local function put_ticket(key, ticket)
  tickets[key] = ticket
  write(TICKETS, key, ticket)
end

local function session_at(id)
  local s = sessions[id]
  if s == nil then s = row_of(SESSIONS, "s" .. id); sessions[id] = s end
  return s
end

local function owned_by(owner, key) owner_adds["o" .. owner .. key], owner_removes["o" .. owner .. key] = true, nil end
local function disowned_by(owner, key) owner_adds["o" .. owner .. key], owner_removes["o" .. owner .. key] = nil, true end

local function add_all(key, members)
  local args = {}
  for member in pairs(members) do
    insert(args, 0); insert(args, member); members[member] = nil
    if #args >= 1000 then call("ZADD", key, unpack(args)); args = {} end
  end
  if #args > 0 then call("ZADD", key, unpack(args)) end
end

local function remove_all(key, members)
  local args = {}
  for member in pairs(members) do
    insert(args, member); members[member] = nil
    if #args >= 1000 then call("ZREM", key, unpack(args)); args = {} end
  end
  if #args > 0 then call("ZREM", key, unpack(args)) end
end

local function flush_line() remove_all(LINE, line_removes); add_all(LINE, line_adds) end
local function flush_owners() remove_all(OWNERS, owner_removes); add_all(OWNERS, owner_adds) end

local function range(key, from, to, most) return call("ZRANGEBYLEX", key, from, to, "LIMIT", 0, most) end

-- Writes what is to be written of one hash.
local function flush_rows(hash)
  local sets, gone = {}, {}
  for field, value in pairs(written[hash] or {}) do
    if value then
      insert(sets, field); insert(sets, type(value) == "table" and pack(value) or value)
      if #sets >= 1000 then call("HSET", hash, unpack(sets)); sets = {} end
    else
      insert(gone, field)
      if #gone >= 1000 then call("HDEL", hash, unpack(gone)); gone = {} end
    end
  end
  written[hash] = nil
  if #sets > 0 then call("HSET", hash, unpack(sets)) end
  if #gone > 0 then call("HDEL", hash, unpack(gone)) end
end

local function flush()
  for _, l in pairs(limits) do if l and l.changed then write_limit(l) end end
  for name, r in pairs(resources) do
    if r and r.changed then
      write(LEDGER, "q" .. name, pack({ r.waiting, r.waiting_lanes, r.idle_lanes, r.in_flight, r.pause, r.refuse, r.purged, r.purged_lanes }))
    end
  end
  for key, lane in pairs(lanes) do if lane and lane.changed then lane.changed = nil; write(LEDGER, "n" .. key, pack(lane)) end end
  for id, s in pairs(sessions) do if s and s.changed then s.changed = nil; write(SESSIONS, "s" .. id, pack(s)) end end
  if waiting and waiting.changed then waiting.changed = nil; write(LEDGER, "w", pack(waiting)) end
  local row = {}
  for at, name in ipairs(META) do row[at] = M[name] end
  write(LEDGER, "m", pack(row))
  flush_line()
  flush_owners()
  for hash in pairs(written) do flush_rows(hash) end
end
