
-- Live configuration: all of a change is checked, then all of it is taken over. Made only by a call that configures.
function group.configure()

function L.write_static(l, spec)
  local t, a, b, c = L.terms_of(spec, NEVER), false, false, false -- what a provider said moves, and is not here
  if l.kind == "sliding" then a, b = l.slot, l.leaves_after elseif l.kind == "fixed" then a, b, c = l.period, l.phase, l.margin end
  L.write(LEDGER, "l" .. l.number, pack(l.id, l.metric, l.kind, t.amount, t.most, t.unit, t.window, l.tick, l.until_settled, l.shadow, l.concurrency, l.known,
    l.inner, a, b, c))
  L.write(LEDGER, "s" .. l.number, pack(spec))
  if spec.instants then L.write(LEDGER, "b" .. l.number, pack(spec.instants)) end
end

function L.describe(l, spec)
  l.id, l.metric, l.until_settled, l.shadow, l.known = spec.id, spec.metric, spec.until_settled, spec.shadow, #spec.members > 0
  l.concurrency, l.instants, l.changed = spec.algorithm == "concurrency", spec.instants, true
end

function L.new_limit(number, spec)
  local l = L.terms_of(spec, NEVER)
  M.generations = M.generations + 1
  l.number, l.generation, l.held, l.pause, l.refuse, l.empty_own, l.empty_resource = number, M.generations, 0, false, false, NEVER, NEVER
  l.observed, l.observed_until, l.came_back, l.clock, l.wall, l.inner = false, NEVER, 0, clock, wall, {}
  L.describe(l, spec)
  if l.kind == "bucket" then
    l.level, l.rest, l.at, l.fills = l.most, 0, L.ticks(l, clock), 0
  elseif l.kind == "sliding" then
    l.total, l.starts, l.counts, l.first = 0, {}, {}, 1
  else
    l.previous, l.current, l.next = 0, 0, 0
    L.turn_to(l, L.start_of(l, wall))
  end
  limits[number] = l
  if M.owed and M.restored < 0 then L.distrust(l, spec, true) end
  return l
end

function L.counts_like(a, b)
  local same = a.algorithm == b.algorithm and a.metric == b.metric and a.until_settled == b.until_settled
  if a.algorithm == "token_bucket" then return same and a.window == b.window end
  if a.algorithm == "sliding_window" then return same and a.window == b.window and a.slots == b.slots end
  if a.algorithm == "fixed_window" then
    return same and (a.instants and b.instants and true or a.period and a.period == b.period and a.phase == b.phase)
  end
  return same
end

-- Counts the permits that are out on a concurrency limit that did not count them so far.
function L.take_in_flight(l, spec)
  if not l.concurrency then return end
  L.flush_rows(TICKETS)
  local rows = call("HGETALL", TICKETS)
  for at = 1, #rows, 2 do
    local ticket = rows[at]
    local t = ticket ~= "" and L.ticket_at(ticket)
    local r = t and t[1] == 2 and L.resource_at(t[3])
    local draws = false
    for _, member in ipairs(r and spec.members or {}) do
      draws = draws or member[1] == r.name and L.contain(member[2], member[3], t[4])
    end
    if draws then
      local entries = {}
      for entry = 1, #t[8], 4 do
        if t[8][entry] ~= l.number then for more_of = entry, entry + 3 do insert(entries, t[8][more_of]) end end
      end
      local counted, flags = L.reserve(l, t[5][l.metric] or 0)
      insert(entries, l.number); insert(entries, l.generation); insert(entries, counted); insert(entries, flags)
      t[8] = entries
      L.put_ticket(ticket, t)
    end
  end
end

function L.set_limit(numbers, specs, spec)
  local number = numbers[spec.id]
  if not number then
    M.limits = M.limits + 1
    number = M.limits
    numbers[spec.id], specs[number] = number, spec
    return L.take_in_flight(L.new_limit(number, spec), spec)
  end
  local old, said = limits[number], specs[number]
  specs[number] = spec
  if old.known and L.counts_like(said, spec) then
    L.describe(old, spec)
    local terms = L.terms_of(spec, old.observed or NEVER)
    if terms then L.adopt(old, terms) end
    return
  end
  local spent = old.known and max(0, old.most - L.left(old)) or 0
  local l = L.new_limit(number, spec)
  if old.known and old.pause and old.pause > clock then l.pause, l.refuse, l.empty_own = old.pause, old.refuse, old.pause end
  if not l.concurrency then L.charge(l, min(spent, l.most)) end
  L.take_in_flight(l, spec)
