//! The keys, for administrators.

use std::io;
use std::sync::Arc;

use axum::Json as Written;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::answers::{Keeping, Looking};
use crate::access::{Administers, KeyInfo, NewKey, Scope};
use crate::app::App;
use crate::extract::{Json, Named};
use crate::kind::Kind;
use crate::problem::Problem;

/// A key that is to be.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyBody {
    /// What it is called: letters, digits and `-_.@`.
    #[schema(example = "nightly-batch", max_length = 100)]
    name: String,
    /// What it may do.
    scopes: Vec<Scope>,
    /// The resources it is for, `*` and `?` allowed; all where none is named.
    #[serde(default)]
    #[schema(example = json!(["openai/*"]))]
    resources: Vec<String>,
    /// For how many seconds, if not for ever.
    lasting_seconds: Option<u64>,
}

impl KeyBody {
    /// Returns the key that it asks for.
    pub(crate) fn wanted(self) -> NewKey {
        let Self { name, scopes, resources, lasting_seconds } = self;
        NewKey { name, scopes, resources, lasting_seconds }
    }
}

/// A key with its secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedKey)]
pub(crate) struct CreatedBody {
    /// What is sent as `Authorization: Bearer`.
    #[schema(example = "pk_…")]
    secret: String,
    /// The key.
    key: KeyInfo,
}

/// Lists the keys
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys", operation_id = "list_keys",
    responses((status = 200, description = "All keys, without their secrets.", body = Vec<KeyInfo>), Looking)
)]
pub(crate) async fn list(State(app): State<Arc<App>>, _: Administers) -> Written<Vec<KeyInfo>> {
    Written(app.access.list())
}

/// Creates a key
///
/// Its secret is shown this once. From the first key on, every request needs one.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys", request_body = KeyBody,
    responses((status = 201, description = "Created.", body = CreatedBody), Keeping)
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Json(body): Json<KeyBody>,
) -> Result<(StatusCode, Written<CreatedBody>), Problem> {
    let new = body.wanted();
    let created = tokio::task::block_in_place(|| app.access.create(&new));
    let (key, secret) = created.map_err(|error| refused(&error))?;
    app.audit.note(
        &caller,
        "create-key",
        &key.name,
        &json!({"scopes": key.scopes, "resources": key.resources}),
    );
    Ok((StatusCode::CREATED, Written(CreatedBody { secret, key })))
}

/// Revokes a key
#[utoipa::path(
    delete, path = "/v1/keys/{name}", tag = "keys",
    params(("name" = String, Path, description = "What it is called")),
    responses((status = 204, description = "Revoked."), Keeping)
)]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    Administers(caller): Administers,
    Named(name): Named,
) -> Result<StatusCode, Problem> {
    tokio::task::block_in_place(|| app.access.revoke(&name)).map_err(|error| refused(&error))?;
    app.audit.note(&caller, "revoke-key", &name, &Value::Null);
    Ok(StatusCode::NO_CONTENT)
}

fn refused(error: &io::Error) -> Problem {
    let kind = match error.kind() {
        io::ErrorKind::NotFound => Kind::UnknownKey,
        io::ErrorKind::AlreadyExists | io::ErrorKind::InvalidInput => Kind::Invalid,
        _ => {
            log::error!("the keys cannot be kept: {error}");
            return Problem::new(Kind::StateNotWritten, "the keys cannot be kept; the server's log says why");
        }
    };
    Problem::new(kind, error.to_string())
}
