//! `spec.template`: labels, annotations and pod settings of what the operator creates.

use crate::schema;
use k8s_openapi::api::core::v1::{
    Affinity, ConfigMapKeySelector, ConfigMapVolumeSource, EnvVar, HostAlias, LocalObjectReference, PodDNSConfig,
    PodSecurityContext, SecretKeySelector, SecretVolumeSource, SecurityContext, Toleration, TopologySpreadConstraint,
    Volume, VolumeMount,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Shapes what the operator creates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Template {
    /// The StatefulSet of the workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_set: Option<MetadataOnly>,
    /// The worker pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodTemplate>,
    /// The worker container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_container: Option<ContainerTemplate>,
    /// The Service `<name>-connect-api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_service: Option<ServiceTemplate>,
    /// The headless Service `<name>-connect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headless_service: Option<ServiceTemplate>,
    /// The PodDisruptionBudget of the workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<PodDisruptionBudgetTemplate>,
    /// The ServiceAccount of the workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account: Option<MetadataOnly>,
    /// Accepted, and ignored with a Warning condition: there is no init container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub init_container: Option<Value>,
    /// Accepted, and ignored with a Warning condition: workers have no cluster role.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub cluster_role_binding: Option<Value>,
    /// Accepted, and ignored with a Warning condition: nothing is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub build_pod: Option<Value>,
    /// Accepted, and ignored with a Warning condition: nothing is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub build_container: Option<Value>,
    /// Accepted, and ignored with a Warning condition: nothing is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub build_config: Option<Value>,
    /// Accepted, and ignored with a Warning condition: nothing is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub build_service_account: Option<Value>,
    /// Accepted, and ignored with a Warning condition: there is no JMX.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub jmx_secret: Option<Value>,
    /// v1beta2. Accepted, and ignored with a Warning condition: workers are a StatefulSet; use `podSet`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form")]
    pub deployment: Option<Value>,
}

/// Labels and annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetadataTemplate {
    /// Labels to add.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations to add.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A resource of which only labels and annotations can be shaped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetadataOnly {
    /// Labels and annotations to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataTemplate>,
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceTemplate {
    /// Labels and annotations to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataTemplate>,
    /// `SingleStack`, `PreferDualStack` or `RequireDualStack`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_family_policy: Option<String>,
    /// `IPv4` and `IPv6`, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip_families: Vec<String>,
}

/// The PodDisruptionBudget of the workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodDisruptionBudgetTemplate {
    /// Labels and annotations to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataTemplate>,
    /// How many workers may be away at once. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub max_unavailable: Option<i32>,
}

/// The worker pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodTemplate {
    /// Labels and annotations to add.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataTemplate>,
    /// Secrets for pulling the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::k8s_list::<LocalObjectReference>")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Security settings of the pod, instead of the default ones (no root, the runtime's seccomp profile).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::k8s::<PodSecurityContext>")]
    pub security_context: Option<PodSecurityContext>,
    /// Seconds that a worker has for finishing its batches and committing offsets. Default: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub termination_grace_period_seconds: Option<i64>,
    /// Which nodes, by label. An addition to Strimzi's fields.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Which nodes, by rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::k8s::<Affinity>")]
    pub affinity: Option<Affinity>,
    /// Taints of nodes that the pods tolerate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::k8s_list::<Toleration>")]
    pub tolerations: Vec<Toleration>,
    /// How the pods spread over nodes or zones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::k8s_list::<TopologySpreadConstraint>")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Name of the priority class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// Name of the scheduler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<String>,
    /// Lines for the pods' hosts file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::k8s_list::<HostAlias>")]
    pub host_aliases: Vec<HostAlias>,
    /// `ClusterFirst`, `ClusterFirstWithHostNet`, `Default` or `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns_policy: Option<String>,
    /// DNS servers and search domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::k8s::<PodDNSConfig>")]
    pub dns_config: Option<PodDNSConfig>,
    /// Whether Services become environment variables. Default: `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable_service_links: Option<bool>,
    /// Whether the pods use the host's user namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_users: Option<bool>,
    /// Size of the temporary folder, for example `5Mi`; it lies in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmp_dir_size_limit: Option<String>,
    /// Volumes to add, mounted by `template.connectContainer.volumeMounts`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::volumes")]
    pub volumes: Vec<Volume>,
    /// Accepted, and ignored with a Warning condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::free_form_list")]
    pub templated_volumes: Option<Value>,
}

