
-- Commands: everything that can be asked of a ledger.
local LOOKS, GRANTS, COUNTED = 64, 64, 1024
local LAST = string.rep("\255", 32) -- behind every ticket's key

-- Whether the limits cover a request, or the refusal whoever waits.
function L.fits(r, lane, demand, within)
  if not r or r.gone then return { "no_resource" } end
  if not L.allows(r, lane) then return { "unknown_lane", lane } end
  local refusal = L.paused(r)
  if refusal then return refusal end
  aside = {}
  local draws = L.draws_of(r, lane)
  local covered = L.fit(draws, demand)
  if type(covered) == "table" then return covered end
  local pause = L.pause_left(r)
  covered = covered and pause == 0
  if covered or not within then return covered end
  if max(pause, L.ready_at(draws, demand)) <= within then return false end
  local limit, ready_in = L.slowest(r, draws, demand, false)
  if limit and ready_in > pause then return { "too_late", limit, ready_in } end
  return { "paused", pause }
end

function commands.acquire(session, number, resource, lane, demand, within, head_start, wait, why)
  local s = sessions[session] or L.session_at(session)
  local ticket = L.ticket_key(session, number)
  if not s or s.dead or number <= s.highest or s.restated and L.ticket_at(ticket) then
    if M.waits > 0 then L.walk() end
    return s and not s.dead and L.repeated(ticket) or "expired"
  end
  s.highest, s.changed = number, true
  local r = L.resource_at(resource)
  local covered = L.fits(r, lane, demand, within)
  why = why and { resource, lane, demand }
  if type(covered) == "table" then
    if M.waits > 0 then L.walk() end
    return L.refused(covered, why)
  end
  if covered and M.waits == 0 and grants_left > 0 then
    local key, at = L.lane_of(r, lane)
    M.arrivals = M.arrivals + 1
    L.grant(ticket, r, key, at, lane, demand)
    L.owned_by(session, ticket)
    if r.idle_lanes > LANES then L.forget_lanes(r) end
    return "granted"
  end
  return L.join(r, ticket, lane, demand, head_start, wait, why)
end

-- Ends a permit by the table of settlement.
function L.end_hold(ticket, usage)
  local t, returned, charged = L.ticket_at(ticket), {}, {}
  L.disowned_by(t[2], ticket)
  L.put_ticket(ticket, false)
  local r = L.resource_at(t[3])
  r.in_flight, r.changed = r.in_flight - 1, true
  local entries = t[8]
  for at = 1, #entries, 4 do
    local l = limits[entries[at]] or L.limit_at(entries[at])
    if l.known then
      local metric = l.metric
      local reserved, extra = t[5][metric] or 0, t[6] and t[6][metric] or 0
      local used = usage and (usage[metric] or reserved + extra) or 0
      local back, more_used = 0, 0
      if l.clock ~= clock or l.wall ~= wall then L.bring(l) end
      if used ~= reserved or extra ~= 0 or l.concurrency or l.until_settled then -- else nothing moves
        back, more_used = L.settle_share(l, entries[at + 1], entries[at + 2], entries[at + 3], reserved, extra, used)
      end
      if back > (returned[metric] or 0) then returned[metric] = back end
      if more_used > (charged[metric] or 0) then charged[metric] = more_used end
    end
  end
  return returned, charged
end

function L.difference(kind, returned, charged)
  if next(returned) or next(charged) then return { kind, returned, charged } end
  return kind
end

function commands.settle(session, number, usage)
  local ticket = L.ticket_key(session, number)
  local t = L.ticket_at(ticket)
  if not t or t[1] == 1 then return "over" end
  return L.difference("settled", L.end_hold(ticket, usage))
end

-- Opens a session or renews it, and says whether it is alive.
function L.renew(id, time_out)
  local s = L.session_at(id)
  if not s then
    s = { highest = 0, time_out = false, expires = 0, dead = false, indexed = false, last = 0, sent = 0, chunks = {}, inbox = "", contents = {} }
    sessions[id] = s
  end
  if s.dead then return false end
  s.changed = true
  if s.time_out ~= time_out then
    if s.time_out then L.count_time_out(s.time_out, -1) end
    if time_out then L.count_time_out(time_out, 1) end
    s.time_out = time_out
  end
  if time_out then
    s.expires = clock + time_out
    if not s.indexed or s.indexed > s.expires then L.index_expiry(id, s) end
  elseif s.indexed then
    L.unindex(id, s)
  end
  return true
end

function L.shortest()
  local least = NEVER
  for time_out in pairs(M.time_outs) do least = min(least, time_out) end
  return least
