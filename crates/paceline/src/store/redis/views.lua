
-- Views: what people and tests read. They change nothing. Made only by a call that looks.
function group.views()

function L.number_text(value) return value == NEVER and "never" or format("%.0f", value) end

function L.hex(id)
  local text = id:gsub(".", function(c) return format("%02x", byte(c)) end):gsub("^0+", "")
  return text == "" and "0" or text
end

function L.id_text(ticket)
  local session, number = L.split(ticket)
  return L.hex(session) .. "/" .. L.number_text(number)
end

function L.all_limits()
  local numbers, ids = L.limit_numbers(), {}
  for id, number in pairs(numbers) do
    if L.limit_at(number).known then L.bring(limits[number]); insert(ids, id) end
  end
  return L.by_name(ids), numbers
end

function L.view_limit(l)
  local pause, room = L.pause_left(l), L.left(l)
  return { l.id, l.metric, l.most, l.amount, L.window_of(l, L.spec_of(l.number)), max(0, l.most - room - l.held), l.held, room,
    l.held > 0 and NEVER or L.ready(l, l.most), pause > 0 and pause, l.shadow, l.came_back }
end

function L.view_lane(key, lane)
  local oldest = false
  if lane.waiting > 0 then
    local _, ticket = L.head(key, lane)
    oldest = max(0, clock - L.ticket_at(ticket)[7])
  end
  return { lane.name, lane.waiting, lane.demand, oldest, lane.granted }
end

function L.view_resource(r)
  local names, drawn, pause = {}, {}, L.pause_left(r)
  for _, d in ipairs(r.limits) do insert(drawn, L.limit_at(d[1]).id) end
  for _, name in pairs(L.lanes_of(r)) do if name ~= true then insert(names, name) end end
  L.by_name(names)
  if r.known[r.name] then insert(names, 1, false) end
  local seen = {}
  for _, name in ipairs(names) do
    local key = L.lane_key(r.name, name)
    insert(seen, L.view_lane(key, L.lane_at(key)))
  end
  return { r.name, drawn, r.waiting, r.in_flight, pause > 0 and pause, seen }
end

function L.resource_names() return L.read(LEDGER, "R") or {} end


function views.view()
  local ids, numbers = L.all_limits()
  local seen_limits, seen_resources = {}, {}
  for _, id in ipairs(ids) do insert(seen_limits, L.view_limit(limits[numbers[id]])) end
  for _, name in ipairs(L.resource_names()) do
    local r = L.resource_at(name)
    if not r.gone or r.in_flight > 0 then insert(seen_resources, L.view_resource(r)) end
  end
  return { "viewed", seen_limits, seen_resources }
end

function views.explain(resource, lane, demand)
  L.all_limits()
  return L.explain(resource, lane, demand)
end

function L.view_hold(ticket, t)
  local reserved = {}
  for metric, amount in pairs(t[5]) do reserved[metric] = amount end
  for metric, amount in pairs(t[6] or {}) do reserved[metric] = (reserved[metric] or 0) + amount end
  local of, its = L.split(ticket)
  return { of, its, t[2], t[3], t[4], max(0, clock - t[7]), reserved }
end

