//! The keys common to all connectors (`ConnectorConfig`, `SourceConnectorConfig`, `SinkConnectorConfig`) and the validation of
//! a whole connector configuration.

mod infos;
mod keys;
mod topic_creation;
mod version;

use crate::config::{ConfigDef, ConfigError, Parsed, RawConfig, Type, with_prefix};
use crate::plugin::{ConnectorPlugin, ExactlyOnceSupport, Kind};
use crate::regex::JavaRegex;
use crate::registry::Registry;
use crate::{converter, header_converter, transform};

pub use infos::config_infos;
pub use keys::{sink_config_def, source_config_def};
pub use topic_creation::topic_creation_errors;

/// `name`
pub const NAME: &str = "name";
/// `connector.class`
pub const CONNECTOR_CLASS: &str = "connector.class";
/// `tasks.max`
pub const TASKS_MAX: &str = "tasks.max";
/// `tasks.max.enforce` (KIP-1004)
pub const TASKS_MAX_ENFORCE: &str = "tasks.max.enforce";
/// `key.converter`
pub const KEY_CONVERTER: &str = "key.converter";
/// `value.converter`
pub const VALUE_CONVERTER: &str = "value.converter";
/// `header.converter`
pub const HEADER_CONVERTER: &str = "header.converter";
/// `topics`; sinks only
pub const TOPICS: &str = "topics";
/// `topics.regex`; sinks only
pub const TOPICS_REGEX: &str = "topics.regex";
/// `errors.deadletterqueue.topic.name`; sinks only
pub const DLQ_TOPIC: &str = "errors.deadletterqueue.topic.name";

/// The prefixes under which a connector sets keys of its Kafka clients (KIP-458).
pub const CLIENT_OVERRIDES: [&str; 3] = ["producer.override.", "consumer.override.", "admin.override."];

/// The keys common to connectors of a kind.
pub fn framework_config_def(kind: Kind) -> &'static ConfigDef {
    match kind {
        Kind::Source => source_config_def(),
        Kind::Sink => sink_config_def(),
    }
}

/// Checks a whole connector configuration: the keys common to all connectors, the connector's own, those of its converters,
/// transforms and predicates, and that there is no other key. `name` is the connector's name, which the configuration may leave out.
///
/// What needs the outside system is for [`crate::Connector::validate`], which may be asked once this returns no error.
/// Secrets must be resolved before, and never appear in a message.
pub fn validate(registry: &Registry, name: &str, config: &RawConfig) -> Vec<ConfigError> {
    let mut config = config.clone();
    config.entry(NAME.to_owned()).or_insert_with(|| name.to_owned());
    let Some(class) = config.get(CONNECTOR_CLASS) else {
        return vec![ConfigError::missing(CONNECTOR_CLASS)];
    };
    match registry.find(class) {
        Some(plugin) => all_errors(registry, plugin, &config),
        None => vec![unknown_connector(registry, class)],
    }
}

/// Checks what a worker does itself with the configuration of a task: the keys common to all connectors, and those of its
/// converters, transforms and predicates. Besides the connector's keys a task may have others, which only the task knows.
pub fn validate_task(registry: &Registry, kind: Kind, name: &str, config: &RawConfig) -> Vec<ConfigError> {
    let mut config = config.clone();
    config.entry(NAME.to_owned()).or_insert_with(|| name.to_owned());
    let mut errors = framework_config_def(kind).errors(&config);
    converter_errors(registry, &config, &mut errors);
    errors.extend(transform::chain_errors(&config));
    errors
}

fn all_errors(registry: &Registry, plugin: &dyn ConnectorPlugin, config: &RawConfig) -> Vec<ConfigError> {
    let framework = framework_config_def(plugin.kind());
    let own = plugin.config_def();
    let mut errors = framework.errors(config);
    // A connector may define a key of the framework itself, such as `topics`: its own rules then hold as well.
    errors.extend(own.errors(config).into_iter().filter(|error| !errors.contains(error)).collect::<Vec<_>>());
    errors.extend(version::check(config, "connector.plugin.version", plugin.class(), plugin.version()));
    converter_errors(registry, config, &mut errors);
    errors.extend(transform::chain_errors(config));
    for key in config.keys().filter(|key| key.ends_with(".plugin.version")) {
        // Those of transforms and predicates, all of which are built in.
        let class = key.strip_suffix("plugin.version").and_then(|prefix| config.get(&format!("{prefix}type")));
        errors.extend(class.and_then(|class| version::check(config, key, class, crate::VERSION)));
    }
    match plugin.kind() {
        Kind::Source => {
            errors.extend(topic_creation_errors(config));
            exactly_once_errors(plugin, config, &mut errors);
        }
        Kind::Sink => topics_errors(config, &mut errors),
    }
    unknown_keys(plugin, framework, config, &mut errors);
    errors
}

