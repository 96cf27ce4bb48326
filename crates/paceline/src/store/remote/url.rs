//! What the URL of a control plane or of a host says.

use std::fmt;
use std::path::PathBuf;

use crate::remote::PATH;
use crate::store::shared::url::{Node, Reason, Said, Secret, TlsFiles, decoded, node};

/// What a URL says. It is shown in the one way that it is always written, without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub(super) place: Place,
    /// What comes before the path of sessions, without a slash at its end.
    pub(super) prefix: String,
    pub(super) key: Option<Secret>,
    pub(super) tls: Option<TlsFiles>,
}

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Tcp(Node),
    /// A socket of this host.
    Socket(PathBuf),
    /// Whichever process of this user on this host has the name.
    Local(String),
}

/// The variable with the key of those whose URL has none.
pub(super) const KEY_VARIABLE: &str = "PACELINE_API_KEY";

const KNOWN: Reason = "a parameter behind '?' is not known here: ca, for https://";

impl Address {
    /// Reads a URL; `None` where its scheme is none of these.
    pub(super) fn parse(url: &str) -> Option<Result<Self, Reason>> {
        let (scheme, rest) = url.split_once(':')?;
        let parse: fn(&str) -> Result<Self, Reason> = match scheme.to_ascii_lowercase().as_str() {
            "http" => |rest| tcp(rest, false),
            "https" => |rest| tcp(rest, true),
            "unix" => socket,
            "local" => local,
            _ => return None,
        };
        let bad = rest.contains(|c: char| c.is_whitespace() || c.is_control());
        Some(if bad {
            Err("it has a space or a control character; write it as %20, for instance")
        } else if rest.contains('#') {
            Err("it has a '#', which has no meaning here; in a key write it as %23")
        } else {
            parse(rest)
        })
    }

    /// Takes this key where the URL had none.
    pub(super) fn or_key(mut self, key: Option<String>) -> Self {
        if !matches!(self.place, Place::Local(_)) {
            self.key = self.key.or(key.filter(|key| !key.is_empty()).map(Secret));
        }
        self
    }

    /// Returns in what this differs from another that is written alike: what a URL is shown without.
    pub(super) fn differs(&self, other: &Self) -> Option<Reason> {
        if self.key != other.key {
            return Some("API key");
        }
        (self.tls != other.tls).then_some("ca")
    }

    /// Returns what is asked for.
    pub(super) fn path(&self) -> String {
        format!("{}{PATH}", self.prefix)
    }

    /// Returns what the server is called in the request.
    pub(super) fn host(&self) -> String {
        match &self.place {
            Place::Tcp(node) => node.to_string(),
            Place::Socket(_) | Place::Local(_) => "localhost".to_owned(),
        }
    }

    /// Returns whether a key goes over a network in plain sight.
    pub(super) fn shows_key(&self) -> bool {
        let Place::Tcp(node) = &self.place else { return false };
        let own = node.host == "localhost" || node.host == "::1" || node.host.starts_with("127.");
        self.key.is_some() && self.tls.is_none() && !own
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        match &self.place {
            Place::Tcp(node) => write!(f, "{scheme}://{node}{}", self.prefix),
            Place::Socket(path) => write!(f, "unix:{}", path.display()),
            Place::Local(name) => write!(f, "local://{name}"),
        }
    }
}

fn tcp(rest: &str, encrypted: bool) -> Result<Address, Reason> {
    let rest = rest.strip_prefix("//").ok_or("behind the scheme it has no '//'")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if prefix.contains('@') {
        return Err("it has an '@' behind a '/'; in a key write '/' as %2F and '@' as %40");
    }
    let (login, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let key = match login.split_once(':') {
        Some((_, key)) => Some(decoded(key)?).filter(|key| !key.is_empty()),
        None if login.is_empty() => None,
        None => return Err("in front of the '@' it has no ':'; a key is written http://key:SECRET@HOST"),
    };
    if key.as_deref().is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err("its key has a character that no key has");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~' | '%');
    let prefix = prefix.trim_end_matches('/');
    if !prefix.chars().all(plain) {
        return Err("its path has a character that is written as %xx");
    }
    let mut said = Said::read(query)?;
    let files = TlsFiles { ca: said.path("ca")?, ..TlsFiles::default() };
    said.nothing_left(KNOWN)?;
    if !encrypted && files.ca.is_some() {
        return Err("ca is for https://, and this connection is not encrypted");
    }
    let place = Place::Tcp(node(host, if encrypted { 443 } else { 80 })?);
    let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
    Ok(Address { place, prefix, key: key.map(Secret), tls: encrypted.then_some(files) })
}

fn socket(rest: &str) -> Result<Address, Reason> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if !path.starts_with('/') || path.len() < 2 || path.contains('?') {
        return Err("a socket is named by its full path: unix:/path/to/paceline.sock");
    }
    let place = Place::Socket(PathBuf::from(decoded(path)?));
    Ok(Address { place, prefix: String::new(), key: None, tls: None })
}

