//! What Connect answers to `PUT /connector-plugins/X/config/validate`, and what we derive from our definitions.
//! `tests/compat/README.md` says how the fixture is made.

#![allow(clippy::unwrap_used)]

#[path = "../../../connect/tests/typed/mod.rs"]
mod typed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use barnabas_connect::config::{
    ConfigDef, ConfigKey, Importance, Parsed, ParsedValues, Password, Recommender, Type, Validator, Width,
};
use barnabas_connect::connector_config::config_infos;
use barnabas_connect::{Connector, ConnectorPlugin, Kind, Registry, TaskFactory};
use serde_json::{Value as Json, json};
use typed::{Differences, fixtures};

/// The twin of the class of the same name in `ValidationCases.java`.
struct Model;

impl ConnectorPlugin for Model {
    fn class(&self) -> &'static str {
        "ValidationCases$ModelConnector"
    }

    fn kind(&self) -> Kind {
        Kind::Source
    }

    fn version(&self) -> &'static str {
        "7"
    }

    fn config_def(&self) -> &ConfigDef {
        static DEF: LazyLock<ConfigDef> = LazyLock::new(|| {
            let low = |name: &str, ty| ConfigKey::new(name, ty).importance(Importance::Low);
            let list = ["x", "y"].map(str::to_owned).to_vec();
            ConfigDef::new()
                .define(
                    ConfigKey::new("mode", Type::String)
                        .default("a")
                        .validator(Validator::one_of(&["a", "b"]))
                        .importance(Importance::High)
                        .display("Mode", 1, Width::Medium, "The mode")
                        .dependents(&["b.size", "b.name"]),
                )
                .define(
                    ConfigKey::new("b.size", Type::Int)
                        .default(1)
                        .validator(Validator::between(1, 10))
                        .display("Mode", 2, Width::Short, "The size")
                        .recommender(Sizes),
                )
                .define(
                    low("b.name", Type::String)
                        .default_null()
                        .validator(Validator::NonEmptyString)
                        .display("Mode", 3, Width::Long, "The name")
                        .recommender(Names),
                )
                .define(ConfigKey::new("secret", Type::Password).importance(Importance::High))
                .define(low("old.secret", Type::Password).default(Password::new("hunter1")))
                .define(low("ratio", Type::Double).default(0.5).validator(Validator::between(0, 1)))
                .define(low("flag", Type::Boolean).default(false).display("Flags", 7, Width::None, "A flag"))
                .define(low("long", Type::Long).default(5_i64).validator(Validator::at_least(0)))
                .define(low("short", Type::Short).default(3_i16))
                .define(ConfigKey::new("list", Type::List).default(list))
                .define(
                    low("parent", Type::String)
                        .default("p")
                        .display("Flags", 8, Width::None, "A parent")
                        .dependents(&["nowhere"]),
                )
        });
        &DEF
    }

    fn connector(&self) -> Box<dyn Connector> {
        unreachable!("validation makes no connector")
    }

    fn task(&self) -> TaskFactory {
        unreachable!("validation makes no task")
    }
}

fn text<'a>(config: &'a ParsedValues, key: &str) -> Option<&'a str> {
    config.get(key)?.as_ref()?.as_text()
}

#[derive(Debug)]
struct Sizes;

impl Recommender for Sizes {
    fn values(&self, key: &str, config: &ParsedValues) -> Vec<String> {
        if self.visible(key, config) { ["1", "2", "4"].map(str::to_owned).to_vec() } else { Vec::new() }
    }

    fn visible(&self, _: &str, config: &ParsedValues) -> bool {
        text(config, "mode") == Some("b")
    }
}

#[derive(Debug)]
struct Names;

impl Recommender for Names {
    fn values(&self, _: &str, config: &ParsedValues) -> Vec<String> {
        let shown = |key: &str| config[key].as_ref().map_or("null".to_owned(), Parsed::to_string);
        vec![format!("{}-{}", shown("mode"), shown("b.size"))]
    }
}

/// What Connect has no key for: the dead letter queue of a source, and files without repetition.
const OURS_ALONE: [&str; 4] = [
    "source errors.deadletterqueue.context.headers.enable",
    "source errors.deadletterqueue.topic.name",
    "source errors.deadletterqueue.topic.replication.factor",
    "sink exactly.once",
];

