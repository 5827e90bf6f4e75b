//! Container images as OCI archives, made without Docker.
//!
//! The archive is deterministic: the same files give the same digests, so an unchanged image is not loaded again.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use crate::cache::hex;

/// One file system layer under construction.
pub struct Layer {
    tar: Builder<Vec<u8>>,
}

impl Layer {
    /// A layer without files.
    pub fn new() -> Self {
        Self { tar: Builder::new(Vec::new()) }
    }

    fn add(&mut self, kind: EntryType, to: &str, mode: u32, content: &[u8]) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        self.tar.append_data(&mut header, to.trim_start_matches('/'), content)?;
        Ok(())
    }

    /// A folder.
    pub fn folder(&mut self, to: &str, mode: u32) -> Result<()> {
        self.add(EntryType::Directory, to, mode, &[])
    }

    /// A file with the given text.
    pub fn text(&mut self, to: &str, content: &str) -> Result<()> {
        self.add(EntryType::Regular, to, 0o644, content.as_bytes())
    }

    /// A copy of a file, readable by all.
    pub fn file(&mut self, from: &Path, to: &str) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.add(EntryType::Regular, to, 0o644, &content)
    }

    /// A copy of a file, executable by all.
    pub fn program(&mut self, from: &Path, to: &str) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.add(EntryType::Regular, to, 0o755, &content)
    }

    fn finish(self) -> Result<Blob> {
        Ok(Blob::new(self.tar.into_inner()?))
    }
}

#[derive(Clone)]
struct Blob {
    digest: String,
    content: Vec<u8>,
}

impl Blob {
    fn new(content: Vec<u8>) -> Self {
        Self { digest: hex(&Sha256::digest(&content)), content }
    }

    fn descriptor(&self, kind: &str) -> Value {
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": format!("sha256:{}", self.digest),
            "size": self.content.len(),
        })
    }
}

/// An image: configuration and layers.
#[derive(Clone)]
pub struct Image {
    name: String,
    config: Value,
    labels: Value,
    layers: Vec<Blob>,
}

impl Image {
    /// An image without layers, of the given name with tag.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), config: json!({}), labels: json!({}), layers: Vec::new() }
    }

    /// The same image under another name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// The program that a container runs.
    pub fn entrypoint(mut self, words: &[&str]) -> Self {
        self.config["Entrypoint"] = json!(words);
        self
    }

    /// The user, `UID:GID`.
    pub fn user(mut self, user: &str) -> Self {
        self.config["User"] = json!(user);
        self
    }

    /// The variables every process of the image has.
    pub fn environment(mut self, variables: &[&str]) -> Self {
        self.config["Env"] = json!(variables);
        self
    }

    /// A label.
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels[name] = json!(value);
        self
    }

    /// Puts a layer on top.
    pub fn layer(mut self, layer: Layer) -> Result<Self> {
        self.layers.push(layer.finish()?);
        Ok(self)
    }

    /// Bytes of all layers together, uncompressed.
    pub fn size(&self) -> usize {
        self.layers.iter().map(|layer| layer.content.len()).sum()
    }

    /// The image as the bytes of an OCI archive (a tar file).
    pub fn archive(&self) -> Result<Vec<u8>> {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let mut container = self.config.clone();
        container["Labels"] = self.labels.clone();
        let diffs = self.layers.iter().map(|layer| format!("sha256:{}", layer.digest)).collect::<Vec<_>>();
        let config = Blob::new(serde_json::to_vec(&json!({
            "architecture": architecture,
            "os": "linux",
            "config": container,
            "rootfs": {"type": "layers", "diff_ids": diffs},
        }))?);
        let layers = self.layers.iter().map(|layer| layer.descriptor("layer.v1.tar")).collect::<Vec<_>>();
        let manifest = Blob::new(serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": config.descriptor("config.v1+json"),
            "layers": layers,
        }))?);
        let mut reference = manifest.descriptor("manifest.v1+json");
        // The annotation by which containerd names an imported image.
        reference["annotations"] = json!({"io.containerd.image.name": self.name});
        let index = serde_json::to_vec(&json!({"schemaVersion": 2, "manifests": [reference]}))?;

        let mut archive = Layer::new();
        archive.add(EntryType::Regular, "oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        archive.add(EntryType::Regular, "index.json", 0o644, &index)?;
        for blob in self.layers.iter().chain([&config, &manifest]) {
            archive.add(EntryType::Regular, &format!("blobs/sha256/{}", blob.digest), 0o644, &blob.content)?;
        }
        Ok(archive.tar.into_inner()?)
    }
}

/// Writes an archive unless the file has that very content already.
pub fn write_if_changed(file: &Path, content: &[u8]) -> Result<bool> {
    let mut old = Vec::new();
    if fs::File::open(file).and_then(|mut file| file.read_to_end(&mut old)).is_ok() && old == content {
        return Ok(false);
    }
    let mut out = fs::File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
    out.write_all(content)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{collections::BTreeMap, io::Read};

    use super::{Image, Layer, hex};
    use sha2::{Digest, Sha256};

    fn image() -> Image {
        let mut layer = Layer::new();
        layer.folder("etc", 0o755).unwrap();
        layer.text("etc/greeting", "hello\n").unwrap();
        Image::new("localhost/x:1").entrypoint(&["/x"]).user("1:1").layer(layer).unwrap()
    }

    #[test]
    fn every_blob_is_named_by_its_digest_and_reached_from_the_index() {
        let archive = image().archive().unwrap();
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(archive.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(path, content);
        }
        for (path, content) in &files {
            if let Some(digest) = path.strip_prefix("blobs/sha256/") {
                assert_eq!(hex(&Sha256::digest(content)), digest);
            }
        }
        let parse = |content: &[u8]| serde_json::from_slice::<serde_json::Value>(content).unwrap();
        let follow = |descriptor: &serde_json::Value| {
            let path = descriptor["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
            assert_eq!(descriptor["size"].as_u64().unwrap(), files[&path].len() as u64);
            files[&path].clone()
        };
        let index = parse(&files["index.json"]);
        assert_eq!(index["manifests"][0]["annotations"]["io.containerd.image.name"], "localhost/x:1");
        let manifest = parse(&follow(&index["manifests"][0]));
        let config = parse(&follow(&manifest["config"]));
        assert_eq!(config["config"]["Entrypoint"][0], "/x");
        let layer = follow(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", hex(&Sha256::digest(layer))));
    }

    #[test]
    fn the_same_content_gives_the_same_archive() {
        assert!(image().archive().unwrap() == image().archive().unwrap());
        assert!(image().archive().unwrap() != image().label("version", "2").archive().unwrap());
    }
}
