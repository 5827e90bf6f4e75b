//! The generated code is what the `.proto` file says.

use std::{fs, path::Path};

#[test]
fn generated_code_is_up_to_date() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile(["barnabas/v1/worker.proto"], [root.join("proto")])?;
    let out = tempfile::tempdir()?;
    tonic_prost_build::configure().btree_map(".").out_dir(out.path()).compile_fds(descriptors)?;
    let fresh = fs::read_to_string(out.path().join("barnabas.v1.rs"))?;
    let kept = root.join("src/generated/barnabas.v1.rs");
    if std::env::var_os("BARNABAS_REGENERATE").is_some() {
        fs::write(&kept, &fresh)?;
    }
    assert_eq!(
        fs::read_to_string(&kept).unwrap_or_default(),
        fresh,
        "src/generated/barnabas.v1.rs is stale: run BARNABAS_REGENERATE=1 cargo test -p barnabas-protocol"
    );
    Ok(())
}
