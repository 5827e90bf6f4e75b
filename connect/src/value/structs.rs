//! Structs: one value per field of a schema (`org.apache.kafka.connect.data.Struct`).

use crate::error::{Error, Result};
use crate::schema::{SchemaKind, SchemaRef};

use super::Value;

/// The values of a `STRUCT`, in the order of its schema's fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    schema: SchemaRef,
    values: Vec<Value>,
}

impl Struct {
    /// A struct whose fields are all null. Fails when the schema is not a `STRUCT`.
    pub fn new(schema: SchemaRef) -> Result<Self> {
        if schema.kind() != SchemaKind::Struct {
            return Err(Error::data(format!("Not a struct schema: {}", schema.describe())));
        }
        let values = vec![Value::Null; schema.fields().len()];
        Ok(Self { schema, values })
    }

    /// Takes values that the caller knows to be valid and in the order of the schema's fields.
    ///
    /// # Panics
    /// When their number is not that of the fields.
    pub fn from_values(schema: SchemaRef, values: Vec<Value>) -> Self {
        assert_eq!(schema.fields().len(), values.len(), "one value for each field of the schema");
        Self { schema, values }
    }

    /// The schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The values in the order of the schema's fields, without defaults.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// The values themselves.
    pub fn into_values(self) -> Vec<Value> {
        self.values
    }

    /// The value of a field, or the default of its schema when it is null (`Struct.get`). Fails on an unknown field.
    pub fn get(&self, field: &str) -> Result<&Value> {
        let index = self.index(field)?;
        Ok(self.get_at(index))
    }

    /// As [`Struct::get`], by the field's index.
    pub fn get_at(&self, index: usize) -> &Value {
        match (&self.values[index], self.schema.fields()[index].schema().default()) {
            (Value::Null, Some(default)) => default,
            (value, _) => value,
        }
    }

    /// The value of a field as it was set (`Struct.getWithoutDefault`). Fails on an unknown field.
    pub fn get_without_default(&self, field: &str) -> Result<&Value> {
        Ok(&self.values[self.index(field)?])
    }

    /// Sets a field after checking the value against the field's schema (`Struct.put`).
    pub fn put(&mut self, field: &str, value: impl Into<Value>) -> Result<()> {
        let index = self.index(field)?;
        let value = value.into();
        let target = &self.schema.fields()[index];
        target.schema().validate(Some(target.name()), &value)?;
        self.values[index] = value;
        Ok(())
    }

    /// Checks that each required field is set (`Struct.validate`).
    pub fn validate(&self) -> Result<()> {
        for (field, value) in self.schema.fields().iter().zip(&self.values) {
            if value.is_null() && (field.schema().is_optional() || field.schema().default().is_some()) {
                continue;
            }
            field.schema().validate(Some(field.name()), value)?;
        }
        Ok(())
    }

    fn index(&self, field: &str) -> Result<usize> {
        self.schema.field_index(field).ok_or_else(|| Error::data(format!("{field} is not a valid field name")))
    }
}
