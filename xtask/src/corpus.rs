//! A large real text for the tests: lines of Kubernetes' own source code and of the modules it is built from.
//!
//! It needs no download of its own, because the sources are there for the build, and it is the same on every machine,
//! because their versions are pinned. Each line is kept at its first occurrence only: with distinct lines a test
//! sees exactly which line was lost, repeated or moved.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

use crate::{cache::Artifact, run, setup::go};

/// Lines in the text.
const LINES: usize = 1_000_000;
/// A longer line is data rather than text.
const LONGEST: usize = 1000;

/// The text file; written when it is missing.
pub fn get(module: &Path) -> Result<PathBuf> {
    let artifact = Artifact::new("corpus")
        .input(format!("{LINES} lines up to {LONGEST} bytes of what kube is built from"))
        .file(&module.join("go.mod"))?
        .file(&module.join("go.sum"))?;
    let folder = artifact.get("collecting a text of 1,000,000 lines", |folder| {
        // What the build needs, and no other module that happens to be on this machine: the same text everywhere.
        let list = ["list", "-deps", "-f", "{{with .Module}}{{.Dir}}{{end}}", "./cmd/kube"];
        let folders = run::output(go().current_dir(module).args(list))?;
        let folders = folders.lines().filter(|line| !line.is_empty()).map(PathBuf::from).collect::<BTreeSet<_>>();
        let mut sources = folders.into_iter().filter(|folder| folder != module).collect::<Vec<_>>();
        // Kubernetes itself has most of the text; the rest fills up.
        sources.sort_by_key(|folder| !folder.to_string_lossy().contains("/k8s.io/"));
        write(&sources, &folder.join("corpus.txt"))
    })?;
    Ok(folder.join("corpus.txt"))
}

fn write(sources: &[PathBuf], to: &Path) -> Result<()> {
    let mut out = BufWriter::new(fs::File::create(to)?);
    let mut seen = HashSet::new();
    for source in sources {
        let mut files = Vec::new();
        collect(source, &mut files)?;
        files.sort();
        for file in files {
            run::check_interrupted()?;
            let Ok(text) = fs::read_to_string(&file) else { continue };
            if text.contains(['\r', '\0']) {
                continue;
            }
            for line in text.lines().filter(|line| !line.trim().is_empty() && line.len() <= LONGEST) {
                if !seen.contains(line) {
                    seen.insert(line.to_owned());
                    out.write_all(line.as_bytes())?;
                    out.write_all(b"\n")?;
                    if seen.len() == LINES {
                        out.flush()?;
                        return Ok(());
                    }
                }
            }
        }
    }
    bail!("the sources on this machine have only {} distinct lines; {LINES} are needed", seen.len());
}

/// Files that people wrote: no generated code, no copies of other modules.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if kind.is_dir() && !["vendor", "testdata", "third_party"].contains(&name.as_str()) {
            collect(&entry.path(), files)?;
        }
        let text = [".go", ".md", ".proto", ".sh"].iter().any(|ending| name.ends_with(ending));
        let generated = name.starts_with("zz_generated") || name.ends_with(".pb.go") || name.contains("generated");
        if kind.is_file() && text && !generated {
            files.push(entry.path());
        }
    }
    Ok(())
}
