//! Connections: to one server, to the primary that sentinels name, to a cluster.

use std::path::Path;
use std::sync::Arc;

use ::redis::aio::{AsyncPushSender, MultiplexedConnection};
use ::redis::cluster::{ClusterClient, ClusterClientBuilder};
use ::redis::cluster_async::ClusterConnection;
use ::redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion, RedisConnectionInfo, TlsCertificates, TlsMode,
};
use tokio::sync::Mutex;

use super::facts::Facts;
use super::failure::Failure;
use super::url::{Address, Login, Place};
use crate::store::shared::timing::Timing;
use crate::store::shared::url::{Node, TlsFiles};

/// Where connections go.
pub(super) enum Target {
    Server { client: Box<Client>, certificates: Option<TlsCertificates> },
    Sentinels(Box<Mutex<SentinelClient>>),
    Cluster { nodes: Vec<ConnectionInfo>, certificates: Option<TlsCertificates> },
}

/// What commands are sent through.
///
/// On a cluster pushes have connections of their own: when a slot moves, a node ends its subscriptions unasked, and
/// the client library would take that message for the answer to whatever command is in flight.
pub(super) enum Wire {
    Server(MultiplexedConnection),
    Cluster { calls: ClusterConnection, pushes: ClusterConnection },
}

/// What takes pushes.
pub(super) type Pushes = Arc<dyn AsyncPushSender>;

impl Target {
    /// Makes of a URL's address what connects.
    pub(super) fn of(address: &Address) -> Result<Self, &'static str> {
        let certificates = address.tls.as_ref().map(read_certificates).transpose()?.flatten();
        let settings = settings(&address.login, address.database);
        if address.tls.is_some() {
            choose_cryptography();
        }
        let info = |addr: ConnectionAddr| -> Result<ConnectionInfo, &'static str> {
            Ok(addr.into_connection_info().map_err(|_| UNUSABLE)?.set_redis_settings(settings.clone()))
        };
        let tls = address.tls.is_some();
        match &address.place {
            Place::Server(node) => server(info(node_addr(node, tls))?, certificates),
            Place::Socket(path) => server(info(ConnectionAddr::Unix(path.clone()))?, None),
            Place::Cluster(nodes) => {
                let nodes = nodes.iter().map(|node| info(node_addr(node, tls))).collect::<Result<_, _>>()?;
                Ok(Self::Cluster { nodes, certificates })
            }
            Place::Sentinels { nodes, primary, login } => {
                sentinels(address, nodes, primary, login, certificates)
            }
        }
    }

    /// Takes a client that the user made, with RESP3 in place of what it speaks.
    pub(super) fn of_client(client: &Client) -> Result<Self, &'static str> {
        let info = client.get_connection_info().clone();
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            choose_cryptography();
        }
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        server(info.set_redis_settings(settings), None)
    }

    /// Connects, and asks the server who it is.
    pub(super) async fn open(&self, timing: Timing, pushes: Pushes) -> Result<(Wire, Facts), Failure> {
        let client = match self {
            Self::Server { client, .. } => client.as_ref().clone(),
            Self::Sentinels(sentinels) => sentinels.lock().await.async_get_client().await?,
            Self::Cluster { nodes, certificates } => {
                return open_cluster(nodes.clone(), certificates.clone(), timing, pushes).await;
            }
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timing.connect))
            .set_response_timeout(Some(timing.reply))
            .set_push_sender(Arc::clone(&pushes));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let facts = Facts::ask(&mut connection).await?;
        if facts.is_sentinel {
            return Err(Failure::lasting(
                "this is a sentinel, not a server; name it as redis+sentinel://HOST:PORT/PRIMARY",
            )
            .disconnecting());
        }
        let (Self::Server { certificates, .. }, true) = (self, facts.in_cluster) else {
            return Ok((Wire::Server(connection), facts));
        };
        open_cluster(vec![client.get_connection_info().clone()], certificates.clone(), timing, pushes).await
    }
}

impl Wire {
    /// Sends a command to the server that serves its keys.
    pub(super) async fn send(&self, command: &Cmd) -> ::redis::RedisResult<::redis::Value> {
        match self {
            Self::Server(connection) => command.query_async(&mut connection.clone()).await,
            Self::Cluster { calls, .. } => command.query_async(&mut calls.clone()).await,
        }
    }

