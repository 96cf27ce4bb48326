
-- Views: what people and tests read. They change nothing. Made only by a call that looks.
local function looking()

local function number_text(value) return value == NEVER and "never" or format("%.0f", value) end

local function hex(id)
  local text = id:gsub(".", function(c) return format("%02x", byte(c)) end):gsub("^0+", "")
  return text == "" and "0" or text
end

local function id_text(ticket)
  local session, number = split(ticket)
  return hex(session) .. "/" .. number_text(number)
end

local function all_limits()
  local numbers, ids = limit_numbers(), {}
  for id, number in pairs(numbers) do
    if limit_at(number).known then bring(limits[number]); insert(ids, id) end
  end
  return by_name(ids), numbers
end

local function view_limit(l)
  local pause, room = pause_left(l), left(l)
  return { l.id, l.metric, l.most, l.amount, window_of(l, spec_of(l.number)), max(0, l.most - room - l.held), l.held, room,
    l.held > 0 and NEVER or ready(l, l.most), pause > 0 and pause, l.shadow, l.came_back }
end

local function view_lane(key, lane)
  local oldest = false
  if lane.waiting > 0 then
    local _, ticket = head(key, lane)
    oldest = max(0, clock - ticket_at(ticket)[7])
  end
  return { lane.name, lane.waiting, lane.demand, oldest, lane.granted }
end

local function view_resource(r)
  local names, drawn, pause = {}, {}, pause_left(r)
  for _, d in ipairs(r.limits) do insert(drawn, limit_at(d[1]).id) end
  for _, name in pairs(lanes_of(r)) do if name ~= true then insert(names, name) end end
  by_name(names)
  if r.known[r.name] then insert(names, 1, false) end
  local seen = {}
  for _, name in ipairs(names) do
    local key = lane_key(r.name, name)
    insert(seen, view_lane(key, lane_at(key)))
  end
  return { r.name, drawn, r.waiting, r.in_flight, pause > 0 and pause, seen }
end

local function resource_names() return row_of(LEDGER, "R") or {} end

local views = {}

function views.view()
  local ids, numbers = all_limits()
  local seen_limits, seen_resources = {}, {}
  for _, id in ipairs(ids) do insert(seen_limits, view_limit(limits[numbers[id]])) end
  for _, name in ipairs(resource_names()) do
    local r = resource_at(name)
    if not r.gone or r.in_flight > 0 then insert(seen_resources, view_resource(r)) end
  end
  return { "viewed", seen_limits, seen_resources }
end

function views.explain(resource, lane, demand)
  all_limits()
  return explain(resource, lane, demand)
end

-- The permits of a session, or of all where none is named, from a number on.
function views.permits(session, number, most)
  flush_owners()
  local from = session and "[o" .. session .. (number > 0 and ticket_key(session, number) or "") or "[o"
  local rows, seen = range(OWNERS, from, session and "[o" .. session .. LAST or "(p", most), {}
  for _, row in ipairs(rows) do
    local ticket = sub(row, 18)
    local t = ticket_at(ticket)
    if t and t[1] == 2 then
      local reserved = {}
      for metric, amount in pairs(t[5]) do reserved[metric] = amount end
      for metric, amount in pairs(t[6] or {}) do reserved[metric] = (reserved[metric] or 0) + amount end
      local of, its = split(ticket)
      insert(seen, { of, its, t[2], t[3], t[4], max(0, clock - t[7]), reserved })
    end
  end
  return { "permitted", seen }
end

local function all_sessions()
  local ids = {}
  for _, field in ipairs(call("HKEYS", SESSIONS)) do
    if byte(field) == 115 and #field == 17 then insert(ids, sub(field, 2)) end
  end
  for id, s in pairs(sessions) do if s and call("HEXISTS", SESSIONS, "s" .. id) == 0 then insert(ids, id) end end
  return ids
end

