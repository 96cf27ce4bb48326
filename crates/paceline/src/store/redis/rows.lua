-- The twin of paceline-core's ledger, for Redis and Valkey: the same commands, the same answers, the same state.
-- Rows: what is read of the five keys, and what is written back, once, at the end.
local LEDGER, SESSIONS, TICKETS, LINE, OWNERS
local floor, min, max, NEVER = math.floor, math.min, math.max, math.huge
local format, byte, sub = string.format, string.byte, string.sub
local insert, pack, values = table.insert, cmsgpack.pack, cmsgpack.unpack
local call -- of the server: there is none while a library is loaded

-- Everything that this script can do. What a call seldom needs is in groups, each made when the first of it is missed: where
-- the server keeps no library, functions are made anew at every call, and to make one costs as much as to use it.
local group, groups = {}, { "line", "commands", "sessions", "meters", "configure", "views", "recovery" }

local function made_when_missed(name)
  return setmetatable({}, { __index = function(all, key)
    while groups[1] do
      group[table.remove(groups, 1)]()
      local found = rawget(all, key)
      if found ~= nil then return found end
    end
    error(name .. " " .. key .. " is not known")
  end })
end

local L, commands, views = made_when_missed("function"), made_when_missed("command"), made_when_missed("view")
local M -- the row of the ledger itself
local clock, wall -- the ledger's own clock, and the store's, at this step
local grants_left, looks_left, more -- how much this step may still do, and whether it left something undone
local limits, resources, lanes, tickets, sessions -- rows read so far; false: there is none
local waiting -- the keys of the lanes in which somebody waits
local written -- rows to be written or removed: hash -> field -> value, or false
local line_adds, line_removes, owner_adds, owner_removes
local decisions -- on tickets that waited, oldest first

-- A row as it is, or as it is to be written.
function L.row_of(hash, field)
  local row = written[hash] and written[hash][field]
  if row == nil then row = call("HGET", hash, field) end
  return row
end

-- A row of one value.
function L.read(hash, field)
  local row = L.row_of(hash, field)
  return row and values(row)
end

function L.write(hash, field, value)
  local rows = written[hash]
  if not rows then rows = {}; written[hash] = rows end
  rows[field] = type(value) == "table" and pack(value) or value
end