end

-- Whether one choice of lanes covers another.
function L.lanes_cover(outer, inner)
  if outer[2] == "all" then return true end
  if outer[2] ~= inner[2] then return false end
  local from, to = inner[3], outer[3]
  if outer[2] == "except" then from, to = to, from end
  for _, name in ipairs(from) do
    local among = false
    for _, pattern in ipairs(to) do among = among or pattern == name or L.matches(pattern, name) end
    if not among then return false end
  end
  return true
end

function L.covers(outer, inner)
  for _, a in ipairs(inner) do
    local covered = false
    for _, b in ipairs(outer) do covered = covered or a[1] == b[1] and L.lanes_cover(b, a) end
    if not covered then return false end
  end
  return true
end

-- The concurrency limits of the same metric all of whose members draw on this one as well. Of two with the same members
-- the one that comes first by name is the narrower.
function L.inner_of(outer, specs)
  local inner = {}
  for number, l in ipairs(outer.concurrency and outer.known and limits or {}) do
    if l ~= outer and l.concurrency and l.known and l.metric == outer.metric then
      local mine, theirs = specs[outer.number].members, specs[number].members
      if L.covers(mine, theirs) and (not L.covers(theirs, mine) or L.before(l.id, outer.id)) then insert(inner, number) end
    end
  end
  return inner
end

-- Works out anew who draws on what, and when the buckets of paused resources restart.
function L.connect(names, numbers, specs)
  local ids = {}
  for id in pairs(numbers) do insert(ids, id) end
  for _, name in ipairs(names) do L.resource_at(name).limits, L.resource_at(name).draws = {}, {} end
  for _, id in ipairs(L.by_name(ids)) do
    local number = numbers[id]
    local l, members = limits[number], specs[number].members
    local weighs = l.shadow and 0 or l.concurrency and 2 or 1
    for _, member in ipairs(members) do
      insert(L.resource_at(member[1]).limits, { number, member[2] == "all" and weighs or 0, member[2], member[3] })
    end
    local first, alone = members[1] and L.resource_at(members[1][1]), true
    for _, member in ipairs(members) do alone = alone and member[1] == members[1][1] end
    l.empty_resource, l.changed = NEVER, true
    if alone and first and first.pause and first.pause > clock then l.empty_resource = first.pause end
    l.inner = L.inner_of(l, specs)
    L.write_static(l, specs[number])
  end
  for _, name in ipairs(names) do
    local r = L.resource_at(name)
    r.changed = true
    L.write(LEDGER, "r" .. name, pack(r.line_max, r.lanes, r.limits, r.gone))
  end
  standings = {}
end

-- How long the ledger must be kept when nobody uses it, so that nothing could be forgotten: until everything is full again.
function L.keep_for(specs)
  local longest = HOUR
  for number, spec in pairs(specs) do
    local l = limits[number]
    if spec.instants then return NEVER end
    if l.kind == "bucket" then longest = max(longest, 2 * l.window * l.tick * L.up(l.most, l.amount)) end
    longest = max(longest, 2 * (spec.window or 0) + MINUTE, 2 * (spec.period or 0) + MINUTE)
  end
  return longest
end

function L.check(config, names)
  for _, spec in ipairs(config.limits) do
    for _, member in ipairs(spec.members) do
      local r = L.resource_at(member[1])
      if not names[member[1]] and (not r or r.gone or config.gone[member[1]]) then return { "invalid", "unknown_resource", spec.id, member[1] } end
    end
  end
end

