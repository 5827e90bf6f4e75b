//! The operator writes `worker.yaml`; both sides' tests share one file.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use barnabas_worker::WorkerConfig;

#[test]
fn the_file_that_the_operator_writes_is_understood() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../operator/tests/fixtures/worker.yaml");
    let config = WorkerConfig::load(&file).unwrap();
    barnabas_worker::kafka::clients::ClientFactory::new(&config).unwrap();
    assert!(config.control.tls.is_some() && config.state_dir.is_some());
}