#[test]
fn validation() {
    let mut registry = Registry::new();
    barnabas_file::register(&mut registry);
    registry.register(&Model);
    let worker = [
        ("key.converter", "org.apache.kafka.connect.storage.StringConverter"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
    ];
    let worker = worker.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let mut first: BTreeMap<&str, BTreeMap<String, Json>> = BTreeMap::new();
    let mut differences = Differences::default();
    for case in fixtures("validation.json") {
        let config = typed::config(&case["config"]);
        let ours = match config_infos(&registry, &worker, &config, &[]) {
            Ok(infos) => serde_json::to_value(infos).unwrap(),
            Err(error) => {
                // In other words: Java's show the configuration, or objects.
                let theirs = case["error"].as_str().unwrap();
                let same = theirs.contains("contains no connector type") || error.message.starts_with(&theirs[..80]);
                assert!(same && error.key == "connector.class", "{case}: {error}");
                continue;
            }
        };
        let plugin = registry.find(&config["connector.class"]).unwrap();
        let theirs = Infos::theirs(&case, first.entry(plugin.class()).or_default());
        let ours = Infos::ours(&ours, &theirs, plugin.kind());
        let about = |what: &str| json!({"config": case["config"], "of": what});
        differences.compare(&about("all"), &ours.general, &theirs.general);
        differences.compare(&about("the order"), &json!(ours.order()), &json!(theirs.order()));
        for key in ours.infos.keys().chain(theirs.infos.keys()).collect::<BTreeSet<_>>() {
            let of = |infos: &Infos| infos.infos.get(key).cloned().unwrap_or_default();
            differences.compare(&about(key), &of(&ours), &of(&theirs));
        }
    }
    differences.assert_none(2000);
}

/// One answer, in a form in which both can be compared.
struct Infos {
    names: Vec<String>,
    infos: BTreeMap<String, Json>,
    /// What is not about one key.
    general: Json,
}

fn name(info: &Json) -> String {
    info["value"]["name"].as_str().unwrap().to_owned()
}

/// The key without its prefix, when it belongs to a transform, a predicate or a converter.
fn own(key: &str) -> Option<&str> {
    let aliased = ["transforms.", "predicates."].iter().find_map(|prefix| key.strip_prefix(prefix)?.split_once('.'));
    let converters = ["key.converter.", "value.converter.", "header.converter."];
    let own = aliased.map(|(_, own)| own).or_else(|| converters.iter().find_map(|prefix| key.strip_prefix(prefix)));
    own.filter(|own| !["type", "plugin.version"].contains(own))
}

impl Infos {
    fn theirs(case: &Json, first: &mut BTreeMap<String, Json>) -> Self {
        let mut infos: BTreeMap<String, Json> =
            case["infos"]["configs"].as_array().unwrap().iter().map(|info| (name(info), info.clone())).collect();
        let names: Vec<String> = serde_json::from_value(case["names"].clone()).unwrap();
        for name in &names {
            infos.entry(name.clone()).or_insert_with(|| first[name].clone());
        }
        if first.is_empty() {
            first.clone_from(&infos);
        }
        let (mut negated, mut accidents) = (None, 0);
        for (key, info) in &mut infos {
            if key.ends_with("plugin.version") {
                let shown = ["/definition/default_value", "/value/value", "/value/recommended_values/0"];
                for place in shown {
                    if let Some(version) = info.pointer_mut(place).filter(|version| *version == "4.3.1") {
                        *version = json!(barnabas_connect::VERSION);
                    }
                }
            }
            // The definitions of these are the Kafka client's.
            if key.contains(".override.") {
                info["definition"] = Json::Null;
            }
            let errors = info["value"]["errors"].as_array_mut().unwrap();
            for error in errors.iter_mut() {
                // Ours name the whole key.
                if let Some(own) = own(key) {
                    let text = error.as_str().unwrap();
                    *error = text
                        .replace(&format!("for configuration {own}:"), &format!("for configuration {key}:"))
                        .replace(&format!("Configuration '{own}'"), &format!("Configuration '{key}'"))
                        .into();
                }
            }
            // A pattern that is missing is not a wrong one as well.
            let before = errors.len();
            errors.retain(|error| !error.as_str().unwrap().contains("Cannot invoke \"String.isEmpty()\""));
            accidents += before - errors.len();
            // Ours is at the key that is wrong, theirs at the class.
            if let Some(at) = errors.iter().position(|error| error.as_str().unwrap().contains("negate' was provided")) {
                negated = Some((key.replace(".type", ".negate"), errors.remove(at)));
            }
        }
        if let Some((key, error)) = negated {
            infos.get_mut(&key).unwrap()["value"]["errors"].as_array_mut().unwrap().push(error);
        }
        let (mut groups, by_converters) = groups(&case["infos"]);
        groups.extend(by_converters);
        let errors = case["infos"]["error_count"].as_u64().unwrap() as usize - accidents;
        let general = json!({"name": case["infos"]["name"], "errors": errors, "groups": groups});
        Self { names, infos, general }
    }

    fn ours(answer: &Json, theirs: &Self, kind: Kind) -> Self {
        let mut errors_more = 0;
        let mut names = Vec::new();
        let mut infos = BTreeMap::new();
        for info in answer["configs"].as_array().unwrap() {
            let (mut info, key) = (info.clone(), name(info));
            let their = theirs.infos.get(&key);
            if OURS_ALONE.contains(&format!("{kind} {key}").as_str()) {
                assert!(their.is_none(), "{key} is theirs, too");
                continue;
            }
            if let Some(definition) = info["definition"].as_object_mut() {
                let documentation = definition.remove("documentation").unwrap();
                let documented = documentation.as_str().unwrap().len() > 8;
                assert!(documented || key == "mode" || Model.config_def().get(&key).is_some(), "{key}");
                assert_eq!(definition.remove("order").unwrap(), definition["order_in_group"]);
            }
            // Debezium's transforms are built in.
            let recommended = info["value"]["recommended_values"].as_array_mut().unwrap();
            recommended.retain(|value| !value.as_str().unwrap().starts_with("io.debezium.transforms."));
            let their_errors = their.map(|info| info["value"]["errors"].as_array().unwrap().as_slice());
            let their_errors = their_errors.unwrap_or_default();
            let errors = info["value"]["errors"].as_array_mut().unwrap();
            for (error, theirs) in errors.iter_mut().zip(their_errors) {
                let (text, theirs) = (error.as_str().unwrap(), theirs.as_str().unwrap());
                // A hint follows; what is wrong with a regular expression, every engine says in its own words; Java's accidents.
                let same = text.starts_with(theirs)
                    || theirs.split_once("Invalid regex: ").is_some_and(|(before, _)| text.starts_with(before))
                    || theirs.contains("java.lang.");
                if same {
                    *error = theirs.into();
                }
            }
            // What Connect finds out when a task starts, we say here.
            let late = errors.split_off(errors.len().min(their_errors.len()));
            errors_more += late.len();
            for error in late {
                let text = error.as_str().unwrap();
                assert!(FOUND_EARLIER.contains(&(key.as_str(), text)), "{key}: {text}");
            }
            if their.is_none() && info["definition"].is_null() {
                continue;
            }
            names.push(key.clone());
            assert!(infos.insert(key, info).is_none(), "a key is there twice");
        }
        let (mut groups, by_converters) = groups(answer);
        groups.extend(by_converters);
        let errors = answer["error_count"].as_u64().unwrap() as usize - errors_more;
        let general = json!({"name": answer["name"], "errors": errors, "groups": groups});
        Self { names, infos, general }
    }

    /// The keys of converters are in the order of a Java hash map, what nobody defines is at one end or the other.
    fn order(&self) -> Vec<&String> {
        let converters = |key: &str| key.contains(".converter.") && own(key).is_some();
        self.names.iter().filter(|key| !converters(key) && !self.infos[*key]["definition"].is_null()).collect()
    }
}

/// The groups in their order, and those of the JsonConverter in ours: theirs is that of a hash map.
fn groups(infos: &Json) -> (Vec<String>, Vec<String>) {
    let groups: Vec<String> = serde_json::from_value(infos["groups"].clone()).unwrap();
    let (mut json, others): (Vec<_>, _) =
        groups.into_iter().partition(|group| ["Schemas", "Serialization"].contains(&group.as_str()));
    json.sort();
    (others, json)
}

/// What is found out only when it is built: keys and messages that have no counterpart in the original's answer.
const FOUND_EARLIER: [(&str, &str); 4] = [
    ("transforms.t", "No field insertion configured"),
    ("transforms.t", "Neither schema name nor version configured"),
    (
        "topic.creation.default.replication.factor",
        "Missing required configuration \"topic.creation.default.replication.factor\" which has no default value.",
    ),
    (
        "topic.creation.default.partitions",
        "Missing required configuration \"topic.creation.default.partitions\" which has no default value.",
    ),
];