-- Strings by their bytes: the order of names, whatever the server's locale.
function L.before(a, b)
  if a == b then return false end
  for at = 1, min(#a, #b) do
    local x, y = byte(a, at), byte(b, at)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Whole division of x >= 0 below 2^53: quotient and remainder.
function L.div(x, y)
  local q = floor(x / y)
  local r = x - q * y
  if r < 0 then return q - 1, r + y elseif r >= y then return q + 1, r - y end
  return q, r
end

function L.read_ledger(row)
  local epoch, seq, run_id, at_clock, at_wall, arrivals, generations, virtual, held_off, kept_until, keep, next_expiry, keeper, keeper_due, lane_numbers,
    limit_count, waits, dead, sweep, time_outs, alive, restored, owed = values(row)
  M = { epoch = epoch, seq = seq, run_id = run_id, clock = at_clock, wall = at_wall, arrivals = arrivals, generations = generations, virtual = virtual,
    held_off = held_off, kept_until = kept_until, keep = keep, next_expiry = next_expiry, keeper = keeper, keeper_due = keeper_due,
    lane_numbers = lane_numbers, limits = limit_count, waits = waits, dead = dead, sweep = sweep, time_outs = time_outs, alive = alive,
    restored = restored, owed = owed }
end

function L.read_limit(number, fixed, moving)
  if not fixed then
    limits[number] = false
    return false
  end
  local id, metric, kind, amount, most, unit, window, tick, until_settled, shadow, concurrency, known, inner, a, b, c = values(fixed)
  local generation, held, pause, refuse, empty_own, empty_resource, observed, observed_until, came_back, at_clock, at_wall,
    p, q, r, s, t, less, less_most, less_unit, less_window = values(moving)
  if observed then amount, most, unit, window = less, less_most, less_unit, less_window end
  local l = { number = number, id = id, metric = metric, kind = kind, amount = amount, most = most, unit = unit, window = window, tick = tick,
    until_settled = until_settled, shadow = shadow, concurrency = concurrency, known = known, inner = inner, generation = generation, held = held,
    pause = pause, refuse = refuse, empty_own = empty_own, empty_resource = empty_resource, observed = observed, observed_until = observed_until,
    came_back = came_back, clock = at_clock, wall = at_wall, changed = false }
  if kind == "bucket" then
    l.level, l.rest, l.at, l.fills = p, q, r, s
  elseif kind == "sliding" then
    l.slot, l.leaves_after, l.total, l.starts, l.counts, l.first = a, b, p, q, r, 1
  else
    l.period, l.phase, l.margin, l.start, l.previous, l.current, l.next, l.stop = a, b, c, p, q, r, s, t
  end
  limits[number] = l
  return l
end

-- Reads limits at once.
function L.read_limits(numbers)
  local missing = {}
  for _, number in ipairs(numbers) do
    if limits[number] == nil then limits[number] = false; insert(missing, "l" .. number); insert(missing, "d" .. number) end
  end
  if #missing == 0 then return end
  local rows = call("HMGET", LEDGER, unpack(missing))
  for at = 1, #missing, 2 do L.read_limit(tonumber(sub(missing[at], 2)), rows[at], rows[at + 1]) end
end

function L.limit_at(number)
  local l = limits[number]
  if l == nil then
    local rows = call("HMGET", LEDGER, "l" .. number, "d" .. number)
    l = L.read_limit(number, rows[1], rows[2])
  end
  return l
end

function L.write_limit(l)
  local p, q, r, s, t
  if l.kind == "bucket" then
    p, q, r, s, t = l.level, l.rest, l.at, l.fills, false
  elseif l.kind == "sliding" then
    p, q, r, s, t = l.total, l.starts, l.counts, false, false
    if l.first > 1 then
      q, r = {}, {}
      for at = l.first, #l.starts do insert(q, l.starts[at]); insert(r, l.counts[at]) end
    end
  else
    p, q, r, s, t = l.start, l.previous, l.current, l.next, l.stop
  end
  local row = pack(l.generation, l.held, l.pause, l.refuse, l.empty_own, l.empty_resource, l.observed, l.observed_until, l.came_back, l.clock, l.wall, p, q, r, s, t)
  if l.observed then row = row .. pack(l.amount, l.most, l.unit, l.window) end
  L.write(LEDGER, "d" .. l.number, row)
end

function L.read_resource(name, fixed, moving)
  if not fixed then
    resources[name] = false
    return false
  end
  local line_max, declared, drawn, gone = values(fixed)
  local waits, waiting_lanes, idle_lanes, in_flight, pause, refuse, purged, purged_lanes = values(moving)
  local r = { name = name, line_max = line_max, lanes = declared, limits = drawn, gone = gone, waiting = waits, waiting_lanes = waiting_lanes,
    idle_lanes = idle_lanes, in_flight = in_flight, pause = pause, refuse = refuse, purged = purged, purged_lanes = purged_lanes, draws = {}, changed = false }
  resources[name] = r
  return r
end

function L.resource_at(name)
  local r = resources[name]
  if r == nil then
    local rows = call("HMGET", LEDGER, "r" .. name, "q" .. name)
    r = L.read_resource(name, rows[1], rows[2])
  end
  return r
end

function L.lane_key(resource, name) return name and resource .. "\0" .. name or resource end

function L.read_lane(key, row)
  local lane = false
  if row then
    local resource, name, number, virtual, waits, granted, tail, demand = values(row)
    lane = { resource = resource, name = name, number = number, virtual = virtual, waiting = waits, granted = granted, tail = tail, demand = demand, changed = false }
  end
  lanes[key] = lane
  return lane
end

function L.lane_at(key)
  local lane = lanes[key]
  if lane == nil then lane = L.read_lane(key, L.row_of(LEDGER, "n" .. key)) end
  return lane
end

-- What is remembered of a lane: number, virtual time, tickets that wait, permits granted, the last place, what is wanted.
function L.new_lane(resource, name)
  M.lane_numbers = M.lane_numbers + 1
  return { resource = resource, name = name, number = format("%08x", M.lane_numbers), virtual = 0, waiting = 0, granted = 0, tail = "", demand = {} }
end

function L.ticket_key(session, number) return session .. format("%012x", number) end

function L.ticket_at(key)
  local t = tickets[key]
  if t == nil then
    local row = L.row_of(TICKETS, key)
    t = row and { values(row) }
    tickets[key] = t
  end
  return t
end

function L.put_ticket(key, t)
  tickets[key] = t
  L.write(TICKETS, key, t and pack(unpack(t)))
end

function L.session_at(id)
  local s = sessions[id]
  if s == nil then
    local row = L.row_of(SESSIONS, "s" .. id)
    s = false
    if row then
      local highest, time_out, expires, dead, indexed, last, sent, chunks, inbox, contents, epoch, restated = values(row)
      s = { highest = highest, time_out = time_out, expires = expires, dead = dead, indexed = indexed, last = last, sent = sent, chunks = chunks,
        inbox = inbox, contents = contents, epoch = epoch, restated = restated, changed = false }
    end
    sessions[id] = s
  end
  return s
end

function L.owned_by(owner, key) owner_adds["o" .. owner .. key], owner_removes["o" .. owner .. key] = true, nil end
function L.disowned_by(owner, key) owner_adds["o" .. owner .. key], owner_removes["o" .. owner .. key] = nil, true end

function L.add_all(key, members)
  local args = {}
  for member in pairs(members) do
    insert(args, 0); insert(args, member); members[member] = nil
    if #args >= 1000 then call("ZADD", key, unpack(args)); args = {} end
  end
  if #args > 0 then call("ZADD", key, unpack(args)) end
end

function L.remove_all(key, members)
  local args = {}
  for member in pairs(members) do
    insert(args, member); members[member] = nil
    if #args >= 1000 then call("ZREM", key, unpack(args)); args = {} end
  end
  if #args > 0 then call("ZREM", key, unpack(args)) end
end

function L.flush_line() L.remove_all(LINE, line_removes); L.add_all(LINE, line_adds) end
function L.flush_owners() L.remove_all(OWNERS, owner_removes); L.add_all(OWNERS, owner_adds) end

function L.range(key, from, to, most) return call("ZRANGEBYLEX", key, from, to, "LIMIT", 0, most) end

-- Writes what is to be written of one hash.
function L.flush_rows(hash)
  local sets, gone = {}, {}
  for field, value in pairs(written[hash] or {}) do
    if value then
      insert(sets, field); insert(sets, value)
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

function L.flush()
  for _, l in pairs(limits) do if l and l.changed then L.write_limit(l) end end
  for name, r in pairs(resources) do
    if r and r.changed then
      L.write(LEDGER, "q" .. name, pack(r.waiting, r.waiting_lanes, r.idle_lanes, r.in_flight, r.pause, r.refuse, r.purged, r.purged_lanes))
    end
  end
  for key, lane in pairs(lanes) do
    if lane and lane.changed then
      L.write(LEDGER, "n" .. key, pack(lane.resource, lane.name, lane.number, lane.virtual, lane.waiting, lane.granted, lane.tail, lane.demand))
    end
  end
  for id, s in pairs(sessions) do
    if s and s.changed then
      L.write(SESSIONS, "s" .. id, pack(s.highest, s.time_out, s.expires, s.dead, s.indexed, s.last, s.sent, s.chunks, s.inbox, s.contents, s.epoch, s.restated))
    end
  end
  if waiting.changed then waiting.changed = nil; L.write(LEDGER, "w", pack(waiting)) end
  L.write(LEDGER, "m", pack(M.epoch, M.seq, M.run_id, M.clock, M.wall, M.arrivals, M.generations, M.virtual, M.held_off, M.kept_until, M.keep, M.next_expiry,
    M.keeper, M.keeper_due, M.lane_numbers, M.limits, M.waits, M.dead, M.sweep, M.time_outs, M.alive, M.restored, M.owed))
  L.flush_line()
  L.flush_owners()
  for hash in pairs(written) do L.flush_rows(hash) end
end
