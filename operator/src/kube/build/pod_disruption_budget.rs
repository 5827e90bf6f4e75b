//! How many workers may be evicted at once.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::{Build, label_selector};

/// `<cluster>-connect`.
pub fn build(build: Build<'_>) -> PodDisruptionBudget {
    let template = build.template().and_then(|t| t.pod_disruption_budget.as_ref());
    PodDisruptionBudget {
        metadata: build.metadata(build.names().component(), template.and_then(|t| t.metadata.as_ref())),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(template.and_then(|t| t.max_unavailable).unwrap_or(1))),
            selector: Some(label_selector(build.selector())),
            // A worker that never became ready holds nothing that eviction could hurt.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

    use super::super::{Resolved, fixture};

    #[test]
    fn one_worker_at_a_time_unless_the_template_says_otherwise() {
        let budget = fixture::with(&fixture::minimal(), &Resolved::default(), super::build);
        assert_eq!(budget.spec.unwrap().max_unavailable, Some(IntOrString::Int(1)));
        let cluster = fixture::cluster(serde_json::json!({
            "bootstrapServers": "k:9092", "template": { "podDisruptionBudget": { "maxUnavailable": 0 } },
        }));
        let budget = fixture::with(&cluster, &Resolved::default(), super::build);
        assert_eq!(budget.spec.unwrap().max_unavailable, Some(IntOrString::Int(0)));
    }
}
