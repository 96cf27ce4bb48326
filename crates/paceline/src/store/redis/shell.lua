
-- The shell: one call is one batch of a session, or of nobody. What was lost is noticed here, and recovered.
local LOOKING = { view = true, explain = true, permits = true, status = true, dump = true }

-- Begins a step: time passes, what is overdue is marked, and some of what was marked is done.
function L.begin(now)
  wall, clock = now, M.clock + max(0, now - M.wall)
  local gap = clock - M.clock
  if now < M.wall then -- what was reached stays reached, also where nobody looked
    wall, clock = M.wall, M.clock
    for _, number in pairs(L.limit_numbers()) do L.bring(L.limit_at(number)) end
    wall, clock = now, M.clock
  end
  M.clock, M.wall, M.seq = clock, wall, M.seq + 1
  more, grants_left, looks_left = false, GRANTS, LOOKS
  if M.alive > 0 then
    if gap * 2 > L.shortest() then L.forgive(gap) end
    if clock >= M.next_expiry then L.expire() end
  end
  if M.owed and clock >= M.owed.ends then L.pay_back() end
  if M.owed and clock >= M.owed.since + DAY * 62 then M.owed = false end
  if clock < M.held_off then grants_left = 0 end
  if M.dead[1] then L.sweep_sessions() end
  if M.sweep then L.sweep_line() end
end

function L.carry_out(command)
  local name, a, b, c, d, e, f, g, h, i = unpack(command, 1, 10)
  if name == "acquire" then return commands.acquire(a or session, b, c, d, e, f, g, h, i) end
  if LOOKING[name] then return views[name](a, b, c) end
  local outcome
  if name == "settle" or name == "cancel" or name == "amend" or name == "transfer" or name == "close" then
    outcome = commands[name](a or session, b, c, d)
  elseif name == "configure" then
    outcome = commands.configure(a, b, c, d, e, session)
  else
    outcome = commands[name](a, b, c, d, e, f)
  end
  if M.waits > 0 then L.walk() end
  return outcome
end

-- Reads at once what the commands name.
function L.fetch()
  local fields, keys, named = { "m", "w" }, {}, {}
  for _, command in ipairs(asked) do
    local kind = command[1]
    if kind == "acquire" then
      local resource, key = command[4], "n" .. L.lane_key(command[4], command[5])
      if not named[resource] then named[resource] = true; insert(fields, "r" .. resource); insert(fields, "q" .. resource) end
      if not named[key] then named[key] = true; insert(fields, key) end
    elseif kind == "settle" or kind == "cancel" or kind == "amend" then
      insert(keys, L.ticket_key(command[2] or session, command[3]))
    end
  end
  local rows, at = call("HMGET", LEDGER, unpack(fields)), 3
  while fields[at] do
    local kind, name = sub(fields[at], 1, 1), sub(fields[at], 2)
    if kind == "r" then
      L.read_resource(name, rows[at], rows[at + 1])
      at = at + 2
    else
      L.read_lane(name, rows[at])
      at = at + 1
    end
  end
  if #keys > 0 then
    local found = call("HMGET", TICKETS, unpack(keys))
    local numbers = {}
    for number, key in ipairs(keys) do
      local t = found[number] and { values(found[number]) }
      tickets[key] = t
      local entries = t and t[1] == 2 and t[8] or {}
      for entry = 1, #entries, 4 do
        if not named[entries[entry]] then named[entries[entry]] = true; insert(numbers, entries[entry]) end
      end
    end
    L.read_limits(numbers)
  end
  return rows[1], rows[2]
end

