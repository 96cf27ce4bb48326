
-- Commands: everything that can be asked of a ledger.
local LOOKS, GRANTS, COUNTED = 64, 64, 1024
local commands = {}
local LAST = string.rep("\255", 32) -- behind every ticket's key
local split, explain, end_hold, renew, first_expiry, shortest, forgive, expire, look_again, limit_numbers, belongings
local sweep_sessions, by_name, sweep_line
do

function split(ticket) return sub(ticket, 1, 16), tonumber(sub(ticket, 17), 16) end

-- Which limit lets a demand wait longest, and how long. Where `releases` count, one that takes a settlement takes for ever.
local function slowest(r, draws, demand, releases)
  local name, longest = false, 0
  for _, d in ipairs(draws) do
    local l = d.limit
    local wanted = not l.shadow and demand[l.metric] or 0
    if wanted > 0 then
      bring(l)
      local at = ready(l, wanted)
      if at == NEVER and not releases then at = 0 end
      at = max(at, pause_left(l))
      if at > longest then name, longest = l.id, at end
    end
  end
  return name, max(longest, pause_left(r))
end

-- Whether the limits cover a request, or the refusal whoever waits.
local function fits(r, lane, demand, within)
  if not r or r.gone then return { "no_resource" } end
  if not allows(r, lane) then return { "unknown_lane", lane } end
  local refusal = paused(r)
  if refusal then return refusal end
  aside = {}
  local draws = draws_of(r, lane)
  local covered = fit(draws, demand)
  if type(covered) == "table" then return covered end
  local pause = pause_left(r)
  covered = covered and pause == 0
  if covered or not within then return covered end
  if max(pause, ready_at(draws, demand)) <= within then return false end
  local limit, ready_in = slowest(r, draws, demand, false)
  if limit and ready_in > pause then return { "too_late", limit, ready_in } end
  return { "paused", pause }
end

-- How many tickets of its lane are before a ticket.
local function ahead(ticket)
  local t = ticket_at(ticket)
  local lane = lane_at(t[2])
  if t[6] == lane.tail then return lane.waiting - 1 end
  flush_line()
  local least = call("ZLEXCOUNT", LINE, "[" .. lane.number, "(" .. lane.number .. t[6])
  return least == lane.waiting - 1 and least or min(least, COUNTED)
end

local function set_aside_before(turn)
  for _, other in ipairs(turn) do
    look(other.ticket)
    set_aside(other.ticket)
  end
end

-- Whether a demand would go now, and if not, why.
function explain(resource, lane, demand)
  local r = resource_at(resource)
  if not r or r.gone then return "unknown" end
  local key = lane_key(resource, lane)
  local found, spec = lane_at(key), declared(r, lane)
  local me = { priority = spec and spec[2] or 0, virtual = max(found and found.virtual or 0, M.virtual), place = format("%014xg", clock + 2 ^ 51) }
  local turns, first = turns_of(), {}
  for at = #turns, 1, -1 do
    if later(turns[at], me) then break end
    insert(first, turns[at])
  end
  set_aside_before(first)
  local pause, bindings, latest, all_fit = pause_left(r), {}, 0, true
  for _, d in ipairs(draws_of(r, lane)) do
    local l = d.limit
    local wanted = not l.shadow and demand[l.metric] or 0
    if wanted > 0 then
      bring(l)
      local kept = aside[l.number] or 0
      local at = max(ready(l, wanted + kept), pause_left(l))
      latest, all_fit = max(latest, at), all_fit and at == 0 and wanted <= l.most
      local place = #bindings + 1
      while place > 1 and bindings[place - 1][6] < at do place = place - 1 end
      insert(bindings, place, { l.id, wanted, left(l), kept, l.most, at })
    end
  end
  local waits, waited, session, number = found and found.waiting or 0, false, false, false
  if waits > 0 then
    local _, ticket = head(key, found)
    waited = max(0, clock - ticket_at(ticket)[7])
    session, number = split(ticket)
  end
  return { "explained", all_fit and pause == 0 and waits == 0, max(latest, pause), bindings, waits, waited, pause > 0 and pause, session, number }
end

local function refused(refusal, why)
  local outcome = { "refused", unpack(refusal) }
  local kind = refusal[1]
  if why and (kind == "busy" or kind == "too_late" or kind == "line_full") then insert(outcome, explain(why[1], why[2], why[3])) end
  return outcome
end

local function busy(r, lane, demand, why)
  local limit, ready_in = slowest(r, draws_of(r, lane), demand, true)
  return refused({ "busy", limit, ready_in }, why)
end

local function repeated(ticket)
  local t = ticket_at(ticket)
  if not t then return "over" end
  return t[1] == 1 and { "queued", ahead(ticket) } or "granted"
end

