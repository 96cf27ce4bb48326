
-- The line: tickets in their lanes, the walk over the lanes' heads, and what is set aside for those that wait.
-- A ticket that waits: { 1, key of its lane, resource, lane that the caller named, demand, place, since }.
-- A permit: { 2, owner, resource, lane that the caller named, reserved, extra, since, { limit, generation, at, flags, .. } }.
local standings -- what the configuration says of each lane
local aside -- what is set aside on each limit in this walk

local LANES, LATEST, OTHER = 256, 2 ^ 52, "other"
local queues -- what is known of each lane's queue: its first places and ticket keys, in order

function L.matches(pattern, name)
  if sub(pattern, -1) == "*" then return sub(name, 1, #pattern - 1) == sub(pattern, 1, -2) end
  return pattern == name
end

function L.contain(kind, names, lane)
  if kind == "all" then return true end
  local named = false
  for _, pattern in ipairs(lane and names or {}) do named = named or L.matches(pattern, lane) end
  return named == (kind == "only")
end

-- The limits on which callers of a lane draw, and which of them weigh a grant against other lanes.
function L.draws_of(r, named)
  local draws = r.draws[named or 1]
  if draws then return draws end
  draws = {}
  local rates, numbers = false, {}
  for at, d in ipairs(r.limits) do numbers[at] = d[1] end
  L.read_limits(numbers)
  for _, d in ipairs(r.limits) do
    if L.contain(d[3], d[4], named) then
      insert(draws, { limit = limits[d[1]], weighs = d[2] })
      rates = rates or d[2] == 1
    end
  end
  for _, d in ipairs(draws) do d.weighs = d.weighs == 1 or d.weighs == 2 and not rates end
  r.draws[named or 1] = draws
  return draws
end

function L.declared(r, name)
  local found
  for _, lane in ipairs(name and r.lanes or {}) do
    if lane[1] == name then return lane end
    if L.matches(lane[1], name) and (not found or #lane[1] >= #found[1]) then found = lane end
  end
  return found
end

function L.allows(r, name) return #r.lanes == 0 or not name or L.declared(r, name) ~= nil end

function L.standing(key, lane)
  local s = standings[key]
  if not s then
    local r = L.resource_at(lane.resource)
    local lane_spec = L.declared(r, lane.name)
    s = { priority = lane_spec and lane_spec[2] or 0, weight = lane_spec and lane_spec[3] or 1, undeclared = not L.allows(r, lane.name) }
    standings[key] = s
  end
  return s
end

-- The names of a resource's lanes that wait or are remembered, by key.
function L.lanes_of(r)
  r.known = r.known or L.read(LEDGER, "k" .. r.name) or {}
  return r.known
end

function L.lane_of(r, name)
  local key = L.lane_key(r.name, name)
  local lane = L.lane_at(key)
  if not lane then
    lane = L.new_lane(r.name, name)
    lanes[key], lane.changed = lane, true
    L.lanes_of(r)[key] = name or true
    L.write(LEDGER, "k" .. r.name, r.known)
    r.idle_lanes, r.changed = r.idle_lanes + 1, true
  end
  return key, lane
end

-- The refusal that a pause means, where it refuses.
function L.paused(at)
  local ends_in = L.pause_left(at)
  if ends_in > 0 and at.refuse then return { "paused", ends_in } end
end

-- Brings the limits up to now: true where all of them cover a demand with what is set aside, else false, or a refusal.
function L.fit(draws, demand)
  local covered = true
  for _, d in ipairs(draws) do
    local l = d.limit
    local wanted = not l.shadow and demand[l.metric] or 0
    if wanted > 0 then
      if l.clock ~= clock or l.wall ~= wall then L.bring(l) end
      if wanted > l.most then return { "impossible", l.id, wanted, l.most } end
      if l.pause and L.pause_left(l) > 0 then
        local refusal = L.paused(l)
        if refusal then return refusal end
        covered = false
      end
      if (l.level or L.meter_left(l)) - l.held - (aside[l.number] or 0) < wanted then covered = false end
    end
  end
  return covered
end

-- Moves a lane's virtual time on for a grant of this cost.
function L.weigh(key, lane, cost)
  M.virtual = max(M.virtual, lane.virtual)
  lane.virtual = M.virtual + max(1, (L.div(cost, L.standing(key, lane).weight)))
  lane.granted, lane.changed = lane.granted + 1, true
  if lane.virtual > LATEST then L.renormalise() end
end

-- Gives a ticket its permit: all limits are charged at once, and the lane's virtual time moves on.
function L.grant(ticket, r, key, lane, named, demand)
  local entries, cost, last = {}, 0, 0
  for _, d in ipairs(L.draws_of(r, named)) do
    local l = d.limit
    if l.clock ~= clock or l.wall ~= wall then L.bring(l) end
    local amount, at, flags = demand[l.metric] or 0, l.fills, 0
    if d.weighs and amount * l.unit > cost then cost = amount * l.unit end
    if at and not l.until_settled then -- a bucket, as `charge` does it
      l.level, l.changed = l.level - amount, true
      if l.level < -BOUND then l.level = -BOUND end
    else
      at, flags = L.reserve(l, amount)
    end
    entries[last + 1], entries[last + 2], entries[last + 3], entries[last + 4] = l.number, l.generation, at, flags
    last = last + 4
  end
  L.weigh(key, lane, cost)
  r.in_flight, r.changed = r.in_flight + 1, true
  local owner = sub(ticket, 1, 16)
  L.put_ticket(ticket, { 2, owner, r.name, named, demand, false, clock, entries })
end

-- Made only by a call for which somebody waits.
function group.line()

function L.lane_to_wait_in(r, name)
  local lane = L.lane_at(L.lane_key(r.name, name))
  if r.waiting_lanes >= LANES and (not lane or lane.waiting == 0) then name = OTHER end
  return L.lane_of(r, name)
end

-- Forgets the lanes furthest behind among those that do not wait, where too many are remembered.
function L.forget_lanes(r)
  while r.idle_lanes > LANES do
    local first, first_key
    for key in pairs(L.lanes_of(r)) do
      local lane = L.lane_at(key)
      if lane.waiting == 0 then
        local earlier = not first or lane.virtual < first.virtual
        if first and lane.virtual == first.virtual then earlier = first.name and (not lane.name or L.before(lane.name, first.name)) end
        if earlier then first, first_key = lane, key end
      end
    end
    if not first then return end
    lanes[first_key], r.known[first_key] = false, nil
    L.write(LEDGER, "n" .. first_key, false)
    L.write(LEDGER, "k" .. r.name, r.known)
    r.idle_lanes, r.changed = r.idle_lanes - 1, true
  end
end

-- The first in a lane: its place and its ticket's key.
function L.head(key, lane)
  local queue = queues[key]
  if not queue or not queue[queue.at] and not queue.complete then
    L.flush_line()
    local size = queue and min(queue.size * 4, 64) or 2
    local found, unread = L.range(LINE, "[" .. lane.number, "(" .. lane.number .. "g", size), {}
    queue = { at = 1, size = size, complete = #found < size }
    for at, member in ipairs(found) do
      queue[at] = sub(member, 9)
      local ticket = sub(member, 35)
      if tickets[ticket] == nil then insert(unread, ticket) end
    end
    queues[key] = queue
    if #unread > 0 then
      local rows = call("HMGET", TICKETS, unpack(unread))
      for at, ticket in ipairs(unread) do tickets[ticket] = rows[at] and { values(rows[at]) } end
    end
  end
  local first = queue[queue.at]
  if first then return sub(first, 1, 26), sub(first, 27) end
end

function L.count_demand(lane, demand, sign)
  for metric, amount in pairs(demand) do lane.demand[metric] = max(0, (lane.demand[metric] or 0) + sign * amount) end
end

-- Puts a ticket into its lane.
function L.enqueue(r, ticket, t)
  local key, lane = L.lane_to_wait_in(r, t[4])
  t[2] = key
  L.put_ticket(ticket, t)
  if lane.waiting == 0 then
    insert(waiting, key)
    waiting.changed, M.waits = true, M.waits + 1
    r.waiting_lanes, r.idle_lanes = r.waiting_lanes + (lane.name == OTHER and 0 or 1), r.idle_lanes - 1
    lane.tail, queues[key] = "", { at = 1, size = 2, complete = true }
  end
  r.waiting, r.changed = r.waiting + 1, true
  lane.waiting, lane.changed = lane.waiting + 1, true
  L.count_demand(lane, t[5], 1)
  local place, queue = t[6], queues[key]
  line_adds[lane.number .. place .. ticket] = true
  if place > lane.tail then lane.tail = place end
  if queue then
    local last = #queue
    if queue.complete or queue[last] and place < sub(queue[last], 1, 26) then
      while last >= queue.at and place < sub(queue[last], 1, 26) do last = last - 1 end
      insert(queue, last + 1, place .. ticket)
    end
  end
end

-- Takes a ticket out of the line.
function L.dequeue(ticket)
  local t = L.ticket_at(ticket)
  if not t or t[1] ~= 1 then return nil end
  local key, r = t[2], L.resource_at(t[3])
  local lane, queue, member = L.lane_at(key), queues[key], t[6] .. ticket
  L.put_ticket(ticket, false)
  local row = lane.number .. member
  if line_adds[row] then line_adds[row] = nil else line_removes[row] = true end
  if queue then
    for at = queue.at, #queue do
      if queue[at] == member then
        if at == queue.at then queue.at = at + 1 else table.remove(queue, at) end
        break
      end
    end
  end
  L.count_demand(lane, t[5], -1)
  r.waiting, r.changed = r.waiting - 1, true
  lane.waiting, lane.changed = lane.waiting - 1, true
  if lane.waiting == 0 then
    lane.demand, lane.tail, queues[key] = {}, "", nil
    r.waiting_lanes, r.idle_lanes = r.waiting_lanes - (lane.name == OTHER and 0 or 1), r.idle_lanes + 1
    for at, waits in ipairs(waiting) do
      if waits == key then table.remove(waiting, at); break end
    end
    waiting.changed, M.waits = true, M.waits - 1
  end
  return t, r, key, lane
end

-- When limits and their pauses would let a demand go if nothing settled; one that takes a settlement counts as ready.
function L.ready_at(draws, demand)
  local latest = 0
  for _, d in ipairs(draws) do
    local wanted = not d.limit.shadow and demand[d.limit.metric] or 0
    if wanted > 0 then
      local at = L.ready(d.limit, wanted)
      latest = max(latest, at == NEVER and 0 or at, L.pause_left(d.limit))
    end
  end
  return latest
end

-- How much of a concurrency limit a head needs apart from what a narrower one will free with its own releases.
function L.left_by_inner(outer, demand, draws)
  local least = demand
  for _, number in ipairs(outer.inner or {}) do
    for _, d in ipairs(draws) do
      if d.limit.number == number and not d.limit.shadow then
        least = min(least, L.left(d.limit) - (aside[number] or 0))
      end
    end
  end
  return max(least, 0)
end

function L.set_aside(ticket)
  local t = L.ticket_at(ticket)
  local r = L.resource_at(t[3])
  local draws = L.draws_of(r, t[4])
  local by, asides = max(L.pause_left(r), L.ready_at(draws, t[5])), {}
  for _, d in ipairs(draws) do
    local l = d.limit
    local wanted = not l.shadow and t[5][l.metric] or 0
    if wanted > 0 and L.full_by(l) > by then asides[l.number] = min(wanted, L.left_by_inner(l, wanted, draws)) end
  end
  for number, amount in pairs(asides) do aside[number] = min(BOUND, (aside[number] or 0) + amount) end
end

function L.ready_with_aside(ticket)
  local t = L.ticket_at(ticket)
  local r = L.resource_at(t[3])
  local latest = L.pause_left(r)
  for _, d in ipairs(L.draws_of(r, t[4])) do
    local l = d.limit
    local wanted = not l.shadow and t[5][l.metric] or 0
    if wanted > 0 then
      local at = L.ready(l, wanted + (aside[l.number] or 0))
      if at < NEVER then at = min(at, L.changes_in(l)) end
      latest = max(latest, at, L.pause_left(l))
    end
  end
  return latest
end

function L.no_longer(r, key, t)
  if r.gone then return { "no_resource" } end
  local arrival = tonumber(sub(t[6], 15), 16)
  if arrival <= r.purged then return { "purged" } end
  for _, purged in ipairs(r.purged_lanes) do
    if purged[1] == t[4] and arrival <= purged[2] then return { "purged" } end
  end
  local lane = L.lane_at(key)
  if t[4] and lane.name == t[4] and L.standing(key, lane).undeclared then return { "unknown_lane", t[4] } end
end

function L.is_dead(session)
  if #M.dead == 0 then return false end
  local s = L.session_at(session)
  return not s or s.dead
end

-- What is found of a ticket that waits: true (it goes), false (it waits), "dead", or a refusal.
function L.look(ticket)
  local t = L.ticket_at(ticket)
  if not t or L.is_dead(sub(ticket, 1, 16)) then return "dead" end
  local r = L.resource_at(t[3])
  local refusal = L.no_longer(r, t[2], t)
  if refusal then return refusal end
  local found = L.fit(L.draws_of(r, t[4]), t[5])
  if type(found) == "table" then return found end
  if L.pause_left(r) > 0 then return L.paused(r) or false end
  return found
end

function L.turn_of(key)
  local lane = L.lane_at(key)
  local place, ticket = L.head(key, lane)
  return place and { key = key, ticket = ticket, place = place, virtual = max(lane.virtual, M.virtual), priority = L.standing(key, lane).priority }
end

function L.later(a, b)
  if a.priority ~= b.priority then return a.priority < b.priority end
  if a.virtual ~= b.virtual then return a.virtual > b.virtual end
  return a.place > b.place
end

-- The turns of all lanes that wait, the next one last.
function L.turns_of()
  local turns = {}
  aside = {}
  for _, key in ipairs(waiting) do insert(turns, L.turn_of(key)) end
  if #turns > 1 then table.sort(turns, L.later) end
  return turns
end

function L.push_turn(turns, key)
  local turn, at = L.turn_of(key), #turns
  if not turn then return end
  while at > 0 and L.later(turn, turns[at]) do at = at - 1 end
  insert(turns, at + 1, turn)
end

-- The next turn. A grant may have moved all virtual times on, so what was put in before it is looked at anew.
function L.next_turn(turns)
  while true do
    local turn = table.remove(turns)
    if not turn or turn.virtual >= M.virtual then return turn end
    L.push_turn(turns, turn.key)
  end
end

function L.renormalise()
  for _, name in ipairs(L.read(LEDGER, "R") or {}) do
    for key in pairs(L.lanes_of(L.resource_at(name))) do
      local lane = L.lane_at(key)
      lane.virtual, lane.changed = max(0, lane.virtual - M.virtual), true
    end
  end
  M.virtual = 0
end

function L.drop_ticket(ticket, refusal)
  looks_left = max(0, looks_left - 1)
  local t, r, _, lane = L.dequeue(ticket)
  if not t then return end
  L.disowned_by(sub(ticket, 1, 16), ticket)
  if refusal then insert(decisions, { ticket, "refused", unpack(refusal) }) end
  if lane.waiting == 0 then L.forget_lanes(r) end
end

function L.grant_ticket(ticket, own)
  local t, r, key, lane = L.dequeue(ticket)
  if not own then insert(decisions, { ticket, "granted", max(0, clock - t[7]) }) end
  L.grant(ticket, r, key, lane, t[4], t[5])
  if lane.waiting == 0 then L.forget_lanes(r) end
end

-- Walks the lanes' heads in order and grants what the rule lets go. A grant to `own` is the answer to the command that
-- asks, and does not count against the step's grants.
function L.walk(own)
  if M.waits == 0 then return end
  local turns = L.turns_of()
  while true do
    local turn = L.next_turn(turns)
    if not turn then return end
    if grants_left == 0 then more = true; return end
    local ticket = turn.ticket
    local found = L.look(ticket)
    if found == false then
      if #turns > 0 then L.set_aside(ticket) end
    elseif found == true then
      if own ~= ticket then grants_left = grants_left - 1 end
      local virtual = M.virtual
      L.grant_ticket(ticket, own == ticket)
      if M.virtual < virtual then -- all virtual times were counted anew
        local keys = turns
        turns = {}
        for _, again in ipairs(keys) do L.push_turn(turns, again.key) end
      end
      L.push_turn(turns, turn.key)
    elseif looks_left == 0 then
      more = true
      return
    else
      L.drop_ticket(ticket, found ~= "dead" and found)
      L.push_turn(turns, turn.key)
    end
  end
end

-- After what time a head goes that time alone lets go, and whose it is.
function L.plan()
  local turns, due, whose = L.turns_of(), NEVER, false
  while due > 0 do
    local turn = L.next_turn(turns)
    if not turn then break end
    local at = L.look(turn.ticket) == false and L.ready_with_aside(turn.ticket) or 0
    if at < due then due, whose = at, sub(turn.ticket, 1, 16) end
    if #turns > 0 then L.set_aside(turn.ticket) end
  end
  return due, whose
end

end
