//! The folder as a whole: unique names, and labels and references that name something.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path as FilePath, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use barnabas_crds::{ConnectCluster, KafkaConnector, labels};

use super::{
    Problem, Severity,
    resource::{self, Key, Located, Resource, Secret, Texts},
    schema::nearest,
    yaml::{self, Path},
};

/// A manifest is read into memory whole.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Everything that a folder says.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// The clusters.
    pub clusters: BTreeMap<Key, Located<ConnectCluster>>,
    /// The connectors.
    pub connectors: BTreeMap<Key, Located<KafkaConnector>>,
    /// The Secrets.
    pub secrets: BTreeMap<Key, Located<Secret>>,
    /// The ConfigMaps.
    pub config_maps: BTreeMap<Key, Located<Texts>>,
    /// Everything wrong with it, by file and line.
    pub problems: Vec<Problem>,
}

impl Folder {
    /// The cluster that a connector's label names, if it is there.
    pub fn cluster_of(&self, connector: &Located<KafkaConnector>) -> Option<&Located<ConnectCluster>> {
        let name = labels::cluster(&connector.resource.metadata)?;
        self.clusters.get(&Key::new(&connector.key.namespace, name))
    }

    fn add(&mut self, resource: Resource) {
        match resource {
            Resource::Cluster(it) => drop(self.clusters.insert(it.key.clone(), *it)),
            Resource::Connector(it) => drop(self.connectors.insert(it.key.clone(), *it)),
            Resource::Secret(it) => drop(self.secrets.insert(it.key.clone(), it)),
            Resource::ConfigMap(it) => drop(self.config_maps.insert(it.key.clone(), it)),
        }
    }

    /// A connector's label must name a cluster of its namespace.
    fn check_labels(&mut self) {
        let mut found = Vec::new();
        for connector in self.connectors.values() {
            let label = labels::cluster(&connector.resource.metadata);
            let clusters = || {
                let here = |key: &&Key| key.namespace == connector.key.namespace;
                self.clusters.keys().filter(here).map(|key| key.name.as_str())
            };
            let written = |name: &str| connector.written()["metadata"]["labels"].get(name).is_some();
            let key = if written(labels::CLUSTER) { labels::CLUSTER } else { labels::STRIMZI_CLUSTER };
            let path = Path::of(["metadata", "labels", key]);
            let message = match label {
                Some(name) if clusters().any(|cluster| cluster == name) => continue,
                Some(name) => {
                    let hint = match nearest(name, clusters()) {
                        Some(meant) => format!("did you mean `{meant}`?"),
                        None => match clusters().collect::<Vec<_>>().as_slice() {
                            [] => "the folder has no ConnectCluster".to_owned(),
                            names => format!("the folder has {}", names.join(", ")),
                        },
                    };
                    found.push((connector, path, format!("no ConnectCluster is named {name:?}; {hint}")));
                    continue;
                }
                None => format!(
                    "the label `{}` is required: it names the ConnectCluster that runs the connector",
                    labels::CLUSTER
                ),
            };
            found.push((connector, Path::of(["metadata", "labels"]), message));
        }
        let found: Vec<Problem> =
            found.into_iter().map(|(it, path, message)| it.problem(Severity::Error, &path, &message)).collect();
        self.problems.extend(found);
    }
}

/// What one file says.
#[derive(Clone, Debug, Default)]
struct Contents {
    text: String,
    resources: Vec<Resource>,
    problems: Vec<Problem>,
}

impl Contents {
    fn read(file: &FilePath, text: String) -> Self {
        let mut contents = Self { text, ..Self::default() };
        match yaml::documents(&contents.text) {
            Ok(documents) => {
                for document in documents.into_iter().flat_map(yaml::Document::unlisted) {
                    contents.resources.extend(resource::read(file, document, &mut contents.problems));
                }
            }
            Err(error) => contents.problems.push(Problem {
                file: file.to_owned(),
                line: error.line,
                severity: Severity::Error,
                message: error.message,
            }),
        }
        contents
    }

    fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

/// Reads a folder again and again.
///
/// A file that is broken by an edit keeps what it last said in order, so that a half-saved file stops no connector.
#[derive(Debug)]
pub struct Reader {
    /// As the user named it: what messages show.
    named: PathBuf,
    /// Where it is, wherever this process goes.
    path: PathBuf,
    files: BTreeMap<PathBuf, Contents>,
    started: bool,
}

impl Reader {
    /// A reader of the folder (or the single file) at `path`. Nothing is read yet.
    ///
    /// # Errors
    /// When there is nothing at `path`.
    pub fn new(path: &FilePath) -> Result<Self> {
        match fs::canonicalize(path) {
            Ok(found) => Ok(Self { named: path.to_owned(), path: found, files: BTreeMap::new(), started: false }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("{}: no such folder; give the folder that holds the manifests", path.display())
            }
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Makes the manifests' folder this process's working folder, so that a relative path in a manifest means the same
    /// wherever `barnabas` is called from.
    ///
    /// # Errors
    /// When the folder cannot be entered.
    pub fn enter(&self) -> io::Result<()> {
        std::env::set_current_dir(self.root())
    }

    /// The folder, absolute.
    pub fn root(&self) -> &FilePath {
        if self.path.is_dir() { &self.path } else { self.path.parent().unwrap_or(&self.path) }
    }

    /// How a file is named in messages: as the user named the folder.
    fn shown(&self, file: &FilePath) -> PathBuf {
        file.strip_prefix(&self.path)
            .ok()
            .filter(|rest| !rest.as_os_str().is_empty())
            .map_or_else(|| self.named.clone(), |rest| self.named.join(rest))
    }

    /// Reads what is there now. `None` when nothing has changed since the last time.
    ///
    /// # Errors
    /// When the folder itself cannot be listed.
    pub fn read(&mut self) -> Result<Option<Folder>> {
        let mut changed = false;
        let mut seen: BTreeMap<PathBuf, Contents> = BTreeMap::new();
        for file in self.manifests()? {
            let text = match read_text(&file) {
                Ok(text) => text,
                // Deleted, or not yet renamed into place, between listing and reading.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    let message = format!("cannot be read: {error}");
                    let problem = Problem { file: self.shown(&file), line: 0, severity: Severity::Error, message };
                    changed |= self.files.get(&file).is_none_or(|old| old.problems != [problem.clone()]);
                    seen.insert(file, Contents { problems: vec![problem], ..Contents::default() });
                    continue;
                }
            };
            let old = self.files.remove(&file);
            let contents = match old {
                Some(old) if old.text == text => old,
                old => {
                    changed = true;
                    let mut contents = Contents::read(&self.shown(&file), text);
                    if let Some(old) = old.filter(|_| contents.has_errors()) {
                        contents.keep(old);
                    }
                    contents
                }
            };
            seen.insert(file, contents);
        }
        changed |= self.files.keys().any(|file| !seen.contains_key(file));
        changed |= !std::mem::replace(&mut self.started, true);
        self.files = seen;
        Ok(changed.then(|| self.assemble()))
    }

    /// The manifests in the folder, by name. Not those of folders in it, as with `kubectl apply -f`.
    fn manifests(&self) -> Result<Vec<PathBuf>> {
        if !self.path.is_dir() {
            return Ok(vec![self.path.clone()]);
        }
        let mut files = Vec::new();
        let entries = fs::read_dir(&self.path).with_context(|| format!("cannot list {}", self.path.display()))?;
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", self.path.display()))?.path();
            let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
            let manifest = path.extension().is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
            if manifest && !hidden && path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    fn assemble(&self) -> Folder {
        let mut folder = Folder::default();
        let mut first: BTreeMap<(&'static str, Key), String> = BTreeMap::new();
        for contents in self.files.values() {
            folder.problems.extend(contents.problems.iter().cloned());
            for resource in &contents.resources {
                let (kind, key) = resource.identity();
                if let Some(place) = first.get(&(kind, key.clone())) {
                    let message = format!("a {kind} named `{key}` is already at {place}");
                    folder.problems.push(resource.name_problem(&message));
                } else {
                    first.insert((kind, key.clone()), resource.place());
                    folder.add(resource.clone());
                }
            }
        }
        if folder.clusters.is_empty() && folder.connectors.is_empty() && folder.problems.is_empty() {
            folder.problems.push(Problem {
                file: self.named.clone(),
                line: 0,
                severity: Severity::Error,
                message: "holds no ConnectCluster and no KafkaConnector (*.yaml, *.yml, *.json)".to_owned(),
            });
        }
        folder.check_labels();
        folder.problems.sort();
        folder
    }
}

impl Contents {
    /// Keeps the resources of an earlier reading that this one, which has errors, does not have.
    fn keep(&mut self, old: Self) {
        for resource in old.resources {
            if !self.resources.iter().any(|new| new.identity() == resource.identity()) {
                self.resources.push(resource);
            }
        }
    }
}

fn read_text(file: &FilePath) -> io::Result<String> {
    if fs::metadata(file)?.len() > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_FILE_BYTES} bytes, which no manifest is")));
    }
    let bytes = fs::read(file)?;
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const CLUSTER: &str = "apiVersion: barnabas.dev/v1\nkind: ConnectCluster\nmetadata:\n  name: castle\nspec:\n  \
        bootstrapServers: embedded\n  groupId: castle\n  offsetStorageTopic: castle-offsets\n";

    fn connector(name: &str, cluster: &str, more: &str) -> String {
        format!(
            "apiVersion: barnabas.dev/v1\nkind: KafkaConnector\nmetadata:\n  name: {name}\n  labels:\n    \
             barnabas.dev/cluster: {cluster}\nspec:\n  class: FileStreamSource\n{more}"
        )
    }

    struct Dir(tempfile::TempDir);

    impl Dir {
        fn with(files: &[(&str, &str)]) -> Self {
            let dir = Self(tempfile::tempdir().unwrap());
            for (name, text) in files {
                dir.write(name, text);
            }
            dir
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.0.path().join(name), text).unwrap();
        }

        /// The problems of a first reading, without the folder's own name.
        fn problems(&self) -> Vec<String> {
            said(&Reader::new(self.0.path()).unwrap().read().unwrap().unwrap(), self)
        }
    }

