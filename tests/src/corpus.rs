//! A large real text to move.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};

/// 1,000,000 distinct lines of real text (source code and its documentation): every line that is lost, repeated or
/// out of place shows.
#[derive(Clone, Debug)]
pub struct Corpus {
    path: PathBuf,
}

impl Corpus {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The text file. It is shared by all tests: copy it, never write to it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the first `lines` lines to a file.
    pub fn copy_head(&self, lines: usize, to: &Path) -> Result<()> {
        let mut out = BufWriter::new(File::create(to)?);
        let mut written = 0;
        for line in BufReader::new(File::open(&self.path)?).split(b'\n').take(lines) {
            out.write_all(&line?)?;
            out.write_all(b"\n")?;
            written += 1;
        }
        if written < lines {
            bail!("the text has {written} lines, and {lines} were asked for");
        }
        Ok(out.flush()?)
    }

    /// Opens the text for reading from its first line, for a test that appends it piece by piece.
    pub fn lines(&self) -> Result<impl Iterator<Item = String> + use<>> {
        Ok(BufReader::new(File::open(&self.path)?).lines().map_while(Result::ok))
    }
}

/// Fails with the first line in which two files differ.
pub fn assert_same_text(expected: &Path, actual: &Path) -> Result<()> {
    let (wanted, got) = (fs::read(expected)?, fs::read(actual)?);
    if wanted == got {
        return Ok(());
    }
    let lines = |text: &[u8]| text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (wanted, got) = (lines(&wanted), lines(&got));
    let at = wanted.iter().zip(&got).position(|(one, other)| one != other).unwrap_or(wanted.len().min(got.len()));
    let show = |lines: &[Vec<u8>]| lines.get(at).map(|line| String::from_utf8_lossy(line).into_owned());
    bail!(
        "{} has {} lines and {} has {}; they differ from line {}: {:?} and {:?}",
        expected.display(),
        wanted.len() - 1,
        actual.display(),
        got.len().saturating_sub(1),
        at + 1,
        show(&wanted),
        show(&got)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use super::{Corpus, assert_same_text};

    #[test]
    fn copies_whole_lines() {
        let folder = tempfile::tempdir().unwrap();
        let (text, copy) = (folder.path().join("text"), folder.path().join("copy"));
        fs::write(&text, "one\ntwo\nthree\n").unwrap();
        let corpus = Corpus::new(text.clone());
        corpus.copy_head(2, &copy).unwrap();
        assert_eq!(fs::read_to_string(&copy).unwrap(), "one\ntwo\n");
        assert!(corpus.copy_head(4, &copy).is_err());
        let difference = assert_same_text(&text, folder.path().join("other").as_path());
        assert!(difference.is_err());
    }

    #[test]
    fn names_the_first_line_that_differs() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::write(&one, "a\nb\nc\n").unwrap();
        fs::write(&other, "a\nx\n").unwrap();
        let text = assert_same_text(&one, &other).unwrap_err().to_string();
        assert!(text.contains("from line 2"), "{text}");
        fs::write(&other, "a\nb\nc\n").unwrap();
        assert_same_text(&one, &other).unwrap();
    }
}
