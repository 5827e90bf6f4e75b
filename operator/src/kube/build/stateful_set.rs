//! The workers' StatefulSet.
//!
//! Pods start in parallel, and are replaced only by the operator (`OnDelete`),
//! one at a time and after their units have moved away.

use std::collections::BTreeMap;

use barnabas_crds::cluster::Probe as ProbeTiming;
use k8s_openapi::{
    api::{
        apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy},
        core::v1::{
            Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource,
            HTTPGetAction, KeyToPath, LocalObjectReference, ObjectFieldSelector, PodSecurityContext, PodSpec,
            PodTemplateSpec, Probe, SeccompProfile, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString},
};

use super::{
    Build, CONTROL_PORT, HTTP_PORT, METRICS_PORT,
    config_map::{CONFIG_DIR, FILE, KAFKA_DIR, STATE_DIR, TLS_DIR},
    label_selector,
};

/// Annotation on pods: changes when the workers' configuration does.
pub const CONFIG_HASH: &str = "barnabas.dev/configuration-hash";
/// Annotation on pods: changes when a Secret for Kafka does.
pub const SECRETS_HASH: &str = "barnabas.dev/auth-hash";
/// Name of the worker container.
pub const CONTAINER: &str = "connect";
/// The image's user.
const USER: i64 = 65532;
/// A SIGTERM drains the worker (20 s) and stops its tasks (5 s); the rest is for slow commits.
const GRACE_SECONDS: i64 = 60;
/// The state is the desired set: configurations of some hundred connectors fit.
const STATE_LIMIT: &str = "16Mi";
const TMP_LIMIT: &str = "64Mi";

/// `<cluster>-connect` with this many pods: never fewer than hold units.
pub fn build(build: Build<'_>, replicas: i32, config_hash: &str) -> StatefulSet {
    let set = build.template().and_then(|t| t.pod_set.as_ref()).and_then(|t| t.metadata.as_ref());
    StatefulSet {
        metadata: build.metadata(build.names().component(), set),
        spec: Some(StatefulSetSpec {
            replicas: Some(replicas),
            service_name: Some(build.names().component()),
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            selector: label_selector(build.selector()),
            template: pod(build, config_hash),
            ..StatefulSetSpec::default()
        }),
        status: None,
    }
}

fn pod(build: Build<'_>, config_hash: &str) -> PodTemplateSpec {
    let template = build.template().and_then(|t| t.pod.as_ref());
    let metadata = template.and_then(|t| t.metadata.as_ref());
    let mut annotations = metadata.map(|m| m.annotations.clone()).unwrap_or_default();
    annotations.insert(CONFIG_HASH.to_owned(), config_hash.to_owned());
    if !build.resolved.secrets_hash.is_empty() {
        annotations.insert(SECRETS_HASH.to_owned(), build.resolved.secrets_hash.clone());
    }
    let additions = build.cluster.spec.additions();
    let mut volumes = volumes(build);
    let mut mounts = mounts(build);
    volumes.extend(additions.volumes);
    mounts.extend(additions.volume_mounts);
    let template = template.cloned().unwrap_or_default();
    let pull_secrets = if template.image_pull_secrets.is_empty() {
        let names = build.settings.image_pull_secrets.iter();
        names.map(|name| LocalObjectReference { name: name.clone() }).collect()
    } else {
        template.image_pull_secrets
    };
    let some = |list: Vec<_>| (!list.is_empty()).then_some(list);
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(build.labels(metadata)),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(build.names().component()),
            automount_service_account_token: Some(false),
            containers: vec![container(build, mounts, additions.env)],
            volumes: Some(volumes),
            security_context: Some(template.security_context.unwrap_or_else(pod_security)),
            termination_grace_period_seconds: Some(template.termination_grace_period_seconds.unwrap_or(GRACE_SECONDS)),
            enable_service_links: Some(template.enable_service_links.unwrap_or(false)),
            image_pull_secrets: Some(pull_secrets).filter(|secrets| !secrets.is_empty()),
            node_selector: (!template.node_selector.is_empty()).then_some(template.node_selector),
            affinity: template.affinity,
            tolerations: some(template.tolerations),
            topology_spread_constraints: (!template.topology_spread_constraints.is_empty())
                .then_some(template.topology_spread_constraints),
            priority_class_name: template.priority_class_name,
            scheduler_name: template.scheduler_name,
            host_aliases: (!template.host_aliases.is_empty()).then_some(template.host_aliases),
            dns_policy: template.dns_policy,
            dns_config: template.dns_config,
            host_users: template.host_users,
            ..PodSpec::default()
        }),
    }
}