-- Joins the line, and leaves it again at once where the ticket may not wait.
local function join(r, ticket, lane, demand, head_start, wait, why)
  local _, at = lane_of(r, lane)
  if not wait and at.waiting > 0 then
    walk()
    return busy(r, lane, demand, why)
  end
  M.arrivals = M.arrivals + 1
  local spec = declared(r, lane)
  local rank = clock - min(head_start, spec and spec[4] or 0)
  local t = { 1, false, r.name, lane, demand, format("%014x%012x", rank + 2 ^ 51, M.arrivals), clock }
  enqueue(r, ticket, t)
  owned_by(sub(ticket, 1, 16), ticket)
  walk(ticket)
  if ticket_at(ticket)[1] == 2 then return "granted" end
  local waits = r.waiting
  if wait and waits <= r.line_max then return { "queued", ahead(ticket) } end
  dequeue(ticket)
  disowned_by(sub(ticket, 1, 16), ticket)
  forget_lanes(r)
  walk() -- what it had set aside is free again
  if wait then return refused({ "line_full", waits - 1, r.line_max }, why) end
  return busy(r, lane, demand, why)
end

function commands.acquire(session, number, resource, lane, demand, within, head_start, wait, why)
  local s = session_at(session)
  if not s or s.dead then walk(); return "expired" end
  local ticket = ticket_key(session, number)
  if number <= s.highest then walk(); return repeated(ticket) end
  s.highest, s.changed = number, true
  local r = resource_at(resource)
  local covered = fits(r, lane, demand, within)
  why = why and { resource, lane, demand }
  if type(covered) == "table" then
    walk()
    return refused(covered, why)
  end
  if covered and M.waits == 0 and grants_left > 0 then
    local key, at = lane_of(r, lane)
    M.arrivals = M.arrivals + 1
    grant(ticket, r, key, at, lane, demand)
    owned_by(session, ticket)
    forget_lanes(r)
    return "granted"
  end
  return join(r, ticket, lane, demand, head_start, wait, why)
end

-- Ends a permit by the table of settlement.
function end_hold(ticket, usage)
  local t, returned, charged = ticket_at(ticket), {}, {}
  disowned_by(t[2], ticket)
  put_ticket(ticket, false)
  local r = resource_at(t[3])
  r.in_flight, r.changed = r.in_flight - 1, true
  local entries = t[8]
  for at = 1, #entries, 4 do
    local l = limit_at(entries[at])
    if l.known then
      local metric = l.metric
      local reserved, extra = t[5][metric] or 0, t[6] and t[6][metric] or 0
      bring(l)
      local back, more_used = settle_share(l, entries[at + 1], entries[at + 2], entries[at + 3], reserved, extra,
        usage and (usage[metric] or reserved + extra) or 0)
      if back > (returned[metric] or 0) then returned[metric] = back end
      if more_used > (charged[metric] or 0) then charged[metric] = more_used end
    end
  end
  return returned, charged
end

local function difference(kind, returned, charged)
  if next(returned) or next(charged) then return { kind, returned, charged } end
  return kind
end

function commands.settle(session, number, usage)
  local ticket = ticket_key(session, number)
  local t = ticket_at(ticket)
  if not t or t[1] == 1 then return "over" end
  return difference("settled", end_hold(ticket, usage))
end

function commands.cancel(session, number)
  local ticket = ticket_key(session, number)
  local t = ticket_at(ticket)
  if not t then return "over" end
  if t[1] == 2 then return commands.settle(session, number, false) end
  local _, r, _, lane = dequeue(ticket)
  disowned_by(session, ticket)
  if lane.waiting == 0 then forget_lanes(r) end
  return "cancelled"
end

local function amend_metric(t, metric, amount, returned, charged)
  local reserved, extra = t[5][metric] or 0, t[6] and t[6][metric] or 0
  local change = amount - reserved - extra
  for at = 1, #t[8], 4 do
    local l = limit_at(t[8][at])
    if l.known and l.metric == metric then
      bring(l)
      local back, raised = amend_share(l, t[8][at + 1], t[8][at + 2], t[8][at + 3], reserved, change)
      if back > (returned[metric] or 0) then returned[metric] = back end
      if raised > (charged[metric] or 0) then charged[metric] = raised end
    end
  end
  t[5][metric] = reserved - min(max(0, -change), reserved)
  extra = amount - t[5][metric]
  if extra > 0 or t[6] and t[6][metric] then
    t[6] = t[6] or {}
    t[6][metric] = extra
  end
end

function commands.amend(session, number, reserve_now)
  local ticket = ticket_key(session, number)
  local t = ticket_at(ticket)
  if not t or t[1] == 1 then return "over" end
  local returned, charged = {}, {}
  for metric, amount in pairs(reserve_now) do amend_metric(t, metric, amount, returned, charged) end
  put_ticket(ticket, t)
  return difference("amended", returned, charged)
end

