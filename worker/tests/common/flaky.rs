//! A converter that fails as a test says, value by value.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

use barnabas_connect::{
    ConfigDef, ConfigKey, Converter, Data, Error, Header, Registry, Value, config::Type, converter::ConverterPlugin,
};
use bytes::Bytes;

/// A StringConverter that follows the scripts of the test named by its key `test`.
pub static FLAKY: ConverterPlugin = ConverterPlugin {
    class: "test.FlakyConverter",
    version: "1",
    config_def: || ConfigDef::new().define(ConfigKey::new("test", Type::String)),
    build: |config, is_key| {
        let text = Registry::new().converter("StringConverter", &Default::default(), is_key)?;
        Ok(Arc::new(Flaky { test: config["test"].clone(), text }))
    },
};

/// What happens to one value, attempt by attempt.
#[derive(Default)]
struct Script {
    steps: Vec<char>,
    attempts: usize,
}

static SCRIPTS: LazyLock<Mutex<HashMap<(String, String), Script>>> = LazyLock::new(Mutex::default);

/// Each attempt to convert the value takes a step: `r` fails and may heal, `d` fails for good, `.` succeeds. The last step
/// is that of all further attempts.
pub fn script(test: &str, value: &str, steps: &str) {
    let script = Script { steps: steps.chars().collect(), attempts: 0 };
    SCRIPTS.lock().unwrap().insert((test.to_owned(), value.to_owned()), script);
}

/// How often the conversion of the value was tried.
pub fn attempts(test: &str, value: &str) -> usize {
    SCRIPTS.lock().unwrap()[&(test.to_owned(), value.to_owned())].attempts
}

struct Flaky {
    test: String,
    text: Arc<dyn Converter>,
}

impl Flaky {
    fn step(&self, value: &str) -> Result<(), Error> {
        let mut scripts = SCRIPTS.lock().unwrap();
        let Some(script) = scripts.get_mut(&(self.test.clone(), value.to_owned())) else { return Ok(()) };
        let step = script.steps[script.attempts.min(script.steps.len() - 1)];
        script.attempts += 1;
        match step {
            '.' => Ok(()),
            'r' => Err(Error::retriable(format!("{value} cannot be converted yet"))),
            'd' => Err(Error::data(format!("{value} cannot be converted"))),
            other => panic!("{other} is no step"),
        }
    }
}

impl Converter for Flaky {
    fn from_connect(&self, topic: &str, headers: &mut Vec<Header>, data: &Data) -> Result<Option<Bytes>, Error> {
        if let Value::String(value) = &data.value {
            self.step(value)?;
        }
        self.text.from_connect(topic, headers, data)
    }

    fn to_connect(&self, topic: &str, headers: &[Header], bytes: Option<&Bytes>) -> Result<Data, Error> {
        let data = self.text.to_connect(topic, headers, bytes)?;
        if let Value::String(value) = &data.value {
            self.step(value)?;
        }
        Ok(data)
    }

    fn class(&self) -> &'static str {
        FLAKY.class
    }
}
