//! Requests: fail-over between URLs, retries, credentials, and what an answer means.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barnabas_connect::java::base64_encode;
use barnabas_connect::{Error, ErrorCode, Result};
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;

use super::{REASON, tls};
use crate::config::{ClientConfig, Credentials, Url};

const JSON: &str = "application/vnd.schemaregistry.v1+json";
/// The largest answer that is read.
const MAX_ANSWER: u64 = 64 << 20;

pub struct Http {
    config: ClientConfig,
    /// Made by the first request, because certificates are read from files.
    agent: Mutex<Option<Agent>>,
    /// The URL that answered last.
    current: AtomicUsize,
}

impl Http {
    pub fn new(config: &ClientConfig) -> Self {
        Self { config: config.clone(), agent: Mutex::new(None), current: AtomicUsize::new(0) }
    }

    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.ask("GET", path, None)
    }

    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &serde_json::Value) -> Result<T> {
        self.ask("POST", path, Some(body.to_string()))
    }

    fn ask<T: DeserializeOwned>(&self, method: &str, path: &str, body: Option<String>) -> Result<T> {
        let agent = self.agent()?;
        let mut wait = self.config.retry_wait;
        let mut attempt = 0;
        loop {
            let error = match self.each_url(&agent, method, path, body.as_deref()) {
                Err(error) if error.is_retriable() && attempt < self.config.retries => error,
                Err(error) => return Err(error),
                Ok(text) => {
                    return serde_json::from_str(&text).map_err(|error| {
                        let message =
                            format!("The schema registry's answer to {method} {path} is not understood: {error}");
                        Error::retriable(message).with_reason(REASON)
                    });
                }
            };
            attempt += 1;
            tracing::debug!(%error, attempt, "A request to the schema registry is tried again.");
            std::thread::sleep(wait);
            wait = (wait * 2).min(self.config.retry_wait_max);
        }
    }

    /// Every URL once, beginning with the one that answered last. Only an answer ends the search.
    fn each_url(&self, agent: &Agent, method: &str, path: &str, body: Option<&str>) -> Result<String> {
        let first = self.current.load(Ordering::Relaxed);
        let mut last = Error::config("schema.registry.url has no URL.");
        for offset in 0..self.config.urls.len() {
            let index = (first + offset) % self.config.urls.len();
            match self.once(agent, &self.config.urls[index], method, path, body) {
                Err(error) if error.is_retriable() => last = error,
                answer => {
                    self.current.store(index, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(last)
    }

    fn once(&self, agent: &Agent, url: &Url, method: &str, path: &str, body: Option<&str>) -> Result<String> {
        let address = format!("{}{path}", url.base);
        let unreachable = |error: ureq::Error| {
            let message = format!("The schema registry at {} cannot be reached: {error}", url.base);
            let code = if matches!(error, ureq::Error::Tls(_) | ureq::Error::Pem(_)) {
                ErrorCode::Config
            } else {
                ErrorCode::Retriable
            };
            Error::new(code, message).with_reason("SchemaRegistryUnreachable")
        };
        let authorization = self.authorization(url);
        let mut answer = match body {
            Some(body) => {
                let mut request = agent.post(&address).header("Content-Type", JSON).header("Accept", JSON);
                if let Some(value) = &authorization {
                    request = request.header("Authorization", value);
                }
                request.send(body)
            }
            None => {
                let mut request = agent.get(&address).header("Accept", JSON);
                if let Some(value) = &authorization {
                    request = request.header("Authorization", value);
                }
                request.call()
            }
        }
        .map_err(unreachable)?;
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().map_err(unreachable)?;
        match answer.status().as_u16() {
            200..300 => Ok(text),
            status => Err(refused(&url.base, method, path, status, &text)),
        }
    }

    fn authorization(&self, url: &Url) -> Option<String> {
        match &self.config.credentials {
            Credentials::None => None,
            Credentials::Url => {
                url.user_info.as_ref().map(|user| format!("Basic {}", base64_encode(user.expose().as_bytes())))
            }
            Credentials::Basic(user) => Some(format!("Basic {}", base64_encode(user.expose().as_bytes()))),
            Credentials::Bearer(token) => Some(format!("Bearer {}", token.expose())),
        }
    }

    fn agent(&self) -> Result<Agent> {
        let mut agent = self.agent.lock();
        if let Some(agent) = &*agent {
            return Ok(agent.clone());
        }
        let mut builder = Agent::config_builder()
            .tls_config(tls::config(&self.config.tls)?)
            .timeout_connect(Some(self.config.connect_timeout))
            .timeout_per_call(Some(self.config.connect_timeout + self.config.read_timeout))
            .timeout_recv_response(Some(self.config.read_timeout))
            .timeout_recv_body(Some(self.config.read_timeout))
            .max_idle_age(Duration::from_secs(10))
            .http_status_as_error(false)
            .user_agent(concat!("barnabas/", env!("CARGO_PKG_VERSION")));
        // The environment has no say: what a converter talks to is in its configuration.
        builder = builder.proxy(match &self.config.proxy {
            None => None,
            Some(proxy) => Some(ureq::Proxy::new(proxy).map_err(|error| {
                Error::config(format!("proxy.host and proxy.port make {proxy}, which is no proxy: {error}"))
            })?),
        });
        Ok(agent.insert(builder.build().into()).clone())
    }
}

/// What a status other than 2xx means, in the registry's own words.
fn refused(base: &str, method: &str, path: &str, status: u16, text: &str) -> Error {
    #[derive(Deserialize)]
    struct Answer {
        error_code: Option<i64>,
        message: Option<String>,
    }
    let answer = serde_json::from_str::<Answer>(text).unwrap_or(Answer { error_code: None, message: None });
    let said = answer.message.unwrap_or_else(|| match status {
        401 => "Unauthorized".to_owned(),
        403 => "Forbidden".to_owned(),
        _ => text.chars().take(200).collect(),
    });
    let code = answer.error_code.filter(|code| *code != i64::from(status));
    let code_text = code.map(|code| format!("; error code: {code}")).unwrap_or_default();
    let message = format!("The schema registry at {base} refused {method} {path}: {said} (status {status}{code_text})");
    let (kind, reason) = match status {
        401 | 403 => (ErrorCode::Config, "SchemaRegistryDenied"),
        404 => (ErrorCode::Data, "SchemaNotFound"),
        409 => (ErrorCode::Data, "IncompatibleSchema"),
        408 | 429 | 500..600 => (ErrorCode::Retriable, REASON),
        _ => (ErrorCode::Data, REASON),
    };
    Error::new(kind, message).with_reason(reason)
}

/// Percent-encodes a path segment or a query value.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
