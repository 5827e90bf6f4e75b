//! Kubernetes through its own tools: kubectl, Helm, and containerd's `ctr`.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{Namespace, Testbed, eventually};

/// The cluster of the testbed.
#[derive(Clone, Copy)]
pub struct Cluster {
    testbed: &'static Testbed,
}

/// The parts of a pod that tests look at.
#[derive(Clone, Debug)]
pub struct Pod {
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`; a pod of the same name with another uid is another pod.
    pub uid: String,
    /// `status.podIP`, empty until the pod has one.
    pub ip: String,
    /// `status.phase`
    pub phase: String,
    /// Whether the pod's condition `Ready` is true and nobody has deleted the pod.
    pub ready: bool,
    /// Restarts of all its containers.
    pub restarts: i64,
    /// Images of all its containers.
    pub images: Vec<String>,
    /// The whole resource.
    pub json: Value,
}

impl Pod {
    fn read(json: Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let containers = json["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
        let conditions = json["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.iter().any(|it| it["type"] == "Ready" && it["status"] == "True");
        let images = json["spec"]["containers"].as_array().into_iter().flatten().map(|it| text(&it["image"]));
        Self {
            name: text(&json["metadata"]["name"]),
            uid: text(&json["metadata"]["uid"]),
            ip: text(&json["status"]["podIP"]),
            phase: text(&json["status"]["phase"]),
            ready: ready && json["metadata"]["deletionTimestamp"].is_null(),
            restarts: containers.iter().filter_map(|it| it["restartCount"].as_i64()).sum(),
            images: images.collect(),
            json,
        }
    }
}

impl Cluster {
    pub(crate) fn new(testbed: &'static Testbed) -> Self {
        Self { testbed }
    }

    /// The testbed that the cluster is part of.
    pub fn testbed(&self) -> &'static Testbed {
        self.testbed
    }

    /// A namespace of its own for one scenario, removed with all that is in it when the value is dropped.
    pub fn namespace(&self, prefix: &str) -> Result<Namespace> {
        Namespace::create(*self, prefix)
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.testbed.path(name));
        command.env("KUBECONFIG", self.testbed.path("KUBECONFIG"));
        command
    }

    /// kubectl, to be given its arguments.
    pub fn kubectl_command(&self) -> Command {
        self.tool("BARNABAS_TEST_KUBECTL")
    }

    /// Runs kubectl; returns its standard output.
    pub fn kubectl<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<String> {
        run(self.tool("BARNABAS_TEST_KUBECTL").args(arguments), None)
    }

    /// Runs kubectl with a text on its standard input.
    pub fn kubectl_with_input<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &str,
    ) -> Result<String> {
        run(self.tool("BARNABAS_TEST_KUBECTL").args(arguments), Some(input))
    }

    /// Runs Helm; returns its standard output.
    pub fn helm<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<String> {
        run(self.tool("BARNABAS_TEST_HELM").args(arguments), None)
    }

    /// Applies manifests (YAML or JSON) as `kubectl apply -f` does.
    pub fn apply(&self, namespace: &str, manifests: &str) -> Result<String> {
        self.kubectl_with_input(["apply", "--namespace", namespace, "--filename", "-"], manifests)
    }

    /// A resource, named as in `kubectl get TYPE/NAME`.
    pub fn get(&self, namespace: &str, resource: &str) -> Result<Value> {
        let text = self.kubectl(["get", "--namespace", namespace, resource, "--output", "json"])?;
        serde_json::from_str(&text).with_context(|| format!("kubectl's output for {resource} is not JSON"))
    }

    /// The resources of a type with the given label selector (empty for all).
    pub fn list(&self, namespace: &str, kind: &str, selector: &str) -> Result<Vec<Value>> {
        let get = ["get", "--namespace", namespace, kind, "--selector", selector, "--output", "json"];
        let mut list: Value = serde_json::from_str(&self.kubectl(get)?)?;
        Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// The pods with the given label selector, by name.
    pub fn pods(&self, namespace: &str, selector: &str) -> Result<Vec<Pod>> {
        let mut pods = self.list(namespace, "pods", selector)?.into_iter().map(Pod::read).collect::<Vec<_>>();
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(pods)
    }

    /// A pod by name.
    pub fn pod(&self, namespace: &str, name: &str) -> Result<Pod> {
        Ok(Pod::read(self.get(namespace, &format!("pod/{name}"))?))
    }

    /// Deletes a resource and waits until it is gone; one that is not there is no error.
    pub fn delete(&self, namespace: &str, resource: &str) -> Result<()> {
        let delete = ["delete", "--namespace", namespace, resource, "--ignore-not-found", "--timeout=90s"];
        self.kubectl(delete).map(drop)
    }

    /// Merges a JSON patch document into a resource.
    pub fn patch(&self, namespace: &str, resource: &str, patch: &Value) -> Result<()> {
        let patch = patch.to_string();
        self.kubectl(["patch", "--namespace", namespace, resource, "--type", "merge", "--patch", &patch]).map(drop)
    }

    /// Waits until a resource is as `wanted` says, and returns it then. The failure shows the last status.
    pub fn until(
        &self,
        namespace: &str,
        resource: &str,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        eventually(&format!("{resource}: {what}"), limit, || {
            let value = self.get(namespace, resource)?;
            if wanted(&value) {
                return Ok(Some(value));
            }
            bail!("status {}", value["status"]);
        })
    }

    /// Waits until a condition of a resource has the wanted status (`True`, `False`, `Unknown`), observed for its
    /// present generation when it says so.
    pub fn until_condition(
        &self,
        namespace: &str,
        resource: &str,
        condition: &str,
        status: &str,
        limit: Duration,
    ) -> Result<Value> {
        let what = format!("{condition}={status}");
        self.until(namespace, resource, &what, limit, |value| {
            let generation = &value["metadata"]["generation"];
            let observed = &value["status"]["observedGeneration"];
            let current = observed.is_null() || observed == generation;
            let mut conditions = value["status"]["conditions"].as_array().into_iter().flatten();
            current && conditions.any(|it| it["type"] == condition && it["status"] == status)
        })
    }

    /// The log of a pod's container so far; `previous` is that of the container before its last restart.
    pub fn logs(&self, namespace: &str, pod: &str, previous: bool) -> Result<String> {
        let previous = format!("--previous={previous}");
        self.kubectl(["logs", "--namespace", namespace, pod, "--all-containers", &previous])
    }

    /// The process id, on this machine, of the first process of a pod's container.
    pub fn container_process(&self, namespace: &str, pod: &str, container: &str) -> Result<u32> {
        let pod = self.get(namespace, &format!("pod/{pod}"))?;
        let mut statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        let status = statuses.find(|status| status["name"] == container);
        let status = status.with_context(|| format!("the pod has no container {container}"))?;
        let id = status["containerID"].as_str().and_then(|id| id.strip_prefix("containerd://"));
        let id = id.with_context(|| format!("container {container} does not run"))?;
        // TASK PID STATUS
        let tasks = self.ctr(["task", "list"])?;
        let mut rows = tasks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.first() == Some(&id)).with_context(|| format!("containerd has no task {id}"))?;
        row.get(1).and_then(|pid| pid.parse().ok()).with_context(|| format!("no process id in {row:?}"))
    }

    /// Sends a signal (`KILL`, `STOP`, `CONT`, `TERM`) to the first process of a container. With `KILL` the whole
    /// container is gone at once, without a chance to clean up; the kubelet starts it again in the same pod.
    pub fn signal_container(&self, namespace: &str, pod: &str, container: &str, signal: &str) -> Result<()> {
        let process = self.container_process(namespace, pod, container)?;
        run(Command::new("sh").args(["-c", &format!("kill -{signal} {process}")]), None).map(drop)
    }

    /// Removes a pod at once, its processes killed with SIGKILL: what a dead node looks like from outside.
    pub fn kill_pod(&self, namespace: &str, pod: &str) -> Result<()> {
        let mut containers = Vec::new();
        for status in
            self.get(namespace, &format!("pod/{pod}"))?["status"]["containerStatuses"].as_array().into_iter().flatten()
        {
            containers.extend(status["name"].as_str().map(str::to_owned));
        }
        // Before the deletion, or the kubelet would end them with SIGTERM.
        for container in containers {
            self.signal_container(namespace, pod, &container, "KILL")?;
        }
        self.kubectl(["delete", "pod", "--namespace", namespace, pod, "--grace-period=0", "--force"]).map(drop)
    }

    fn ctr<const N: usize>(&self, arguments: [&str; N]) -> Result<String> {
        let mut command = self.tool("BARNABAS_TEST_CTR");
        command.arg("--address").arg(self.testbed.path("BARNABAS_TEST_CONTAINERD"));
        run(command.args(["--namespace", "k8s.io"]).args(arguments), None)
    }
}

/// Runs a program; its standard error becomes the error when it fails.
fn run(command: &mut Command, input: Option<&str>) -> Result<String> {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy).collect::<Vec<_>>();
    let shown = words.join(" ").chars().take(400).collect::<String>();
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().with_context(|| shown.clone())?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input.as_bytes()).with_context(|| shown.clone())?;
    }
    let output = child.wait_with_output().with_context(|| shown.clone())?;
    if !output.status.success() {
        bail!("{shown}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `GET` over plain HTTP; returns the status code and the body. Pods and services are reachable from this machine.
pub fn http_get(address: &str, path: &str) -> Result<(u16, String)> {
    const LIMIT: Duration = Duration::from_secs(10);
    let socket = address.to_socket_addrs()?.next().with_context(|| format!("{address} is no address"))?;
    let mut stream =
        TcpStream::connect_timeout(&socket, LIMIT).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    // In version 1.0 the body ends with the connection, and is never cut into chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("{address}{path}: no HTTP answer"))?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((code.with_context(|| format!("{address}{path}: no status code in {head:?}"))?, body.to_owned()))
}
