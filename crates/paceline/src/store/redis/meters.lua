
-- Meters: how much is left of one limit, when it comes back, and what a settlement may return.
local BOUND, MINUTE, HOUR, DAY, MAX_TICKS = 2 ^ 51, 60000, 3600000, 86400000, 90000000

function L.up(x, y)
  local q, r = L.div(x, y)
  return r > 0 and q + 1 or q
end

function L.ticks(l, at)
  if l.tick == 1 then return at end
  return (L.div(at, l.tick))
end

function L.fill(l) l.level, l.rest, l.fills = l.most, 0, l.fills + 1 end

-- Whole windows first, then the rest with remainder, so that no product leaves the range of a double.
function L.refill(l, at)
  local tick, before = L.ticks(l, at), l.level
  local dt = tick - l.at
  if dt <= 0 then return 0 end
  l.at = tick
  if l.window == 0 or before >= l.most then return 0 end
  local whole, part = L.div(dt, l.window)
  if whole > L.div(l.most - before, l.amount) then
    L.fill(l)
    return l.level - before
  end
  local q, m = L.div(l.amount, l.window)
  local x, rest = L.div(part * m + l.rest, l.window)
  l.level, l.rest = before + whole * l.amount + part * q + x, rest
  if l.level >= l.most then L.fill(l) end
  return l.level - before
end

function L.meter_bring(l, at_clock, at_wall)
  if l.kind == "bucket" then return L.refill(l, at_clock) end
  if l.kind == "sliding" then return L.leave(l, at_clock) end
  return L.roll(l, at_wall)
end

function L.meter_left(l)
  if l.kind == "bucket" then return l.level end
  if l.kind == "sliding" then return l.amount - l.total end
  return l.amount - L.used(l, l.wall)
end

-- Counts an amount, whatever is left: returns where, for the hold to remember.
function L.charge(l, amount)
  l.changed = true
  if l.kind == "bucket" then
    l.level = max(-BOUND, l.level - amount)
    return l.fills, 0
  elseif l.kind == "sliding" then
    local tick, last = L.ticks(l, clock), #l.starts
    local start = tick - tick % l.slot
    amount = min(amount, BOUND - l.total)
    if amount ~= 0 then
      if last >= l.first and l.starts[last] == start then
        l.counts[last] = l.counts[last] + amount
      else
        l.starts[last + 1], l.counts[last + 1] = start, amount
      end
    end
    l.total = l.total + amount
    return start, 0
  end
  local early, late = L.near(l, wall)
  L.count(l, amount, early, true, late)
  return l.start, (early and 1 or 0) + (late and 2 or 0)
end

-- Takes back an amount from where it was counted: returns how much of it was still there.
function L.give_back(l, at, flags, amount)
  l.changed = true
  if l.kind == "bucket" then
    if l.fills ~= at and not l.concurrency then return 0 end
    local before = l.level
    l.level = max(before, min(before + amount, l.most))
    if l.level >= l.most and before < l.most then L.fill(l) end
    return l.level - before
  elseif l.kind == "sliding" then
    local low, high = l.first, #l.starts
    while low < high do
      local middle = floor((low + high) / 2)
      if l.starts[middle] < at then low = middle + 1 else high = middle end
    end
    if l.starts[low] ~= at then return 0 end
    amount = min(amount, l.counts[low])
    l.counts[low], l.total = l.counts[low] - amount, l.total - amount
    return amount
  end
  local early, late = flags % 2 == 1, flags >= 2
  if at == l.start then
    L.count(l, -amount, early, true, late)
    return amount
  end
  local next = L.next_of(l, at)
  if next == l.start then
    L.count(l, -amount, true, late, false)
  elseif late and L.next_of(l, next) == l.start then
    L.count(l, -amount, true, false, false)
  else
    return 0
  end
  return amount
end

-- A limit at work: its meter, what is held apart, its pause, and what the provider reported of it.
function L.pause_left(at) return at.pause and max(0, at.pause - clock) or 0 end