function commands.record(resource, lane, usage)
  local r = resource_at(resource)
  if not r or r.gone then return { "refused", "no_resource" } end
  for _, d in ipairs(draws_of(r, lane)) do
    bring(d.limit)
    if not d.limit.concurrency then charge(d.limit, usage[d.limit.metric] or 0) end
  end
  return "done"
end

-- Sessions: who is alive, and until when.
local function count_time_out(time_out, by)
  local count = (M.time_outs[time_out] or 0) + by
  M.time_outs[time_out] = count > 0 and count or nil
  M.alive = M.alive + by
end

local function due_row(id, expires) return "x" .. format("%014x", expires) .. id end

-- Has a session looked at when it expires; a later expiry is found when the earlier one is looked at.
local function index_expiry(id, s)
  if s.indexed and s.indexed <= s.expires then return end
  if s.indexed then local row = due_row(id, s.indexed); owner_adds[row], owner_removes[row] = nil, true end
  local row = due_row(id, s.expires)
  s.indexed, owner_adds[row], owner_removes[row] = s.expires, true, nil
  M.next_expiry = min(M.next_expiry, s.expires)
end

local function unindex(id, s)
  if s.indexed then local row = due_row(id, s.indexed); owner_adds[row], owner_removes[row] = nil, true end
  s.indexed = false
end

-- Opens a session or renews it, and says whether it is alive.
function renew(id, time_out)
  local s = session_at(id)
  if not s then
    s = { highest = 0, time_out = false, expires = 0, dead = false, indexed = false, last = 0, sent = 0, chunks = {}, inbox = "", contents = {} }
    sessions[id] = s
  end
  if s.dead then return false end
  s.changed = true
  if s.time_out ~= time_out then
    if s.time_out then count_time_out(s.time_out, -1) end
    if time_out then count_time_out(time_out, 1) end
    s.time_out = time_out
  end
  if time_out then
    s.expires = clock + time_out
    index_expiry(id, s)
  else
    unindex(id, s)
  end
  return true
end

local function kill(id)
  local s = session_at(id)
  if not s or s.dead then return false end
  s.dead, s.changed = true, true
  if s.time_out then count_time_out(s.time_out, -1) end
  unindex(id, s)
  insert(M.dead, id)
  return true
end

function commands.touch(session, time_out) return renew(session, time_out) and "done" or "expired" end
function commands.close(session) return kill(session) and "done" or "expired" end

-- The session that has been overdue for longest, and the earliest expiry that there is.
function first_expiry()
  while true do
    flush_owners()
    local first = range(OWNERS, "[x", "(y", 1)[1]
    if not first then return nil, NEVER end
    local id, at = sub(first, 16), tonumber(sub(first, 2, 15), 16)
    local s = session_at(id)
    if s and s.expires <= at then return id, at end
    call("ZREM", OWNERS, first)
    if s then s.indexed, s.changed = false, true; index_expiry(id, s) end
  end
end

local function overdue()
  if clock < M.next_expiry then return nil end
  local id, at = first_expiry()
  M.next_expiry = at
  return at <= clock and id or nil
end

function shortest()
  local least = NEVER
  for time_out in pairs(M.time_outs) do least = min(least, time_out) end
  return least
end

-- Gives every session a fresh time-out for which nothing was applied for more than half of it.
function forgive(gap)
  if gap * 2 <= shortest() then return end
  flush_owners()
  for _, row in ipairs(call("ZRANGEBYLEX", OWNERS, "[x", "(y")) do
    local s = session_at(sub(row, 16))
    if s and gap * 2 > s.time_out then s.expires, s.changed = clock + s.time_out, true end
  end
end

function expire()
  for _ = 1, LOOKS do
    local id = overdue()
    if not id then return end
    kill(id)
  end
  more = overdue() ~= nil or more
end

function commands.transfer(session, number, to, time_out)
  local ticket = ticket_key(session, number)
  local t = ticket_at(ticket)
  if not t or t[1] == 1 then return "over" end
  local s = session_at(to)
  if (not s or s.dead) and not renew(to, time_out) then return "expired" end
  disowned_by(t[2], ticket)
  t[2] = to
  owned_by(to, ticket)
  put_ticket(ticket, t)
  return "done"
end

-- Has every ticket that waits looked at once more.
function look_again()
  if M.waits > 0 then M.sweep = { M.arrivals, false, false, false } end
end

function limit_numbers() return row_of(LEDGER, "N") or {} end

local function target(kind, name)
  if kind == "resource" then return resource_at(name) end
  local number = limit_numbers()[name]
  return number and limit_at(number)
end

local function is_of(l, resource)
  for _, member in ipairs(spec_of(l.number).members) do if member[1] ~= resource then return false end end
  return true
end

