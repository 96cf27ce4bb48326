//! The parts that URLs of stores have in common.

use std::fmt;
use std::path::PathBuf;

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// Something that no text of ours shows.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

/// Files of certificates; the system's roots are trusted where none is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// Why a URL is refused.
pub(crate) type Reason = &'static str;

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

pub(crate) fn node(text: &str, port: u16) -> Result<Node, Reason> {
    let (host, port_text) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or("a '[' of an IPv6 address is not closed")?;
            (host, rest.strip_prefix(':'))
        }
        None if text.matches(':').count() > 1 => {
            return Err("an IPv6 address is written in brackets: [::1]:6379");
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '%');
    if host.is_empty() || !host.chars().all(plain) {
        return Err("a host is missing, or is not a host's name");
    }
    let port =
        match port_text {
            None => port,
            Some(text) => text.parse().ok().filter(|port| *port > 0).ok_or(
                "a port is not a number from 1 to 65535; in a password write ':' as %3A, '/' as %2F",
            )?,
        };
    Ok(Node { host: host.to_ascii_lowercase(), port })
}

/// What the query says.
pub(crate) struct Said(Vec<(String, String)>);

impl Said {
    pub(crate) fn read(query: &str) -> Result<Self, Reason> {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').ok_or("a parameter behind '?' has no '='")?;
            Ok((name.to_ascii_lowercase(), decoded(value)?))
        };
        let said = pairs.map(pair).collect::<Result<Vec<(String, String)>, Reason>>()?;
        let mut names: Vec<_> = said.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err("a parameter behind '?' is named twice");
        }
        Ok(Self(said))
    }

    pub(crate) fn take(&mut self, name: &str) -> Result<Option<String>, Reason> {
        let Some(at) = self.0.iter().position(|(known, _)| known == name) else { return Ok(None) };
        let (_, value) = self.0.swap_remove(at);
        if value.is_empty() {
            return Err("a parameter behind '?' has an empty value");
        }
        Ok(Some(value))
    }

    pub(crate) fn path(&mut self, name: &str) -> Result<Option<PathBuf>, Reason> {
        Ok(self.take(name)?.map(PathBuf::from))
    }

    /// Refuses what nobody took; `known` names what there is.
    pub(crate) fn nothing_left(&self, known: Reason) -> Result<(), Reason> {
        if self.0.is_empty() { Ok(()) } else { Err(known) }
    }
}

/// Puts the characters back that a URL writes as `%xx`.
pub(crate) fn decoded(text: &str) -> Result<String, Reason> {
    const BAD: Reason = "a '%' is not followed by two hexadecimal digits of UTF-8; '%' itself is written %25";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or(BAD);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).map_err(|_| BAD)?);
    }
    String::from_utf8(bytes).map_err(|_| BAD)
}
