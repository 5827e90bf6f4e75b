//! The chart, with real Helm: what it renders, what it refuses, and its life on a cluster.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, time::Duration};

use barnabas_tests::{Cluster, Testbed};
use serde::Deserialize;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(120);
/// The oldest version that the chart takes; a Helm that was built from its module claims to know none so new.
const VERSION: [&str; 2] = ["--kube-version", "1.33.0"];

fn chart() -> String {
    Testbed::get().file("charts/barnabas").display().to_string()
}

fn helm(arguments: &[&str]) -> anyhow::Result<String> {
    Testbed::get().cluster().helm(arguments)
}

/// What `helm template` makes of these values, as Kubernetes would read it.
fn rendered(values: &[&str]) -> Vec<Value> {
    let chart = chart();
    let mut arguments = vec!["template", "letters", chart.as_str(), "--namespace", "castle"];
    arguments.extend(VERSION);
    values.iter().for_each(|value| arguments.extend(["--set", value]));
    documents(&helm(&arguments).unwrap())
}

fn documents(yaml: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(yaml).map(|document| Value::deserialize(document).unwrap());
    documents.filter(|document| !document.is_null()).collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Vec<&'a Value> {
    documents.iter().filter(|document| document["kind"] == kind).collect()
}

fn deployment(documents: &[Value]) -> &Value {
    let [deployment] = of_kind(documents, "Deployment")[..] else { panic!("one Deployment") };
    deployment
}

fn container(documents: &[Value]) -> &Value {
    &deployment(documents)["spec"]["template"]["spec"]["containers"][0]
}

fn arguments(documents: &[Value]) -> Vec<String> {
    Vec::deserialize(&container(documents)["args"]).unwrap()
}

/// The name of a role that is no help for people but the operator's own.
const ROLE: &str = "letters-barnabas-castle";

#[test]
fn chart_passes_lint() {
    let chart = chart();
    let mut strict = vec!["lint", "--strict", chart.as_str()];
    strict.extend(VERSION);
    helm(&strict).unwrap();
    strict.extend(["--set", "watchNamespaces={a,b},metrics.serviceMonitor.enabled=true,imagePullSecrets[0].name=x"]);
    helm(&strict).unwrap();
}

#[test]
fn chart_pods_are_unprivileged() {
    let documents = rendered(&[]);
    let pod = &deployment(&documents)["spec"]["template"]["spec"];
    let expected = json!({
        "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": { "type": "RuntimeDefault" }
    });
    assert_eq!(pod["securityContext"], expected);
    let expected = json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] }
    });
    assert_eq!(container(&documents)["securityContext"], expected);
    assert!(pod["volumes"].is_null(), "nothing to write to");
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(pod[field].is_null(), "{field}");
    }
    assert!(!container(&documents)["resources"]["limits"]["memory"].is_null());
}

#[test]
fn chart_is_highly_available_by_default() {
    let documents = rendered(&[]);
    assert_eq!(deployment(&documents)["spec"]["replicas"], 2);
    let container = container(&documents);
    assert_eq!(container["livenessProbe"]["httpGet"], json!({ "path": "/healthz", "port": "http" }));
    assert_eq!(container["readinessProbe"]["httpGet"], json!({ "path": "/readyz", "port": "http" }));
    let [budget] = of_kind(&documents, "PodDisruptionBudget")[..] else { panic!("one PodDisruptionBudget") };
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(budget["spec"]["selector"], deployment(&documents)["spec"]["selector"]);
    let spread = &deployment(&documents)["spec"]["template"]["spec"]["topologySpreadConstraints"][0];
    assert_eq!(spread["topologyKey"], "kubernetes.io/hostname");
    let [metrics] = of_kind(&documents, "Service")[..] else { panic!("one Service") };
    assert_eq!(metrics["spec"]["selector"], deployment(&documents)["spec"]["selector"]["matchLabels"]);
    assert!(of_kind(&documents, "ServiceMonitor").is_empty());
    assert!(of_kind(&rendered(&["replicas=1"]), "PodDisruptionBudget").is_empty(), "it would block every drain");
}

