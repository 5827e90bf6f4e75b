//! A schema registry in memory: as much of Confluent's API as the converters use, and a memory of what was asked.

#![allow(dead_code, clippy::unwrap_used)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
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
    pub authorizations: Vec<Option<String>>,
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream.unwrap(), &shared));
            }
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
        let path = path.split('?').next().unwrap();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let of = |id: u32, subject: &str, version: usize, schema: &Json| {
            let mut json = schema.clone();
            json["id"] = id.into();
            json["subject"] = subject.into();
            json["version"] = version.into();
            (200, json)
        };
        match (method, &parts[..]) {
            ("POST", ["subjects", subject, "versions"]) => (200, json!({"id": self.register(subject, body)})),
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
            other => panic!("{other:?}"),
        }
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let (method, path) = (line.split(' ').next().unwrap().to_owned(), line.split(' ').nth(1).unwrap().to_owned());
        let (mut length, mut authorization) = (0, None);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "authorization" => authorization = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let body = serde_json::from_slice(&body).unwrap_or(Json::Null);
        let (status, answer) = {
            let mut state = state.lock().unwrap();
            state.requests.push(format!("{method} {path}"));
            state.authorizations.push(authorization);
            match state.refuse.clone() {
                Some((status, message)) => (status, json!({"error_code": status, "message": message})),
                None => state.answer(&method, &path, body),
            }
        };
        let answer = answer.to_string();
        let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{answer}", answer.len());
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}
