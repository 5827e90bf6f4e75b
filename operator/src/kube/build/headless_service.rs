//! The headless Service that gives the worker pods their names.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Build, CONTROL_PORT, HTTP_PORT};

/// `<cluster>-connect`.
pub fn build(build: Build<'_>) -> Service {
    let template = build.template().and_then(|t| t.headless_service.as_ref());
    let port = |name: &str, port: i32| ServicePort {
        name: Some(name.to_owned()),
        port,
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    Service {
        metadata: build.metadata(build.names().component(), template.and_then(|t| t.metadata.as_ref())),
        spec: Some(ServiceSpec {
            cluster_ip: Some("None".to_owned()),
            // A worker has to be reached before it is ready: it is made ready by being reached.
            publish_not_ready_addresses: Some(true),
            selector: Some(build.selector()),
            ports: Some(vec![port("control", CONTROL_PORT), port("rest-api", HTTP_PORT)]),
            ip_families: template.map(|t| t.ip_families.clone()).filter(|families| !families.is_empty()),
            ip_family_policy: template.and_then(|t| t.ip_family_policy.clone()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Resolved, fixture};

    #[test]
    fn pods_have_names_before_they_are_ready() {
        let service = fixture::with(&fixture::minimal(), &Resolved::default(), super::build);
        let spec = service.spec.unwrap();
        assert_eq!(spec.cluster_ip.as_deref(), Some("None"));
        assert_eq!(spec.publish_not_ready_addresses, Some(true));
        assert_eq!(spec.selector.unwrap()["barnabas.dev/cluster"], "c");
    }

    #[test]
    fn ip_families_come_from_the_template() {
        let cluster = fixture::cluster(serde_json::json!({
            "bootstrapServers": "k:9092",
            "template": { "headlessService": { "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"] } },
        }));
        let spec = fixture::with(&cluster, &Resolved::default(), super::build).spec.unwrap();
        assert_eq!(spec.ip_family_policy.as_deref(), Some("PreferDualStack"));
        assert_eq!(spec.ip_families.unwrap(), ["IPv6", "IPv4"]);
    }
}
