//! What a server says of itself.

use ::redis::aio::MultiplexedConnection;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use ::redis::{InfoDict, RedisResult, ServerErrorKind, cmd, from_redis_value};

use super::failure::Failure;

/// What a server says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Another after each restart; empty where the user may not ask.
    pub(super) run_id: String,
    pub(super) in_cluster: bool,
    pub(super) is_sentinel: bool,
}

impl Facts {
    pub(super) async fn ask(connection: &mut MultiplexedConnection) -> Result<Self, Failure> {
        let said: RedisResult<InfoDict> = cmd("INFO").arg("server").query_async(connection).await;
        let said = match said {
            Ok(said) => said,
            Err(error) if error.kind() == ServerErrorKind::NoPerm.into() => {
                log::warn!(
                    "this user of redis may not call INFO, so a restart of the server is noticed later, and a cluster \
                     has to be named as redis+cluster://"
                );
                return Ok(Self::default());
            }
            Err(error) => return Err(error.into()),
        };
        let mode: String = said.get("redis_mode").or_else(|| said.get("server_mode")).unwrap_or_default();
        let in_cluster = mode == "cluster" || Self::cluster_enabled(connection).await?;
        let run_id = said.get("run_id").unwrap_or_default();
        Ok(Self { run_id, in_cluster, is_sentinel: mode == "sentinel" })
    }

    /// Some services speak of their cluster in this section alone.
    async fn cluster_enabled(connection: &mut MultiplexedConnection) -> Result<bool, Failure> {
        let said: InfoDict = cmd("INFO").arg("cluster").query_async(connection).await?;
        Ok(said.get("cluster_enabled") == Some(1))
    }
}

/// Asks the node that serves a key for its run id, which is empty where the user may not ask.
pub(super) async fn run_id_of_node(cluster: &ClusterConnection, key: &str) -> RedisResult<String> {
    let mut info = cmd("INFO");
    info.arg("server");
    let route = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
    let said = cluster.clone().route_command(info, RoutingInfo::SingleNode(route)).await;
    match said.and_then(|said| Ok(from_redis_value::<InfoDict>(said)?)) {
        Ok(said) => Ok(said.get("run_id").unwrap_or_default()),
        Err(error) if error.kind() == ServerErrorKind::NoPerm.into() => Ok(String::new()),
        Err(error) => Err(error),
    }
}
