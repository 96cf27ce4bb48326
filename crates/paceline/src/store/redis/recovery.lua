
-- Recovery: what was lost is not granted twice. Made only by a call that has lost something, or tells what it knows.
local session, n, seen, epoch, seq, promised, time_out, inbox, sharded, run_id, fresh, on_lost, told_now, asked -- the batch

function L.epoch_number(text) return tonumber(text:match("^(%d+)-") or 0) end

function group.recovery()

-- Brings a limit whose past is not known to where it cannot be over: `whole` where nothing of it was restored.
function L.distrust(l, spec, whole)
  if on_lost == "full" then return end
  L.bring(l)
  l.changed = true
  local owed, room = M.owed, L.left(l)
  local length = l.kind == "bucket" and l.window * l.tick * L.up(l.most, l.amount) or L.window_of(l, spec)
  if l.concurrency then
    if room > 0 then owed.slots[l.number] = room; L.charge(l, room) end
  elseif length > MINUTE and not whole then
    return
  elseif l.kind == "fixed" and length < NEVER and length > MINUTE and on_lost == "elapsed" then
    local share = min(max(0, room), floor(l.amount * (wall - l.start) / length))
    owed.shares[l.number] = share
    L.charge(l, share)
  elseif l.kind == "sliding" and length > MINUTE and on_lost == "elapsed" and l.total == 0 then
    local slots = L.div(l.leaves_after, l.slot)
    local each, tick = L.up(l.amount, slots), L.ticks(l, clock)
    owed.shares[l.number] = l.amount
    l.starts, l.counts, l.first = {}, {}, 1
    for at = slots - 1, 0, -1 do
      local start = tick - tick % l.slot - at * l.slot
      local part = min(each, l.amount - l.total)
      if start >= 0 and part > 0 then insert(l.starts, start); insert(l.counts, part); l.total = l.total + part end
    end
  elseif room > 0 then
    if length > MINUTE then owed.shares[l.number] = room end
    L.charge(l, room)
  end
end

-- What a session knows was forgotten: a new epoch, in which everybody says what was granted to them since.
function L.lose(restored, after)
  M.epoch, M.restored = max(after, L.epoch_number(M.epoch)) + 1 .. "-" .. fresh, restored
  M.owed = { ends = clock + max(time_out or 0, 10000), since = clock, slots = {}, shares = {}, reported = {} }
  L.write(SESSIONS, "", M.epoch)
  for _, number in pairs(L.limit_numbers()) do L.distrust(L.limit_at(number), L.spec_of(number), restored < 0) end
  L.flush_owners()
  for _, row in ipairs(call("ZRANGEBYLEX", OWNERS, "[x", "(y")) do
    local s = L.session_at(sub(row, 16))
    if s and s.time_out then s.expires, s.changed = clock + s.time_out, true end
  end
end

function commands.restore(number, resource, lane, reserved, extra, age)
  local ticket, r = L.ticket_key(session, number), L.resource_at(resource)
  local s = L.session_at(session)
  -- It does not count as the highest: a ticket that waited longer may have a lower number, and is asked for again.
  s.restated = s.restated or {}
  s.restated[format("%.0f", number)], s.changed = true, true
  local t = L.ticket_at(ticket)
  if not r then return { "refused", "no_resource" } end
  if t and t[1] == 2 then return "done" end
  if t then L.dequeue(ticket) end
  local entries = {}
  for _, d in ipairs(L.draws_of(r, lane)) do
    local l, at, flags = d.limit, 0, 0
    local amount = reserved[l.metric] or 0
    L.bring(l)
    if l.until_settled then
      L.reserve(l, amount)
    elseif l.concurrency then
      local taken = M.owed and min(amount, M.owed.slots[l.number] or 0) or 0
      if taken > 0 then M.owed.slots[l.number] = M.owed.slots[l.number] - taken end
      at, flags = L.charge(l, amount - taken)
    else
      at, flags = L.charge(l, 0)
    end
    insert(entries, l.number); insert(entries, l.generation); insert(entries, at); insert(entries, flags)
  end
  r.in_flight, r.changed = r.in_flight + 1, true
  L.put_ticket(ticket, { 2, session, resource, lane, reserved, next(extra) and extra or false, max(0, clock - age), entries })
  L.owned_by(session, ticket)
  return "done"
end

function commands.spent(resource, lane, amounts)
  local r, owed = L.resource_at(resource), M.owed
  if not r or not owed then return "done" end
  for _, d in ipairs(L.draws_of(r, lane)) do
    local l = d.limit
    local length = l.concurrency and 0 or l.kind == "bucket" and l.window * l.tick * L.up(l.most, l.amount) or L.window_of(l, L.spec_of(l.number))
    if length > MINUTE and on_lost ~= "full" then
      L.bring(l)
      local share, told = owed.shares[l.number] or 0, owed.reported[l.number] or 0
      owed.reported[l.number] = told + (amounts[l.metric] or 0)
      L.charge(l, max(0, owed.reported[l.number] - share) - max(0, told - share))
    end
  end
  return "done"
end

function commands.recovered()
  local s = L.session_at(session)
  for _, row in ipairs(L.belongings(session, 100000)) do
    local ticket = sub(row, 18)
    local of, number = L.split(ticket)
    if L.ticket_at(ticket)[1] == 2 and of == session and not (s.restated or {})[format("%.0f", number)] then L.end_hold(ticket, {}) end
  end
  s.restated, s.changed = {}, true
  return "done"
end

function L.new_ledger(now, after)
  return { epoch = after + 1 .. "-" .. fresh, seq = 0, run_id = run_id, clock = now, wall = now, arrivals = 0, generations = 0, virtual = 0, held_off = 0,
    kept_until = 0, keep = HOUR, next_expiry = NEVER, keeper = false, keeper_due = 0, lane_numbers = 0, limits = 0, waits = 0, dead = {}, sweep = false,
    time_outs = {}, alive = 0, restored = false, owed = false }
end

function L.begin_ledger(now, after)
  M = L.new_ledger(now, after)
  call("DEL", LEDGER, SESSIONS, TICKETS, LINE, OWNERS)
  L.write(SESSIONS, "", M.epoch)
  L.write(TICKETS, "", M.epoch)
  line_adds["!"], owner_adds["!"] = true, true
end

-- Gives back what was taken for sessions that might have held it.
function L.pay_back()
  for number, amount in pairs(M.owed.slots) do
    local l = L.limit_at(number)
    if l and l.known and l.concurrency then l.level, l.changed = min(l.most, l.level + amount), true end
  end
  M.owed.slots = {}
end

end