-- The permit of an id; those that a session owns, where the number is 0; or all, by owner, after so many, where no
-- session is named. Returns as well whether there may be more.
function views.permits(session, number, most)
  L.flush_owners()
  local seen, rows = {}, {}
  if session and number > 0 then
    rows[1] = ("o"):rep(17) .. L.ticket_key(session, number)
  elseif session then
    rows = L.belongings(session, most)
  else
    rows = call("ZRANGEBYLEX", OWNERS, "[o", "(p", "LIMIT", number, most)
  end
  for _, row in ipairs(rows) do
    local ticket = sub(row, 18)
    local t = L.ticket_at(ticket)
    if t and t[1] == 2 then insert(seen, L.view_hold(ticket, t)) end
  end
  return { "permitted", seen, #rows == most and (not session or number == 0) }
end

function L.all_sessions()
  local ids = {}
  for _, field in ipairs(call("HKEYS", SESSIONS)) do
    if byte(field) == 115 and #field == 17 then insert(ids, sub(field, 2)) end
  end
  for id, s in pairs(sessions) do if s and call("HEXISTS", SESSIONS, "s" .. id) == 0 then insert(ids, id) end end
  return ids
end

function views.status()
  local alive = {}
  for _, id in ipairs(L.all_sessions()) do
    local s = L.session_at(id)
    insert(alive, { id, s.time_out, s.time_out and max(0, s.expires - clock), s.dead, s.last, s.sent, #L.belongings(id, 1000), s.inbox })
  end
  return { "told", { epoch = M.epoch, seq = M.seq, run_id = M.run_id, clock = clock, wall = wall, kept_until = M.kept_until,
    sessions = alive, tickets = call("HLEN", TICKETS) - 1, waiting = call("ZCARD", LINE) - 1, keeper = M.keeper,
    held_off = max(0, M.held_off - clock) } }
end

function L.amounts_text(amounts)
  local names, text = {}, ""
  for metric in pairs(amounts) do insert(names, metric) end
  for _, metric in ipairs(L.by_name(names)) do text = text .. " " .. metric .. "=" .. L.number_text(amounts[metric]) end
  return text
end

function L.dump_limit(l)
  local pause, text = L.pause_left(l), ""
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
    l.amount, l.most, l.held, l.came_back, pause == 0 and "no" or L.number_text(pause), L.number_text(l.empty_own), L.number_text(l.empty_resource),
    l.observed and L.number_text(l.observed_until) or "0", text)
end

function L.dump_ticket(ticket, t)
  if t[1] == 1 then
    return format("ticket %s %s lane=%s named=%s rank=%.0f arrival=%.0f since=%.0f%s", L.id_text(ticket), t[3], L.lane_at(t[2]).name or "-", t[4] or "-",
      tonumber(sub(t[6], 1, 14), 16) - 2 ^ 51, tonumber(sub(t[6], 15), 16), t[7], L.amounts_text(t[5]))
  end
  local text, entries = "", {}
  for at = 1, #t[8], 4 do
    local flags = t[8][at + 3]
    insert(entries, L.limit_at(t[8][at]).id .. format("@%.0f:%.0f:%d%d", t[8][at + 1], t[8][at + 2], flags % 2, flags >= 2 and 1 or 0))
  end
  for _, entry in ipairs(L.by_name(entries)) do text = text .. " " .. entry end
  return format("hold %s %s lane=%s owner=%s since=%.0f%s%s%s", L.id_text(ticket), t[3], t[4] or "-", L.hex(t[2]), t[7], L.amounts_text(t[5]),
    t[6] and " extra" .. L.amounts_text(t[6]) or "", text)
end

-- The whole state as text, a line an entity: what the exam compares.
function views.dump()
  local lines = { format("ledger clock=%.0f wall=%.0f arrivals=%.0f generations=%.0f virtual=%.0f", M.clock, M.wall, M.arrivals, M.generations, M.virtual) }
  local ids, numbers = L.all_limits()
  for _, id in ipairs(ids) do insert(lines, L.dump_limit(limits[numbers[id]])) end
  for _, name in ipairs(L.resource_names()) do
    local r = L.resource_at(name)
    insert(lines, format("resource %s gone=%s waiting=%.0f in_flight=%.0f pause=%s", name, tostring(r.gone), r.waiting, r.in_flight,
      r.pause and r.pause < NEVER and L.number_text(r.pause) or "0"))
    for key in pairs(L.lanes_of(r)) do
      local lane = L.lane_at(key)
      if lane.waiting > 0 or lane.virtual > M.virtual then
        local s = L.standing(key, lane)
        insert(lines, format("lane %s %s priority=%.0f weight=%.0f virtual=%.0f waiting=%.0f", name, lane.name or "-", s.priority, s.weight,
          max(lane.virtual, M.virtual), lane.waiting))
      end
    end
  end
  local rows = call("HKEYS", TICKETS)
  for _, ticket in ipairs(rows) do
    local t = ticket ~= "" and L.ticket_at(ticket)
    if t then insert(lines, L.dump_ticket(ticket, t)) end
  end
  for _, id in ipairs(L.all_sessions()) do
    local s = L.session_at(id)
    insert(lines, format("session %s highest=%.0f time_out=%s expires=%.0f dead=%s", L.hex(id), s.highest, L.number_text(s.time_out or NEVER),
      s.time_out and s.expires or 0, tostring(s.dead)))
  end
  return { "dumped", table.concat(lines, "\n") }
end

end