function L.take_over(config)
  local named, affected, ids = {}, {}, {}
  for _, r in ipairs(config.resources) do named[r.name], affected[r.name] = true, true end
  for _, name in ipairs(config.removed) do config.gone[name], affected[name] = true, true end
  local wrong = L.check(config, named)
  if wrong then return wrong end
  local numbers, specs, names = L.limit_numbers(), {}, L.read(LEDGER, "R") or {}
  for _, number in pairs(numbers) do L.bring(L.limit_at(number)); specs[number] = L.spec_of(number) end
  for name in pairs(config.gone) do
    if L.resource_at(name) then L.resource_at(name).gone = true end
  end
  for _, spec in ipairs(config.resources) do
    local r = L.resource_at(spec.name)
    if not r then
      r = { name = spec.name, waiting = 0, waiting_lanes = 0, idle_lanes = 0, in_flight = 0, pause = false, refuse = false, purged = 0, purged_lanes = {} }
      resources[spec.name] = r
      insert(names, spec.name)
    end
    if r.gone then r.pause, r.refuse = false, false end
    r.gone, r.line_max, r.lanes = false, spec.line_max, spec.lanes
  end
  for _, spec in ipairs(config.limits) do ids[spec.id] = true end
  for id, number in pairs(numbers) do
    if not ids[id] then
      local kept = {}
      for _, member in ipairs(specs[number].members) do if not affected[member[1]] then insert(kept, member) end end
      specs[number].members = kept
      limits[number].known = #kept > 0
    end
  end
  for _, spec in ipairs(config.limits) do L.set_limit(numbers, specs, spec) end
  L.write(LEDGER, "R", pack(L.by_name(names)))
  L.write(LEDGER, "N", pack(numbers))
  L.connect(names, numbers, specs)
  M.keep = L.keep_for(specs)
  L.look_again()
end

-- Whether a configuration wins over what is in force: the higher revision does; among equals the one opened last, unless
-- its content was replaced and a session with the winning content lives.
function L.wins(in_force, digest, revision)
  if revision ~= in_force.revision then return revision > in_force.revision end
  if not in_force.replaced[digest] then return true end
  for _, row in ipairs(call("ZRANGEBYLEX", OWNERS, "[x", "(y")) do
    local s = L.session_at(sub(row, 16))
    if s and not s.dead and s.contents[in_force.resource] == in_force.digest then return false end
  end
  return true
end

-- Whether listed boundaries reach further than those in force: a list is told anew every now and then.
function L.has_later_boundaries(specs)
  local numbers
  for _, spec in ipairs(specs) do
    if spec.instants then
      numbers = numbers or L.limit_numbers()
      local said = numbers[spec.id] and L.spec_of(numbers[spec.id])
      if said and said.instants and said.instants[#said.instants] < spec.instants[#spec.instants] then return true end
    end
  end
  return false
end

function commands.configure(limit_specs, resource_specs, removed, revision, digests, session)
  local config = { limits = limit_specs, resources = resource_specs, removed = removed, gone = {} }
  if not revision then return L.take_over(config) or "done" end
  L.flush_owners()
  local mine, differs, s = true, {}, L.session_at(session)
  local rows = L.read(LEDGER, "c") or {}
  for name, digest in pairs(digests) do
    if s then s.contents[name], s.changed = digest, true end
    local in_force = rows[name]
    if in_force and in_force.digest ~= digest then
      in_force.resource = name
      insert(differs, name)
      mine = mine and L.wins(in_force, digest, revision)
    elseif in_force and revision > in_force.revision then
      in_force.revision = revision
      L.write(LEDGER, "c", pack(rows))
    elseif not in_force then
      insert(differs, name)
    end
  end
  L.by_name(differs)
  if #differs == 0 and #removed == 0 and not L.has_later_boundaries(limit_specs) then return { "configured", true, {} } end
  if not mine then
    local others = {}
    for _, name in ipairs(differs) do if rows[name] then insert(others, name) end end
    return { "configured", false, others }
  end
  local wrong = L.take_over(config)
  if wrong then return wrong end
  for _, name in ipairs(differs) do
    local in_force = rows[name] or { replaced = {} }
    if in_force.digest then
      in_force.replaced[in_force.digest], in_force.replaced[digests[name]] = true, nil
      insert(decisions, { false, "differs", name, digests[name] })
    end
    rows[name] = { digest = digests[name], revision = revision, replaced = in_force.replaced }
  end
  for _, name in ipairs(removed) do rows[name] = nil end
  L.write(LEDGER, "c", pack(rows))
  return { "configured", true, {} }
end

end