/// The values that may not be shown because of the key that they are under: those of the connector's own passwords, and of
/// keys that are passwords by their name in converters, transforms and Kafka clients.
pub fn passwords<'a>(registry: &Registry, config: &'a RawConfig) -> impl Iterator<Item = &'a str> {
    let own = config.get(CONNECTOR_CLASS).and_then(|class| registry.find(class)).map(ConnectorPlugin::config_def);
    config.iter().filter(move |(key, _)| is_password(own, key)).map(|(_, value)| value.as_str())
}

/// Whether a key holds a password: by its definition, or by its name.
fn is_password(own: Option<&ConfigDef>, key: &str) -> bool {
    const NAMES: [&str; 6] = ["password", "secret", "token", "jaas.config", "keystore.key", "user.info"];
    let defined = own.and_then(|own| own.get(key)).is_some_and(|key| key.ty == Type::Password);
    defined || NAMES.iter().any(|name| key.ends_with(name))
}

fn unknown_connector(registry: &Registry, class: &str) -> ConfigError {
    let hint = match registry.suggest(class) {
        Some(nearest) => format!("Did you mean {nearest}?"),
        None => {
            let known: Vec<&str> = registry.connectors().iter().map(|plugin| plugin.class()).collect();
            format!("Available: {}.", known.join(", "))
        }
    };
    let message = format!("Failed to find any class that implements Connector and which name matches {class}. {hint}");
    ConfigError::new(CONNECTOR_CLASS, "UnknownConnectorClass", message)
}

fn converter_errors(registry: &Registry, config: &RawConfig, errors: &mut Vec<ConfigError>) {
    for (key, is_key) in [(KEY_CONVERTER, true), (VALUE_CONVERTER, false)] {
        let Some(class) = config.get(key) else { continue };
        let class = class.trim();
        match registry.find_converter(class) {
            Some(plugin) => {
                let build = |own: &RawConfig| (plugin.build)(own, is_key).err();
                plugin_errors(config, key, &(plugin.config_def)(), build, errors);
                errors.extend(version::check(config, &format!("{key}.plugin.version"), plugin.class, plugin.version));
            }
            None => errors.push(converter::unknown_class(key, class, registry.converter_classes())),
        }
    }
    if let Some(class) = config.get(HEADER_CONVERTER) {
        let class = class.trim();
        match header_converter::find(class) {
            Some((class, def)) => {
                let build = |own: &RawConfig| header_converter::header_converter(class, own).err();
                plugin_errors(config, HEADER_CONVERTER, &def, build, errors);
                errors.extend(version::check(config, "header.converter.plugin.version", class, crate::VERSION));
            }
            None => errors.push(converter::unknown_class(HEADER_CONVERTER, class, header_converter::classes())),
        }
    }
}

/// The keys that every converter has besides its own.
fn converter_keys() -> ConfigDef {
    keys::converter_keys()
}

fn plugin_errors(
    config: &RawConfig,
    key: &str,
    def: &ConfigDef,
    build: impl Fn(&RawConfig) -> Option<Vec<ConfigError>>,
    errors: &mut Vec<ConfigError>,
) {
    let prefix = format!("{key}.");
    let own = with_prefix(config, &prefix);
    let def = converter_keys().merge(def);
    let before = errors.len();
    errors.extend(def.embed(&prefix).errors(config));
    errors.extend(def.unknown(&own).into_iter().map(|error| ConfigError {
        message: error.message.replacen(&error.key, &format!("{prefix}{}", error.key), 1),
        key: format!("{prefix}{}", error.key),
        ..error
    }));
    if errors.len() == before {
        errors.extend(
            build(&own)
                .into_iter()
                .flatten()
                .map(|error| ConfigError { key: format!("{prefix}{}", error.key), ..error }),
        );
    }
}

