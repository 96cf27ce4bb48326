//! What a server's refusals mean, and what to do about them.
//!
//! A message says what is wrong and what to do; where, is said by the URL that it is told with.

use ::redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::shared::link::LinkError;

/// What went wrong, and what that means for the connection.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    pub(super) message: String,
    /// The connection is of no more use.
    pub(super) disconnects: bool,
}

/// Whether it can pass by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The same batch can succeed later.
    Passing,
    /// Somebody has to do something first.
    Lasting,
    /// The server does not have the script.
    NoScript,
}

impl Failure {
    /// A failure of a connection.
    pub(super) fn lost(message: impl Into<String>) -> Self {
        Self { kind: Kind::Passing, message: message.into(), disconnects: true }
    }

    /// A failure that stays until somebody does something.
    pub(super) fn lasting(message: impl Into<String>) -> Self {
        Self { kind: Kind::Lasting, message: message.into(), disconnects: false }
    }

    fn passing(message: impl Into<String>) -> Self {
        Self { kind: Kind::Passing, message: message.into(), disconnects: false }
    }

    pub(super) fn disconnecting(self) -> Self {
        Self { disconnects: true, ..self }
    }
}

impl From<Failure> for LinkError {
    fn from(failure: Failure) -> Self {
        match failure.kind {
            Kind::Lasting => Self::Fatal(failure.message),
            Kind::Passing | Kind::NoScript => Self::Retry(failure.message),
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(kind) => known(kind, &error),
            ErrorKind::Extension => told(error.code().unwrap_or_default(), &error),
            kind => own(kind, &error),
        }
    }
}

/// What the library has a name for.
fn known(kind: ServerErrorKind, error: &RedisError) -> Failure {
    match kind {
        ServerErrorKind::BusyLoading => {
            Failure::passing("the server is loading its data (LOADING); it answers when that is done")
        }
        ServerErrorKind::ReadOnly => Failure::lost(
            "the server is a replica and cannot be written to (READONLY); a fail-over ends this by itself, \
             else name the primary in the URL",
        ),
        ServerErrorKind::MasterDown => Failure::lost(
            "the server is a replica that has lost its primary (MASTERDOWN); it passes when the primary is back",
        ),
        ServerErrorKind::ClusterDown => Failure::passing(
            "the cluster does not serve this ledger's slot (CLUSTERDOWN); it passes when a primary serves it again",
        ),
        ServerErrorKind::TryAgain => Failure::passing(
            "the ledger's slot is being moved to another node (TRYAGAIN); it passes when that is done",
        ),
        ServerErrorKind::Moved | ServerErrorKind::Ask => Failure::passing(format!(
            "the ledger's slot is on another node ({}); name the cluster in the URL as redis+cluster://",
            detail(error)
        ))
        .disconnecting(),
        ServerErrorKind::NoScript => Failure {
            kind: Kind::NoScript,
            message: "the server does not keep our script (NOSCRIPT); something flushes its scripts"
                .to_owned(),
            disconnects: false,
        },
        ServerErrorKind::NoPerm => Failure::lasting(format!(
            "the user may not do this (NOPERM: {}); allow it EVAL, EVALSHA, INFO, PUBLISH, SUBSCRIBE (on a cluster \
             SPUBLISH and SSUBSCRIBE), the commands that the script calls, and the keys and channels of the prefix",
            detail(error)
        )),
        ServerErrorKind::CrossSlot => Failure::lasting(format!(
            "the ledger's keys are not in one slot (CROSSSLOT: {}); this is an error of paceline",
            detail(error)
        )),
        _ => response(error),
    }
}

