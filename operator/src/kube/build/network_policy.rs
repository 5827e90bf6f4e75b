//! Who may connect to a worker pod: the operator to the control port, everybody
//! to health, metrics and the REST view, whose calls carry their own identity.

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{Build, CONTROL_PORT, HTTP_PORT, METRICS_PORT, label_selector};

/// `<cluster>-connect`.
pub fn build(build: Build<'_>) -> NetworkPolicy {
    let port = |port: i32| NetworkPolicyPort {
        port: Some(IntOrString::Int(port)),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    };
    let operator = NetworkPolicyPeer {
        namespace_selector: Some(label_selector(
            [("kubernetes.io/metadata.name".to_owned(), build.settings.operator_namespace.clone())].into(),
        )),
        pod_selector: Some(label_selector(build.settings.operator_labels.clone())),
        ip_block: None,
    };
    NetworkPolicy {
        metadata: build.metadata(build.names().component(), None),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(label_selector(build.selector())),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![
                NetworkPolicyIngressRule { from: Some(vec![operator]), ports: Some(vec![port(CONTROL_PORT)]) },
                NetworkPolicyIngressRule { from: None, ports: Some(vec![port(HTTP_PORT), port(METRICS_PORT)]) },
            ]),
            egress: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Resolved, fixture};

    #[test]
    fn only_the_operator_reaches_the_control_port() {
        let policy = fixture::with(&fixture::minimal(), &Resolved::default(), super::build);
        let rules = policy.spec.unwrap().ingress.unwrap();
        let control = &rules[0];
        let peer = &control.from.as_ref().unwrap()[0];
        let namespace = peer.namespace_selector.as_ref().unwrap().match_labels.as_ref().unwrap();
        assert_eq!(namespace["kubernetes.io/metadata.name"], "ops");
        assert!(peer.pod_selector.is_some());
        assert!(rules[1].from.is_none() && rules[1].ports.as_ref().unwrap().len() == 2);
    }
}