function L.bring_on(l)
  local at = min(l.empty_own, l.empty_resource, l.observed_until)
  while at <= clock do
    l.came_back = (l.came_back + L.meter_bring(l, at, wall)) % 2 ^ 52
    if l.empty_own == at or l.empty_resource == at then
      if l.empty_own == at then l.empty_own = NEVER end
      if l.empty_resource == at then l.empty_resource = NEVER end
      if l.kind == "bucket" and not l.concurrency then l.level, l.rest = min(l.level, 0), 0 end
    end
    if l.observed_until == at then L.observe_amount(l, nil) end
    at = min(l.empty_own, l.empty_resource, l.observed_until)
  end
  l.came_back = (l.came_back + L.meter_bring(l, clock, wall)) % 2 ^ 52
end

-- Lets time pass: refills, ends what a pause or a report of the provider had changed.
function L.bring(l)
  if l.clock == clock and l.wall == wall then return end
  l.clock, l.wall, l.changed = clock, wall, true
  L.bring_on(l)
end

function L.left(l) return L.meter_left(l) - l.held end

-- Counts a grant: returns where, for the hold to remember.
function L.reserve(l, amount)
  if not l.until_settled then return L.charge(l, amount) end
  l.held, l.changed = min(BOUND, l.held + amount), true
  return 0, 0
end

-- The table of settlement: what goes back, and what is charged, where `used` replaces a share.
function L.settle_share(l, generation, at, flags, reserved, extra, used_now)
  local total = reserved + extra
  local over = max(0, used_now - total)
  if l.concurrency then return L.give_back(l, at, flags, l.generation == generation and reserved or 0), 0 end
  if l.generation ~= generation then
    L.charge(l, over)
    return 0, over
  elseif l.until_settled then
    l.held = max(0, l.held - total)
    L.charge(l, used_now)
    return max(0, total - used_now), over
  elseif over > 0 then
    L.charge(l, over)
    return 0, over
  end
  return L.give_back(l, at, flags, min(total - used_now, reserved)), 0
end

-- Made only by a call that needs more than a bucket.
function group.meters()

-- The terms of a limit of which the provider says that the amount is at most `observed`; nil where they do not fit.
function L.terms_of(spec, observed)
  local amount = min(spec.amount, observed)
  local t = { amount = amount, most = amount, tick = 1, kind = "bucket", window = 0 }
  if spec.algorithm == "token_bucket" then
    local burst, grown = min(spec.burst, observed), spec.window
    local q, m = L.div(amount, spec.window)
    local shrink = q * spec.transit + L.up(m * spec.transit, spec.window)
    t.tick, t.most = spec.window > DAY and 1000 or 1, burst - shrink
    if burst <= shrink then t.most, grown = 1, spec.window + amount * spec.transit end
    t.window = L.up(grown, t.tick)
    if t.window > MAX_TICKS then return nil end
  elseif spec.algorithm == "sliding_window" then
    t.kind, t.tick = "sliding", spec.window > DAY and 1000 or 1
    local ticks = L.up(spec.window, t.tick)
    t.slot = L.up(ticks, spec.slots)
    t.leaves_after = ticks + t.slot + L.up(spec.transit, t.tick)
  elseif spec.algorithm == "fixed_window" then
    local shortest = spec.period or MAX_TICKS * 1000
    for at = 2, #(spec.instants or {}) do shortest = min(shortest, spec.instants[at] - spec.instants[at - 1]) end
    t.kind, t.period, t.phase, t.margin = "fixed", spec.period or false, spec.phase, min(spec.margin, (L.div(shortest, 4)))
  end
  t.unit = max(1, floor(2 ^ 40 / max(t.amount, t.most, 1)))
  return t
end

function L.until_tick(l, tick, at) return max(0, tick * l.tick - at) end

