//! Certificates, read again when their files change.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::settings::TlsFiles;
use crate::persist::{self, Stamp};

/// The certificate in use.
pub(crate) struct Tls {
    files: TlsFiles,
    seen: Mutex<[Option<Stamp>; 2]>,
    config: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads certificate and key.
    pub(crate) fn open(files: TlsFiles) -> io::Result<Self> {
        let seen = Mutex::new(stamps(&files));
        let config = RwLock::new(read(&files)?);
        Ok(Self { files, seen, config })
    }

    /// Returns what encrypts the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner)).into()
    }

    /// Reads the files again if they have changed. A pair that does not fit leaves the one before in use.
    pub(crate) fn look(&self) {
        let stamps = stamps(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == stamps || stamps.contains(&None) {
            return;
        }
        *seen = stamps;
        match read(&self.files) {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                log::info!("the certificate of {} is in use", self.files.cert.display());
            }
            Err(error) => log::error!("the certificate that was in use stays: {error}"),
        }
    }
}

fn stamps(files: &TlsFiles) -> [Option<Stamp>; 2] {
    [persist::stamp(&files.cert), persist::stamp(&files.key)]
}

fn read(files: &TlsFiles) -> io::Result<Arc<ServerConfig>> {
    let wrong = |path: &Path, error: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
    };
    let certs = CertificateDer::pem_file_iter(&files.cert).map_err(|error| wrong(&files.cert, &error))?;
    let certs = certs.collect::<Result<Vec<_>, _>>().map_err(|error| wrong(&files.cert, &error))?;
    if certs.is_empty() {
        return Err(wrong(&files.cert, &"there is no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(|error| wrong(&files.key, &error))?;
    let mut config = config;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