end

-- Made only by a call that asks for more than permits.
function group.commands()

function L.split(ticket) return sub(ticket, 1, 16), tonumber(sub(ticket, 17), 16) end

-- Which limit lets a demand wait longest, and how long. Where `releases` count, one that takes a settlement takes for ever.
function L.slowest(r, draws, demand, releases)
  local name, longest = false, 0
  for _, d in ipairs(draws) do
    local l = d.limit
    local wanted = not l.shadow and demand[l.metric] or 0
    if wanted > 0 then
      L.bring(l)
      local at = L.ready(l, wanted)
      if at == NEVER and not releases then at = 0 end
      at = max(at, L.pause_left(l))
      if at > longest then name, longest = l.id, at end
    end
  end
  return name, max(longest, L.pause_left(r))
end

-- How many tickets of its lane are before a ticket.
function L.ahead(ticket)
  local t = L.ticket_at(ticket)
  local lane = L.lane_at(t[2])
  if t[6] == lane.tail then return lane.waiting - 1 end
  L.flush_line()
  local least = call("ZLEXCOUNT", LINE, "[" .. lane.number, "(" .. lane.number .. t[6])
  return least == lane.waiting - 1 and least or min(least, COUNTED)
end

function L.set_aside_before(turn)
  for _, other in ipairs(turn) do
    L.look(other.ticket)
    L.set_aside(other.ticket)
  end
end

-- Whether a demand would go now, and if not, why.
function L.explain(resource, lane, demand)
  local r = L.resource_at(resource)
  if not r or r.gone then return "unknown" end
  local key = L.lane_key(resource, lane)
  local found, spec = L.lane_at(key), L.declared(r, lane)
  local me = { priority = spec and spec[2] or 0, virtual = max(found and found.virtual or 0, M.virtual), place = format("%014xg", clock + 2 ^ 51) }
  local turns, first = L.turns_of(), {}
  for at = #turns, 1, -1 do
    if L.later(turns[at], me) then break end
    insert(first, turns[at])
  end
  L.set_aside_before(first)
  local pause, bindings, latest, all_fit = L.pause_left(r), {}, 0, true
  for _, d in ipairs(L.draws_of(r, lane)) do
    local l = d.limit
    local wanted = not l.shadow and demand[l.metric] or 0
    if wanted > 0 then
      L.bring(l)
      local kept = aside[l.number] or 0
      local at = max(L.ready(l, wanted + kept), L.pause_left(l))
      latest, all_fit = max(latest, at), all_fit and at == 0 and wanted <= l.most
      local place = #bindings + 1
      while place > 1 and bindings[place - 1][6] < at do place = place - 1 end
      insert(bindings, place, { l.id, wanted, L.left(l), kept, l.most, at })
    end
  end
  local waits, waited, session, number = found and found.waiting or 0, false, false, false
  if waits > 0 then
    local _, ticket = L.head(key, found)
    waited = max(0, clock - L.ticket_at(ticket)[7])
    session, number = L.split(ticket)
  end
  return { "explained", all_fit and pause == 0 and waits == 0, max(latest, pause), bindings, waits, waited, pause > 0 and pause, session, number }
end

function L.refused(refusal, why)
  local outcome = { "refused", unpack(refusal) }
  local kind = refusal[1]
  if why and (kind == "busy" or kind == "too_late" or kind == "line_full") then insert(outcome, L.explain(why[1], why[2], why[3])) end
  return outcome
end

function L.busy(r, lane, demand, why)
  local limit, ready_in = L.slowest(r, L.draws_of(r, lane), demand, true)
  return L.refused({ "busy", limit, ready_in }, why)
end

function L.repeated(ticket)
  local t = L.ticket_at(ticket)
  if not t then return "over" end
  return t[1] == 1 and { "queued", L.ahead(ticket) } or "granted"
end

-- Joins the line, and leaves it again at once where the ticket may not wait.
function L.join(r, ticket, lane, demand, head_start, wait, why)
  local _, at = L.lane_of(r, lane)
  if not wait and at.waiting > 0 then
    L.walk()
    return L.busy(r, lane, demand, why)
  end
  M.arrivals = M.arrivals + 1
  local spec = L.declared(r, lane)
  local rank = clock - min(head_start, spec and spec[4] or 0)
  local t = { 1, false, r.name, lane, demand, format("%014x%012x", rank + 2 ^ 51, M.arrivals), clock }
  L.enqueue(r, ticket, t)
  L.owned_by(sub(ticket, 1, 16), ticket)
  L.walk(ticket)
  if L.ticket_at(ticket)[1] == 2 then return "granted" end
  local waits = r.waiting
  if wait and waits <= r.line_max then return { "queued", L.ahead(ticket) } end
  L.dequeue(ticket)
  L.disowned_by(sub(ticket, 1, 16), ticket)
  L.forget_lanes(r)
  L.walk() -- what it had set aside is free again
  if wait then return L.refused({ "line_full", waits - 1, r.line_max }, why) end
  return L.busy(r, lane, demand, why)
