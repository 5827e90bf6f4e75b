//! Requests: fail-over between URLs, retries, one deadline for all of them, and what an answer means.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barnabas_connect::{Error, ErrorCode, Result};
use parking_lot::Mutex;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;

use super::authorization::Authorization;
use super::{DENIED, Deadline, REASON, UNREACHABLE, tls};
use crate::config::{ClientConfig, Credentials, Url};

const JSON: &str = "application/vnd.schemaregistry.v1+json";
/// The largest answer that is read.
const MAX_ANSWER: u64 = 64 << 20;

pub struct Http {
    config: ClientConfig,
    authorization: Authorization,
    /// Made by the first request, because certificates are read from files.
    agents: Mutex<Option<Agents>>,
    /// The URL that answered last.
    current: AtomicUsize,
}

#[derive(Clone)]
struct Agents {
    registry: Agent,
    /// For an issuer of tokens, which as in the original is asked without the proxy.
    issuer: Agent,
}

impl Http {
    pub fn new(config: &ClientConfig) -> Self {
        // Any will do: the point is that all clients together use all URLs.
        let first = if config.randomize { arbitrary() % config.urls.len().max(1) } else { 0 };
        Self {
            authorization: Authorization::new(&config.credentials),
            config: config.clone(),
            agents: Mutex::default(),
            current: AtomicUsize::new(first),
        }
    }

    pub fn get<T: DeserializeOwned>(&self, deadline: Deadline, path: &str) -> Result<T> {
        self.ask(deadline, "GET", path, None)
    }

    pub fn post<T: DeserializeOwned>(&self, deadline: Deadline, path: &str, body: &serde_json::Value) -> Result<T> {
        self.ask(deadline, "POST", path, Some(body.to_string()))
    }

