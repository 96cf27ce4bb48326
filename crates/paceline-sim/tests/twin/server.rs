//! As much of a Redis server as the twin needs, around an embedded Lua 5.1: thousands of steps a second.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use mlua::{Function, Lua, MultiValue, Value};
use paceline::wire::TWIN;

use super::Server;
use super::msgpack;

type Bytes = Vec<u8>;

/// The rows of a server.
#[derive(Default)]
struct Rows {
    hashes: BTreeMap<Bytes, BTreeMap<Bytes, Bytes>>,
    sets: BTreeMap<Bytes, BTreeSet<Bytes>>,
    pushed: Vec<(Bytes, Bytes)>,
}

/// A server inside the process.
pub struct Embedded {
    lua: Lua,
    twin: Function,
    rows: Arc<Mutex<Rows>>,
}

impl Embedded {
    /// Runs the twin, or the script that `PACELINE_TWIN` names: a planted mistake must not pass.
    pub fn new() -> Self {
        match std::env::var("PACELINE_TWIN") {
            Ok(path) => Self::of(&std::fs::read_to_string(path).expect("PACELINE_TWIN names a script")),
            Err(_) => Self::of(TWIN),
        }
    }

    pub fn of(script: &str) -> Self {
        let lua = Lua::new();
        let rows = Arc::new(Mutex::new(Rows::default()));
        let globals = lua.globals();
        let redis = lua.create_table().unwrap();
        let shared = Arc::clone(&rows);
        let call = lua.create_function(move |lua, args: MultiValue| shared.lock().unwrap().call(lua, &args));
        redis.set("call", call.unwrap()).unwrap();
        globals.set("redis", redis).unwrap();
        globals.set("cmsgpack", msgpack::module(&lua)).unwrap();
        let keys: Vec<&str> = vec!["ledger", "sessions", "tickets", "line", "owners"];
        globals.set("KEYS", keys).unwrap();
        let twin = lua.load(script).set_name("=ledger.lua").into_function().unwrap();
        Self { lua, twin, rows }
    }

    /// Takes the pushes since the last call: channel and payload.
    pub fn pushed(&self) -> Vec<(Bytes, Bytes)> {
        std::mem::take(&mut self.rows.lock().unwrap().pushed)
    }

    /// Loses everything, as `FLUSHALL` does.
    pub fn flush(&self) {
        *self.rows.lock().unwrap() = Rows::default();
    }

    /// Takes a copy of everything, as a snapshot on disk does.
    pub fn saved(&self) -> Saved {
        let rows = self.rows.lock().unwrap();
        Saved { hashes: rows.hashes.clone(), sets: rows.sets.clone() }
    }

    /// Goes back to a copy.
    pub fn restore(&self, saved: &Saved) {
        let mut rows = self.rows.lock().unwrap();
        (rows.hashes, rows.sets) = (saved.hashes.clone(), saved.sets.clone());
    }
}

/// A copy of the rows of a server.
pub struct Saved {
    hashes: BTreeMap<Bytes, BTreeMap<Bytes, Bytes>>,
    sets: BTreeMap<Bytes, BTreeSet<Bytes>>,
}

impl Server for Embedded {
    fn eval(&mut self, batch: &[u8]) -> Bytes {
        let argv = vec![self.lua.create_string(batch).unwrap()];
        self.lua.globals().set("ARGV", argv).unwrap();
        let reply: mlua::String =
            self.twin.call(()).unwrap_or_else(|error| panic!("the script failed: {error}"));
        reply.as_bytes().to_vec()
    }
}

