//! Rules between fields, each written once as CEL for the API server and once in Rust for `barnabas up` and
//! `barnabas validate`, side by side and with one message.

use crate::cluster::{
    Authentication, AuthenticationType, CertificateSource, Logging, LoggingType, MetricsConfig, MetricsType, Rack,
    RackType,
};
use crate::conditions::reasons;
use crate::connector::KafkaConnectorSpec;
use crate::{ConnectCluster, ConnectClusterSpec, Problem};
use serde_json::{Value, json};

/// One rule on a `T`.
pub(crate) struct Rule<T: 'static> {
    cel: &'static str,
    message: &'static str,
    holds: Holds<T>,
}

enum Holds<T: 'static> {
    Always(fn(&T) -> bool),
    /// Old, then new.
    OnChange(fn(&T, &T) -> bool),
}

/// The rules as `x-kubernetes-validations`.
pub(crate) fn rules_of<T>(rules: &[Rule<T>]) -> Value {
    rules.iter().map(|rule| json!({ "rule": rule.cel, "message": rule.message })).collect()
}

/// Of the whole resource, not of its spec.
pub(crate) const CLUSTER: &[Rule<ConnectCluster>] = &[Rule {
    // 52 is what a StatefulSet's pods leave of a label's 63 characters, and `-connect` takes 8.
    cel: "self.metadata.name.size() <= 44 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    message: "the name of a ConnectCluster has at most 44 lower-case letters, digits and dashes, and begins with a letter: Services and pods are named after it.",
    holds: Holds::Always(|cluster| {
        let name = cluster.metadata.name.as_deref().unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        name.len() <= 44
            && name.bytes().all(|byte| plain(byte) || byte == b'-')
            && name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase())
            && name.bytes().last().is_some_and(plain)
    }),
}];

pub(crate) const CONNECTOR: &[Rule<KafkaConnectorSpec>] = &[
    Rule {
        cel: "(has(self.name) ? self.name : '') == (has(oldSelf.name) ? oldSelf.name : '')",
        message: "name cannot be changed: offsets and the consumer group belong to it. Delete the connector and create it anew.",
        holds: Holds::OnChange(|old, new| old.name == new.name),
    },
    Rule {
        cel: r"!has(self.name) || !self.name.matches(r'[\x00-\x1f\x7f]')",
        message: "name must not contain control characters.",
        holds: Holds::Always(|spec| !spec.name.iter().any(|name| name.bytes().any(|byte| byte < 0x20 || byte == 0x7f))),
    },
];

pub(crate) const AUTHENTICATION: &[Rule<Authentication>] = &[
    Rule {
        cel: "self.type != 'tls' || has(self.certificateAndKey)",
        message: "type tls needs certificateAndKey: secretName, and in it the keys certificate and key.",
        holds: Holds::Always(|auth| auth.type_ != AuthenticationType::Tls || auth.certificate_and_key.is_some()),
    },
    Rule {
        cel: "!(self.type in ['scram-sha-256', 'scram-sha-512', 'plain']) || (has(self.username) && has(self.passwordSecret))",
        message: "types scram-sha-256, scram-sha-512 and plain need username and passwordSecret: secretName, and in it the key password.",
        holds: Holds::Always(|auth| {
            auth.type_.sasl_mechanism().is_none() || (auth.username.is_some() && auth.password_secret.is_some())
        }),
    },
    Rule {
        cel: "self.type != 'oauth'",
        message: "type oauth is not available, nor is SASL's OAUTHBEARER. Use type tls, plain, scram-sha-256 or scram-sha-512, or custom with one of their mechanisms.",
        holds: Holds::Always(|auth| auth.type_ != AuthenticationType::Oauth),
    },
];

pub(crate) const CERTIFICATE_SOURCE: &[Rule<CertificateSource>] = &[Rule {
    cel: "has(self.certificate) != has(self.pattern)",
    message: "give either certificate (one key of the Secret) or pattern (for example *.crt), and not both.",
    holds: Holds::Always(|source| source.certificate.is_some() != source.pattern.is_some()),
}];

