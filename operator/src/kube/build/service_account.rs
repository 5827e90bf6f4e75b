//! The workers' ServiceAccount. It carries no permission of its own; connectors
//! read the Secrets that it is granted, through the operator's check.

use k8s_openapi::api::core::v1::ServiceAccount;

use super::Build;

/// `<cluster>-connect`.
pub fn build(build: Build<'_>) -> ServiceAccount {
    let template = build.template().and_then(|t| t.service_account.as_ref()).and_then(|t| t.metadata.as_ref());
    ServiceAccount {
        metadata: build.metadata(build.names().component(), template),
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Resolved, fixture};

    #[test]
    fn the_account_honours_its_template_and_mounts_no_token() {
        let cluster = fixture::cluster(serde_json::json!({
            "bootstrapServers": "k:9092",
            "template": { "serviceAccount": { "metadata": { "annotations": { "role": "r" } } } },
        }));
        let account = fixture::with(&cluster, &Resolved::default(), super::build);
        assert_eq!(account.metadata.name.as_deref(), Some("c-connect"));
        assert_eq!(account.metadata.annotations.unwrap()["role"], "r");
        assert_eq!(account.automount_service_account_token, Some(false));
    }
}