end

function commands.cancel(session, number)
  local ticket = L.ticket_key(session, number)
  local t = L.ticket_at(ticket)
  if not t then return "over" end
  if t[1] == 2 then return commands.settle(session, number, false) end
  local _, r, _, lane = L.dequeue(ticket)
  L.disowned_by(session, ticket)
  if lane.waiting == 0 then L.forget_lanes(r) end
  return "cancelled"
end

function L.amend_metric(t, metric, amount, returned, charged)
  local reserved, extra = t[5][metric] or 0, t[6] and t[6][metric] or 0
  local change = amount - reserved - extra
  for at = 1, #t[8], 4 do
    local l = L.limit_at(t[8][at])
    if l.known and l.metric == metric then
      L.bring(l)
      local back, raised = L.amend_share(l, t[8][at + 1], t[8][at + 2], t[8][at + 3], reserved, change)
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
  local ticket = L.ticket_key(session, number)
  local t = L.ticket_at(ticket)
  if not t or t[1] == 1 then return "over" end
  local returned, charged = {}, {}
  for metric, amount in pairs(reserve_now) do L.amend_metric(t, metric, amount, returned, charged) end
  L.put_ticket(ticket, t)
  return L.difference("amended", returned, charged)
end

function commands.record(resource, lane, usage)
  local r = L.resource_at(resource)
  if not r or r.gone then return { "refused", "no_resource" } end
  for _, d in ipairs(L.draws_of(r, lane)) do
    L.bring(d.limit)
    if not d.limit.concurrency then L.charge(d.limit, usage[d.limit.metric] or 0) end
  end
  return "done"
end

-- Has every ticket that waits looked at once more.
function L.look_again()
  if M.waits > 0 then M.sweep = { M.arrivals, false, false, false } end
end

function L.limit_numbers() return L.read(LEDGER, "N") or {} end

function L.target(kind, name)
  if kind == "resource" then return L.resource_at(name) end
  local number = L.limit_numbers()[name]
  return number and L.limit_at(number)
end

function L.is_of(l, resource)
  for _, member in ipairs(L.spec_of(l.number).members) do if member[1] ~= resource then return false end end
  return true
end

-- Lets the buckets that a pause concerns start over from nothing when it ends. One that other resources draw on goes on.
function L.restart(kind, at, instant)
  if kind == "limit" then return L.restart_empty(at, "empty_own", instant) end
  for _, d in ipairs(at.limits) do
    local l = L.limit_at(d[1])
    if L.is_of(l, at.name) then L.restart_empty(l, "empty_resource", instant) end
  end
end

function commands.observe(limit, remaining, amount)
  local number = L.limit_numbers()[limit]
  local l = number and L.limit_at(number)
  if not l then return { "refused", "no_resource" } end
  if not l.known then return "done" end
  L.bring(l)
  if amount and amount > 0 then
    local smaller = amount < L.spec_of(number).amount
    L.observe_amount(l, smaller and amount, clock)
    if smaller then L.look_again() end
  end
  if remaining then L.observe_left(l, remaining) end
  return "done"
end

function commands.pause(kind, name, lasting, refuse)
  local at, instant = L.target(kind, name), lasting and clock + lasting or NEVER
  if not at then return { "refused", "no_resource" } end
  if not at.pause or instant >= at.pause then
    at.pause, at.refuse, at.changed = instant, refuse, true
    L.restart(kind, at, instant)
  end
  if refuse then L.look_again() end
  return "done"
end

function commands.resume(kind, name)
  local at = L.target(kind, name)
  if not at then return { "refused", "no_resource" } end
  local was = L.pause_left(at)
  at.pause, at.refuse, at.changed = false, false, true
  if was > 0 then L.restart(kind, at, clock) end
  return "done"
end

function commands.purge(resource, lane)
  local r = L.resource_at(resource)
  if not r then return { "refused", "no_resource" } end
  r.changed = true
  if not lane then r.purged = M.arrivals
  elseif M.waits > 0 then insert(r.purged_lanes, { lane, M.arrivals }) end
  L.look_again()
  return "done"
end

end
