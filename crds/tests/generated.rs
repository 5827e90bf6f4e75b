//! What is generated from the types is what is in the repository. `BARNABAS_REGENERATE=1` rewrites it.
#![allow(clippy::unwrap_used)]

use std::path::Path;

fn check(path: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if std::env::var_os("BARNABAS_REGENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let actual = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        actual == expected,
        "{} is stale. Rewrite it: BARNABAS_REGENERATE=1 cargo test -p barnabas-crds --test generated",
        path.display()
    );
}

#[test]
fn definitions_are_current() {
    for (name, content) in barnabas_crds::files() {
        check(&format!("crds/yaml/{name}"), &content);
    }
}

/// `kubectl apply` keeps what it applied in an annotation, and annotations together are at most 262,144 bytes.
#[test]
fn definitions_can_be_applied_by_kubectl_on_the_client_side() {
    for crd in barnabas_crds::crds() {
        let size = serde_json::to_string(&crd).unwrap().len();
        assert!(size < 200_000, "{:?} has {size} bytes", crd.metadata.name);
    }
}

#[test]
fn the_manifests_reference_is_current() {
    check("docs/reference/manifests.md", &barnabas_crds::markdown());
}

/// The chart carries the definitions as templates, because Helm never upgrades what lies in a chart's `crds` folder.
#[test]
fn the_chart_carries_the_same_definitions() {
    for (name, content) in barnabas_crds::files() {
        assert!(!content.contains("{{"), "Helm would read {name} as a template");
        let kept = content.replacen(
            "metadata:\n",
            "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n  labels:\n    {{- include \"barnabas.labels\" . | nindent 4 }}\n",
            1,
        );
        let template = format!(
            "{{{{- /* Generated from the types in crds/src: see crds/tests/generated.rs. */ -}}}}\n{{{{- if include \"barnabas.ownsDefinition\" (list . \"{}\") }}}}\n{kept}{{{{- end }}}}\n",
            name.trim_end_matches(".yaml").split('_').rev().collect::<Vec<_>>().join(".")
        );
        check(&format!("charts/barnabas/templates/crds/{name}"), &template);
    }
}

/// Every field of Strimzi's oldest accepted version is optional, except the one that it requires.
#[test]
fn nothing_is_required_that_strimzi_does_not_require() {
    for crd in barnabas_crds::crds() {
        let crd = serde_json::to_value(crd).unwrap();
        let spec = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let expected = match crd["spec"]["names"]["kind"].as_str() {
            Some("ConnectCluster") => serde_json::json!(["bootstrapServers"]),
            _ => serde_json::Value::Null,
        };
        assert_eq!(spec["required"], expected);
    }
}
