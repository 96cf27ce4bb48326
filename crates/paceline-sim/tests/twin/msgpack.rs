//! `cmsgpack` as Redis has it: what is whole is an integer, what has the keys 1 to n is a list, and empty is a list.

use mlua::{Lua, MultiValue, Result, Table, Value};
use rmp::{Marker, decode, encode};

pub fn module(lua: &Lua) -> Table {
    let module = lua.create_table().unwrap();
    let pack = lua.create_function(|lua, values: MultiValue| {
        let mut bytes = Vec::new();
        values.iter().for_each(|value| write(&mut bytes, value));
        lua.create_string(bytes)
    });
    let unpack = lua.create_function(|lua, bytes: mlua::String| {
        let bytes = bytes.as_bytes();
        let mut rest = &bytes[..];
        let mut values = Vec::new();
        while !rest.is_empty() {
            values.push(read(lua, &mut rest)?);
        }
        Ok(MultiValue::from_iter(values))
    });
    module.set("pack", pack.unwrap()).unwrap();
    module.set("unpack", unpack.unwrap()).unwrap();
    module
}

fn write(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Nil => encode::write_nil(bytes).unwrap(),
        Value::Boolean(flag) => encode::write_bool(bytes, *flag).unwrap(),
        Value::Integer(number) => drop(encode::write_sint(bytes, *number).unwrap()),
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 9e18 => {
            encode::write_sint(bytes, *number as i64).unwrap();
        }
        Value::Number(number) => encode::write_f64(bytes, *number).unwrap(),
        Value::String(text) => {
            let text = text.as_bytes();
            encode::write_str_len(bytes, text.len() as u32).unwrap();
            bytes.extend_from_slice(&text);
        }
        Value::Table(table) => write_table(bytes, table),
        other => panic!("cannot be packed: {other:?}"),
    }
}

fn write_table(bytes: &mut Vec<u8>, table: &Table) {
    let mut pairs: Vec<(Value, Value)> = table.pairs().map(Result::unwrap).collect();
    let number = |key: &Value| match key {
        Value::Integer(number) => *number,
        Value::Number(number) if number.fract() == 0.0 => *number as i64,
        _ => 0,
    };
    pairs.sort_by_key(|(key, _)| number(key));
    if pairs.iter().zip(1..).all(|((key, _), at)| number(key) == at) {
        encode::write_array_len(bytes, pairs.len() as u32).unwrap();
        pairs.iter().for_each(|(_, value)| write(bytes, value));
        return;
    }
    encode::write_map_len(bytes, pairs.len() as u32).unwrap();
    for (key, value) in &pairs {
        write(bytes, key);
        write(bytes, value);
    }
}

fn read(lua: &Lua, bytes: &mut &[u8]) -> Result<Value> {
    let marker =
        Marker::from_u8(*bytes.first().ok_or_else(|| mlua::Error::runtime("Missing bytes in input."))?);
    Ok(match marker {
        Marker::Null => {
            decode::read_nil(bytes).unwrap();
            Value::Nil
        }
        Marker::True | Marker::False => Value::Boolean(decode::read_bool(bytes).unwrap()),
        Marker::F32 => Value::Number(f64::from(decode::read_f32(bytes).unwrap())),
        Marker::F64 => Value::Number(decode::read_f64(bytes).unwrap()),
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
            let length = decode::read_str_len(bytes).unwrap() as usize;
            let (text, rest) = bytes.split_at(length);
            *bytes = rest;
            Value::String(lua.create_string(text)?)
        }
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
            let length = decode::read_array_len(bytes).unwrap() as usize;
            let table = lua.create_table_with_capacity(length, 0)?;
            for at in 1..=length {
                table.raw_set(at, read(lua, bytes)?)?;
            }
            Value::Table(table)
        }
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
            let table = lua.create_table()?;
            for _ in 0..decode::read_map_len(bytes).unwrap() {
                let key = read(lua, bytes)?;
                table.raw_set(key, read(lua, bytes)?)?;
            }
            Value::Table(table)
        }
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
            return Err(mlua::Error::runtime("Bad data format in input."));
        }
        _ => Value::Number(decode::read_int::<i64, _>(bytes).unwrap() as f64),
    })
}
