//! Protobuf schemas from their text, with what they import.

use barnabas_connect::{Error, Result};
use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

/// What every registry knows without being told, besides Google's own.
const KNOWN: [(&str, &str); 4] = [
    ("confluent/meta.proto", include_str!("proto/meta.proto")),
    ("confluent/type/decimal.proto", include_str!("proto/decimal.proto")),
    ("google/type/date.proto", include_str!("proto/date.proto")),
    ("google/type/timeofday.proto", include_str!("proto/timeofday.proto")),
];
const ROOT: &str = "default";

/// A parsed schema.
pub struct ProtoSchema {
    file: FileDescriptor,
}

struct Files {
    root: String,
    references: Vec<(String, String)>,
}

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> std::result::Result<File, protox::Error> {
        let own = (name == ROOT).then_some(self.root.as_str());
        let referred = || self.references.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str());
        let known = || KNOWN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
        match own.or_else(referred).or_else(known) {
            Some(text) => File::from_source(name, text),
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

impl ProtoSchema {
    /// Compiles a schema. It may import what `references` holds by name.
    pub fn parse(text: &str, references: &[(String, String)]) -> Result<Self> {
        let wrong =
            |error: &dyn std::fmt::Display| Error::data(format!("The schema is not a Protobuf schema: {error}"));
        let mut resolver = ChainFileResolver::new();
        resolver.add(Files { root: text.to_owned(), references: references.to_vec() });
        resolver.add(GoogleFileResolver::new());
        let mut compiler = protox::Compiler::with_file_resolver(resolver);
        compiler.include_imports(true).include_source_info(false);
        compiler.open_file(ROOT).map_err(|error| wrong(&error))?;
        let pool: DescriptorPool = compiler.descriptor_pool();
        let file = pool.get_file_by_name(ROOT).ok_or_else(|| wrong(&"it is empty"))?;
        Ok(Self { file })
    }

    /// The message with a path of indexes: that of a message in the file, then of one in that, and so on.
    pub fn message_at(&self, path: &[usize]) -> Result<MessageDescriptor> {
        let unknown = || Error::data(format!("The Protobuf schema has no message with the indexes {path:?}."));
        let (first, rest) = path.split_first().ok_or_else(unknown)?;
        let mut message = self.file.messages().nth(*first).ok_or_else(unknown)?;
        for index in rest {
            let child = message.child_messages().nth(*index);
            message = child.ok_or_else(unknown)?;
        }
        Ok(message)
    }

    /// The message of that name, full or simple, else the first.
    pub fn message_for(&self, name: Option<&str>) -> Result<MessageDescriptor> {
        let named = name.and_then(|name| {
            self.file.messages().find(|message| message.full_name() == name || message.name() == name)
        });
        match named {
            Some(message) => Ok(message),
            None => self.message_at(&[0]).or_else(|_| self.imported()),
        }
    }

    /// A schema that only imports: its first import is what it stands for.
    fn imported(&self) -> Result<MessageDescriptor> {
        let none = || Error::data("The Protobuf schema has no message.");
        self.file.dependencies().next().and_then(|file| file.messages().next()).ok_or_else(none)
    }

    /// The path of indexes of a message.
    pub fn path_of(&self, message: &MessageDescriptor) -> Result<Vec<usize>> {
        let mut path = Vec::new();
        let mut current = message.clone();
        while let Some(parent) = current.parent_message() {
            path.push(parent.child_messages().position(|child| child == current).unwrap_or_default());
            current = parent;
        }
        path.push(current.parent_file().messages().position(|other| other == current).unwrap_or_default());
        path.reverse();
        Ok(path)
    }
}