-- Puts what was decided into its owners' outboxes, and returns what has to be pushed.
function L.post()
  local pushes, given = {}, {}
  local function give(id, entry)
    local s = L.session_at(id)
    if not s or s.dead then return end
    s.sent, s.changed = s.sent + 1, true
    insert(entry, 1, s.sent)
    given[id] = given[id] or {}
    insert(given[id], entry)
  end
  for _, decision in ipairs(decisions) do
    if decision[2] == "differs" then
      L.flush_owners()
      for _, row in ipairs(call("ZRANGEBYLEX", OWNERS, "[x", "(y")) do
        local id = sub(row, 16)
        local content = L.session_at(id) and L.session_at(id).contents[decision[3]]
        if content and content ~= decision[4] then give(id, { "differs", decision[3] }) end
      end
    else
      local of, number = L.split(decision[1])
      local entry = { decision[2], number, unpack(decision, 3) }
      if decision[2] == "granted" then insert(entry, wall) end
      give(of, entry)
    end
  end
  for id, entries in pairs(given) do
    local s = L.session_at(id)
    insert(s.chunks, { entries[1][1], entries[#entries][1] })
    L.write(SESSIONS, "o" .. id .. entries[1][1], pack(entries))
    if id ~= session then pushes[id] = { entries, false } end
  end
  return pushes, given[session]
end

-- The entries of the caller's outbox above what it has seen.
function L.outbox(s, new)
  local fields, entries = {}, {}
  for _, chunk in ipairs(s.chunks) do
    if not new or chunk[1] ~= new[1][1] then insert(fields, "o" .. session .. chunk[1]) end
  end
  if #fields > 0 then
    for _, row in ipairs(call("HMGET", SESSIONS, unpack(fields))) do
      for _, entry in ipairs(row and values(row) or {}) do if entry[1] > seen then insert(entries, entry) end end
    end
  end
  for _, entry in ipairs(new or {}) do insert(entries, entry) end
  return entries
end

function L.acknowledge(s)
  while s.chunks[1] and s.chunks[1][2] <= seen do
    L.write(SESSIONS, "o" .. session .. s.chunks[1][1], false)
    table.remove(s.chunks, 1)
    s.changed = true
  end
end

-- Who keeps time: the owner of the head that is due first. Returns when it is the caller, and tells another.
function L.keep_time(pushes)
  local due, whose = NEVER, false
  if M.waits > 0 then due, whose = L.plan() end
  if more or M.sweep or #M.dead > 0 then due, whose = 0, session or whose end
  if M.owed and next(M.owed.slots) and M.waits > 0 then
    due = min(due, max(0, M.owed.ends - clock))
    whose = whose or session
  end
  if clock < M.held_off and (M.waits > 0 or due == 0) then due, whose = M.held_off - clock, whose or session end
  if due == NEVER then
    M.keeper = false
    return false
  end
  local at = clock + due
  local told = M.keeper == whose and M.keeper_due <= at and M.keeper_due > clock
  if told and whose ~= session then return false end
  M.keeper, M.keeper_due = whose, at
  if whose == session then return due end
  if whose then
    pushes[whose] = pushes[whose] or { {}, false }
    pushes[whose][2] = due
  end
  return false
end

function L.keep_alive()
  if M.kept_until - wall > M.keep / 2 then return end
  local keep = M.keep
  for _, l in pairs(limits) do
    if l and l.kind == "bucket" and not l.concurrency then keep = max(keep, 2 * L.ready(l, l.most)) end
  end
  M.kept_until = keep < NEVER and wall + keep or 2 ^ 52
  return function()
    for _, key in ipairs({ LEDGER, SESSIONS, TICKETS, LINE, OWNERS }) do
      if keep < NEVER then call("PEXPIREAT", key, format("%.0f", M.kept_until)) else call("PERSIST", key) end
    end
  end
end

function L.answer(status, due, entries, outcomes)
  return pack({ status, M.epoch, M.seq, M.kept_until, wall, due, entries, outcomes, M.alive, M.restored or -1 })
end

function L.only_looks()
  for _, command in ipairs(asked) do if not LOOKING[command[1]] then return false end end
  return not session and #asked > 0
end

function L.now_of()
  if told_now then return told_now end
  local time = call("TIME")
  return time[1] * 1000 + floor(time[2] / 1000)
end

-- What happens before a batch is applied: returns a reply where it is not to be.
function L.admit(now, row)
  local whole = call("EXISTS", LEDGER, SESSIONS, TICKETS, LINE, OWNERS)
  if L.only_looks() then -- and begins nothing
    if row then L.read_ledger(row) else M = L.new_ledger(now, 0) end
    wall, clock = M.wall, M.clock
    return
  end
  if whole < 5 or not row then
    L.begin_ledger(now, L.epoch_number(epoch))
    wall, clock, waiting = now, now, {}
    if whole > 0 or epoch ~= "" and now < promised then L.lose(-1, L.epoch_number(epoch)) end
    if epoch ~= "" and M.restored then return "lost" end
  else
    L.read_ledger(row)
    clock, wall = M.clock + max(0, now - M.wall), now
    if epoch ~= "" and (epoch ~= M.epoch or seq > M.seq) then
      if epoch == M.epoch then L.lose(M.seq, 0)
      elseif L.epoch_number(epoch) >= L.epoch_number(M.epoch) then L.lose(-1, L.epoch_number(epoch)) end
      return "lost"
    end
  end
  if run_id ~= "" and M.run_id ~= run_id then
    if M.run_id ~= "" then M.held_off = clock + floor((time_out or 10000) / 3) end
    M.run_id = run_id
  end
  if not session then return end
  local s = L.session_at(session)
  if s and s.epoch and s.epoch ~= M.epoch then
    if n ~= 1 then return "lost" end
    -- A grant that it has not heard of is gone with its outbox: it may ask for that ticket again.
    s.last, s.sent, s.highest, s.epoch, s.restated, s.changed = 0, 0, 0, M.epoch, {}, true
    for _, chunk in ipairs(s.chunks) do L.write(SESSIONS, "o" .. session .. chunk[1], false) end
    s.chunks = {}
  end
  if not s or s.dead then return n ~= 1 and "expired" or s and "expired" or nil end
  if n == s.last then return "kept" end
  if n < s.last then return "stale" end
  if n > s.last + 1 then
    L.lose(M.seq, 0)
    return "lost"
  end
end

function L.run()
  local now = L.now_of()
  local meta, lanes_waiting = L.fetch()
  waiting = lanes_waiting and values(lanes_waiting) or {}
  local refusal = L.admit(now, meta)
  if refusal == "kept" then return call("HGET", SESSIONS, "r" .. session) end
  if refusal then
    if refusal == "lost" then
      M.clock, M.wall = clock, wall
      L.flush()
    end
    return L.answer(refusal, false, {}, {})
  end
  local outcomes = {}
  if L.only_looks() then
    if M.seq > 0 and asked[1][1] ~= "dump" then clock, wall = M.clock + max(0, now - M.wall), now end
    for at, command in ipairs(asked) do outcomes[at] = views[command[1]](unpack(command, 2, 4)) end
    return L.answer("ok", false, {}, outcomes)
  end
  L.begin(now)
  local s = session
  if session then
    L.renew(session, time_out)
    s = L.session_at(session)
    s.last, s.inbox, s.epoch, s.restated, s.changed = n, inbox, M.epoch, s.restated or false, true
    L.acknowledge(s)
  end
  for at, command in ipairs(asked) do outcomes[at] = L.carry_out(command) end
  if #asked == 0 and M.waits > 0 then L.walk() end
  if told_now and not session then -- an exam
    local due = NEVER
    if more or M.sweep or #M.dead > 0 then due = 0 else
      if M.waits > 0 then due = L.plan() end
      local _, first = L.first_expiry()
      if first < NEVER then due = min(due, max(0, first - clock), max(1, floor(L.shortest() / 2))) end
    end
    L.flush()
    local entries, whose = {}, {}
    for at, decision in ipairs(decisions) do
      local of, number = L.split(decision[1])
      entries[at], whose[at] = { at, decision[2], number, unpack(decision, 3) }, of
      if decision[2] == "granted" then insert(entries[at], wall) end
    end
    return pack({ "ok", M.epoch, M.seq, M.kept_until, wall, due, entries, outcomes, M.alive, -1, whose })
  end
  local pushes, new = L.post()
  local due = L.keep_time(pushes)
  local expire_keys = L.keep_alive()
  local reply = L.answer("ok", due, session and L.outbox(s, new) or {}, outcomes)
  if session then L.write(SESSIONS, "r" .. session, reply) end
  L.flush()
  if expire_keys then expire_keys() end
  for id, push in pairs(pushes) do
    local to = L.session_at(id)
    if to and to.inbox ~= "" then call(sharded and "SPUBLISH" or "PUBLISH", to.inbox, pack({ id, M.epoch, push[1], push[2] })) end
  end
  return reply
end

-- Answers one call, of which nothing is left for the next.
function L.serve(keys, arguments)
  LEDGER, SESSIONS, TICKETS, LINE, OWNERS = unpack(keys, 1, 5)
  call, M, clock, wall, waiting = redis.call, nil, nil, nil, nil
  limits, resources, lanes, tickets, sessions, written, decisions = {}, {}, {}, {}, {}, {}, {}
  line_adds, line_removes, owner_adds, owner_removes, standings, aside, queues = {}, {}, {}, {}, {}, {}, {}
  local _
  _, session, n, seen, epoch, seq, promised, time_out, inbox, sharded, run_id, fresh, on_lost, told_now, asked =
    unpack(values(arguments[1]), 1, 15)
  return L.run()
end
