//! The addresses, and the description of them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use utoipa::PartialSchema;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Info, OpenApi, OpenApiBuilder, SecurityRequirement};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{
    acquire, dashboard, events, history, keys, looks, pages, permits, resources, session, watch,
};
use crate::app::App;
use crate::problem::Facts;

const ABOUT: &str = "Keeps many workers that share an LLM API key inside the provider's limits. Ask by \
                     `POST /v1/acquire`, call the provider, settle with what the call used.";

/// Returns the routes and their description.
fn described() -> (Router<Arc<App>>, OpenApi) {
    OpenApiRouter::with_openapi(head())
        .routes(routes!(acquire::acquire))
        .routes(routes!(acquire::poll, acquire::poll_again, acquire::cancel))
        .routes(routes!(permits::list))
        .routes(routes!(permits::settle))
        .routes(routes!(permits::give_back))
        .routes(routes!(permits::renew))
        .routes(routes!(permits::amend))
        .routes(routes!(permits::record))
        .routes(routes!(looks::explain))
        .routes(routes!(resources::list))
        .routes(routes!(resources::show, resources::put, resources::patch, resources::delete))
        .routes(routes!(resources::pause))
        .routes(routes!(resources::resume))
        .routes(routes!(resources::purge))
        .routes(routes!(looks::lanes))
        .routes(routes!(looks::snapshot))
        .routes(routes!(events::follow))
        .routes(routes!(watch::watch))
        .routes(routes!(history::history))
        .routes(routes!(session::join))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(pages::openapi))
        .routes(routes!(pages::problem))
        .routes(routes!(pages::healthz))
        .routes(routes!(pages::readyz))
        .routes(routes!(pages::metrics))
        .split_for_parts()
}

/// Returns the description of the API as JSON.
pub(crate) fn openapi() -> String {
    let (_, openapi) = described();
    // Of plain values, it can always be written.
    openapi.to_pretty_json().unwrap_or_default()
}

/// Returns the whole service.
pub(crate) fn router(app: Arc<App>) -> Router {
    let (router, _) = described();
    router
        .route("/", get(dashboard::page))
        .route("/assets/{*name}", get(dashboard::asset))
        .method_not_allowed_fallback(pages::no_method)
        .fallback(pages::nothing)
        .layer(from_fn_with_state(Arc::clone(&app), counted))
        .with_state(app)
}

async fn counted(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let response = next.run(request).await;
    app.meters.answered(route.as_ref().map_or("none", MatchedPath::as_str), &method, response.status());
    response
}

fn head() -> OpenApi {
    let mut openapi = OpenApiBuilder::new()
        .info(Info::builder().title("Paceline").version(env!("CARGO_PKG_VERSION")).description(Some(ABOUT)))
        .security(Some([
            SecurityRequirement::default(),
            SecurityRequirement::new::<_, [&str; 0], &str>("key", []),
        ]))
        .build();
    let components = openapi.components.get_or_insert_default();
    components.schemas.insert("Problem".to_owned(), Facts::schema());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A key, `pk_…`")).build();
    components.add_security_scheme("key", SecurityScheme::Http(bearer));
    openapi
}
