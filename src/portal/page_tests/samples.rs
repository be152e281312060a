//! Writes the samples from which the operator's templates are checked.

use std::collections::BTreeSet;

use insta::assert_binary_snapshot;
use minijinja::Value;
use serde_json::json;

use super::*;
use crate::portal::templates;

/// A renderer whose pages are the data that they are rendered from.
fn site_of_samples() -> PageRenderer {
    let mut site = site();
    site.templates.add_function(
        "sample",
        |template: &str, failed: bool, nav: Value, view: Value| {
            let sample = json!({ "template": template, "failed": failed, "nav": nav, "view": view });
            Value::from_safe_string(sample.to_string())
        },
    );
    for name in templates::names() {
        let source = format!("{{{{ sample(\"{name}\", page.failed, nav, view) }}}}");
        site.templates.add_template_owned(name, source).unwrap();
    }
    site
}

#[test]
fn every_page_is_tried_with_what_it_is_given() {
    let site = site_of_samples();
    let mut samples = Vec::new();
    for (state, response) in states(&site, "en") {
        let mut sample: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        sample["state"] = state.into();
        samples.push(sample);
    }
    let tried: BTreeSet<_> = samples
        .iter()
        .map(|sample| sample["template"].as_str().unwrap())
        .collect();
    let never = ["layout.html", "parts.html", "member.html"];
    let all: BTreeSet<_> = templates::names().filter(|name| !never.contains(name)).collect();
    assert_eq!(tried, all);
    let mut written = serde_json::to_string_pretty(&samples).unwrap();
    written.push('\n');
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../template_check");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| assert_binary_snapshot!("samples.json", written.clone().into_bytes()));
}