impl Rows {
    fn call(&mut self, lua: &Lua, args: &MultiValue) -> mlua::Result<Value> {
        let args: Vec<Bytes> = args.iter().map(text).collect();
        let name = String::from_utf8_lossy(&args[0]).to_string();
        let rest = &args[1..];
        let key = rest.first().cloned().unwrap_or_default();
        match name.as_str() {
            "EXISTS" => int(rest
                .iter()
                .filter(|key| self.hashes.contains_key(*key) || self.sets.contains_key(*key))
                .count()),
            "HGET" => bulk(lua, self.hash(&key).and_then(|hash| hash.get(&rest[1]))),
            "HMGET" => {
                let hash = self.hashes.get(&key);
                let table = lua.create_table()?;
                for (at, field) in rest[1..].iter().enumerate() {
                    table.raw_set(at + 1, bulk(lua, hash.and_then(|hash| hash.get(field)))?)?;
                }
                Ok(Value::Table(table))
            }
            "HSET" => {
                let hash = self.hashes.entry(key).or_default();
                for pair in rest[1..].chunks(2) {
                    hash.insert(pair[0].clone(), pair[1].clone());
                }
                int(1)
            }
            "HDEL" => {
                let Some(hash) = self.hashes.get_mut(&key) else { return int(0) };
                rest[1..].iter().for_each(|field| {
                    hash.remove(field);
                });
                if hash.is_empty() {
                    self.hashes.remove(&key);
                }
                int(1)
            }
            "HLEN" => int(self.hash(&key).map_or(0, BTreeMap::len)),
            "HEXISTS" => int(usize::from(self.hash(&key).is_some_and(|hash| hash.contains_key(&rest[1])))),
            "HKEYS" => list(lua, self.hash(&key).into_iter().flat_map(|hash| hash.keys())),
            "HGETALL" => {
                list(lua, self.hash(&key).into_iter().flatten().flat_map(|(field, value)| [field, value]))
            }
            "DEL" => {
                rest.iter().for_each(|key| {
                    self.hashes.remove(key);
                    self.sets.remove(key);
                });
                int(1)
            }
            "PEXPIREAT" | "PERSIST" => int(1),
            "PUBLISH" | "SPUBLISH" => {
                self.pushed.push((key, rest[1].clone()));
                int(1)
            }
            other => self.call_set(lua, other, key, rest),
        }
    }

    fn call_set(&mut self, lua: &Lua, name: &str, key: Bytes, rest: &[Bytes]) -> mlua::Result<Value> {
        match name {
            "ZADD" => {
                let set = self.sets.entry(key).or_default();
                set.extend(rest[1..].chunks(2).map(|pair| pair[1].clone()));
                int(1)
            }
            "ZREM" => {
                let Some(set) = self.sets.get_mut(&key) else { return int(0) };
                rest[1..].iter().for_each(|member| {
                    set.remove(member);
                });
                if set.is_empty() {
                    self.sets.remove(&key);
                }
                int(1)
            }
            "ZCARD" => int(self.sets.get(&key).map_or(0, BTreeSet::len)),
            "ZLEXCOUNT" => int(self.between(&key, &rest[1], &rest[2]).count()),
            "ZRANGEBYLEX" => {
                let number = |at: usize| {
                    rest.get(at).map(|text| String::from_utf8_lossy(text).parse::<usize>().unwrap())
                };
                let between = self.between(&key, &rest[1], &rest[2]);
                list(lua, between.skip(number(4).unwrap_or(0)).take(number(5).unwrap_or(usize::MAX)))
            }
            other => Err(mlua::Error::runtime(format!("no such command: {other}"))),
        }
    }

    fn hash(&self, key: &Bytes) -> Option<&BTreeMap<Bytes, Bytes>> {
        self.hashes.get(key)
    }

    fn between<'a>(&'a self, key: &Bytes, from: &'a [u8], to: &'a [u8]) -> impl Iterator<Item = &'a Bytes> {
        let set = self.sets.get(key).into_iter().flatten();
        let above = move |member: &&Bytes| match from {
            [b'[', from @ ..] => member.as_slice() >= from,
            [_, from @ ..] => member.as_slice() > from,
            [] => panic!("a bound is missing"),
        };
        let below = move |member: &&Bytes| match to {
            [b'[', to @ ..] => member.as_slice() <= to,
            [_, to @ ..] => member.as_slice() < to,
            [] => panic!("a bound is missing"),
        };
        set.filter(above).take_while(below)
    }
}

fn text(value: &Value) -> Bytes {
    match value {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Integer(number) => number.to_string().into_bytes(),
        // As Lua 5.1 writes a number: 14 digits.
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e14 => {
            format!("{number:.0}").into_bytes()
        }
        other => panic!("redis takes no {other:?}"),
    }
}

fn int(value: usize) -> mlua::Result<Value> {
    Ok(Value::Number(value as f64))
}

fn bulk(lua: &Lua, value: Option<&Bytes>) -> mlua::Result<Value> {
    Ok(match value {
        Some(value) => Value::String(lua.create_string(value)?),
        None => Value::Boolean(false),
    })
}

fn list<'a>(lua: &Lua, values: impl Iterator<Item = &'a Bytes>) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    for (at, value) in values.enumerate() {
        table.raw_set(at + 1, lua.create_string(value)?)?;
    }
    Ok(Value::Table(table))
}