-- The fewest ticks after which the rule of `refill` gives `need`; nil where none do.
function L.ticks_to(l, level, need)
  if level >= need then return 0 end
  if l.window == 0 then return nil end
  local missing = need - level
  local whole = L.div(missing - 1, l.amount)
  missing = missing - whole * l.amount
  if missing * l.window < 2 ^ 52 then
    return whole * l.window + L.up(max(0, missing * l.window - l.rest), l.amount)
  end
  local q, m = L.div(l.amount, l.window)
  local low, high = 0, l.window
  while low < high do
    local middle = floor((low + high) / 2)
    if middle * q + L.div(middle * m + l.rest, l.window) >= missing then high = middle else low = middle + 1 end
  end
  return whole * l.window + low
end

-- The boundaries of a fixed window: the start of the period of an instant, and the first boundary after one.
function L.instants_of(l)
  if not l.instants then l.instants = L.read(LEDGER, "b" .. l.number) end
  return l.instants
end

function L.following(l, instant)
  if l.period then return instant + l.period end
  local instants = L.instants_of(l)
  local low, high = 1, #instants + 1
  while low < high do
    local middle = floor((low + high) / 2)
    if instants[middle] <= instant then low = middle + 1 else high = middle end
  end
  return instants[low], low
end

function L.start_of(l, instant)
  if l.period then return instant - (instant - l.phase % l.period) % l.period end
  local _, after = L.following(l, instant)
  return L.instants_of(l)[after - 1] or 0
end

function L.next_of(l, instant) return instant and L.following(l, instant) or nil end

function L.turn_to(l, start)
  l.start = start
  l.stop = L.following(l, start) or false
end

function L.roll(l, at)
  if l.stop and at < l.stop and at >= l.start then return 0 end
  local start = L.start_of(l, at)
  if start <= l.start then return 0 end
  local before, stop = l.current, l.stop or nil
  if stop == start then
    l.previous, l.current, l.next = l.current, l.next, 0
  elseif L.next_of(l, stop) == start then
    l.previous, l.current, l.next = l.next, 0, 0
  else
    l.previous, l.current, l.next = 0, 0, 0
  end
  L.turn_to(l, start)
  return max(0, before - l.current)
end

function L.near(l, at) return at < l.start + l.margin, l.margin > 0 and l.stop and at >= l.stop - l.margin end

function L.used(l, at)
  local early, late = L.near(l, at)
  return max(l.current, early and l.previous or 0, late and l.next or 0)
end

function L.count(l, amount, previous, current, next)
  if previous then l.previous = min(max(l.previous + amount, 0), BOUND) end
  if current then l.current = min(max(l.current + amount, 0), BOUND) end
  if next then l.next = min(max(l.next + amount, 0), BOUND) end
end

function L.leave(l, at)
  local oldest, before = L.ticks(l, at) - l.leaves_after, l.total
  while l.starts[l.first] and l.starts[l.first] <= oldest do
    l.total, l.first = l.total - l.counts[l.first], l.first + 1
  end
  return before - l.total
end

function L.fixed_ready(l, at, need)
  local stop = l.stop or nil
  local second = L.next_of(l, stop)
  for _, instant in ipairs({ at, l.start + l.margin, stop or NEVER, (stop or NEVER) + l.margin, second or NEVER, (second or NEVER) + l.margin }) do
    if instant >= at and instant < NEVER then
      local by_then = setmetatable({}, { __index = l })
      L.roll(by_then, instant)
      if l.amount - L.used(by_then, instant) >= need then return instant - at end
    end
  end
  return NEVER
end

-- After what time this much is left if nothing settles.
function L.meter_ready(l, at_clock, at_wall, need)
  if need > l.most then return L.meter_left(l) >= need and 0 or NEVER end
  if l.kind == "bucket" then
    local dt = L.ticks_to(l, l.level, need)
    return dt == 0 and 0 or dt and L.until_tick(l, l.at + dt, at_clock) or NEVER
  elseif l.kind == "sliding" then
    local missing = need - (l.amount - l.total)
    if missing <= 0 then return 0 end
    for at = l.first, #l.starts do
      missing = missing - l.counts[at]
      if missing <= 0 then return L.until_tick(l, l.starts[at] + l.leaves_after, at_clock) end
    end
    return NEVER
  end
  return L.fixed_ready(l, at_wall, need)
