//! A schema registry in memory: as much of Confluent's API as the converters use, and a memory of what was asked.

#![allow(dead_code, clippy::unwrap_used)]

pub mod http;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use barnabas_connect::{Converter, Registry};
use serde_json::{Value as Json, json};

#[derive(Default)]
pub struct State {
    /// Subject to the ids of its versions.
    subjects: HashMap<String, Vec<u32>>,
    /// By id - 1: the request that registered it.
    schemas: Vec<Json>,
    pub requests: Vec<String>,
    /// What the last request carried.
    pub headers: HashMap<&'static str, String>,
    /// The authorization without which nothing is answered, when it is set.
    pub admit: Option<String>,
    /// The answer to everything, when it is set.
    pub refuse: Option<(u16, String)>,
}

#[derive(Clone)]
pub struct FakeRegistry {
    pub url: String,
    pub state: Arc<Mutex<State>>,
}

impl FakeRegistry {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let url = http::serve(None, move |request| {
            let mut state = shared.lock().unwrap();
            state.requests.push(format!("{} {}", request.method, request.path));
            let names = ["Authorization", "target-sr-cluster", "Confluent-Identity-Pool-Id", "X-Own"];
            let headers = names.into_iter().filter_map(|name| Some((name, request.header(name)?.to_owned())));
            state.headers = headers.collect();
            let body = serde_json::from_slice(&request.body).unwrap_or(Json::Null);
            let denied = state.admit.is_some() && state.admit.as_deref() != request.header("Authorization");
            let (status, answer) = match state.refuse.clone() {
                Some((status, message)) => (status, json!({"error_code": status, "message": message})),
                None if denied => (401, json!({"error_code": 401, "message": "Unauthorized"})),
                None => state.answer(&request.method, &request.path, body),
            };
            (status, answer.to_string().into_bytes())
        });
        Self { url, state }
    }

    pub fn converter(&self, class: &str, extra: &[(&str, &str)]) -> Arc<dyn Converter> {
        let mut config = vec![("schema.registry.url", self.url.as_str()), ("max.retries", "0")];
        config.extend(extra);
        converter(class, &config)
    }

    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }

    /// The text of the newest schema of a subject.
    pub fn latest(&self, subject: &str) -> String {
        let state = self.state.lock().unwrap();
        let id = *state.subjects[subject].last().unwrap();
        state.schemas[id as usize - 1]["schema"].as_str().unwrap().to_owned()
    }

    pub fn register(&self, subject: &str, request: Json) -> u32 {
        self.state.lock().unwrap().register(subject, request)
    }
}

pub fn converter(class: &str, config: &[(&str, &str)]) -> Arc<dyn Converter> {
    let mut registry = Registry::new();
    barnabas_schema_registry::register(&mut registry);
    let config = config.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    registry.converter(class, &config, false).map_err(|errors| errors[0].message.clone()).unwrap()
}

impl State {
    fn register(&mut self, subject: &str, request: Json) -> u32 {
        let id = match self.schemas.iter().position(|known| *known == request) {
            Some(at) => at as u32 + 1,
            None => {
                self.schemas.push(request);
                self.schemas.len() as u32
            }
        };
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        if !versions.contains(&id) {
            versions.push(id);
        }
        id
    }

    fn answer(&mut self, method: &str, path: &str, body: Json) -> (u16, Json) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let of = |id: u32, subject: &str, version: usize, schema: &Json| {
            let mut json = schema.clone();
            json["id"] = id.into();
            json["subject"] = subject.into();
            json["version"] = version.into();
            (200, json)
        };
        match (method, &parts[..]) {
            // As in the original a new version takes over the rules of the one before, and the answer has them.
            ("POST", ["subjects", subject, "versions"]) => {
                let before = self.subjects.get(*subject).and_then(|versions| versions.last()).copied();
                let rules = before.map_or(Json::Null, |id| self.schemas[id as usize - 1]["ruleSet"].clone());
                let mut body = body;
                if !rules.is_null() {
                    body["ruleSet"] = rules.clone();
                }
                (200, json!({"id": self.register(subject, body), "ruleSet": rules}))
            }
            ("POST", ["subjects", subject]) => {
                let versions = self.subjects.get(*subject).cloned().unwrap_or_default();
                let found = versions.iter().position(|id| self.schemas[*id as usize - 1]["schema"] == body["schema"]);
                match found {
                    Some(at) => of(versions[at], subject, at + 1, &self.schemas[versions[at] as usize - 1]),
                    None => (404, json!({"error_code": 40403, "message": "Schema not found"})),
                }
            }
            ("GET", ["schemas", "ids", id]) => match self.schemas.get(id.parse::<usize>().unwrap().wrapping_sub(1)) {
                Some(schema) => (200, schema.clone()),
                None => (404, json!({"error_code": 40403, "message": format!("Schema {id} not found")})),
            },
            ("GET", ["subjects", subject, "versions", version]) => {
                let versions = self.subjects.get(*subject).cloned().unwrap_or_default();
                let at = if *version == "latest" { versions.len() } else { version.parse().unwrap() };
                match versions.get(at.wrapping_sub(1)) {
                    Some(id) => of(*id, subject, at, &self.schemas[*id as usize - 1]),
                    None => (404, json!({"error_code": 40401, "message": "Subject not found"})),
                }
            }
            // The newest whose metadata has all that the query asks for.
            ("GET", ["subjects", subject, "metadata"]) => {
                let words: Vec<_> = query.split('&').map(|word| word.split_once('=').unwrap()).collect();
                let wanted: Vec<_> = words.windows(2).filter(|pair| pair[0].0 == "key").collect();
                let has = |id: u32| {
                    let properties = &self.schemas[id as usize - 1]["metadata"]["properties"];
                    wanted.iter().all(|pair| properties[pair[0].1] == pair[1].1)
                };
                let versions = self.subjects.get(*subject).cloned().unwrap_or_default();
                match versions.iter().rposition(|id| has(*id)) {
                    Some(at) => of(versions[at], subject, at + 1, &self.schemas[versions[at] as usize - 1]),
                    None => (404, json!({"error_code": 40402, "message": "Version not found"})),
                }
            }
            other => panic!("{other:?}"),
        }
    }
}
