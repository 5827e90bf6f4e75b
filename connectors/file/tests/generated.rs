//! The key tables of the user guide are those of the definitions. `BARNABAS_REGENERATE=1` rewrites them.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use barnabas_connect::ConnectorPlugin;
use barnabas_file::{FileStreamSink, FileStreamSource};

fn reference() -> String {
    let plugin = |plugin: &dyn ConnectorPlugin, what: &str| {
        format!("\n## `{}`\n\n{what}\n\n{}", plugin.class(), plugin.config_def().to_markdown())
    };
    [
        "# Files: FileStream\n\n\
         <!-- Generated from the definitions in connectors/file/src. To rewrite it: \
         BARNABAS_REGENERATE=1 cargo test -p barnabas-file --test generated -->\n\n\
         Lines of a file to a topic, and values of topics to lines of a file. The classes may be shortened to `FileStreamSource` and \
         `FileStreamSink`. These are the keys besides those that [every connector has](../configuration.md).\n"
            .to_owned(),
        plugin(
            &FileStreamSource,
            "Reads the file from its beginning and what is appended to it, in one task. A line ends with `\\n`, `\\r\\n` or `\\r`; a last \
             line without an end waits for it. A missing file is waited for. The offset is `{\"filename\": <file>}` to \
             `{\"position\": <bytes>}`; the standard input has none.",
        ),
        plugin(
            &FileStreamSink,
            "Appends the text of each value and a line end. Values are written as Java prints them: strings as they are, structs as \
             `Struct{a=1,b=x}`, maps as `{a=1, b=x}`. After a crash lines may be there twice.",
        ),
    ]
    .concat()
}

#[test]
fn the_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/connectors/file.md");
    let expected = reference();
    if std::env::var_os("BARNABAS_REGENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &expected).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == expected,
        "{} is stale. Rewrite it: BARNABAS_REGENERATE=1 cargo test -p barnabas-file --test generated",
        path.display()
    );
}
