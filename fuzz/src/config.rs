//! Lines `key=value` as the configuration of a connector: whatever a person writes is refused or accepted, and the transforms
//! of what is accepted refuse a record or change it.

use std::sync::{Arc, LazyLock};

use barnabas_connect::{
    ConfigDef, Connector, ConnectorPlugin, Data, Kind, OffsetMap, RawConfig, Record, Registry, Schema, SchemaBuilder,
    SourcePosition, Struct, TaskFactory, Value,
    connector_config::{CONNECTOR_CLASS, config_infos, validate},
    transform,
};

struct Plugin;

impl ConnectorPlugin for Plugin {
    fn class(&self) -> &'static str {
        "fuzz.Source"
    }

    fn kind(&self) -> Kind {
        Kind::Source
    }

    fn config_def(&self) -> &ConfigDef {
        static DEF: LazyLock<ConfigDef> = LazyLock::new(ConfigDef::new);
        &DEF
    }

    fn connector(&self) -> Box<dyn Connector> {
        unreachable!("validation makes no connector")
    }

    fn task(&self) -> TaskFactory {
        unreachable!("validation makes no task")
    }
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::new();
    registry.register(&Plugin);
    registry
});

fn records() -> [Record; 3] {
    let position =
        || SourcePosition { partition: Arc::new(OffsetMap::single("p", 1)), offset: OffsetMap::single("o", 1) };
    let schema = SchemaBuilder::structure()
        .field("a", Schema::string())
        .field("b", Schema::int64())
        .build()
        .expect("the schema is right");
    let mut row = Struct::new(schema.clone()).expect("it is a struct");
    row.put("a", Value::String("2020-01-02".into())).expect("it fits");
    row.put("b", Value::Int64(1_577_923_200_000)).expect("it fits");
    let with = |value| Record::from_source("topic", position(), value);
    [
        with(Data::new(schema, Value::Struct(row.into()))),
        with(Data::schemaless(Value::String("2020-01-02".into()))),
        with(Data::NULL),
    ]
}

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let mut config: RawConfig = lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    config.insert(CONNECTOR_CLASS.to_owned(), Plugin.class().to_owned());
    let errors = validate(&REGISTRY, "name", &config);
    let infos = config_infos(&REGISTRY, &RawConfig::new(), &config, &[]).expect("the class is known");
    assert!(errors.is_empty() || infos.error_count > 0, "{errors:?}");
    match transform::chain(&config) {
        Ok(mut chain) => records().into_iter().for_each(|record| drop(chain.apply(record))),
        Err(found) => assert!(!errors.is_empty(), "{found:?}"),
    }
}