-- Lets the buckets that a pause concerns start over from nothing when it ends. One that other resources draw on goes on.
local function restart(kind, at, instant)
  if kind == "limit" then return restart_empty(at, "empty_own", instant) end
  for _, d in ipairs(at.limits) do
    local l = limit_at(d[1])
    if is_of(l, at.name) then restart_empty(l, "empty_resource", instant) end
  end
end

function commands.observe(limit, remaining, amount)
  local number = limit_numbers()[limit]
  local l = number and limit_at(number)
  if not l then return { "refused", "no_resource" } end
  if not l.known then return "done" end
  bring(l)
  if amount and amount > 0 then
    local smaller = amount < spec_of(number).amount
    observe_amount(l, smaller and amount, clock)
    if smaller then look_again() end
  end
  if remaining then observe_left(l, remaining) end
  return "done"
end

function commands.pause(kind, name, lasting, refuse)
  local at, instant = target(kind, name), lasting and clock + lasting or NEVER
  if not at then return { "refused", "no_resource" } end
  if not at.pause or instant >= at.pause then
    at.pause, at.refuse, at.changed = instant, refuse, true
    restart(kind, at, instant)
  end
  if refuse then look_again() end
  return "done"
end

function commands.resume(kind, name)
  local at = target(kind, name)
  if not at then return { "refused", "no_resource" } end
  local was = pause_left(at)
  at.pause, at.refuse, at.changed = false, false, true
  if was > 0 then restart(kind, at, clock) end
  return "done"
end

function commands.purge(resource, lane)
  local r = resource_at(resource)
  if not r then return { "refused", "no_resource" } end
  r.changed = true
  if not lane then r.purged = M.arrivals
  elseif M.waits > 0 then insert(r.purged_lanes, { lane, M.arrivals }) end
  look_again()
  return "done"
end

-- Some of the tickets and permits of a session, by id.
function belongings(id, most)
  flush_owners()
  return range(OWNERS, "[o" .. id, "[o" .. id .. LAST, most)
end

-- The sweep: what an expiry, a purge or a configuration marked is ended some at a time.
function sweep_sessions()
  while M.dead[1] do
    local id = M.dead[1]
    local rows = belongings(id, looks_left + 1)
    for _, row in ipairs(rows) do
      if looks_left == 0 then more = true; return end
      local ticket = sub(row, 18)
      if ticket_at(ticket)[1] == 1 then
        drop_ticket(ticket)
      else
        looks_left = looks_left - 1
        end_hold(ticket, {})
      end
    end
    if #belongings(id, 1) == 0 then
      table.remove(M.dead, 1)
      for _, chunk in ipairs(session_at(id).chunks) do write(SESSIONS, "o" .. id .. chunk[1], false) end
      sessions[id] = false
      write(SESSIONS, "s" .. id, false)
      write(SESSIONS, "r" .. id, false)
    end
  end
end

function by_name(names) table.sort(names, before); return names end

local function next_to_look_at(sweep)
  for _, name in ipairs(row_of(LEDGER, "R") or {}) do
    local r = (not sweep[2] or not before(name, sweep[2])) and resource_at(name)
    if r and r.waiting > 0 then
      local names, here = {}, sweep[2] == name
      for _, lane in pairs(lanes_of(r)) do if lane ~= true then insert(names, lane) end end
      by_name(names)
      insert(names, 1, false)
      for _, lane_name in ipairs(names) do
        local lane = lane_at(lane_key(name, lane_name))
        local done = here and (sweep[3] and (not lane_name or before(lane_name, sweep[3])))
        if lane and lane.waiting > 0 and not done then
          flush_line()
          local from = "[" .. lane.number
          if here and lane_name == sweep[3] then from = from .. sub(sweep[4], 1, 14) .. format("%012x", tonumber(sub(sweep[4], 15), 16) + 1) end
          local row = range(LINE, from, "(" .. lane.number .. "g", 1)[1]
          if row then return sub(row, 35), { sweep[1], name, lane_name, sub(row, 9, 34) } end
        end
      end
    end
  end
end

local function swept()
  for _, name in ipairs(row_of(LEDGER, "R") or {}) do
    local r = resource_at(name)
    if r.purged_lanes[1] then r.purged_lanes, r.changed = {}, true end
  end
end

function sweep_line()
  local sweep = M.sweep
  if not sweep then return end
  M.sweep = false
  while looks_left > 0 do
    local ticket, after = next_to_look_at(sweep)
    if not ticket then return swept() end
    sweep = after
    local t = ticket_at(ticket)
    if tonumber(sub(t[6], 15), 16) > sweep[1] then
      looks_left = looks_left - 1
    else
      aside = {}
      local found = look(ticket)
      if type(found) == "boolean" then looks_left = looks_left - 1 else drop_ticket(ticket, found ~= "dead" and found) end
    end
  end
  if next_to_look_at(sweep) then M.sweep = sweep else swept() end
end

end
