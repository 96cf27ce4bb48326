//! What the URL of a Redis store says: where the servers are, who we are, and what else was asked for.

use std::fmt;
use std::path::PathBuf;

use crate::store::shared::url::{Node, Reason, Said, Secret, TlsFiles, decoded, node};

/// What a URL says. It is shown in the one way that it is always written, without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) place: Place,
    pub(super) login: Login,
    pub(super) database: i64,
    pub(super) tls: Option<TlsFiles>,
}

/// Where the servers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// One server, or any node of a cluster that says so itself.
    Server(Node),
    /// One server of this host.
    Socket(PathBuf),
    /// Whichever server the sentinels call the primary.
    Sentinels { nodes: Vec<Node>, primary: String, login: Login },
    /// Nodes of a cluster.
    Cluster(Vec<Node>),
}

/// A user and the password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
}

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;

const KNOWN: Reason = "a parameter behind '?' is not known here: db, ca, cert, key; for a socket user and pass; \
                       for sentinels sentinel_user and sentinel_pass";

const SCHEMES: Reason = "its scheme is none of redis, rediss, redis+unix, redis+sentinel, rediss+sentinel, \
                         redis+cluster and rediss+cluster";

impl Address {
    /// Reads a URL.
    pub(super) fn parse(url: &str) -> Result<Self, Reason> {
        let (scheme, rest) = url.split_once("://").ok_or(SCHEMES)?;
        let scheme = scheme.to_ascii_lowercase().replacen("valkey", "redis", 1);
        if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("it has a space or a control character; write it as %20, for instance");
        }
        if rest.contains('#') {
            return Err("it has a '#', which has no meaning here; in a password write it as %23");
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut said = Said::read(query)?;
        let address = match scheme.as_str() {
            "redis" | "rediss" => server(rest, &mut said)?,
            "redis+unix" => socket(rest, &mut said)?,
            "redis+sentinel" | "rediss+sentinel" => sentinels(rest, &mut said)?,
            "redis+cluster" | "rediss+cluster" => cluster(rest)?,
            _ => return Err(SCHEMES),
        };
        let files = TlsFiles { ca: said.path("ca")?, cert: said.path("cert")?, key: said.path("key")? };
        if files.cert.is_some() != files.key.is_some() {
            return Err("cert and key have to be named together");
        }
        let secured = scheme.starts_with("rediss");
        if !secured && files != TlsFiles::default() {
            return Err("ca, cert and key are for rediss://, and this connection is not encrypted");
        }
        said.nothing_left(KNOWN)?;
        Ok(Self { tls: secured.then_some(files), ..address })
    }

    /// Returns in what this differs from another that is written alike: what a URL is shown without.
    pub(super) fn differs(&self, other: &Self) -> Option<&'static str> {
        if self.login != other.login || self.place != other.place {
            return Some("password");
        }
        (self.tls != other.tls).then_some("ca, cert or key")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "rediss" } else { "redis" };
        let database = if self.database == 0 { String::new() } else { format!("/{}", self.database) };
        let login = &self.login;
        match &self.place {
            Place::Server(node) => write!(f, "{scheme}://{login}{node}{database}"),
            Place::Cluster(nodes) => write!(f, "{scheme}+cluster://{login}{}", listed(nodes)),
            Place::Sentinels { nodes, primary, .. } => {
                write!(f, "{scheme}+sentinel://{login}{}/{primary}{database}", listed(nodes))
            }
            Place::Socket(path) => {
                write!(f, "redis+unix://{}?db={}", path.display(), self.database)?;
                login.user.as_ref().map_or(Ok(()), |user| write!(f, "&user={user}"))
            }
        }
    }
}

/// The user, and that there is a password.
impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.user, &self.password) {
            (None, None) => Ok(()),
            (user, None) => write!(f, "{}@", user.as_deref().unwrap_or_default()),
            (user, Some(_)) => write!(f, "{}:***@", user.as_deref().unwrap_or_default()),
        }
    }
}

fn listed(nodes: &[Node]) -> String {
    let nodes: Vec<_> = nodes.iter().map(Node::to_string).collect();
    nodes.join(",")
}

fn server(rest: &str, said: &mut Said) -> Result<Address, Reason> {
    let (login, hosts, path) = parts(rest)?;
    if hosts.contains(',') {
        return Err("several hosts are for redis+sentinel:// and redis+cluster://");
    }
    let named = said.take("db")?.map(|text| number(&text)).transpose()?;
    let database = match (path, named) {
        ("", named) => named.unwrap_or(0),
        (path, None) => number(path)?,
        (_, Some(_)) => return Err("it names the database twice"),
    };
    let host = if hosts.is_empty() { "localhost" } else { hosts };
    Ok(Address { place: Place::Server(node(host, PORT)?), login, database, tls: None })
}

fn socket(rest: &str, said: &mut Said) -> Result<Address, Reason> {
    if !rest.starts_with('/') || rest.len() < 2 {
        return Err("a socket is named by its full path: redis+unix:///path/to/redis.sock");
    }
    let login = Login { user: said.take("user")?, password: said.take("pass")?.map(Secret) };
    let database = said.take("db")?.map(|text| number(&text)).transpose()?.unwrap_or(0);
    Ok(Address { place: Place::Socket(PathBuf::from(decoded(rest)?)), login, database, tls: None })
}

