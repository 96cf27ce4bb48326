//! Which ledgers are there: what the names of keys tell.

use std::collections::BTreeSet;

use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use ::redis::{Cmd, RedisResult, Value, cmd, from_redis_value};

use super::connect::Wire;
use super::script;

/// How many keys a server goes through in one go.
const STRIDE: u64 = 1_000;

/// Returns the names of all ledgers under a prefix.
pub(super) async fn ledgers(wire: &Wire, prefix: &str) -> RedisResult<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    match wire {
        Wire::Server(_) => scan(wire, None, prefix, &mut names).await?,
        Wire::Cluster { calls, .. } => {
            for node in primaries(calls).await? {
                scan(wire, Some(&node), prefix, &mut names).await?;
            }
        }
    }
    Ok(names)
}

/// Returns how many of these keys exist.
pub(super) async fn existing(wire: &Wire, keys: &[String]) -> RedisResult<usize> {
    let mut exists = cmd("EXISTS");
    exists.arg(keys);
    Ok(from_redis_value(wire.send(&exists).await?)?)
}

type Node = (String, u16);

async fn scan(
    wire: &Wire,
    node: Option<&Node>,
    prefix: &str,
    names: &mut BTreeSet<String>,
) -> RedisResult<()> {
    let pattern = format!("{}{{*}}:ledger", literal(prefix));
    let mut cursor = 0_u64;
    loop {
        let mut step = cmd("SCAN");
        step.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STRIDE);
        let said = send(wire, node, step).await?;
        let (next, keys): (u64, Vec<Vec<u8>>) = from_redis_value(said)?;
        let keys = keys.into_iter().filter_map(|key| String::from_utf8(key).ok());
        names.extend(keys.filter_map(|key| script::ledger_of(&key).map(str::to_owned)));
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

async fn send(wire: &Wire, node: Option<&Node>, command: Cmd) -> RedisResult<Value> {
    match (wire, node) {
        (Wire::Cluster { calls, .. }, Some((host, port))) => {
            let route = SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port };
            calls.clone().route_command(command, RoutingInfo::SingleNode(route)).await
        }
        _ => wire.send(&command).await,
    }
}

/// Returns the primaries of a cluster, as they call themselves.
async fn primaries(cluster: &ClusterConnection) -> RedisResult<BTreeSet<Node>> {
    let mut slots = cmd("CLUSTER");
    slots.arg("SLOTS");
    let said =
        cluster.clone().route_command(slots, RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random)).await?;
    let rows: Vec<Vec<Value>> = from_redis_value(said)?;
    let mut nodes = BTreeSet::new();
    for mut row in rows {
        // The first slot, the last, the primary, its replicas.
        if row.len() > 2 {
            let primary: Vec<Value> = from_redis_value(row.swap_remove(2))?;
            if let [host, port, ..] = primary.as_slice() {
                nodes.insert((from_redis_value(host.clone())?, from_redis_value(port.clone())?));
            }
        }
    }
    Ok(nodes)
}

/// Writes a text so that a pattern means it literally.
fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '^' | '\\' | '-') {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_no_pattern() {
        assert_eq!(literal("paceline:"), "paceline:");
        assert_eq!(literal("a*[b]-?"), r"a\*\[b\]\-\?");
    }
}
