//! A cluster of three primaries.

use super::{Redis, RedisServer, Reply};
use crate::until;

/// Three primaries that share the slots, killed when they are dropped.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

const SLOTS: u16 = 16_384;
const NODES: u16 = 3;

impl RedisCluster {
    /// Starts the cluster, and waits until all of it is served.
    pub fn start() -> Self {
        Self::with(&Redis::default())
    }

    /// Starts the cluster of nodes of this kind.
    pub fn with(how: &Redis) -> Self {
        let nodes: Vec<_> = (0..NODES).map(|_| how.clone().cluster().start()).collect();
        let share = SLOTS / NODES;
        for (node, at) in nodes.iter().zip(0_u16..) {
            let last = if at + 1 == NODES { SLOTS } else { (at + 1) * share } - 1;
            node.cli(&["CLUSTER", "ADDSLOTSRANGE", &(at * share).to_string(), &last.to_string()]);
            node.cli(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]);
        }
        let (first, others) = nodes.split_first().expect("there are three nodes");
        for node in others {
            let (port, bus) = (node.port().to_string(), node.cluster_port().to_string());
            first.cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        let cluster = Self { nodes };
        cluster.wait_until_served();
        cluster
    }

    /// Returns the nodes.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Returns a node, to do something to it.
    pub fn node_mut(&mut self, at: usize) -> &mut RedisServer {
        self.nodes.get_mut(at).expect("there are three nodes")
    }

    /// Returns the URL of all nodes.
    pub fn url(&self) -> String {
        let ports: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", ports.join(","))
    }

    /// Waits until every node knows all nodes, and finds all slots served.
    pub fn wait_until_served(&self) {
        until("the cluster is served", || {
            let served = |node: &RedisServer| {
                let Ok(info) = node.ask(&["CLUSTER", "INFO"]) else { return false };
                info.field("cluster_state") == Some("ok")
                    && info.field("cluster_known_nodes") == Some("3")
                    && info.field("cluster_slots_assigned") == Some("16384")
            };
            self.nodes.iter().all(served).then_some(())
        });
    }

    /// Returns which node serves a slot.
    pub fn owner_of(&self, slot: u16) -> usize {
        let owns = |node: &RedisServer| {
            let nodes = node.cli(&["CLUSTER", "NODES"]);
            let mut own = nodes.text().lines().filter(|line| line.contains("myself"));
            own.next().is_some_and(|line| line.split(' ').skip(8).any(|range| holds(range, slot)))
        };
        self.nodes.iter().position(owns).expect("the slot is served")
    }

    /// Begins to move a slot to a node: keys that are missing here are asked for there.
    pub fn begin_migration(&self, slot: u16, to: usize) {
        let (from, to) = (self.node(self.owner_of(slot)), self.node(to));
        let slot = slot.to_string();
        to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    }

    /// Moves the keys of a slot whose migration was begun, and says that it is served there.
    pub fn finish_migration(&self, slot: u16, to: usize) {
        let (from, target) = (self.node(self.owner_of(slot)), self.node(to));
        let (text, port) = (slot.to_string(), target.port().to_string());
        loop {
            let keys = from.cli(&["CLUSTER", "GETKEYSINSLOT", &text, "100"]);
            let keys: Vec<_> = keys.array().iter().map(Reply::text).collect();
            if keys.is_empty() {
                break;
            }
            let command = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            from.cli(&[&command[..], &keys].concat());
        }
        let id = id(target);
        for node in [target, from].into_iter().chain(&self.nodes) {
            node.cli(&["CLUSTER", "SETSLOT", &text, "NODE", &id]);
        }
    }

    /// Moves a slot and its keys to a node.
    pub fn migrate(&self, slot: u16, to: usize) {
        if self.owner_of(slot) != to {
            self.begin_migration(slot, to);
            self.finish_migration(slot, to);
        }
    }

    fn node(&self, at: usize) -> &RedisServer {
        self.nodes.get(at).expect("there are three nodes")
    }
}

fn id(node: &RedisServer) -> String {
    node.cli(&["CLUSTER", "MYID"]).text().to_owned()
}

fn holds(range: &str, slot: u16) -> bool {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    matches!((first.parse(), last.parse()), (Ok(first), Ok(last)) if (first..=last).contains(&slot))
}

/// Returns the slot of a key, of which only the part in braces counts.
pub fn slot_of(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let counted = tag.filter(|tag| !tag.is_empty()).unwrap_or(key);
    let step =
        |crc: u16, byte: u8| {
            (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            })
        };
    counted.bytes().fold(0, step) % SLOTS
}
