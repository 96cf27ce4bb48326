//! What can go wrong on the way to a server, and what to do about it.

use std::io;

use tokio_tungstenite::tungstenite;
use tungstenite::http::{Response, StatusCode};

use crate::store::shared::link::LinkError;

/// What the server was not.
pub(super) fn unanswered(milliseconds: u128) -> LinkError {
    LinkError::Retry(format!(
        "the server did not answer within {milliseconds} ms; look at its load, and at the network"
    ))
}

pub(super) fn of_connecting(error: &io::Error) -> LinkError {
    LinkError::Retry(match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "nothing answers there (connection refused); is the server running, and the port right?"
                .to_owned()
        }
        io::ErrorKind::NotFound => "there is no such socket; is the server running?".to_owned(),
        io::ErrorKind::PermissionDenied => {
            return LinkError::Fatal(
                "this user may not open the socket; look at its owner and mode".to_owned(),
            );
        }
        _ => format!("no connection can be made ({error}); look at the host, the port and the network"),
    })
}

pub(super) fn of_tls(error: &io::Error) -> LinkError {
    let certificate = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match certificate {
        Some(rustls::Error::InvalidCertificate(_)) => LinkError::Fatal(format!(
            "the server's certificate is not trusted ({error}); name its authority's file as ?ca=/path/to/ca.pem"
        )),
        Some(rustls::Error::InvalidMessage(_)) => LinkError::Fatal(
            "the server does not speak TLS there; write http:// if it is meant so".to_owned(),
        ),
        _ => LinkError::Retry(format!("no encrypted connection can be made ({error})")),
    }
}

/// What the answer to the handshake means.
pub(super) fn of_handshake(error: tungstenite::Error) -> LinkError {
    match error {
        tungstenite::Error::Http(response) => of_response(&response),
        tungstenite::Error::Io(error) => LinkError::Retry(format!("the connection was lost ({error})")),
        tungstenite::Error::ConnectionClosed | tungstenite::Error::Protocol(_) => {
            LinkError::Retry(format!("the server did not take up a session ({error}); is it paceline serve?"))
        }
        other => LinkError::Retry(format!("the server's answer cannot be understood ({other})")),
    }
}

fn of_response(response: &Response<Option<Vec<u8>>>) -> LinkError {
    let status = response.status();
    let said = detail(response.body().as_deref().unwrap_or_default());
    let said = said.map_or_else(|| status.to_string(), |said| format!("{status}: {said}"));
    match status {
        StatusCode::UNAUTHORIZED => LinkError::Fatal(format!(
            "the server wants an API key, or refuses this one ({said}); write it as http://key:SECRET@HOST, or into {}",
            super::url::KEY_VARIABLE
        )),
        StatusCode::FORBIDDEN => LinkError::Fatal(format!(
            "the API key may not open sessions ({said}); it needs the scope acquire"
        )),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::UPGRADE_REQUIRED => {
            LinkError::Fatal(format!(
                "nothing there takes sessions ({said}); look at the URL, and whether it is paceline serve"
            ))
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            LinkError::Retry(format!("the server takes no sessions at present ({said})"))
        }
        status if status.is_redirection() => {
            LinkError::Fatal(format!("the server is elsewhere ({said}); name that in the URL"))
        }
        _ => LinkError::Fatal(format!("the server refuses sessions ({said})")),
    }
}

/// Returns what a problem says of itself.
fn detail(body: &[u8]) -> Option<String> {
    const MOST: usize = 200;
    let problem: serde_json::Value = serde_json::from_slice(body).ok()?;
    let said = problem.get("detail").or_else(|| problem.get("title"))?.as_str()?;
    Some(said.chars().filter(|c| !c.is_control()).take(MOST).collect())
}