#[test]
fn chart_watches_all_namespaces_by_a_cluster_role() {
    let documents = rendered(&["image.repository=r.example/b,image.tag=v7,image.pullPolicy=Never"]);
    let arguments = arguments(&documents);
    assert_eq!(arguments[..2], ["run", "--all-namespaces"]);
    assert!(arguments.contains(&"--worker-image=r.example/b:v7".to_owned()), "{arguments:?}");
    assert!(arguments.contains(&"--worker-image-pull-policy=Never".to_owned()), "{arguments:?}");
    assert_eq!(container(&documents)["image"], "r.example/b:v7");
    let labels = "--operator-labels=app.kubernetes.io/component=operator,app.kubernetes.io/instance=letters,\
        app.kubernetes.io/name=barnabas";
    assert!(arguments.iter().any(|argument| argument == labels), "{arguments:?}");
    assert!(of_kind(&documents, "ClusterRole").iter().any(|role| role["metadata"]["name"] == ROLE));
    let roles = of_kind(&documents, "Role");
    assert_eq!(roles.len(), 1, "the leader's Lease");
    assert_eq!(roles[0]["metadata"]["namespace"], "castle");
    assert_eq!(roles[0]["rules"][1]["resourceNames"], json!(["letters-barnabas"]));
    assert!(arguments.contains(&"--lease-name=letters-barnabas".to_owned()), "{arguments:?}");
}

