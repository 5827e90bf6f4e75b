//! Where plugins are found by class name.

use std::sync::Arc;

use crate::config::{ConfigDef, RawConfig, nearest};
use crate::converter::{self, Configured, Converter, ConverterPlugin};
use crate::plugin::{ConnectorPlugin, Kind};
use crate::{header_converter, predicate, transform};

/// The kind of a plugin (`PluginType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // The names say it all.
pub enum PluginType {
    Source,
    Sink,
    Converter,
    HeaderConverter,
    Transformation,
    Predicate,
}

impl PluginType {
    /// As `GET /connector-plugins` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Converter => "converter",
            Self::HeaderConverter => "header_converter",
            Self::Transformation => "transformation",
            Self::Predicate => "predicate",
        }
    }
}

/// One line of `GET /connector-plugins`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginInfo {
    /// The full class name.
    pub class: &'static str,
    /// What it is.
    pub kind: PluginType,
    /// Its version.
    pub version: &'static str,
}

/// The plugins of a worker: the connectors and converters that were registered, and the built-in converters, transforms and
/// predicates.
#[derive(Clone)]
pub struct Registry {
    connectors: Vec<&'static dyn ConnectorPlugin>,
    converters: Vec<&'static ConverterPlugin>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// No connectors yet, and the built-in converters.
    pub fn new() -> Self {
        Self { connectors: Vec::new(), converters: converter::BUILT_IN.iter().collect() }
    }

    /// Adds a converter class.
    ///
    /// # Panics
    /// When its name is taken, which is a mistake in the program.
    pub fn register_converter(&mut self, plugin: &'static ConverterPlugin) {
        let taken = self.converters.iter().any(|other| other.class == plugin.class);
        assert!(!taken, "The converter class {} is registered twice.", plugin.class);
        self.converters.push(plugin);
    }

    /// Finds a converter by the full name or the simple name, that with or without `Converter` at its end.
    pub fn find_converter(&self, class: &str) -> Option<&'static ConverterPlugin> {
        find_class(&self.converters, |plugin| plugin.class, class, "Converter").copied()
    }

    /// Builds a converter from its class name (full or simple) and its configuration, prefix removed.
    /// An unknown class is reported under the key `converter`, unknown keys under their own names.
    pub fn converter(&self, class: &str, config: &RawConfig, is_key: bool) -> Configured<Arc<dyn Converter>> {
        match self.find_converter(class) {
            Some(plugin) => (plugin.build)(config, is_key),
            None => Err(vec![converter::unknown_class("converter", class, self.converter_classes())]),
        }
    }

    pub(crate) fn converter_classes(&self) -> impl Iterator<Item = &'static str> {
        self.converters.iter().map(|plugin| plugin.class)
    }

    /// Adds a connector class.
    ///
    /// # Panics
    /// When one of its names is taken, which is a mistake in the program.
    pub fn register(&mut self, plugin: &'static dyn ConnectorPlugin) {
        for name in std::iter::once(plugin.class()).chain(plugin.aliases().iter().copied()) {
            let taken = self.connectors.iter().any(|other| names(*other).any(|other| other == name));
            assert!(!taken, "The connector class {name} is registered twice.");
        }
        self.connectors.push(plugin);
    }

    /// Finds a connector by the full name, an alias, or the simple name of either with or without `Connector` at its end.
    pub fn find(&self, class: &str) -> Option<&'static dyn ConnectorPlugin> {
        let class = class.trim();
        let exact = self.connectors.iter().find(|plugin| names(**plugin).any(|name| name == class));
        exact
            .or_else(|| {
                self.connectors.iter().find(|plugin| names(**plugin).any(|name| is_short(name, class, "Connector")))
            })
            .copied()
    }

    /// The registered class one of whose names is nearest to an unknown one.
    pub fn suggest(&self, class: &str) -> Option<&'static str> {
        let given = class.rsplit('.').next().unwrap_or(class);
        let short = |plugin: &'static dyn ConnectorPlugin| {
            names(plugin).flat_map(|name| {
                let simple = simple(name);
                [simple, simple.strip_suffix("Connector").unwrap_or(simple)]
            })
        };
        let near = nearest(given, self.connectors.iter().flat_map(|plugin| short(*plugin)))?;
        self.connectors.iter().find(|plugin| short(**plugin).any(|name| name == near)).map(|plugin| plugin.class())
    }

    /// The connector classes.
    pub fn connectors(&self) -> &[&'static dyn ConnectorPlugin] {
        &self.connectors
    }

    /// Everything that a configuration can name, sorted by kind and class.
    pub fn plugins(&self) -> Vec<PluginInfo> {
        let mut plugins: Vec<PluginInfo> = self
            .connectors
            .iter()
            .map(|plugin| PluginInfo {
                class: plugin.class(),
                kind: match plugin.kind() {
                    Kind::Source => PluginType::Source,
                    Kind::Sink => PluginType::Sink,
                },
                version: plugin.version(),
            })
            .collect();
        let built_in = |kind, class| PluginInfo { class, kind, version: crate::VERSION };
        plugins.extend(self.converters.iter().map(|plugin| PluginInfo {
            class: plugin.class,
            kind: PluginType::Converter,
            version: plugin.version,
        }));
        plugins.extend(header_converter::classes().map(|class| built_in(PluginType::HeaderConverter, class)));
        plugins.extend(transform::classes().map(|class| built_in(PluginType::Transformation, class)));
        plugins.extend(predicate::classes().map(|class| built_in(PluginType::Predicate, class)));
        plugins.sort_by_key(|plugin| (plugin.kind as u8, plugin.class));
        plugins
    }

    /// The keys of a plugin of any kind, found by its full or simple class name (`GET /connector-plugins/{plugin}/config`).
    pub fn config_def(&self, class: &str) -> Option<ConfigDef> {
        self.find(class)
            .map(|plugin| plugin.config_def().clone())
            .or_else(|| self.find_converter(class).map(|plugin| (plugin.config_def)()))
            .or_else(|| header_converter::find(class).map(|(_, def)| def))
            .or_else(|| transform::find(class).map(|plugin| (plugin.config_def)()))
            .or_else(|| predicate::find(class).map(|plugin| (plugin.config_def)()))
    }
}

fn names(plugin: &'static dyn ConnectorPlugin) -> impl Iterator<Item = &'static str> {
    std::iter::once(plugin.class()).chain(plugin.aliases().iter().copied())
}

fn simple(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

/// Whether `given` is the simple name of a class, with or without the suffix at its end (`PluginUtils.simpleName`, `prunedName`).
fn is_short(class: &str, given: &str, suffix: &str) -> bool {
    let simple = simple(class);
    given == simple || simple.strip_suffix(suffix).is_some_and(|pruned| given == pruned)
}

/// Finds one of the built-in plugins by the full or simple class name.
pub(crate) fn find_class<'a, T>(
    plugins: &'a [T],
    class_of: impl Fn(&T) -> &'static str,
    given: &str,
    suffix: &str,
) -> Option<&'a T> {
    let given = given.trim();
    let exact = plugins.iter().find(|plugin| class_of(plugin) == given);
    exact.or_else(|| plugins.iter().find(|plugin| is_short(class_of(plugin), given, suffix)))
}