fn container(build: Build<'_>, mounts: Vec<VolumeMount>, additional_env: Vec<EnvVar>) -> Container {
    let spec = &build.cluster.spec;
    let template = build.template().and_then(|t| t.connect_container.as_ref());
    let port = |name: &str, port: i32| ContainerPort {
        name: Some(name.to_owned()),
        container_port: port,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    let mut env = vec![
        field_env("POD_NAME", "metadata.name"),
        field_env("POD_UID", "metadata.uid"),
        field_env("POD_NAMESPACE", "metadata.namespace"),
    ];
    // Ours cannot be replaced: the worker says by them who it is.
    env.extend(additional_env.into_iter().filter(|add| !add.name.starts_with("POD_")));
    Container {
        name: CONTAINER.to_owned(),
        image: Some(spec.image.clone().unwrap_or_else(|| build.settings.image.clone())),
        image_pull_policy: build.settings.image_pull_policy.clone(),
        command: Some(vec!["barnabas-worker".to_owned()]),
        args: Some(vec!["run".to_owned(), "--config".to_owned(), format!("{CONFIG_DIR}/{FILE}")]),
        env: Some(env),
        ports: Some(vec![
            port("rest-api", HTTP_PORT),
            port("control", CONTROL_PORT),
            port("tcp-prometheus", METRICS_PORT),
        ]),
        resources: spec.resources.clone(),
        volume_mounts: Some(mounts),
        security_context: Some(template.and_then(|t| t.security_context.clone()).unwrap_or_else(container_security)),
        startup_probe: None,
        liveness_probe: Some(probe("/healthz", spec.liveness_probe.as_ref(), 10, 10, 6)),
        readiness_probe: Some(probe("/readyz", spec.readiness_probe.as_ref(), 0, 5, 3)),
        // The last words of a worker that cannot start end up in its status.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

fn field_env(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn probe(path: &str, timing: Option<&ProbeTiming>, delay: i32, period: i32, failures: i32) -> Probe {
    let timing = timing.cloned().unwrap_or_default();
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("rest-api".to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        initial_delay_seconds: Some(timing.initial_delay_seconds.unwrap_or(delay)),
        period_seconds: Some(timing.period_seconds.unwrap_or(period)),
        timeout_seconds: Some(timing.timeout_seconds.unwrap_or(5)),
        success_threshold: Some(timing.success_threshold.unwrap_or(1)),
        failure_threshold: Some(timing.failure_threshold.unwrap_or(failures)),
        ..Probe::default()
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

fn memory_volume(name: &str, limit: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            // Resolved configurations hold secrets: they may never reach a disk.
            medium: Some("Memory".to_owned()),
            size_limit: Some(Quantity(limit.to_owned())),
        }),
        ..Volume::default()
    }
}

fn secret_volume(name: &str, secret: &str, keys: Option<Vec<String>>) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(0o440),
            items: keys
                .map(|keys| keys.into_iter().map(|key| KeyToPath { path: key.clone(), key, mode: None }).collect()),
            optional: None,
        }),
        ..Volume::default()
    }
}

/// Secrets for Kafka: volume name, Secret, its keys.
fn kafka_secrets(build: Build<'_>) -> Vec<(String, String, Vec<String>)> {
    let mut secrets = Vec::new();
    for (index, (secret, keys)) in build.resolved.trusted_certificates.iter().enumerate() {
        secrets.push((format!("trusted-{index}"), secret.clone(), keys.clone()));
    }
    if let Some(authentication) = &build.cluster.spec.authentication {
        if let Some(password) = &authentication.password_secret {
            secrets.push(("password".to_owned(), password.secret_name.clone(), vec![password.password.clone()]));
        }
        if let Some(pair) = &authentication.certificate_and_key {
            let keys = vec![pair.certificate.clone(), pair.key.clone()];
            secrets.push(("client".to_owned(), pair.secret_name.clone(), keys));
        }
    }
    secrets
}