/// `SinkConnectorConfig.validate`
fn topics_errors(config: &RawConfig, errors: &mut Vec<ConfigError>) {
    let set = |key: &str| config.get(key).map(String::as_str).filter(|text| !text.trim().is_empty());
    let (topics, regex) = (set(TOPICS), set(TOPICS_REGEX));
    let mut both = |reason: &'static str, message: &str| {
        errors.extend([TOPICS, TOPICS_REGEX].map(|key| ConfigError::new(key, reason, message)));
    };
    match (topics, regex) {
        (Some(_), Some(_)) => {
            both("InvalidValue", "topics and topics.regex are mutually exclusive options, but both are set.");
        }
        (None, None) => both("MissingKey", "Must configure one of topics or topics.regex"),
        _ => {}
    }
    let Some(dlq) = set(DLQ_TOPIC).map(str::trim) else { return };
    if let Some(Ok(Parsed::List(list))) = topics.map(|text| Type::List.parse(text))
        && list.iter().any(|topic| topic == dlq)
    {
        let list = list.join(", ");
        let message = format!(
            "The DLQ topic '{dlq}' may not be included in the list of topics ('topics=[{list}]') consumed by the connector"
        );
        errors.push(ConfigError::new(TOPICS, "InvalidValue", message));
    }
    if let Some(regex) = regex
        && JavaRegex::new(regex).is_ok_and(|pattern| pattern.matches(dlq).unwrap_or(false))
    {
        let message = format!(
            "The DLQ topic '{dlq}' may not be matched by the regex for the topics ('topics.regex={regex}') consumed by the connector"
        );
        errors.push(ConfigError::new(TOPICS_REGEX, "InvalidValue", message));
    }
}

/// What `AbstractHerder` and `DistributedHerder` check for sources with exactly-once support.
fn exactly_once_errors(plugin: &dyn ConnectorPlugin, config: &RawConfig, errors: &mut Vec<ConfigError>) {
    let is = |key: &str, value: &str| config.get(key).is_some_and(|text| text.trim().eq_ignore_ascii_case(value));
    if is("exactly.once.support", "required") && plugin.exactly_once_support(config) == ExactlyOnceSupport::Unsupported
    {
        let message = "The connector does not support exactly-once semantics with the provided configuration.";
        errors.push(ConfigError::new("exactly.once.support", "InvalidValue", message));
    }
    if is("transaction.boundary", "connector") && !plugin.defines_transaction_boundaries(config) {
        let message = "The connector does not support connector-defined transaction boundaries with the given configuration. \
                       Please reconfigure it to use a different transaction boundary definition.";
        errors.push(ConfigError::new("transaction.boundary", "InvalidValue", message));
    }
}

/// A key that nobody knows is an error: a setting must never be ignored in silence.
fn unknown_keys(
    plugin: &dyn ConnectorPlugin,
    framework: &ConfigDef,
    config: &RawConfig,
    errors: &mut Vec<ConfigError>,
) {
    let own = plugin.config_def();
    let checked_elsewhere = |key: &str| {
        let converter = [KEY_CONVERTER, VALUE_CONVERTER, HEADER_CONVERTER].iter().any(|prefix| {
            config.contains_key(*prefix) && key.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.'))
        });
        let source = plugin.kind() == Kind::Source && key.starts_with(topic_creation::PREFIX);
        converter
            || source
            || key.starts_with("transforms.")
            || key.starts_with("predicates.")
            || CLIENT_OVERRIDES.iter().any(|prefix| key.starts_with(prefix))
    };
    let known = || own.keys().iter().chain(framework.keys()).map(|key| key.name.as_str());
    for key in config.keys() {
        if own.accepts(key) || framework.accepts(key) || checked_elsewhere(key) {
            continue;
        }
        if [KEY_CONVERTER, VALUE_CONVERTER, HEADER_CONVERTER]
            .iter()
            .any(|prefix| key.starts_with(&format!("{prefix}.")))
        {
            let class = key.split(".converter.").next().map(|role| format!("{role}.converter")).unwrap_or_default();
            let message = format!(
                "Unknown configuration {key}: it belongs to a converter, but {class} is not set on this connector. Set that as well, or remove this key."
            );
            errors.push(ConfigError::new(key, "UnknownKey", message));
            continue;
        }
        if other_kind(plugin.kind()).accepts(key) {
            let message = format!("Unknown configuration {key}: it is not a key of {} connectors.", plugin.kind());
            errors.push(ConfigError::new(key, "UnknownKey", message));
            continue;
        }
        errors.push(crate::config::unknown_key(key, known()));
    }
}

fn other_kind(kind: Kind) -> &'static ConfigDef {
    match kind {
        Kind::Source => sink_config_def(),
        Kind::Sink => source_config_def(),
    }
}
