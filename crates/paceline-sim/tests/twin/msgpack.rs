//! `cmsgpack` as Redis has it: what is whole is an integer, what has the keys 1 to n is a list, and empty is a list.

use mlua::{Lua, Table, Value};
use paceline::wire;

pub fn module(lua: &Lua) -> Table {
    let module = lua.create_table().unwrap();
    let pack = lua.create_function(|lua, value: Value| lua.create_string(wire::write_value(&packed(&value))));
    let unpack = lua.create_function(|lua, bytes: mlua::String| {
        let value = wire::read_value(&bytes.as_bytes())
            .map_err(|error| mlua::Error::runtime(format!("{error:?}")))?;
        unpacked(lua, value)
    });
    module.set("pack", pack.unwrap()).unwrap();
    module.set("unpack", unpack.unwrap()).unwrap();
    module
}

fn packed(value: &Value) -> wire::Value {
    match value {
        Value::Nil | Value::Boolean(false) => wire::Value::None,
        Value::Boolean(true) => wire::Value::True,
        Value::Integer(number) => wire::Value::Int(i64::from(*number)),
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 9e18 => {
            wire::Value::Int(*number as i64)
        }
        Value::Number(number) => wire::Value::Float(*number),
        Value::String(text) => wire::Value::Bytes(text.as_bytes().to_vec()),
        Value::Table(table) => packed_table(table),
        other => panic!("cannot be packed: {other:?}"),
    }
}

fn packed_table(table: &Table) -> wire::Value {
    let pairs: Vec<(Value, Value)> = table.pairs().map(Result::unwrap).collect();
    let number = |key: &Value| match key {
        Value::Integer(number) => Some(i64::from(*number)),
        Value::Number(number) if number.fract() == 0.0 => Some(*number as i64),
        _ => None,
    };
    let most = pairs.iter().map(|(key, _)| number(key).filter(|number| *number > 0));
    let most = most.collect::<Option<Vec<_>>>().map(|keys| keys.into_iter().max().unwrap_or(0));
    if most == Some(pairs.len() as i64) {
        let mut values: Vec<_> = pairs.iter().map(|(key, value)| (number(key), packed(value))).collect();
        values.sort_by_key(|(key, _)| *key);
        return wire::Value::List(values.into_iter().map(|(_, value)| value).collect());
    }
    wire::Value::Table(pairs.iter().map(|(key, value)| (packed(key), packed(value))).collect())
}

fn unpacked(lua: &Lua, value: wire::Value) -> mlua::Result<Value> {
    Ok(match value {
        wire::Value::None => Value::Boolean(false),
        wire::Value::True => Value::Boolean(true),
        wire::Value::Int(number) => Value::Number(number as f64),
        wire::Value::Float(number) => Value::Number(number),
        wire::Value::Bytes(bytes) => Value::String(lua.create_string(bytes)?),
        wire::Value::List(values) => {
            let table = lua.create_table_with_capacity(values.len(), 0)?;
            for (at, value) in values.into_iter().enumerate() {
                table.raw_set(at + 1, unpacked(lua, value)?)?;
            }
            Value::Table(table)
        }
        wire::Value::Table(pairs) => {
            let table = lua.create_table_with_capacity(0, pairs.len())?;
            for (key, value) in pairs {
                table.raw_set(unpacked(lua, key)?, unpacked(lua, value)?)?;
            }
            Value::Table(table)
        }
    })
}
