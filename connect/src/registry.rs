//! Where plugins are found by class name.

use crate::config::{ConfigDef, nearest};
use crate::plugin::{ConnectorPlugin, Kind};
use crate::{converter, header_converter, predicate, transform};

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

/// The plugins of a worker: the connectors that were registered, and the built-in converters, transforms and predicates.
#[derive(Clone, Default)]
pub struct Registry {
    connectors: Vec<&'static dyn ConnectorPlugin>,
}

impl Registry {
    /// No connectors yet.
    pub fn new() -> Self {
        Self::default()
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
        plugins.extend(converter::CONVERTERS.iter().map(|plugin| built_in(PluginType::Converter, plugin.class)));
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
            .or_else(|| converter::find(class).map(|plugin| (plugin.config_def)()))
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
