//! The Service in front of every worker's REST view.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Build, HTTP_PORT};

/// `<cluster>-connect-api`.
pub fn build(build: Build<'_>) -> Service {
    let template = build.template().and_then(|t| t.api_service.as_ref());
    Service {
        metadata: build.metadata(build.names().api(), template.and_then(|t| t.metadata.as_ref())),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(build.selector()),
            ports: Some(vec![ServicePort {
                name: Some("rest-api".to_owned()),
                port: HTTP_PORT,
                target_port: Some(IntOrString::String("rest-api".to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ip_families: template.map(|t| t.ip_families.clone()).filter(|families| !families.is_empty()),
            ip_family_policy: template.and_then(|t| t.ip_family_policy.clone()),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

/// `status.url`; a cluster without workers has none.
pub fn url(build: Build<'_>) -> Option<String> {
    let (name, namespace) = (build.names().api(), build.namespace());
    (build.cluster.spec.replicas() > 0).then(|| format!("http://{name}.{namespace}.svc:{HTTP_PORT}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Resolved, fixture};

    #[test]
    fn the_service_and_its_url_have_strimzis_names() {
        let (service, url) =
            fixture::with(&fixture::minimal(), &Resolved::default(), |build| (super::build(build), super::url(build)));
        assert_eq!(service.metadata.name.as_deref(), Some("c-connect-api"));
        assert_eq!(service.spec.unwrap().ports.unwrap()[0].name.as_deref(), Some("rest-api"));
        assert_eq!(url.as_deref(), Some("http://c-connect-api.ns.svc:8083"));
        let none = fixture::cluster(serde_json::json!({ "replicas": 0, "bootstrapServers": "k:9092" }));
        assert_eq!(fixture::with(&none, &Resolved::default(), super::url), None);
    }
}
