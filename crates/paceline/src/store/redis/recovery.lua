
-- Recovery: what was lost is not granted twice. Made only by a call that has lost something, or tells what it knows.
local session, n, seen, epoch, seq, promised, time_out, inbox, sharded, run_id, fresh, on_lost, told_now, asked =
  unpack(cmsgpack.unpack(ARGV[1]), 2, 15)

local function epoch_number(text) return tonumber(text:match("^(%d+)-") or 0) end

local function recovering()
local recovery = {}

-- Brings a limit whose past is not known to where it cannot be over: `whole` where nothing of it was restored.
function recovery.distrust(l, spec, whole)
  if on_lost == "full" then return end
  bring(l)
  l.changed = true
  local owed, room = M.owed, left(l)
  local length = l.kind == "bucket" and l.window * l.tick * up(l.most, l.amount) or window_of(l, spec)
  if l.concurrency then
    if room > 0 then owed.slots[l.number] = room; charge(l, room) end
  elseif length > MINUTE and not whole then
    return
  elseif l.kind == "fixed" and length < NEVER and length > MINUTE and on_lost == "elapsed" then
    local share = min(max(0, room), floor(l.amount * (wall - l.start) / length))
    owed.shares[l.number] = share
    charge(l, share)
  elseif l.kind == "sliding" and length > MINUTE and on_lost == "elapsed" and l.total == 0 then
    local slots = div(l.leaves_after, l.slot)
    local each, tick = up(l.amount, slots), ticks(l, clock)
    l.starts, l.counts, l.first = {}, {}, 1
    for at = slots - 1, 0, -1 do
      local start = tick - tick % l.slot - at * l.slot
      local part = min(each, l.amount - l.total)
      if start >= 0 and part > 0 then insert(l.starts, start); insert(l.counts, part); l.total = l.total + part end
    end
  elseif room > 0 then
    charge(l, room)
  end
end

-- What a session knows was forgotten: a new epoch, in which everybody says what was granted to them since.
function recovery.lose(restored, after)
  M.epoch, M.restored = max(after, epoch_number(M.epoch)) + 1 .. "-" .. fresh, restored
  M.owed = { ends = clock + max(time_out or 0, 10000), since = clock, slots = {}, shares = {}, reported = {} }
  write(SESSIONS, "", M.epoch)
  for _, number in pairs(limit_numbers()) do recovery.distrust(limit_at(number), spec_of(number), restored < 0) end
  flush_owners()
  for _, row in ipairs(call("ZRANGEBYLEX", OWNERS, "[x", "(y")) do
    local s = session_at(sub(row, 16))
    if s and s.time_out then s.expires, s.changed = clock + s.time_out, true end
  end
end

function recovery.restore(number, resource, lane, reserved, extra, age)
  local ticket, r = ticket_key(session, number), resource_at(resource)
  local s = session_at(session)
  s.highest, s.restated[format("%.0f", number)], s.changed = max(s.highest, number), true, true
  local t = ticket_at(ticket)
  if not r then return { "refused", "no_resource" } end
  if t and t[1] == 2 then return "done" end
  if t then dequeue(ticket) end
  local entries = {}
  for _, d in ipairs(draws_of(r, lane)) do
    local l, at, flags = d.limit, 0, 0
    local amount = reserved[l.metric] or 0
    bring(l)
    if l.until_settled then
      reserve(l, amount)
    elseif l.concurrency then
      local taken = M.owed and min(amount, M.owed.slots[l.number] or 0) or 0
      if taken > 0 then M.owed.slots[l.number] = M.owed.slots[l.number] - taken end
      at, flags = charge(l, amount - taken)
    else
      at, flags = charge(l, 0)
    end
    insert(entries, l.number); insert(entries, l.generation); insert(entries, at); insert(entries, flags)
  end
  r.in_flight, r.changed = r.in_flight + 1, true
  put_ticket(ticket, { 2, session, resource, lane, reserved, next(extra) and extra or false, max(0, clock - age), entries })
  owned_by(session, ticket)
  return "done"
end

function recovery.spent(resource, lane, amounts)
  local r, owed = resource_at(resource), M.owed
  if not r or not owed then return "done" end
  for _, d in ipairs(draws_of(r, lane)) do
    local l = d.limit
    local length = l.concurrency and 0 or l.kind == "bucket" and l.window * l.tick * up(l.most, l.amount) or window_of(l, spec_of(l.number))
    if length > MINUTE and on_lost ~= "full" then
      bring(l)
      local share, told = owed.shares[l.number] or 0, owed.reported[l.number] or 0
      owed.reported[l.number] = told + (amounts[l.metric] or 0)
      charge(l, max(0, owed.reported[l.number] - share) - max(0, told - share))
    end
  end
  return "done"
end

function recovery.recovered()
  local s = session_at(session)
  for _, row in ipairs(belongings(session, 100000)) do
    local ticket = sub(row, 18)
    local of, number = split(ticket)
    if ticket_at(ticket)[1] == 2 and of == session and not s.restated[format("%.0f", number)] then end_hold(ticket, {}) end
  end
  s.restated, s.changed = {}, true
  return "done"
end

return recovery
end
