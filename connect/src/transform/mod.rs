//! Single message transforms (`org.apache.kafka.connect.transforms`) and the chain that applies them.

mod cast;
mod chain;
mod debezium;
mod drop_headers;
mod enriched;
mod extract_field;
mod field_path;
mod fields;
mod filter;
mod flatten;
mod header_from;
mod hoist_field;
mod insert_field;
mod insert_header;
mod mask_field;
mod regex_router;
mod replace_field;
mod set_schema_metadata;
mod timestamp_converter;
mod timestamp_router;
mod value_to_key;

use crate::config::{ConfigDef, RawConfig};
use crate::converter::Configured;
use crate::error::Result;
use crate::record::{Data, Record};

use debezium::{
    by_logical_table_router, content_based_router, event_router, extract_new_record_state, filter as debezium_filter,
    header_to_value, timezone_converter,
};

pub(crate) use chain::errors as chain_errors;
pub use chain::{TransformChain, chain};
pub(crate) use enriched::{class_of_key, enriched};

/// One step between connector and converter.
///
/// A task has an instance of its own, so a transform may keep what it compiled for a schema.
pub trait Transform: Send {
    /// Changes the record, or drops it by returning `None`.
    fn apply(&mut self, record: Record) -> Result<Option<Record>>;
}

pub(crate) struct TransformPlugin {
    pub class: &'static str,
    pub config_def: fn() -> ConfigDef,
    pub build: fn(&RawConfig) -> Configured<Box<dyn Transform>>,
}

/// One transform: its class, the module that defines its keys and builds it, and the half of the record where there is a choice.
macro_rules! plugin {
    ($class:literal, $module:ident) => {
        TransformPlugin { class: $class, config_def: $module::config_def, build: $module::build }
    };
    ($class:literal, $module:ident, $side:ident) => {
        TransformPlugin {
            class: $class,
            config_def: $module::config_def,
            build: |config| $module::build(config, Side::$side),
        }
    };
}

pub(crate) static TRANSFORMS: &[TransformPlugin] = &[
    plugin!("org.apache.kafka.connect.transforms.Cast$Key", cast, Key),
    plugin!("org.apache.kafka.connect.transforms.Cast$Value", cast, Value),
    plugin!("org.apache.kafka.connect.transforms.DropHeaders", drop_headers),
    plugin!("org.apache.kafka.connect.transforms.ExtractField$Key", extract_field, Key),
    plugin!("org.apache.kafka.connect.transforms.ExtractField$Value", extract_field, Value),
    plugin!("org.apache.kafka.connect.transforms.Filter", filter),
    plugin!("org.apache.kafka.connect.transforms.Flatten$Key", flatten, Key),
    plugin!("org.apache.kafka.connect.transforms.Flatten$Value", flatten, Value),
    plugin!("org.apache.kafka.connect.transforms.HeaderFrom$Key", header_from, Key),
    plugin!("org.apache.kafka.connect.transforms.HeaderFrom$Value", header_from, Value),
    plugin!("org.apache.kafka.connect.transforms.HoistField$Key", hoist_field, Key),
    plugin!("org.apache.kafka.connect.transforms.HoistField$Value", hoist_field, Value),
    plugin!("org.apache.kafka.connect.transforms.InsertField$Key", insert_field, Key),
    plugin!("org.apache.kafka.connect.transforms.InsertField$Value", insert_field, Value),
    plugin!("org.apache.kafka.connect.transforms.InsertHeader", insert_header),
    plugin!("org.apache.kafka.connect.transforms.MaskField$Key", mask_field, Key),
    plugin!("org.apache.kafka.connect.transforms.MaskField$Value", mask_field, Value),
    plugin!("org.apache.kafka.connect.transforms.RegexRouter", regex_router),
    plugin!("org.apache.kafka.connect.transforms.ReplaceField$Key", replace_field, Key),
    plugin!("org.apache.kafka.connect.transforms.ReplaceField$Value", replace_field, Value),
    plugin!("org.apache.kafka.connect.transforms.SetSchemaMetadata$Key", set_schema_metadata, Key),
    plugin!("org.apache.kafka.connect.transforms.SetSchemaMetadata$Value", set_schema_metadata, Value),
    plugin!("org.apache.kafka.connect.transforms.TimestampConverter$Key", timestamp_converter, Key),
    plugin!("org.apache.kafka.connect.transforms.TimestampConverter$Value", timestamp_converter, Value),
    plugin!("org.apache.kafka.connect.transforms.TimestampRouter", timestamp_router),
    plugin!("org.apache.kafka.connect.transforms.ValueToKey", value_to_key),
    plugin!("io.debezium.transforms.ByLogicalTableRouter", by_logical_table_router),
    plugin!("io.debezium.transforms.ContentBasedRouter", content_based_router),
    plugin!("io.debezium.transforms.ExtractNewRecordState", extract_new_record_state),
    // By its simple name, Filter is that of Apache Kafka, which stands before it.
    plugin!("io.debezium.transforms.Filter", debezium_filter),
    plugin!("io.debezium.transforms.HeaderToValue", header_to_value),
    plugin!("io.debezium.transforms.TimezoneConverter", timezone_converter),
    plugin!("io.debezium.transforms.outbox.EventRouter", event_router),
];

pub(crate) fn classes() -> impl Iterator<Item = &'static str> {
    TRANSFORMS.iter().map(|plugin| plugin.class)
}

pub(crate) fn find(class: &str) -> Option<&'static TransformPlugin> {
    crate::registry::find_class(TRANSFORMS, |plugin| plugin.class, class, "Transformation")
}

/// Which half of a record a transform works on: the `$Key` or `$Value` class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Key,
    Value,
}

impl Side {
    fn of(self, record: &mut Record) -> &mut Data {
        match self {
            Self::Key => &mut record.key,
            Self::Value => &mut record.value,
        }
    }
}