/// What only its code says.
fn told(code: &str, error: &RedisError) -> Failure {
    match code {
        "BUSY" => Failure::passing(
            "the server is busy with a script that runs for too long (BUSY); it passes when that ends, or after \
             SCRIPT KILL",
        ),
        "OOM" => Failure::passing(
            "the server has no memory left (OOM); raise its maxmemory, or let it evict keys of others",
        ),
        "MISCONF" => Failure::passing(format!(
            "the server refuses writes because it cannot save (MISCONF: {}); look at its log and disk",
            detail(error)
        )),
        "NOREPLICAS" => Failure::passing(
            "the server refuses writes because too few replicas follow it (NOREPLICAS); it passes when they are back",
        ),
        "NOAUTH" => Failure::lasting(
            "the server wants a password (NOAUTH); write it into the URL as redis://:PASSWORD@… or \
             redis://USER:PASSWORD@…",
        )
        .disconnecting(),
        "WRONGPASS" => wrong_password(),
        "NOPROTO" => too_old(),
        "WRONGTYPE" => Failure::lasting(
            "a key of the ledger holds something else (WRONGTYPE); use another key prefix, or remove those keys",
        ),
        "UNKILLABLE" | "UNBLOCKED" => Failure::passing(format!("{code}: {}", detail(error))),
        _ => Failure::lasting(format!("the script failed ({code}: {})", detail(error))),
    }
}

/// `ERR`, which says all the rest.
fn response(error: &RedisError) -> Failure {
    let detail = detail(error);
    let says = |part: &str| detail.to_ascii_lowercase().contains(part);
    if says("max number of clients") {
        return Failure::lost(
            "the server has as many clients as it takes (maxclients); raise it, or close some",
        );
    }
    if says("unknown command") && says("hello") {
        return too_old();
    }
    if says("db index") || says("select is not allowed") {
        return Failure::lasting("the server has no database of this number; name one that it has")
            .disconnecting();
    }
    if says("without any password configured") {
        return Failure::lasting("the server has no password and the URL names one; leave it out")
            .disconnecting();
    }
    if says("function not found") {
        return Failure {
            kind: Kind::NoScript,
            message: "the server does not keep our library; something flushes its functions".to_owned(),
            disconnects: false,
        };
    }
    if says("unknown command") {
        return Failure::lasting(format!(
            "the server lacks a command ({detail}); Redis 6.2 or later is needed"
        ));
    }
    Failure::lasting(format!("the script failed ({detail})"))
}

/// What went wrong on our side of the connection.
fn own(kind: ErrorKind, error: &RedisError) -> Failure {
    match kind {
        ErrorKind::AuthenticationFailed => wrong_password(),
        ErrorKind::RESP3NotSupported => too_old(),
        ErrorKind::InvalidClientConfig => {
            Failure::lost(format!("no connection can be made ({error}); look at the host in the URL"))
        }
        ErrorKind::MasterNameNotFoundBySentinel => Failure::lost(
            "no sentinel that answers knows a primary of this name; look at the name behind the hosts in the URL, \
             and at the sentinels",
        ),
        ErrorKind::ClusterConnectionNotFound => {
            Failure::passing("no node of the cluster serves this ledger's slot at present; it passes when one does")
        }
        ErrorKind::Io if error.is_timeout() => {
            Failure::lost("the server did not answer in time; look at its load, and at the network")
        }
        ErrorKind::Io if error.is_connection_refusal() => {
            Failure::lost("nothing answers there (connection refused); is the server running, and the port right?")
        }
        ErrorKind::Io if error.to_string().contains("certificate") => Failure::lasting(format!(
            "the server's certificate is not trusted ({error}); name its authority's file as ?ca=/path/to/ca.pem"
        ))
        .disconnecting(),
        ErrorKind::Io => Failure::lost(format!("the connection was lost ({error})")),
        _ => Failure::lost(format!("the server's answer cannot be understood ({error})")),
    }
}

fn wrong_password() -> Failure {
    Failure::lasting(
        "the server refuses the user or the password (WRONGPASS); look at them in the URL, where special characters \
         are written as %xx",
    )
    .disconnecting()
}

fn too_old() -> Failure {
    Failure::lasting("the server does not speak RESP3; Redis 6.2 or later, or any Valkey, is needed")
        .disconnecting()
}

fn detail(error: &RedisError) -> &str {
    error.detail().unwrap_or("no details")
}