    fn said(folder: &Folder, dir: &Dir) -> Vec<String> {
        let prefix = format!("{}/", dir.0.path().display());
        folder.problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect()
    }

    #[test]
    fn a_good_folder_has_no_problems_and_every_resource() {
        let both = format!("{CLUSTER}---\n{}", connector("a", "castle", ""));
        let dir = Dir::with(&[("all.yaml", &both), ("b.yml", &connector("b", "castle", "")), ("notes.txt", "x: [")]);
        let folder = Reader::new(dir.0.path()).unwrap().read().unwrap().unwrap();
        assert_eq!(said(&folder, &dir), [""; 0]);
        assert_eq!((folder.clusters.len(), folder.connectors.len()), (1, 2));
        assert!(folder.connectors.values().all(|it| folder.cluster_of(it).is_some()));
    }

    #[test]
    fn every_problem_names_its_file_and_line() {
        let dir = Dir::with(&[
            ("cluster.yaml", CLUSTER),
            ("again.yaml", CLUSTER),
            ("field.yaml", &connector("field", "castle", "  taskMax: 1\n  tasksMax: 0\n")),
            ("label.yaml", &connector("label", "castel", "")),
            ("value.yaml", &connector("value", "castle", "  config:\n    file: [a]\n")),
            ("syntax.yaml", "kind: [\n"),
            ("kind.yaml", "apiVersion: barnabas.dev/v1\nkind: KafkaConector\nmetadata: {name: x}\n"),
            ("old.yaml", "apiVersion: kafka.strimzi.io/v1\nkind: KafkaConnector\nmetadata: {name: Old}\nspec: {}\n"),
            ("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata:\n  p: '#hunter2'\n"),
        ]);
        let said = dir.problems();
        for expected in [
            "cluster.yaml:4: metadata.name: a ConnectCluster named `castle` is already at ",
            "field.yaml:9: spec.taskMax: unknown field; did you mean `tasksMax`?",
            "field.yaml:10: spec.tasksMax: must be at least 1, not 0",
            "label.yaml:6: metadata.labels.barnabas.dev/cluster: no ConnectCluster is named \"castel\"; did you mean `castle`?",
            "value.yaml:10: spec.config.file: ",
            "syntax.yaml:",
            "kind.yaml:2: kind: barnabas.dev has no kind \"KafkaConector\"; did you mean `KafkaConnector`?",
            "old.yaml:1: apiVersion: must be `barnabas.dev/v1` for a KafkaConnector, not \"kafka.strimzi.io/v1\"",
            "old.yaml:3: metadata.name: \"Old\" is no name",
            "secret.yaml:4: data: every value must be base64",
        ] {
            assert!(said.iter().any(|line| line.starts_with(expected)), "{expected} is not in {said:#?}");
        }
        assert!(!said.iter().any(|line| line.contains("hunter2")), "a secret is shown: {said:#?}");
    }

