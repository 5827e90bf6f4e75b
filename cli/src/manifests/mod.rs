//! A folder of manifests: what is in it, and what is wrong with it.
//!
//! ```text
//!  files ──yaml──▶ documents with lines ──schema──▶ typed resources ──folder──▶ names, references
//! ```
//!
//! Every problem is found, not just the first, and each names its file and line.

mod folder;
mod resource;
pub mod schema;
mod yaml;

use std::{fmt, path::PathBuf};

pub use folder::{Folder, Reader};
pub use resource::{Key, Located};
pub use yaml::Path;

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The resource cannot be used as it stands.
    Error,
    /// It can, but probably not as it was meant.
    Warning,
}

/// Something wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as the user named its folder.
    pub file: PathBuf,
    /// The line, from 1; 0 when the problem is the file's as a whole.
    pub line: usize,
    /// How bad it is.
    pub severity: Severity,
    /// The field, and what is wrong with it. Contains no secret.
    pub message: String,
}

/// `quickstart/source.yaml:12: spec.tasksMax: must be at least 1, not 0`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        match self.severity {
            Severity::Error => write!(f, ": {}", self.message),
            Severity::Warning => write!(f, ": warning: {}", self.message),
        }
    }
}
