
-- Sessions: who is alive, and how what the dead left behind, a purge or a configuration marked is ended some at a time.
function group.sessions()

function L.count_time_out(time_out, by)
  local count = (M.time_outs[time_out] or 0) + by
  M.time_outs[time_out] = count > 0 and count or nil
  M.alive = M.alive + by
end

function L.due_row(id, expires) return "x" .. format("%014x", expires) .. id end

-- Has a session looked at when it expires; a later expiry is found when the earlier one is looked at.
function L.index_expiry(id, s)
  if s.indexed and s.indexed <= s.expires then return end
  if s.indexed then local row = L.due_row(id, s.indexed); owner_adds[row], owner_removes[row] = nil, true end
  local row = L.due_row(id, s.expires)
  s.indexed, owner_adds[row], owner_removes[row] = s.expires, true, nil
  M.next_expiry = min(M.next_expiry, s.expires)
end

function L.unindex(id, s)
  if s.indexed then local row = L.due_row(id, s.indexed); owner_adds[row], owner_removes[row] = nil, true end
  s.indexed = false
end

function L.kill(id)
  local s = L.session_at(id)
  if not s or s.dead then return false end
  s.dead, s.changed = true, true
  if s.time_out then L.count_time_out(s.time_out, -1) end
  L.unindex(id, s)
  insert(M.dead, id)
  return true
end

function commands.touch(session, time_out, to)
  if not L.renew(session, time_out) then return "expired" end
  local s = to and L.session_at(session)
  if s and s.inbox ~= to then s.inbox, s.changed = to, true end
  return "done"
end

function commands.close(session) return L.kill(session) and "done" or "expired" end

-- The session that has been overdue for longest, and the earliest expiry that there is.
function L.first_expiry()
  while true do
    L.flush_owners()
    local first = L.range(OWNERS, "[x", "(y", 1)[1]
    if not first then return nil, NEVER end
    local id, at = sub(first, 16), tonumber(sub(first, 2, 15), 16)
    local s = L.session_at(id)
    if s and s.expires <= at then return id, at end
    call("ZREM", OWNERS, first)
    if s then s.indexed, s.changed = false, true; L.index_expiry(id, s) end
  end
end

function L.overdue()
  if clock < M.next_expiry then return nil end
  local id, at = L.first_expiry()
  M.next_expiry = at
  return at <= clock and id or nil
end

function L.expire()
  for _ = 1, LOOKS do
    local id = L.overdue()
    if not id then return end
    L.kill(id)
  end
  more = L.overdue() ~= nil or more
end

function commands.transfer(session, number, to, time_out)
  local ticket = L.ticket_key(session, number)
  local t = L.ticket_at(ticket)
  if not t or t[1] == 1 then return "over" end
  local s = L.session_at(to)
  if (not s or s.dead) and not L.renew(to, time_out) then return "expired" end
  L.disowned_by(t[2], ticket)
  t[2] = to
  L.owned_by(to, ticket)
  L.put_ticket(ticket, t)
  return "done"
end

-- Gives every session a fresh time-out for which nothing was applied for more than half of it.
function L.forgive(gap)
  L.flush_owners()
  for _, row in ipairs(call("ZRANGEBYLEX", OWNERS, "[x", "(y")) do
    local s = L.session_at(sub(row, 16))
    if s and gap * 2 > s.time_out then s.expires, s.changed = clock + s.time_out, true end
  end
end

-- Some of the tickets and permits of a session, by id.
function L.belongings(id, most)
  L.flush_owners()
  return L.range(OWNERS, "[o" .. id, "[o" .. id .. LAST, most)
end

-- The sweep: what an expiry, a purge or a configuration marked is ended some at a time.
function L.sweep_sessions()
  while M.dead[1] do
    local id = M.dead[1]
    local rows = L.belongings(id, looks_left + 1)
    for _, row in ipairs(rows) do
      if looks_left == 0 then more = true; return end
      local ticket = sub(row, 18)
      if L.ticket_at(ticket)[1] == 1 then
        L.drop_ticket(ticket)
      else
        looks_left = looks_left - 1
        L.end_hold(ticket, {})
      end
    end
    if #L.belongings(id, 1) == 0 then
      table.remove(M.dead, 1)
      for _, chunk in ipairs(L.session_at(id).chunks) do L.write(SESSIONS, "o" .. id .. chunk[1], false) end
      sessions[id] = false
      L.write(SESSIONS, "s" .. id, false)
      L.write(SESSIONS, "r" .. id, false)
    end
  end
end

function L.by_name(names) table.sort(names, L.before); return names end

function L.next_to_look_at(sweep)
  for _, name in ipairs(L.read(LEDGER, "R") or {}) do
    local r = (not sweep[2] or not L.before(name, sweep[2])) and L.resource_at(name)
    if r and r.waiting > 0 then
      local names, here = {}, sweep[2] == name
      for _, lane in pairs(L.lanes_of(r)) do if lane ~= true then insert(names, lane) end end
      L.by_name(names)
      insert(names, 1, false)
      for _, lane_name in ipairs(names) do
        local lane = L.lane_at(L.lane_key(name, lane_name))
        local done = here and (sweep[3] and (not lane_name or L.before(lane_name, sweep[3])))
        if lane and lane.waiting > 0 and not done then
          L.flush_line()
          local from = "[" .. lane.number
          if here and lane_name == sweep[3] then from = from .. sub(sweep[4], 1, 14) .. format("%012x", tonumber(sub(sweep[4], 15), 16) + 1) end
          local row = L.range(LINE, from, "(" .. lane.number .. "g", 1)[1]
          if row then return sub(row, 35), { sweep[1], name, lane_name, sub(row, 9, 34) } end
        end
      end
    end
  end
end

function L.swept()
  for _, name in ipairs(L.read(LEDGER, "R") or {}) do
    local r = L.resource_at(name)
    if r.purged_lanes[1] then r.purged_lanes, r.changed = {}, true end
  end
end

function L.sweep_line()
  local sweep = M.sweep
  if not sweep then return end
  M.sweep = false
  while looks_left > 0 do
    local ticket, after = L.next_to_look_at(sweep)
    if not ticket then return L.swept() end
    sweep = after
    local t = L.ticket_at(ticket)
    if tonumber(sub(t[6], 15), 16) > sweep[1] then
      looks_left = looks_left - 1
    else
      aside = {}
      local found = L.look(ticket)
      if type(found) == "boolean" then looks_left = looks_left - 1 else L.drop_ticket(ticket, found ~= "dead" and found) end
    end
  end
  if L.next_to_look_at(sweep) then M.sweep = sweep else L.swept() end
end

end
