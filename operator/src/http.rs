//! The operator's own HTTP port: liveness, readiness, metrics and the log level.
//!
//! A follower is as ready as the leader: it can take over. Readiness means that
//! the program has reached its API server once and is not shutting down.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::{ConnectInfo, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::metrics::Metrics;

/// What the HTTP port shows.
#[derive(Clone, Debug)]
pub struct Health {
    /// Set once the API server has answered, cleared on shutdown.
    pub ready: Arc<AtomicBool>,
    /// The counters behind `/metrics`.
    pub metrics: Metrics,
    /// Changes the log filter; absent when the filter is not ours to change.
    pub log_filter: Option<reload::Handle<EnvFilter, Registry>>,
}

/// Serves until `shutdown`.
pub async fn serve(listener: TcpListener, health: Health, shutdown: CancellationToken) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/loglevel", put(set_log_level))
        .with_state(health);
    axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>())
        .with_graceful_shutdown(shutdown.cancelled_owned())
        .await
}

async fn readyz(State(health): State<Health>) -> (StatusCode, &'static str) {
    if health.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the API server has not answered yet, or the program is stopping\n")
    }
}

async fn metrics(State(health): State<Health>) -> Response {
    match health.metrics.render() {
        Ok(page) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], page)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// `PUT /loglevel` with a filter such as `info,barnabas_operator=debug`. Only from
/// inside the pod, which is where `kubectl port-forward` comes from: the port has
/// no other authentication.
async fn set_log_level(
    State(health): State<Health>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    filter: String,
) -> (StatusCode, String) {
    if !peer.ip().to_canonical().is_loopback() {
        return (StatusCode::FORBIDDEN, "use kubectl port-forward to change the log level\n".into());
    }
    let Some(handle) = &health.log_filter else {
        return (StatusCode::NOT_FOUND, "the log level cannot be changed here\n".into());
    };
    let filter = match EnvFilter::try_new(filter.trim()) {
        Ok(filter) => filter,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    let text = filter.to_string();
    match handle.reload(filter) {
        Ok(()) => {
            tracing::info!(filter = %text, "The log filter changed.");
            (StatusCode::OK, format!("{text}\n"))
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}
