//! Who we are: what a request carries in its `Authorization`, and tokens of an OAuth issuer (RFC 6749, client credentials).

use std::time::{Duration, Instant};

use barnabas_connect::config::Password;
use barnabas_connect::java::base64_encode;
use barnabas_connect::{Error, ErrorCode, Result};
use parking_lot::Mutex;
use serde::Deserialize;
use ureq::Agent;

use super::{DENIED, Deadline, UNREACHABLE, encode};
use crate::config::{Credentials, Issuer, Url};

/// What is known to a client for its requests.
pub struct Authorization {
    credentials: Credentials,
    /// The issuer's last token.
    token: Mutex<Option<Token>>,
}

struct Token {
    text: Password,
    /// Some time before it ends, so that none ends on its way.
    renew_at: Instant,
}

/// How long a token serves whose issuer does not say.
const UNSAID_LIFE: Duration = Duration::from_secs(60);

impl Authorization {
    pub fn new(credentials: &Credentials) -> Self {
        Self { credentials: credentials.clone(), token: Mutex::default() }
    }

    /// The header's value for a URL. The agent is for a token, when there has to be a new one.
    pub fn header(&self, url: &Url, agent: &Agent, deadline: Deadline) -> Result<Option<String>> {
        let basic = |user: &Password| format!("Basic {}", base64_encode(user.expose().as_bytes()));
        let bearer = |token: &Password| format!("Bearer {}", token.expose());
        Ok(match &self.credentials {
            Credentials::Url => url.user_info.as_ref().map(basic),
            Credentials::Basic(user) => Some(basic(user)),
            Credentials::Bearer(token) => Some(bearer(token)),
            Credentials::OAuth(issuer) => Some(bearer(&self.token(issuer, agent, deadline)?)),
        })
    }

    /// After the registry did not accept the token: the next request has a new one. Says whether there was one, which there is
    /// not when it was the issuer that refused.
    pub fn forget(&self) -> bool {
        self.token.lock().take().is_some()
    }

    fn token(&self, issuer: &Issuer, agent: &Agent, deadline: Deadline) -> Result<Password> {
        let mut known = self.token.lock();
        if let Some(token) = known.as_ref().filter(|token| Instant::now() < token.renew_at) {
            return Ok(token.text.clone());
        }
        // A refused renewal must not leave the old one to be used.
        *known = None;
        let token = fetch(issuer, agent, deadline)?;
        Ok(known.insert(token).text.clone())
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    /// Seconds; some issuers write a string.
    expires_in: Option<serde_json::Value>,
    error: Option<String>,
    error_description: Option<String>,
}

fn fetch(issuer: &Issuer, agent: &Agent, deadline: Deadline) -> Result<Token> {
    let Issuer { url, client_id, client_secret, scope, .. } = issuer;
    let failed = |code, what: String| {
        Error::new(
            code,
            format!("No token for {client_id} from {} (bearer.auth.issuer.endpoint.url): {what}", url.base),
        )
    };
    let unreachable = |error: ureq::Error| failed(ErrorCode::Retriable, error.to_string()).with_reason(UNREACHABLE);
    let mut form = "grant_type=client_credentials".to_owned();
    if let Some(scope) = scope {
        form += &format!("&scope={}", encode(scope));
    }
    let basic = base64_encode(format!("{client_id}:{}", client_secret.expose()).as_bytes());
    let left = deadline.left().ok_or_else(|| failed(ErrorCode::Retriable, deadline.explanation()))?;
    let request = agent.post(&url.base).config().timeout_global(Some(left)).build();
    let asked = Instant::now();
    let mut answer = request
        .header("Authorization", format!("Basic {basic}"))
        .header("Accept", "application/json")
        .content_type("application/x-www-form-urlencoded")
        .send(form.as_str())
        .map_err(unreachable)?;
    let text = answer.body_mut().read_to_string().map_err(unreachable)?;
    let status = answer.status().as_u16();
    // The text holds the token, so no message shows it.
    let answer = serde_json::from_str::<Answer>(&text).ok();
    let token = answer.as_ref().and_then(|answer| answer.access_token.clone()).filter(|token| !token.is_empty());
    match (status, token) {
        (200..300, Some(token)) => {
            let life = answer.and_then(|answer| seconds(&answer.expires_in?)).unwrap_or(UNSAID_LIFE);
            Ok(Token { text: Password::new(token), renew_at: asked + serves(life, issuer.expiry_buffer) })
        }
        (200..300, None) => Err(failed(ErrorCode::Config, "the answer has no access_token".to_owned())),
        _ => {
            let said = answer.and_then(|answer| {
                let error = answer.error?;
                Some(answer.error_description.map_or_else(|| error.clone(), |more| format!("{error}: {more}")))
            });
            let retriable = matches!(status, 408 | 429 | 500..600);
            let code = if retriable { ErrorCode::Retriable } else { ErrorCode::Config };
            let reason = if retriable { UNREACHABLE } else { DENIED };
            Err(failed(code, format!("{} (status {status})", said.unwrap_or_else(|| "refused".to_owned())))
                .with_reason(reason))
        }
    }
}

fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let number = value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Some(Duration::from_secs(number.min(365 * 24 * 3600)))
}

/// How long a token is used: four fifths of its life, or until the buffer begins when that is earlier. A buffer that is longer
/// than the life does not count (`OauthTokenCache`).
fn serves(life: Duration, buffer: Duration) -> Duration {
    let most = life * 4 / 5;
    life.checked_sub(buffer).map_or(most, |begin| most.min(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        let secs = Duration::from_secs;
        for (life, buffer, serves_for) in [(3600, 300, 2880), (1000, 300, 700), (100, 300, 80), (100, 0, 80)] {
            assert_eq!(serves(secs(life), secs(buffer)), secs(serves_for), "{life} {buffer}");
        }
        assert_eq!(seconds(&serde_json::json!("3599")), Some(secs(3599)));
    }
}