fn local(rest: &str) -> Result<Address, Reason> {
    let name = rest.strip_prefix("//").unwrap_or(rest).trim_end_matches('/').to_ascii_lowercase();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.chars().all(plain) || name.starts_with('.') || name.len() > 48 {
        return Err("a name is made of letters, digits, '-', '_' and '.', and has at most 48 of them");
    }
    let name = if name.is_empty() { "default".to_owned() } else { name };
    Ok(Address { place: Place::Local(name), prefix: String::new(), key: None, tls: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, Reason> {
        Address::parse(url).unwrap_or(Err("no scheme of ours"))
    }

    #[test]
    fn equal_places_are_written_in_one_way() {
        for (url, is) in [
            ("http://LocalHost", "http://localhost:80"),
            ("HTTP://h:7411/", "http://h:7411"),
            ("http://key:geheim@h:7411/team/a/", "http://h:7411/team/a"),
            ("https://h?ca=/x.pem", "https://h:443"),
            ("http://[::1]:7411", "http://[::1]:7411"),
            ("unix:/run/p.sock", "unix:/run/p.sock"),
            ("unix:///run/p%20q.sock", "unix:/run/p q.sock"),
            ("local://", "local://default"),
            ("local:batch", "local://batch"),
            ("LOCAL://Batch/", "local://batch"),
        ] {
            assert_eq!(
                parse(url).unwrap_or_else(|reason| panic!("{url}: {reason}")).to_string(),
                is,
                "{url}"
            );
        }
        assert_eq!(parse("http://h/a").unwrap().path(), "/a/v1/session");
        assert_eq!(parse("unix:/s").unwrap().path(), "/v1/session");
    }

    #[test]
    fn a_url_that_says_nothing_is_refused_with_its_reason() {
        for (url, part) in [
            ("http:h", "'//'"),
            ("http://", "host"),
            ("http://h:0", "port"),
            ("http://geheim@h", "key:SECRET"),
            ("http://key:a/b@h", "%2F"),
            ("http://key:a%0ab@h", "character"),
            ("http://h?ca=/x", "not encrypted"),
            ("https://h?nonsense=1", "not known"),
            ("http://h/a<b", "%xx"),
            ("http://h#x", "'#'"),
            ("http://h h", "space"),
            ("unix:relative", "full path"),
            ("unix:/s?x=1", "full path"),
            ("local://a/b", "letters"),
            ("local://..", "letters"),
        ] {
            let reason = parse(url).expect_err(url);
            assert!(reason.contains(part), "{url}: {reason}");
        }
        assert_eq!(Address::parse("ftp://h"), None);
    }

    #[test]
    fn keys_are_read_and_never_shown() {
        let address = parse("https://key:top%2Fsecret@h").unwrap();
        assert_eq!(address.key, Some(Secret("top/secret".to_owned())));
        for text in [format!("{address:?}"), address.to_string()] {
            assert!(!text.contains("secret"), "{text}");
        }
        let other = parse("https://h").unwrap().or_key(Some("other".to_owned()));
        assert_eq!(address.differs(&other), Some("API key"));
        assert_eq!(address.clone().or_key(Some("other".to_owned())), address);
        assert!(parse("http://key:x@h").unwrap().shows_key());
        for url in ["https://key:x@h", "http://key:x@127.0.0.1:1", "http://h"] {
            assert!(!parse(url).unwrap().shows_key(), "{url}");
        }
    }
}