#[test]
fn chart_watches_some_namespaces_by_a_role_in_each() {
    let documents = rendered(&["watchNamespaces={village,inn}", "rbac.aggregate=false"]);
    assert_eq!(arguments(&documents)[1], "--namespaces=village,inn");
    assert!(of_kind(&documents, "ClusterRole").is_empty());
    assert!(of_kind(&documents, "ClusterRoleBinding").is_empty());
    for kind in ["Role", "RoleBinding"] {
        let found = of_kind(&documents, kind);
        let found = found.iter().filter(|role| role["metadata"]["name"] == ROLE);
        let namespaces = found.map(|role| role["metadata"]["namespace"].as_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(namespaces, ["village", "inn"], "{kind}");
    }
    for binding in of_kind(&documents, "RoleBinding") {
        assert_eq!(binding["subjects"][0]["namespace"], "castle");
        assert_eq!(binding["subjects"][0]["name"], of_kind(&documents, "ServiceAccount")[0]["metadata"]["name"]);
    }
}

#[test]
fn chart_gives_the_operator_no_more_than_it_needs() {
    let documents = rendered(&["watchNamespaces={village}"]);
    let roles = of_kind(&documents, "Role");
    let role = roles.iter().find(|role| role["metadata"]["name"] == ROLE).unwrap();
    let words = |rule: &Value, field: &str| Vec::<String>::deserialize(&rule[field]).unwrap();
    let rules = role["rules"].as_array().unwrap();
    for rule in rules {
        for field in ["apiGroups", "resources", "verbs"] {
            assert!(!words(rule, field).iter().any(|word| word.contains('*')), "{rule}");
        }
        for forbidden in ["roles", "rolebindings", "clusterroles", "pods/exec", "nodes", "customresourcedefinitions"] {
            assert!(!words(rule, "resources").iter().any(|resource| resource == forbidden), "{rule}");
        }
        for verb in ["escalate", "bind", "impersonate", "deletecollection"] {
            assert!(!words(rule, "verbs").iter().any(|word| word == verb), "{rule}");
        }
    }
    let secrets = rules.iter().find(|rule| words(rule, "resources").contains(&"secrets".to_owned())).unwrap();
    assert_eq!(words(secrets, "resources"), ["secrets"]);
    assert_eq!(words(secrets, "verbs"), ["get", "create", "patch"], "no list and no watch");
    for rule in rules.iter().filter(|rule| words(rule, "verbs").contains(&"delete".to_owned())) {
        assert_eq!(words(rule, "resources"), ["pods"], "what it makes goes with its owner");
    }
}

#[test]
fn chart_refuses_values_that_do_not_fit() {
    let chart = chart();
    for (value, expected) in [
        ("replicas=two", "/replicas"),
        ("replicas=-1", "/replicas"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("image.pullpolicy=Never", "pullpolicy"),
        ("watchNamespaces={A_b}", "/watchNamespaces/0"),
        ("watchNamespaces=a", "/watchNamespaces"),
        ("crds.install=perhaps", "/crds/install"),
        ("logging.format=xml", "/logging/format"),
        ("metrics.serviceMonitor.interval=often", "/metrics/serviceMonitor/interval"),
        ("nodeSelectors.a=b", "nodeSelectors"),
    ] {
        let mut arguments = vec!["template", "letters", chart.as_str(), "--set", value];
        arguments.extend(VERSION);
        let error = format!("{:#}", helm(&arguments).unwrap_err());
        assert!(error.contains("values don't meet the specifications of the schema"), "{value}: {error}");
        assert!(error.contains(expected), "{value}: {error}");
    }
}

#[test]
fn chart_passes_on_what_pods_are_given() {
    let documents = rendered(&[
        "podAnnotations.a=b,podLabels.c=d,priorityClassName=high,nodeSelector.disk=ssd",
        "tolerations[0].key=k,tolerations[0].operator=Exists",
        "extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://proxy",
        "imagePullSecrets[0].name=one,imagePullSecrets[1].name=two",
        "serviceAccount.create=false,serviceAccount.name=mine,workerImage=w:1,logging.level=debug",
        "networkPolicies.create=false,extraArgs[0]=--lease-duration-ms=3000",
    ]);
    let template = &deployment(&documents)["spec"]["template"];
    assert_eq!(template["metadata"]["annotations"]["a"], "b");
    assert_eq!(template["metadata"]["labels"]["c"], "d");
    let pod = &template["spec"];
    assert_eq!(pod["priorityClassName"], "high");
    assert_eq!(pod["nodeSelector"], json!({ "disk": "ssd" }));
    assert_eq!(pod["tolerations"], json!([{ "key": "k", "operator": "Exists" }]));
    assert_eq!(pod["imagePullSecrets"], json!([{ "name": "one" }, { "name": "two" }]));
    assert_eq!(pod["serviceAccountName"], "mine");
    assert!(of_kind(&documents, "ServiceAccount").is_empty());
    let arguments = arguments(&documents);
    for expected in [
        "--worker-image=w:1",
        "--worker-image-pull-secrets=one,two",
        "--no-network-policies",
        "--lease-duration-ms=3000",
    ] {
        assert!(arguments.iter().any(|argument| argument == expected), "{expected} in {arguments:?}");
    }
    let env = container(&documents)["env"].as_array().unwrap();
    for expected in
        [json!({ "name": "HTTPS_PROXY", "value": "http://proxy" }), json!({ "name": "RUST_LOG", "value": "debug" })]
    {
        assert!(env.contains(&expected), "{expected}");
    }
}

#[test]
fn chart_carries_the_definitions() {
    let documents = rendered(&[]);
    let definitions = of_kind(&documents, "CustomResourceDefinition");
    let names = definitions.iter().map(|it| it["metadata"]["name"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(names, ["connectclusters.barnabas.dev", "kafkaconnectors.barnabas.dev"]);
    for definition in definitions {
        assert_eq!(definition["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    }
    assert!(of_kind(&rendered(&["crds.install=false"]), "CustomResourceDefinition").is_empty());
}

/// Gives the definitions to a release, as somebody does who moves them from one to another.
fn hand_over(cluster: Cluster, release: &str) {
    let folder = Testbed::get().file("crds/yaml").display().to_string();
    cluster.kubectl(["apply", "--server-side", "--force-conflicts", "--filename", &folder]).unwrap();
    for name in ["connectclusters.barnabas.dev", "kafkaconnectors.barnabas.dev"] {
        let owner = json!({
            "annotations": { "meta.helm.sh/release-name": release, "meta.helm.sh/release-namespace": release },
            "labels": { "app.kubernetes.io/managed-by": "Helm" }
        });
        let patch = json!({ "metadata": owner }).to_string();
        cluster.kubectl(["patch", "customresourcedefinition", name, "--type=merge", "--patch", &patch]).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn categories(cluster: Cluster) -> Value {
    let definition = cluster.get("default", "customresourcedefinition/kafkaconnectors.barnabas.dev").unwrap();
    definition["spec"]["names"]["categories"].clone()
}

#[test]
fn chart_installs_upgrades_and_uninstalls() {
    let testbed = Testbed::get();
    let cluster = testbed.cluster();
    let mut namespace = cluster.namespace("chart").unwrap();
    let name = namespace.name().to_owned();
    let watch = format!("watchNamespaces={{{name}}}");
    hand_over(cluster, &name);

    // An older chart, whose definitions lack a category.
    let old = tempfile::tempdir().unwrap();
    copy(Path::new(&chart()), old.path());
    for file in ["connectclusters", "kafkaconnectors"] {
        let file = old.path().join(format!("templates/crds/barnabas.dev_{file}.yaml"));
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("    - kafka\n"));
        fs::write(&file, text.replace("    - kafka\n", "")).unwrap();
    }
    let patch = json!({ "spec": { "names": { "categories": ["barnabas"] } } }).to_string();
    let crd = "customresourcedefinition/kafkaconnectors.barnabas.dev";
    cluster.kubectl(["patch", crd, "--type=merge", "--patch", &patch]).unwrap();
    namespace.install_chart(&old.path().display().to_string(), &[&watch]).unwrap();
    assert_eq!(categories(cluster), json!(["barnabas"]));
    let deployment = format!("deployment/{name}-barnabas");
    let available = |replicas: i64| move |value: &Value| value["status"]["availableReplicas"] == replicas;
    cluster.until(&name, &deployment, "two operators are available", LIMIT, available(2)).unwrap();
    let leader =
        |value: &Value| value["spec"]["holderIdentity"].as_str().is_some_and(|holder| holder.starts_with(&name));
    cluster.until(&name, &format!("lease/{name}-barnabas"), "one of them leads", LIMIT, leader).unwrap();
    let first = cluster.helm(["get", "notes", &name, "--namespace", &name]).unwrap();
    assert!(first.contains(&format!("It follows ConnectClusters and KafkaConnectors in: {name}.")), "{first}");

    namespace.upgrade(&[&watch, "replicas=3"]).unwrap();
    cluster.until(&name, &deployment, "three operators are available", LIMIT, available(3)).unwrap();
    assert_eq!(categories(cluster), json!(["barnabas", "kafka"]), "an upgrade upgrades the definitions");

    // A second release leaves them to the first.
    let mut second = cluster.namespace("chart").unwrap();
    let watch = format!("watchNamespaces={{{}}}", second.name());
    second.install(&[&watch, "replicas=1"]).unwrap();
    let manifest = cluster.helm(["get", "manifest", second.name(), "--namespace", second.name()]).unwrap();
    assert!(of_kind(&documents(&manifest), "CustomResourceDefinition").is_empty());
    let notes = cluster.helm(["get", "notes", second.name(), "--namespace", second.name()]).unwrap();
    assert!(notes.contains("belong to another release"), "{notes}");
    // Whoever installs is told what uninstalling leaves, and who releases finalizers then.
    for notes in [first, notes] {
        assert!(notes.contains("Uninstalling leaves") && notes.contains("finalizers"), "{notes}");
    }

    cluster.helm(["uninstall", &name, "--namespace", &name, "--wait"]).unwrap();
    let left = cluster
        .list(&name, "deployments,services,serviceaccounts,roles,rolebindings,poddisruptionbudgets", "")
        .unwrap();
    let left = left.iter().filter(|it| it["metadata"]["labels"]["app.kubernetes.io/instance"] == name.as_str()).count();
    assert_eq!(left, 0, "nothing of the release is left");
    assert_eq!(categories(cluster), json!(["barnabas", "kafka"]), "the definitions stay");
}