fn sentinels(rest: &str, said: &mut Said) -> Result<Address, Reason> {
    let (login, hosts, path) = parts(rest)?;
    let (primary, database) = path.split_once('/').unwrap_or((path, "0"));
    let primary = decoded(primary)?;
    if primary.is_empty() {
        return Err("behind the sentinels it names the primary that they watch: …/mymaster");
    }
    let own = Login { user: said.take("sentinel_user")?, password: said.take("sentinel_pass")?.map(Secret) };
    let place = Place::Sentinels { nodes: nodes(hosts, SENTINEL_PORT)?, primary, login: own };
    Ok(Address { place, login, database: number(database)?, tls: None })
}

fn cluster(rest: &str) -> Result<Address, Reason> {
    let (login, hosts, path) = parts(rest)?;
    if !matches!(path, "" | "0") {
        return Err("a cluster has no database but 0");
    }
    Ok(Address { place: Place::Cluster(nodes(hosts, PORT)?), login, database: 0, tls: None })
}

/// Splits what follows the scheme into the login, the hosts and the path without its slash.
fn parts(rest: &str) -> Result<(Login, &str, &str), Reason> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if path.contains('@') {
        return Err("it has an '@' behind a '/'; in a password write '/' as %2F and '@' as %40");
    }
    let Some((login, hosts)) = authority.rsplit_once('@') else {
        return Ok((Login::default(), authority, path.trim_end_matches('/')));
    };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let filled = |text: &str| Ok::<_, Reason>(Some(decoded(text)?).filter(|text| !text.is_empty()));
    let login = Login { user: filled(user)?, password: filled(password)?.map(Secret) };
    Ok((login, hosts, path.trim_end_matches('/')))
}

/// Reads hosts behind commas, in their order by name: the order of writing is no difference.
fn nodes(hosts: &str, port: u16) -> Result<Vec<Node>, Reason> {
    let mut nodes = hosts.split(',').map(|host| node(host, port)).collect::<Result<Vec<_>, _>>()?;
    nodes.sort();
    nodes.dedup();
    Ok(nodes)
}

fn number(text: &str) -> Result<i64, Reason> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<i64>().ok().filter(|number| digits && *number <= 1_000_000);
    number.ok_or("the database is not a number, as in redis://localhost/0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(url: &str) -> String {
        Address::parse(url).unwrap_or_else(|reason| panic!("{url}: {reason}")).to_string()
    }

    #[test]
    fn equal_places_are_written_in_one_way() {
        for (url, is) in [
            ("redis://", "redis://localhost:6379"),
            ("REDIS://LocalHost/", "redis://localhost:6379"),
            ("valkey://h:1/0", "redis://h:1"),
            ("redis://h:1/3", "redis://h:1/3"),
            ("redis://h:1?db=3", "redis://h:1/3"),
            ("rediss://bob:geheim@h", "rediss://bob:***@h:6379"),
            ("redis://:p%40ss@[::1]:7000", "redis://:***@[::1]:7000"),
            ("redis+unix:///run/r.sock?db=2&user=bob&pass=x", "redis+unix:///run/r.sock?db=2&user=bob"),
            ("redis+sentinel://u:p@b,a:1/mymaster/2", "redis+sentinel://u:***@a:1,b:26379/mymaster/2"),
            ("rediss+cluster://b:2,a:1,b:2", "rediss+cluster://a:1,b:2"),
        ] {
            assert_eq!(normal(url), is, "{url}");
        }
    }

    #[test]
    fn a_url_that_says_nothing_is_refused_with_its_reason() {
        for (url, part) in [
            ("redis:h", "scheme"),
            ("http://h", "scheme"),
            ("redis://h:0", "port"),
            ("redis://h:99999", "port"),
            ("redis://:a/b@h", "%2F"),
            ("redis://h/x", "database"),
            ("redis://h/-1", "database"),
            ("redis://h/1?db=2", "twice"),
            ("redis://a,b", "several hosts"),
            ("redis://::1", "brackets"),
            ("redis://h?nonsense=1", "not known"),
            ("redis://h?ca=/x", "not encrypted"),
            ("rediss://h?cert=/x", "together"),
            ("redis+unix://relative", "full path"),
            ("redis+sentinel://a:1", "names the primary"),
            ("redis+cluster://a/3", "no database"),
            ("redis://%zz@h", "hexadecimal"),
            ("redis://h h", "space"),
        ] {
            let reason = Address::parse(url).expect_err(url);
            assert!(reason.contains(part), "{url}: {reason}");
        }
    }

    #[test]
    fn secrets_are_read_and_never_shown() {
        let url = "redis+sentinel://u:top%2Fsecret@a:1/m?sentinel_pass=topsecret";
        let address = Address::parse(url).unwrap();
        assert_eq!(address.login.password, Some(Secret("top/secret".to_owned())));
        for text in [format!("{address:?}"), address.to_string()] {
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