    /// Subscribes to a channel.
    pub(super) async fn subscribe(&self, channel: &str) -> ::redis::RedisResult<()> {
        match self {
            Self::Server(connection) => connection.clone().subscribe(channel).await,
            Self::Cluster { pushes, .. } => pushes.clone().ssubscribe(channel).await,
        }
    }

    /// Ends the subscription to a channel.
    pub(super) async fn unsubscribe(&self, channel: &str) -> ::redis::RedisResult<()> {
        match self {
            Self::Server(connection) => connection.clone().unsubscribe(channel).await,
            Self::Cluster { pushes, .. } => pushes.clone().sunsubscribe(channel).await,
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }
}

const UNUSABLE: &str = "a client cannot be made of it";

fn server(info: ConnectionInfo, certificates: Option<TlsCertificates>) -> Result<Target, &'static str> {
    let client = match &certificates {
        Some(certificates) => Client::build_with_tls(info, certificates.clone())
            .map_err(|_| "a file that ca, cert or key names is not PEM")?,
        None => Client::open(info).map_err(|_| UNUSABLE)?,
    };
    Ok(Target::Server { client: Box::new(client), certificates })
}

fn sentinels(
    address: &Address,
    nodes: &[Node],
    primary: &str,
    login: &Login,
    certificates: Option<TlsCertificates>,
) -> Result<Target, &'static str> {
    let nodes: Vec<_> = nodes.iter().map(|node| node_addr(node, address.tls.is_some())).collect();
    let mut builder = SentinelClientBuilder::new(nodes, primary, SentinelServerType::Master)
        .map_err(|_| UNUSABLE)?
        .set_client_to_redis_protocol(ProtocolVersion::RESP3)
        .set_client_to_redis_db(address.database);
    if address.tls.is_some() {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_tls_mode(TlsMode::Secure);
    }
    if let Some(user) = &address.login.user {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = &address.login.password {
        builder = builder.set_client_to_redis_password(&password.0);
    }
    if let Some(user) = &login.user {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = &login.password {
        builder = builder.set_client_to_sentinel_password(&password.0);
    }
    if let Some(certificates) = certificates {
        builder = builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates);
    }
    let client = builder.build().map_err(|_| UNUSABLE)?;
    Ok(Target::Sentinels(Box::new(Mutex::new(client))))
}

async fn open_cluster(
    nodes: Vec<ConnectionInfo>,
    certificates: Option<TlsCertificates>,
    timing: Timing,
    pushes: Pushes,
) -> Result<(Wire, Facts), Failure> {
    let client = |pushes: Option<Pushes>| -> ::redis::RedisResult<ClusterClient> {
        let mut builder = ClusterClientBuilder::new(nodes.clone())
            .use_protocol(ProtocolVersion::RESP3)
            .connection_timeout(timing.connect)
            .response_timeout(timing.reply)
            .overall_response_timeout(Some(timing.reply))
            .retries(3)
            .min_retry_wait(20)
            .max_retry_wait(200);
        if let Some(certificates) = &certificates {
            builder = builder.certs(certificates.clone());
        }
        if let Some(pushes) = pushes {
            builder = builder.push_sender(pushes);
        }
        builder.build()
    };
    let calls = client(None)?.get_async_connection().await?;
    let pushes = client(Some(pushes))?.get_async_connection().await?;
    Ok((Wire::Cluster { calls, pushes }, Facts { in_cluster: true, ..Facts::default() }))
}

fn settings(login: &Login, database: i64) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(database);
    if let Some(user) = &login.user {
        settings = settings.set_username(user);
    }
    if let Some(password) = &login.password {
        settings = settings.set_password(&password.0);
    }
    settings
}

fn node_addr(node: &Node, tls: bool) -> ConnectionAddr {
    let (host, port) = (node.host.clone(), node.port);
    if tls {
        return ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None };
    }
    ConnectionAddr::Tcp(host, port)
}

/// Reads the files; nothing where none is named.
fn read_certificates(files: &TlsFiles) -> Result<Option<TlsCertificates>, &'static str> {
    let read =
        |path: &Path| std::fs::read(path).map_err(|_| "a file that ca, cert or key names cannot be read");
    let root_cert = files.ca.as_deref().map(read).transpose()?;
    let client_tls = match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        _ => None,
    };
    let named = root_cert.is_some() || client_tls.is_some();
    Ok(named.then_some(TlsCertificates { client_tls, root_cert }))
}

/// Names the cryptography of TLS unless the program has: where several are compiled in, rustls chooses none.
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // The error says that another thread was quicker, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