fn volumes(build: Build<'_>) -> Vec<Volume> {
    let tmp = build.template().and_then(|t| t.pod.as_ref()).and_then(|pod| pod.tmp_dir_size_limit.as_deref());
    let mut volumes = vec![
        Volume {
            name: "config".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: build.names().config(),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        secret_volume("control-tls", &build.names().worker_certs(), None),
        memory_volume("state", STATE_LIMIT),
        memory_volume("tmp", tmp.unwrap_or(TMP_LIMIT)),
    ];
    for (name, secret, keys) in kafka_secrets(build) {
        volumes.push(secret_volume(&format!("kafka-{name}"), &secret, Some(keys)));
    }
    volumes
}

fn mounts(build: Build<'_>) -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    let mut mounts = vec![
        mount("config", CONFIG_DIR, true),
        mount("control-tls", TLS_DIR, true),
        mount("state", STATE_DIR, false),
        mount("tmp", "/tmp", false),
    ];
    for (name, _, _) in kafka_secrets(build) {
        mounts.push(mount(&format!("kafka-{name}"), &format!("{KAFKA_DIR}/{name}"), true));
    }
    mounts
}

/// The number in a pod's name.
pub fn ordinal(pod: &str) -> Option<u32> {
    pod.rsplit_once('-')?.1.parse().ok()
}