function views.status()
  local alive = {}
  for _, id in ipairs(all_sessions()) do
    local s = session_at(id)
    insert(alive, { id, s.time_out, s.time_out and max(0, s.expires - clock), s.dead, s.last, s.sent, #belongings(id, 1000) })
  end
  return { "told", { epoch = M.epoch, seq = M.seq, run_id = M.run_id, clock = clock, wall = wall, kept_until = M.kept_until,
    sessions = alive, tickets = call("HLEN", TICKETS) - 1, waiting = call("ZCARD", LINE) - 1, keeper = M.keeper,
    held_off = max(0, M.held_off - clock) } }
end

local function amounts_text(amounts)
  local names, text = {}, ""
  for metric in pairs(amounts) do insert(names, metric) end
  for _, metric in ipairs(by_name(names)) do text = text .. " " .. metric .. "=" .. number_text(amounts[metric]) end
  return text
end

local function dump_limit(l)
  local pause, text = pause_left(l), ""
  if l.kind == "bucket" then
    text = format(" level=%.0f rest=%.0f fills=%.0f", l.level, l.rest, l.fills)
  elseif l.kind == "sliding" then
    for at = l.first, #l.starts do
      if l.counts[at] > 0 then text = text .. format(" %.0f:%.0f", l.starts[at], l.counts[at]) end
    end
  else
    text = format(" start=%.0f previous=%.0f current=%.0f next=%.0f", l.start, l.previous, l.current, l.next)
  end
  return format("limit %s generation=%.0f amount=%.0f most=%.0f held=%.0f back=%.0f pause=%s empty_at=%s/%s observed=%s%s", l.id, l.generation,
    l.amount, l.most, l.held, l.came_back, pause == 0 and "no" or number_text(pause), number_text(l.empty_own), number_text(l.empty_resource),
    l.observed and number_text(l.observed_until) or "0", text)
end

local function dump_ticket(ticket, t)
  if t[1] == 1 then
    return format("ticket %s %s lane=%s named=%s rank=%.0f arrival=%.0f since=%.0f%s", id_text(ticket), t[3], lane_at(t[2]).name or "-", t[4] or "-",
      tonumber(sub(t[6], 1, 14), 16) - 2 ^ 51, tonumber(sub(t[6], 15), 16), t[7], amounts_text(t[5]))
  end
  local text, entries = "", {}
  for at = 1, #t[8], 4 do
    local flags = t[8][at + 3]
    insert(entries, limit_at(t[8][at]).id .. format("@%.0f:%.0f:%d%d", t[8][at + 1], t[8][at + 2], flags % 2, flags >= 2 and 1 or 0))
  end
  for _, entry in ipairs(by_name(entries)) do text = text .. " " .. entry end
  return format("hold %s %s lane=%s owner=%s since=%.0f%s%s%s", id_text(ticket), t[3], t[4] or "-", hex(t[2]), t[7], amounts_text(t[5]),
    t[6] and " extra" .. amounts_text(t[6]) or "", text)
end

-- The whole state as text, a line an entity: what the exam compares.
function views.dump()
  local lines = { format("ledger clock=%.0f wall=%.0f arrivals=%.0f generations=%.0f virtual=%.0f", M.clock, M.wall, M.arrivals, M.generations, M.virtual) }
  local ids, numbers = all_limits()
  for _, id in ipairs(ids) do insert(lines, dump_limit(limits[numbers[id]])) end
  for _, name in ipairs(resource_names()) do
    local r = resource_at(name)
    insert(lines, format("resource %s gone=%s waiting=%.0f in_flight=%.0f pause=%s", name, tostring(r.gone), r.waiting, r.in_flight,
      r.pause and r.pause < NEVER and number_text(r.pause) or "0"))
    for key in pairs(lanes_of(r)) do
      local lane = lane_at(key)
      if lane.waiting > 0 or lane.virtual > M.virtual then
        local s = standing(key, lane)
        insert(lines, format("lane %s %s priority=%.0f weight=%.0f virtual=%.0f waiting=%.0f", name, lane.name or "-", s.priority, s.weight,
          max(lane.virtual, M.virtual), lane.waiting))
      end
    end
  end
  local rows = call("HKEYS", TICKETS)
  for _, ticket in ipairs(rows) do
    local t = ticket ~= "" and ticket_at(ticket)
    if t then insert(lines, dump_ticket(ticket, t)) end
  end
  for _, id in ipairs(all_sessions()) do
    local s = session_at(id)
    insert(lines, format("session %s highest=%.0f time_out=%s expires=%.0f dead=%s", hex(id), s.highest, number_text(s.time_out or NEVER),
      s.time_out and s.expires or 0, tostring(s.dead)))
  end
  return { "dumped", table.concat(lines, "\n") }
end

return views
end