end

function L.meter_full_by(l)
  if l.concurrency then return MINUTE end
  if l.kind == "bucket" then
    local dt = L.ticks_to(l, min(l.level, 0), l.most)
    return dt and L.until_tick(l, l.at + dt, clock) or NEVER
  elseif l.kind == "sliding" then
    local tick = L.ticks(l, clock)
    return L.until_tick(l, tick - tick % l.slot + l.leaves_after, clock)
  end
  local _, late = L.near(l, wall)
  local stop = l.stop or nil
  if late then stop = L.next_of(l, stop) end
  return stop and max(0, stop + l.margin - wall) or NEVER
end

-- Takes over other terms of the same kind: what was counted stays, and more room comes only with time.
function L.adopt(l, terms)
  local most, window = l.most, l.window
  for name, value in pairs(terms) do l[name] = value end
  l.changed = true
  if l.kind == "bucket" then
    local kept = l.level + l.most - most
    l.level = max(-BOUND, l.concurrency and kept or min(kept, l.level))
    if window ~= l.window or l.level >= l.most then l.rest = 0 end
  elseif l.kind == "fixed" then
    L.turn_to(l, L.start_of(l, max(l.start, l.wall)))
  end
end

function L.spec_of(number) return L.read(LEDGER, "s" .. number) end

-- The length of a window or period, 0 for concurrency.
function L.window_of(l, spec)
  if spec.instants then return l.stop and l.stop - l.start or NEVER end
  return spec.window or spec.period or 0
end

function L.observe_amount(l, amount, at)
  l.observed, l.observed_until = amount or false, amount and at + HOUR or NEVER
  local terms = L.terms_of(L.spec_of(l.number), amount or NEVER)
  if terms then L.adopt(l, terms) end
end

function L.restart_empty(l, whose, at)
  L.bring(l)
  l[whose], l.changed = at, true
  L.bring_on(l)
end

function L.last_empty(l)
  local own, resource = l.empty_own, l.empty_resource
  if own == NEVER then own = nil end
  if resource == NEVER then resource = nil end
  return own and resource and max(own, resource) or own or resource
end

function L.ready(l, demand)
  local need, last = demand + l.held, L.last_empty(l)
  if last and l.kind == "bucket" then
    local by_then, now = setmetatable({}, { __index = l }), clock
    clock = last
    L.bring_on(by_then)
    clock = now
    return L.meter_ready(by_then, last, wall, need) + max(0, last - clock)
  end
  return L.meter_ready(l, clock, wall, need)
end

function L.changes_in(l) return l.observed and max(0, l.observed_until - clock) or NEVER end

function L.full_by(l)
  local last = L.last_empty(l)
  return max(L.meter_full_by(l), l.until_settled and MINUTE or 0) + (last and max(0, last - clock) or 0)
end

function L.observe_left(l, remaining)
  local above = L.meter_left(l) - remaining
  if above > 0 and not l.concurrency then L.charge(l, above) end
end

-- What goes back, and what is charged, where a share changes by so much.
function L.amend_share(l, generation, at, flags, reserved, change)
  local lowered, raised = min(max(0, -change), reserved), max(0, change)
  if l.generation ~= generation then
    if l.concurrency then raised = 0 end
    L.charge(l, raised)
    return 0, raised
  elseif l.concurrency then
    return L.give_back(l, at, flags, lowered), 0
  elseif l.until_settled then
    l.held, l.changed = max(0, l.held + change), true
    return max(0, -change), raised
  elseif change > 0 then
    L.charge(l, change)
    return 0, change
  end
  return L.give_back(l, at, flags, lowered), 0
end

end
