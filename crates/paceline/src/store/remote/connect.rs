//! Connections to a server: made, encrypted, and taken up as a `WebSocket`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::failure;
use super::url::{Address, Place};
use crate::store::shared::link::LinkError;
use crate::store::shared::url::Reason;
use crate::wire::{Down, LARGEST, PROTOCOL, Up, read_down, write_up};

/// What bytes go over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A connection that was taken up.
pub(super) type Socket = WebSocketStream<Box<dyn Stream>>;

/// What a server says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Greeting {
    pub(super) run_id: String,
    pub(super) store: String,
    pub(super) configuration: Option<String>,
}

/// What is needed to encrypt; made once.
pub(super) type Cryptography = Arc<ClientConfig>;

/// Bounds for what comes in.
pub(super) fn bounds() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST))
}

/// Makes what encrypts, where the address says so.
pub(super) fn cryptography(address: &Address) -> Result<Option<Cryptography>, Reason> {
    let Some(files) = &address.tls else { return Ok(None) };
    let mut roots = RootCertStore::empty();
    match files.ca.as_deref() {
        Some(path) => read_authority(path, &mut roots)?,
        None => {
            // Some of the system's are always of no use.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|_| "TLS cannot be set up")?;
    Ok(Some(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

fn read_authority(path: &Path, roots: &mut RootCertStore) -> Result<(), Reason> {
    const UNREADABLE: Reason = "the file that ca names cannot be read, or has no certificate in PEM";
    for certificate in CertificateDer::pem_file_iter(path).map_err(|_| UNREADABLE)? {
        roots.add(certificate.map_err(|_| UNREADABLE)?).map_err(|_| UNREADABLE)?;
    }
    if roots.is_empty() { Err(UNREADABLE) } else { Ok(()) }
}

/// Connects to the server that an address names.
pub(super) async fn open(
    address: &Address,
    cryptography: Option<&Cryptography>,
) -> Result<Box<dyn Stream>, LinkError> {
    let node = match &address.place {
        Place::Socket(path) => return open_socket(path).await,
        Place::Tcp(node) => node,
        Place::Local(name) => return Err(LinkError::Fatal(format!("local://{name} has no address"))),
    };
    let stream = TcpStream::connect((node.host.as_str(), node.port)).await;
    let stream = stream.map_err(|error| failure::of_connecting(&error))?;
    // A batch is sent whole, and waited for.
    let _ = stream.set_nodelay(true);
    let Some(cryptography) = cryptography else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(node.host.clone())
        .map_err(|_| LinkError::Fatal("the host's name can be in no certificate".to_owned()))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::clone(cryptography));
    let stream = connector.connect(name, stream).await.map_err(|error| failure::of_tls(&error))?;
    Ok(Box::new(stream))
}

/// Connects to a socket of this host.
#[cfg(unix)]
pub(super) async fn open_socket(path: &Path) -> Result<Box<dyn Stream>, LinkError> {
    let stream =
        tokio::net::UnixStream::connect(path).await.map_err(|error| failure::of_connecting(&error))?;
    Ok(Box::new(stream))
}

#[cfg(not(unix))]
pub(super) async fn open_socket(_: &Path) -> Result<Box<dyn Stream>, LinkError> {
    Err(LinkError::Fatal(
        "this system has no sockets with paths; name the server by http://HOST:PORT".to_owned(),
    ))
}

/// Takes up a session connection, and hears who the server is.
pub(super) async fn take_up(
    address: &Address,
    name: &str,
    stream: Box<dyn Stream>,
    patience: Duration,
) -> Result<(Socket, Greeting), LinkError> {
    let taken = timeout(patience, async {
        let shaken = client_async_with_config(request(address)?, stream, Some(bounds())).await;
        let (mut socket, _) = shaken.map_err(failure::of_handshake)?;
        let hello = Up::Hello { protocol: PROTOCOL, library: env!("CARGO_PKG_VERSION"), name };
        socket.send(Message::binary(write_up(&hello))).await.map_err(failure::of_handshake)?;
        let greeting = greeted(&mut socket).await?;
        Ok((socket, greeting))
    });
    taken.await.unwrap_or_else(|_| Err(failure::unanswered(patience.as_millis())))
}

fn request(address: &Address) -> Result<Request, LinkError> {
    let unusable = || LinkError::Fatal("no request can be made of the URL or its key".to_owned());
    let url = format!("ws://{}{}", address.host(), address.path());
    let mut request = url.into_client_request().map_err(|_| unusable())?;
    if let Some(key) = &address.key {
        let mut value = HeaderValue::try_from(format!("Bearer {}", key.0)).map_err(|_| unusable())?;
        value.set_sensitive(true);
        request.headers_mut().insert("authorization", value);
    }
    Ok(request)
}

async fn greeted(socket: &mut Socket) -> Result<Greeting, LinkError> {
    loop {
        let message = match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Err(error)) => return Err(failure::of_handshake(error)),
            _ => return Err(LinkError::Retry("the server closed the connection".to_owned())),
        };
        return match read_down(&message) {
            Ok(Down::Hello { run_id, store, configuration, .. }) => Ok(Greeting {
                run_id: run_id.to_owned(),
                store: store.to_owned(),
                configuration: configuration.map(str::to_owned),
            }),
            Ok(Down::Refused { protocol, message }) => Err(LinkError::Fatal(format!(
                "the server refuses this library (paceline {}, protocol {PROTOCOL}) and speaks protocol {protocol}: \
                 {message}",
                env!("CARGO_PKG_VERSION")
            ))),
            Ok(_) => Err(LinkError::Fatal("the server did not say hello; is it paceline serve?".to_owned())),
            Err(error) => Err(LinkError::Fatal(format!("the server's greeting cannot be read: {error}"))),
        };
    }
}
