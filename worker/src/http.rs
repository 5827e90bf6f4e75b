//! Health, readiness, metrics and log levels over HTTP.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::registry::Registry;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{Worker, logging::Loggers, metrics};

/// What the HTTP port shows.
#[derive(Clone)]
pub struct Http {
    worker: Worker,
    registry: Arc<Registry>,
    loggers: Option<Loggers>,
    controlled: Arc<AtomicBool>,
}

impl Http {
    /// For a worker; without `loggers` levels cannot be changed.
    pub fn new(worker: Worker, loggers: Option<Loggers>) -> Self {
        let registry = Arc::new(metrics::registry(worker.clone()));
        Self { worker, registry, loggers, controlled: Arc::default() }
    }

    /// Says that the control port listens: without it a worker is not ready.
    pub fn control_listens(&self) {
        self.controlled.store(true, Relaxed);
    }

    /// Everything, for port 8083.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "ok" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(scrape))
            .route("/admin/loggers", get(loggers))
            .route("/admin/loggers/{name}", get(logger).put(set_logger))
            .with_state(self.clone())
    }

    /// Metrics alone, for port 9404.
    pub fn metrics_router(&self) -> Router {
        Router::new().route("/metrics", get(scrape)).route("/", get(scrape)).with_state(self.clone())
    }
}

/// Serves a router until `stop` resolves. Returns after the socket is bound.
pub async fn serve(
    listen: SocketAddr,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<(SocketAddr, tokio::task::JoinHandle<()>)> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {listen}: {error}")))?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(stop).await {
            tracing::error!(%error, "The HTTP server ended.");
        }
    });
    Ok((address, task))
}

async fn readyz(State(http): State<Http>) -> Response {
    let kafka = http.worker.kafka();
    if !http.controlled.load(Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "the control port does not listen yet\n").into_response();
    }
    // Once is enough: taking every worker out of service because Kafka is away would help nobody.
    if !kafka.once {
        let why = kafka.error.unwrap_or_else(|| "Kafka has not answered yet".to_owned());
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response();
    }
    "ok".into_response()
}

async fn scrape(State(http): State<Http>) -> Response {
    match metrics::text(&http.registry) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Connect's error body.
fn problem(status: StatusCode, message: String) -> Response {
    (status, Json(json!({"error_code": status.as_u16(), "message": message}))).into_response()
}

async fn loggers(State(http): State<Http>) -> Response {
    let Some(loggers) = http.loggers else { return unavailable() };
    let all: BTreeMap<String, Value> =
        loggers.all().into_iter().map(|(name, level)| (name, json!({"level": level.to_string()}))).collect();
    Json(all).into_response()
}

async fn logger(State(http): State<Http>, Path(name): Path<String>) -> Response {
    let Some(loggers) = http.loggers else { return unavailable() };
    Json(json!({"level": loggers.level(&name).to_string()})).into_response()
}

#[derive(Deserialize)]
struct SetLevel {
    level: Option<String>,
}

/// As Connect: the answer lists the loggers whose level was set (KIP-495).
async fn set_logger(State(http): State<Http>, Path(name): Path<String>, Json(body): Json<SetLevel>) -> Response {
    let Some(loggers) = http.loggers else { return unavailable() };
    let Some(level) = body.level else {
        return problem(StatusCode::BAD_REQUEST, "Desired 'level' parameter was not specified in request.".to_owned());
    };
    match loggers.set(&name, &level) {
        Ok(affected) => Json(affected).into_response(),
        Err(error) => problem(StatusCode::NOT_FOUND, error.to_string()),
    }
}

fn unavailable() -> Response {
    problem(StatusCode::NOT_FOUND, "log levels are set where this worker was started".to_owned())
}