/// The worker container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerTemplate {
    /// Environment variables to add, for `${env:NAME}`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::k8s_list::<EnvVar>")]
    pub env: Vec<EnvVar>,
    /// Security settings of the container, instead of the default ones (read-only root, no capabilities).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::k8s::<SecurityContext>")]
    pub security_context: Option<SecurityContext>,
    /// Where `template.pod.volumes` are mounted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::k8s_list::<VolumeMount>")]
    pub volume_mounts: Vec<VolumeMount>,
}

/// v1beta2: environment and volumes from Secrets and ConfigMaps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExternalConfiguration {
    /// Environment variables of the worker container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<ExternalEnv>,
    /// Volumes, mounted under `/opt/kafka/external-configuration/`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<ExternalVolume>,
}

/// An environment variable from a Secret or ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalEnv {
    /// Name of the variable.
    pub name: String,
    /// Where its value is.
    pub value_from: ExternalEnvSource,
}

/// A key in a Secret or in a ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExternalEnvSource {
    /// A key in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::k8s::<SecretKeySelector>")]
    pub secret_key_ref: Option<SecretKeySelector>,
    /// A key in a ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::k8s::<ConfigMapKeySelector>")]
    pub config_map_key_ref: Option<ConfigMapKeySelector>,
}

/// A Secret or a ConfigMap as a folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalVolume {
    /// Name of the folder under `/opt/kafka/external-configuration/`.
    pub name: String,
    /// A Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::k8s::<SecretVolumeSource>")]
    pub secret: Option<SecretVolumeSource>,
    /// A ConfigMap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::k8s::<ConfigMapVolumeSource>")]
    pub config_map: Option<ConfigMapVolumeSource>,
}

/// Where v1beta2's external volumes are mounted.
pub const EXTERNAL_CONFIGURATION_PATH: &str = "/opt/kafka/external-configuration";

/// Everything that `template` and v1beta2's `externalConfiguration` add to the worker container, in one form.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerAdditions {
    /// Environment variables.
    pub env: Vec<EnvVar>,
    /// Volumes of the pod.
    pub volumes: Vec<Volume>,
    /// Where they are mounted.
    pub volume_mounts: Vec<VolumeMount>,
}

impl crate::ConnectClusterSpec {
    /// Environment, volumes and mounts to add, whichever way they are spelled.
    pub fn additions(&self) -> ContainerAdditions {
        let mut additions = ContainerAdditions::default();
        let template = self.template.clone().unwrap_or_default();
        if let Some(container) = template.connect_container {
            additions.env = container.env;
            additions.volume_mounts = container.volume_mounts;
        }
        additions.volumes = template.pod.map(|pod| pod.volumes).unwrap_or_default();
        for env in self.external_configuration.iter().flat_map(|external| &external.env) {
            additions.env.push(EnvVar {
                name: env.name.clone(),
                value_from: Some(k8s_openapi::api::core::v1::EnvVarSource {
                    secret_key_ref: env.value_from.secret_key_ref.clone(),
                    config_map_key_ref: env.value_from.config_map_key_ref.clone(),
                    ..Default::default()
                }),
                ..Default::default()
            });
        }
        for volume in self.external_configuration.iter().flat_map(|external| &external.volumes) {
            // Strimzi's prefix keeps these names apart from those of template.pod.volumes.
            let name = format!("ext-conf-{}", volume.name);
            additions.volume_mounts.push(VolumeMount {
                name: name.clone(),
                mount_path: format!("{EXTERNAL_CONFIGURATION_PATH}/{}", volume.name),
                ..Default::default()
            });
            additions.volumes.push(Volume {
                name,
                secret: volume.secret.clone(),
                config_map: volume.config_map.clone(),
                ..Default::default()
            });
        }
        additions
    }
}