    #[test]
    fn what_is_accepted_but_not_followed_is_a_warning() {
        let dir = Dir::with(&[
            ("a.yaml", &format!("{CLUSTER}  jvmOptions: {{}}\n")),
            ("b.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n"),
            ("c.yaml", "apiVersion: barnabas.dev/v1\nkind: ConnectCluster\nmetadata: {name: c}\nspec:\n  groupId: c\n"),
        ]);
        let said = dir.problems();
        assert!(said.iter().all(|line| line.contains(": warning: ")), "{said:#?}");
        assert!(said.iter().any(|line| line.starts_with("a.yaml:9: ") && line.contains("jvmOptions")), "{said:#?}");
        assert!(said.iter().any(|line| line.starts_with("b.yaml:2: ")), "{said:#?}");
        assert!(said.iter().any(|line| line.starts_with("c.yaml:4: ") && line.contains("embedded")), "{said:#?}");
    }

    #[test]
    fn a_file_broken_by_an_edit_keeps_what_it_last_said() {
        let dir = Dir::with(&[("cluster.yaml", CLUSTER), ("a.yaml", &connector("a", "castle", "  tasksMax: 2\n"))]);
        let mut reader = Reader::new(dir.0.path()).unwrap();
        assert_eq!(said(&reader.read().unwrap().unwrap(), &dir), [""; 0]);
        assert!(reader.read().unwrap().is_none(), "nothing has changed");

        dir.write("a.yaml", &connector("a", "castle", "  tasksMax: two\n"));
        let broken = reader.read().unwrap().unwrap();
        assert!(said(&broken, &dir)[0].starts_with("a.yaml:9: spec.tasksMax: "), "{:?}", broken.problems);
        assert_eq!(broken.connectors[&Key::new("default", "a")].resource.spec.tasks_max(), 2);
        assert!(reader.read().unwrap().is_none(), "it is said once");

        fs::remove_file(dir.0.path().join("a.yaml")).unwrap();
        let gone = reader.read().unwrap().unwrap();
        assert!(gone.connectors.is_empty() && gone.problems.is_empty());
    }

    #[test]
    fn a_list_that_get_has_printed_is_read() {
        let list = format!(
            "apiVersion: v1\nkind: List\nitems:\n- {}\n- {}",
            CLUSTER.trim_end().replace('\n', "\n  "),
            connector("a", "castle", "  tasksMax: 0\n").trim_end().replace('\n', "\n  ")
        );
        let dir = Dir::with(&[("list.yaml", &list)]);
        assert_eq!(dir.problems(), ["list.yaml:20: spec.tasksMax: must be at least 1, not 0"]);
    }

    #[test]
    fn a_folder_that_is_not_there_or_empty_is_said() {
        let error = Reader::new(FilePath::new("/no/such/folder")).unwrap_err().to_string();
        assert!(error.contains("/no/such/folder: no such folder"), "{error}");
        let dir = Dir::with(&[]);
        let said = Reader::new(dir.0.path()).unwrap().read().unwrap().unwrap();
        assert!(said.problems[0].to_string().contains("holds no ConnectCluster"), "{:?}", said.problems);
    }
}