    fn ask<T: DeserializeOwned>(
        &self,
        deadline: Deadline,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<T> {
        let agents = self.agents()?;
        let mut wait = self.config.retry_wait;
        let mut attempt = 0;
        loop {
            let error = match self.each_url(&agents, deadline, method, path, body.as_deref()) {
                Err(error) => error,
                Ok(text) => {
                    return serde_json::from_str(&text).map_err(|error| {
                        let message =
                            format!("The schema registry's answer to {method} {path} is not understood: {error}");
                        Error::retriable(message).with_reason(REASON)
                    });
                }
            };
            if !error.is_retriable() || (attempt >= self.config.retries && deadline.left().is_some()) {
                return Err(error);
            }
            if deadline.passes_in(wait) {
                let message = format!("{} ({})", error.message(), deadline.explanation());
                return Err(Error::retriable(message).with_reason(error.reason()));
            }
            attempt += 1;
            tracing::debug!(%error, attempt, "A request to the schema registry is tried again.");
            std::thread::sleep(wait);
            wait = (wait * 2).min(self.config.retry_wait_max);
        }
    }

    /// Every URL once, beginning with the one that answered last. Only an answer ends the search. One that does not answer
    /// leaves the others their share of the time.
    fn each_url(
        &self,
        agents: &Agents,
        deadline: Deadline,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Result<String> {
        let urls = &self.config.urls;
        let first = self.current.load(Ordering::Relaxed);
        let mut last = None;
        for (offset, others) in (0..urls.len()).zip((1..=urls.len() as u32).rev()) {
            let index = (first + offset) % urls.len();
            let Some(left) = deadline.left() else { break };
            let once = || self.once(agents, deadline, left / others, &urls[index], method, path, body);
            match once().or_else(|error| if self.may_renew(&error) { once() } else { Err(error) }) {
                Err(error) if error.is_retriable() => last = Some(error),
                answer => {
                    self.current.store(index, Ordering::Relaxed);
                    return answer;
                }
            }
        }
        Err(last.unwrap_or_else(|| {
            let base = urls.get(first).map_or("", |url| url.base.as_str());
            Error::retriable(format!("The schema registry at {base} was not asked")).with_reason(UNREACHABLE)
        }))
    }

    #[allow(clippy::too_many_arguments)] // They are one request.
    fn once(
        &self,
        agents: &Agents,
        deadline: Deadline,
        limit: Duration,
        url: &Url,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Result<String> {
        let address = format!("{}{path}", url.base);
        let unreachable = |error: ureq::Error| {
            let message = format!("The schema registry at {} cannot be reached: {error}", url.base);
            let code = if matches!(error, ureq::Error::Tls(_) | ureq::Error::Pem(_)) {
                ErrorCode::Config
            } else {
                ErrorCode::Retriable
            };
            Error::new(code, message).with_reason(UNREACHABLE)
        };
        let authorization = self.authorization.header(url, &agents.issuer, deadline)?;
        // The issuer has used up some of the time.
        let Some(limit) = deadline.left().map(|left| left.min(limit)) else {
            let message = format!("The schema registry at {} was not asked ({})", url.base, deadline.explanation());
            return Err(Error::retriable(message).with_reason(UNREACHABLE));
        };
        let own = [("Accept", JSON)].into_iter();
        let own = own.chain(authorization.as_deref().map(|value| ("Authorization", value)));
        let headers = own.chain(self.config.headers.iter().map(|(name, value)| (name.as_str(), value.expose())));
        let mut answer = match body {
            Some(body) => {
                let request = agents.registry.post(&address).config().timeout_global(Some(limit)).build();
                headers
                    .fold(request.content_type(JSON), |request, (name, value)| request.header(name, value))
                    .send(body)
            }
            None => {
                let request = agents.registry.get(&address).config().timeout_global(Some(limit)).build();
                headers.fold(request, |request, (name, value)| request.header(name, value)).call()
            }
        }
        .map_err(unreachable)?;
        let text = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_string().map_err(unreachable)?;
        match answer.status().as_u16() {
            200..300 => Ok(text),
            status => Err(refused(&url.base, method, path, status, &text)),
        }
    }

    /// Whether the registry did not accept a token, and the issuer may give one that it does: one that was revoked must not cost
    /// a record.
    fn may_renew(&self, error: &Error) -> bool {
        let denied = error.reason() == DENIED && matches!(self.config.credentials, Credentials::OAuth(_));
        denied && self.authorization.forget()
    }

    fn agents(&self) -> Result<Agents> {
        let mut agents = self.agents.lock();
        if let Some(agents) = &*agents {
            return Ok(agents.clone());
        }
        let tls = tls::config(&self.config.tls)?;
        let build = |proxy: Option<ureq::Proxy>| -> Agent {
            Agent::config_builder()
                .tls_config(tls.clone())
                .timeout_connect(Some(self.config.connect_timeout))
                .timeout_per_call(Some(self.config.connect_timeout + self.config.read_timeout))
                .timeout_recv_response(Some(self.config.read_timeout))
                .timeout_recv_body(Some(self.config.read_timeout))
                .max_idle_age(Duration::from_secs(10))
                .http_status_as_error(false)
                .user_agent(concat!("barnabas/", env!("CARGO_PKG_VERSION")))
                // The environment has no say: what a converter talks to is in its configuration.
                .proxy(proxy)
                .build()
                .into()
        };
        let proxy = self.config.proxy.as_deref().map(|proxy| {
            ureq::Proxy::new(proxy).map_err(|error| {
                Error::config(format!("proxy.host and proxy.port make {proxy}, which is no proxy: {error}"))
            })
        });
        Ok(agents.insert(Agents { registry: build(proxy.transpose()?), issuer: build(None) }).clone())
    }
}

/// A number that differs from client to client; nothing depends on its quality.
fn arbitrary() -> usize {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish() as usize
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
        401 | 403 => (ErrorCode::Config, DENIED),
        404 => (ErrorCode::Data, "SchemaNotFound"),
        409 => (ErrorCode::Data, "IncompatibleSchema"),
        408 | 429 | 500..600 => (ErrorCode::Retriable, REASON),
        _ => (ErrorCode::Data, REASON),
    };
    Error::new(kind, message).with_reason(reason)
}