pub(crate) const LOGGING: &[Rule<Logging>] = &[Rule {
    cel: "self.type != 'external' || (has(self.valueFrom) && has(self.valueFrom.configMapKeyRef))",
    message: "type external needs valueFrom.configMapKeyRef: the name of a ConfigMap and the key in it.",
    holds: Holds::Always(|logging| {
        logging.type_ != LoggingType::External
            || logging.value_from.as_ref().is_some_and(|source| source.config_map_key_ref.is_some())
    }),
}];

pub(crate) const METRICS: &[Rule<MetricsConfig>] = &[Rule {
    cel: "self.type != 'jmxPrometheusExporter' || (has(self.valueFrom) && has(self.valueFrom.configMapKeyRef))",
    message: "type jmxPrometheusExporter needs valueFrom.configMapKeyRef: the name of a ConfigMap and the key in it.",
    holds: Holds::Always(|metrics| {
        metrics.type_ != MetricsType::JmxPrometheusExporter
            || metrics.value_from.as_ref().is_some_and(|source| source.config_map_key_ref.is_some())
    }),
}];

pub(crate) const RACK: &[Rule<Rack>] = &[
    Rule {
        cel: "(has(self.type) && self.type == 'environment-variable') || has(self.topologyKey)",
        message: "topologyKey is needed: a label of the nodes, for example topology.kubernetes.io/zone.",
        holds: Holds::Always(|rack| rack.type_ == Some(RackType::EnvironmentVariable) || rack.topology_key.is_some()),
    },
    Rule {
        cel: "!(has(self.type) && self.type == 'environment-variable') || has(self.envVarName)",
        message: "type environment-variable needs envVarName: a variable of the worker container.",
        holds: Holds::Always(|rack| rack.type_ != Some(RackType::EnvironmentVariable) || rack.env_var_name.is_some()),
    },
];

fn apply<T>(rules: &[Rule<T>], field: &str, old: Option<&T>, new: Option<&T>, problems: &mut Vec<Problem>) {
    let Some(new) = new else { return };
    for rule in rules {
        let holds = match (&rule.holds, old) {
            (Holds::Always(holds), _) => holds(new),
            (Holds::OnChange(holds), Some(old)) => holds(old, new),
            (Holds::OnChange(_), None) => true,
        };
        if !holds {
            problems.push(Problem::new(field, reasons::INVALID_CONFIGURATION, rule.message));
        }
    }
}

/// What the API server's rules would say of this cluster's name.
pub(crate) fn cluster_name(cluster: &ConnectCluster) -> Vec<Problem> {
    let mut problems = vec![];
    apply(CLUSTER, "metadata.name", None, Some(cluster), &mut problems);
    problems
}

/// What the API server's rules would say of this cluster's spec.
pub(crate) fn cluster(spec: &ConnectClusterSpec) -> Vec<Problem> {
    let mut problems = vec![];
    apply(AUTHENTICATION, "spec.authentication", None, spec.authentication.as_ref(), &mut problems);
    apply(LOGGING, "spec.logging", None, spec.logging.as_ref(), &mut problems);
    apply(METRICS, "spec.metricsConfig", None, spec.metrics_config.as_ref(), &mut problems);
    apply(RACK, "spec.rack", None, spec.rack.as_ref(), &mut problems);
    for (index, source) in spec.tls.iter().flat_map(|tls| &tls.trusted_certificates).enumerate() {
        let field = format!("spec.tls.trustedCertificates[{index}]");
        apply(CERTIFICATE_SOURCE, &field, None, Some(source), &mut problems);
    }
    problems
}

/// What the API server's rules would say of this connector, as a change of `old` when there is one.
pub(crate) fn connector(old: Option<&KafkaConnectorSpec>, new: &KafkaConnectorSpec) -> Vec<Problem> {
    let mut problems = vec![];
    apply(CONNECTOR, "spec", old, Some(new), &mut problems);
    problems
}