/// Annotations of the pod template, for tests and logs.
pub fn template_annotations(set: &StatefulSet) -> Option<&BTreeMap<String, String>> {
    set.spec.as_ref()?.template.metadata.as_ref()?.annotations.as_ref()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{
        super::{Resolved, fixture},
        *,
    };

    fn pod_of(spec: serde_json::Value, resolved: &Resolved) -> (StatefulSet, PodSpec) {
        let cluster = fixture::cluster(spec);
        let set = fixture::with(&cluster, resolved, |build| super::build(build, 2, "h1"));
        let pod = set.spec.clone().unwrap().template.spec.unwrap();
        (set, pod)
    }

    #[test]
    fn pods_start_together_and_only_the_operator_replaces_them() {
        let (set, pod) = pod_of(serde_json::json!({ "bootstrapServers": "k:9092" }), &Resolved::default());
        let spec = set.spec.as_ref().unwrap();
        assert_eq!(spec.pod_management_policy.as_deref(), Some("Parallel"));
        assert_eq!(spec.update_strategy.as_ref().unwrap().type_.as_deref(), Some("OnDelete"));
        assert_eq!(spec.replicas, Some(2));
        assert_eq!(template_annotations(&set).unwrap()[CONFIG_HASH], "h1");
        assert_eq!(pod.containers[0].image.as_deref(), Some("barnabas:1"));
        assert_eq!(pod.termination_grace_period_seconds, Some(60));
        assert_eq!(pod.image_pull_secrets.unwrap()[0].name, "default-pull");
    }

    #[test]
    fn pods_are_unprivileged_and_keep_secrets_off_the_disk() {
        let (_, pod) = pod_of(serde_json::json!({ "bootstrapServers": "k:9092" }), &Resolved::default());
        let container = &pod.containers[0];
        let security = container.security_context.as_ref().unwrap();
        assert_eq!(security.read_only_root_filesystem, Some(true));
        assert_eq!(security.capabilities.as_ref().unwrap().drop.as_ref().unwrap(), &["ALL"]);
        assert_eq!(pod.security_context.unwrap().run_as_user, Some(65532));
        let writable: Vec<_> =
            container.volume_mounts.as_ref().unwrap().iter().filter(|m| m.read_only.is_none()).collect();
        assert_eq!(writable.len(), 2);
        for mount in writable {
            let volume = pod.volumes.as_ref().unwrap().iter().find(|v| v.name == mount.name).unwrap();
            assert_eq!(volume.empty_dir.as_ref().unwrap().medium.as_deref(), Some("Memory"));
        }
    }

    #[test]
    fn secrets_for_kafka_are_mounted_by_key_and_roll_the_pods_when_they_change() {
        let resolved = Resolved {
            trusted_certificates: vec![("ca".into(), vec!["ca.crt".into()])],
            secrets_hash: "s1".into(),
            ..Resolved::default()
        };
        let (set, pod) = pod_of(
            serde_json::json!({
                "bootstrapServers": "k:9093", "tls": { "trustedCertificates": [{ "secretName": "ca", "certificate": "ca.crt" }] },
                "authentication": { "type": "plain", "username": "u", "passwordSecret": { "secretName": "pw", "password": "p" } },
            }),
            &resolved,
        );
        let volumes = pod.volumes.unwrap();
        let password = volumes.iter().find(|v| v.name == "kafka-password").unwrap().secret.as_ref().unwrap();
        assert_eq!(password.secret_name.as_deref(), Some("pw"));
        assert_eq!(password.items.as_ref().unwrap()[0].key, "p");
        let mounts = pod.containers[0].volume_mounts.as_ref().unwrap();
        assert!(mounts.iter().any(|m| m.mount_path == "/etc/barnabas-kafka/trusted-0"));
        assert_eq!(template_annotations(&set).unwrap()[SECRETS_HASH], "s1");
    }

    #[test]
    fn the_template_and_the_old_external_configuration_reach_the_pod() {
        let (set, pod) = pod_of(
            serde_json::json!({
                "bootstrapServers": "k:9092", "image": "own:2",
                "resources": { "limits": { "memory": "1Gi" } },
                "readinessProbe": { "periodSeconds": 3 },
                "externalConfiguration": { "volumes": [{ "name": "files", "secret": { "secretName": "files" } }] },
                "template": {
                    "podSet": { "metadata": { "labels": { "set": "1" } } },
                    "pod": {
                        "metadata": { "labels": { "team": "t" } }, "priorityClassName": "high", "nodeSelector": { "disk": "ssd" },
                        "tolerations": [{ "key": "x", "operator": "Exists" }], "terminationGracePeriodSeconds": 5,
                        "imagePullSecrets": [{ "name": "pull" }], "hostAliases": [{ "ip": "10.0.0.1", "hostnames": ["k"] }],
                        "volumes": [{ "name": "data", "emptyDir": {} }], "tmpDirSizeLimit": "5Mi",
                    },
                    "connectContainer": {
                        "env": [{ "name": "A", "value": "b" }, { "name": "POD_NAME", "value": "spoof" }],
                        "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
                    },
                },
            }),
            &Resolved::default(),
        );
        let container = &pod.containers[0];
        assert_eq!(set.metadata.labels.unwrap()["set"], "1");
        assert_eq!(container.image.as_deref(), Some("own:2"));
        let env = container.env.as_ref().unwrap();
        assert!(env.iter().any(|e| e.name == "A" && e.value.as_deref() == Some("b")));
        assert_eq!(env.iter().filter(|e| e.name == "POD_NAME").count(), 1);
        let mounts: Vec<_> = container.volume_mounts.as_ref().unwrap().iter().map(|m| m.mount_path.as_str()).collect();
        assert!(mounts.contains(&"/data") && mounts.contains(&"/opt/kafka/external-configuration/files"), "{mounts:?}");
        assert_eq!(container.readiness_probe.as_ref().unwrap().period_seconds, Some(3));
        assert_eq!(container.resources.as_ref().unwrap().limits.as_ref().unwrap()["memory"].0, "1Gi");
        assert_eq!(pod.termination_grace_period_seconds, Some(5));
        assert_eq!(pod.priority_class_name.as_deref(), Some("high"));
        assert_eq!(pod.node_selector.unwrap()["disk"], "ssd");
        assert_eq!(pod.image_pull_secrets.unwrap()[0].name, "pull");
        assert_eq!(pod.host_aliases.unwrap()[0].ip, "10.0.0.1");
        assert_eq!(set.spec.unwrap().template.metadata.unwrap().labels.unwrap()["team"], "t");
    }

    #[test]
    fn ordinals_are_read_from_names() {
        assert_eq!(ordinal("my-c-connect-12"), Some(12));
        assert_eq!(ordinal("x"), None);
    }
}
