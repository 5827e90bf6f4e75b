//! Where a connector's own client keys lead: `producer.override.bootstrap.servers` may name another Kafka,
//! `consumer.override.sasl.jaas.config` another user. The worker's monitor knows nothing of either.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use barnabas_connect::{Error, RawConfig};
use parking_lot::Mutex;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};

use super::{
    clients::{ClientFactory, overrides},
    context::{ClientNotes, last_error},
    errors::classify,
    keys::Client,
};

/// How a connector connects one of its clients, where that is not how the worker connects its own.
pub struct Override {
    /// Completes "... failed": the address and the keys that lead there. Shows no other value.
    doing: String,
    /// What it takes to connect, and nothing of what the client is for. Holds secrets: never printed.
    config: ClientConfig,
}

impl Override {
    /// The connector's way for this client; `None` when no key of its own decides it.
    pub fn of(clients: &ClientFactory, client: Client, connector: &RawConfig) -> Result<Option<Self>, Error> {
        let own = overrides(connector, client);
        if !own.keys().any(|key| decides(key)) {
            return Ok(None);
        }
        let all = clients.settings(client, &[], Some(connector), "")?.rdkafka;
        let mut config = ClientConfig::new();
        for (key, _) in all.config_map() {
            // The map's own values are blotted out where they are secret.
            if let Some(value) = all.get(key).filter(|_| decides(key) || key == "client.id") {
                config.set(key, value);
            }
        }
        let servers = config.get("bootstrap.servers").unwrap_or_default();
        Ok(Some(Self { doing: doing(client, servers, &own), config }))
    }

    /// A client that only asks whether Kafka answers.
    pub fn connect(&self, notes: ClientNotes, words: &FirstWords) -> Result<Probe, Error> {
        let consumer = self
            .config
            .create_with_context(notes)
            .map_err(|error| classify(&self.doing, error, None).with_reason("InvalidConfiguration"))?;
        Ok(Probe { doing: self.doing.clone(), consumer, words: Arc::clone(words) })
    }
}

/// Keys, Java's or librdkafka's, that decide which Kafka a client reaches, and as whom.
fn decides(key: &str) -> bool {
    ["bootstrap.servers", "client.dns.lookup", "security.protocol"].contains(&key)
        || key.starts_with("sasl.")
        || key.starts_with("ssl.")
}

fn doing(client: Client, servers: &str, own: &BTreeMap<String, String>) -> String {
    const SERVERS: &str = "bootstrap.servers";
    let named = |key: &str| format!("`{}.override.{key}`", client.name());
    let mut doing = format!("Reaching Kafka at {servers}");
    if own.contains_key(SERVERS) {
        doing = format!("{doing} ({})", named(SERVERS));
    }
    let others: Vec<_> = own.keys().filter(|key| decides(key) && *key != SERVERS).map(|key| named(key)).collect();
    if !others.is_empty() {
        doing = format!("{doing} with {}", others.join(", "));
    }
    doing
}

/// See [`Override::connect`].
pub struct Probe {
    doing: String,
    consumer: BaseConsumer<ClientNotes>,
    words: FirstWords,
}

/// What a client first said is wrong, by what it was doing. Kept while the unit is there, so that the same trouble has the same
/// words each time, and makes one Event.
pub type FirstWords = Arc<Mutex<BTreeMap<String, String>>>;

impl Probe {
    /// Asks once, and blocks for as long as `timeout`. `topic` is any name: it is never created by asking.
    pub fn ask(&self, topic: &str, timeout: Duration) -> Result<(), Error> {
        let Err(error) = self.consumer.fetch_metadata(Some(topic), timeout) else {
            self.words.lock().remove(&self.doing);
            return Ok(());
        };
        let mut words = self.words.lock();
        if let (None, Some(latest)) = (words.get(&self.doing), last_error(&self.consumer)) {
            words.insert(self.doing.clone(), latest);
        }
        Err(classify(&self.doing, error, words.get(&self.doing).cloned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::WorkerConfig;

    fn factory() -> ClientFactory {
        ClientFactory::new(&WorkerConfig { bootstrap_servers: "own:9092".into(), ..WorkerConfig::default() }).unwrap()
    }

    fn of(client: Client, pairs: &[(&str, &str)]) -> Option<Override> {
        let connector = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Override::of(&factory(), client, &connector).unwrap()
    }

    #[test]
    fn only_keys_that_lead_elsewhere_are_a_way_of_its_own() {
        let pairs = [("producer.override.linger.ms", "9"), ("consumer.override.bootstrap.servers", "dead:9092")];
        assert!(of(Client::Producer, &pairs).is_none());
        assert!(of(Client::Admin, &pairs).is_none());
        let consumer = of(Client::Consumer, &pairs).unwrap();
        assert_eq!(consumer.doing, "Reaching Kafka at dead:9092 (`consumer.override.bootstrap.servers`)");
        assert_eq!(consumer.config.get("bootstrap.servers"), Some("dead:9092"));
    }

    #[test]
    fn the_keys_are_named_and_no_secret_is_shown() {
        let jaas = r#"a.PlainLoginModule required username="u" password="hunter2";"#;
        let way = of(
            Client::Producer,
            &[
                ("producer.override.sasl.jaas.config", jaas),
                ("producer.override.sasl.mechanism", "PLAIN"),
                ("producer.override.max.request.size", "2000000"),
            ],
        )
        .unwrap();
        assert_eq!(
            way.doing,
            "Reaching Kafka at own:9092 with `producer.override.sasl.jaas.config`, `producer.override.sasl.mechanism`"
        );
        assert_eq!(way.config.get("sasl.password"), Some("hunter2"));
        assert_eq!(way.config.get("message.max.bytes"), None, "a reader has no use for it");
    }
}
