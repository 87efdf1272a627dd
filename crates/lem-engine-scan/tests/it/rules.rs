//! Every rule of the tables: a resource that fails, one that passes, one whose decisive value is not known.

mod cloudformation;
mod clouds;
mod more;
mod terraform;

use cloudformation::TEMPLATES;
use clouds::CLOUDS;
use indexmap::IndexMap;
use lem_engine_scan::iac::{RuleSet, judge};
use lem_model::Place;
use lem_model::resource::{Attribute, Language, Resource, ResourceGraph};
use more::MORE;
use serde_json::Value;
use std::collections::BTreeSet;
use terraform::CASES;

/// JSON as attributes; `"?"` is a value nobody knows.
pub(crate) fn attribute(value: &Value) -> Attribute {
    match value {
        Value::Null => Attribute::Null,
        Value::Bool(b) => Attribute::Bool(*b),
        Value::Number(n) => Attribute::Number(n.clone()),
        Value::String(s) if s == "?" => Attribute::Unknown("var.x has no value".into()),
        Value::String(s) => Attribute::String(s.clone()),
        Value::Array(a) => Attribute::List(a.iter().map(attribute).collect()),
        Value::Object(o) => Attribute::Map(o.iter().map(|(k, v)| (k.clone(), attribute(v))).collect()),
    }
}

pub(crate) fn resource(kind: &str, address: &str, json: &str) -> Resource {
    let value: Value = serde_json::from_str(json).unwrap_or_else(|e| panic!("{kind} {json}: {e}"));
    let Attribute::Map(attributes) = attribute(&value) else { panic!("{json} is no object") };
    let language = match kind {
        _ if kind.contains("::") => Language::CloudFormation,
        _ if kind.contains('/') || kind.starts_with(char::is_uppercase) => Language::Kubernetes,
        _ => Language::Terraform,
    };
    let data = kind.strip_prefix("data.");
    Resource {
        address: address.to_owned(),
        kind: data.unwrap_or(kind).to_owned(),
        language,
        data: data.is_some(),
        provider: "aws".into(),
        region: None,
        attributes,
        places: IndexMap::new(),
        place: Place::new("main.tf", 1, 1),
        end_line: 9,
        calls: vec![],
        depends_on: vec![],
        action: None,
        before: None,
    }
}

/// What a rule says about one resource: fail, pass or unknown.
fn verdict(alias: &str, kind: &str, json: &str) -> &'static str {
    let graph = ResourceGraph { resources: vec![resource(kind, "a.b", json)], ..ResourceGraph::default() };
    answer(alias, &graph)
}

fn answer(alias: &str, graph: &ResourceGraph) -> &'static str {
    let rules = RuleSet::embedded();
    let id = &rules
        .rules
        .iter()
        .find(|r| r.id == alias || r.aliases.iter().any(|a| a == alias))
        .expect("a rule of that alias")
        .id;
    let report = judge(graph, rules);
    let fails = report.found.iter().any(|f| &f.rule == id);
    let unknown = report.unknown.iter().any(|u| &u.rule == id);
    match (fails, unknown) {
        (true, _) => "fail",
        (_, true) => "unknown",
        _ => "pass",
    }
}

#[test]
fn every_rule_fails_passes_and_says_when_it_does_not_know() {
    for (alias, kind, fails, passes, unknown) in CASES.iter().chain(CLOUDS).chain(MORE) {
        assert_eq!(verdict(alias, kind, fails), "fail", "{alias} {fails}");
        for (json, expect) in [(passes, "pass"), (unknown, "unknown")] {
            if !json.is_empty() {
                assert_eq!(verdict(alias, kind, json), expect, "{alias} {json}");
            }
        }
    }
}

#[test]
fn the_same_rules_judge_cloudformation() {
    for (alias, kind, fails, passes) in TEMPLATES {
        for shape in ["{}", r#"{"Properties":{}}"#] {
            let wrap = |json: &str| shape.replace("{}", json);
            assert_eq!(verdict(alias, kind, &wrap(fails)), "fail", "{alias} {fails}");
            assert_eq!(verdict(alias, kind, &wrap(passes)), "pass", "{alias} {passes}");
        }
    }
}

#[test]
fn every_rule_stands_in_the_tables_of_this_test() {
    let tested: BTreeSet<&str> = CASES.iter().chain(CLOUDS).chain(MORE).map(|c| c.0).collect();
    let templated: BTreeSet<&str> = TEMPLATES.iter().map(|c| c.0).collect();
    for rule in &RuleSet::embedded().rules {
        let name = rule.aliases.first().unwrap_or(&rule.id).as_str();
        assert!(tested.contains(name), "{} has no case", rule.id);
        if rule.on.iter().any(|clause| clause.kinds.iter().any(|k| k.contains("::"))) {
            assert!(templated.contains(name), "{} has no CloudFormation case", rule.id);
        }
    }
    let ids: BTreeSet<_> = RuleSet::embedded().rules.iter().map(|r| &r.id).collect();
    assert_eq!(ids.len(), RuleSet::embedded().rules.len(), "ids are unique");
    assert!(ids.len() >= 240, "{} rules", ids.len());
}

#[test]
fn a_connected_resource_counts_for_the_one_it_refers_to() {
    let graph = |block: &str, depends: &str| {
        let mut other = resource("aws_s3_bucket_public_access_block", "aws_s3_bucket_public_access_block.b", block);
        other.depends_on = vec![depends.to_owned()];
        let bucket = resource("aws_s3_bucket", "aws_s3_bucket.a", "{}");
        ResourceGraph { resources: vec![bucket, other], ..ResourceGraph::default() }
    };
    let full = r#"{"block_public_acls":true,"block_public_policy":true}"#;
    assert_eq!(answer("CKV2_AWS_6", &graph(full, "aws_s3_bucket.a")), "pass");
    assert_eq!(answer("CKV2_AWS_6", &graph(full, "aws_s3_bucket.other")), "fail");
    assert_eq!(answer("CKV2_AWS_6", &graph(r#"{"block_public_acls":true}"#, "aws_s3_bucket.a")), "fail");
    let half = r#"{"block_public_acls":true,"block_public_policy":"?"}"#;
    assert_eq!(answer("CKV2_AWS_6", &graph(half, "aws_s3_bucket.a")), "unknown");
}

#[test]
fn instances_of_one_block_give_one_finding_that_names_its_rule_and_place() {
    let instances =
        (0..3).map(|i| resource("aws_ebs_volume", &format!("aws_ebs_volume.v[{i}]"), r#"{"kms_key_id":"k"}"#));
    let graph = ResourceGraph { resources: instances.collect(), ..ResourceGraph::default() };
    let report = judge(&graph, RuleSet::embedded());
    assert_eq!(report.found.len(), 1);
    assert_eq!(report.found[0].identity.key, "aws_ebs_volume.v");
    assert_eq!(report.found[0].place.to_string(), "main.tf:1:1");
}

#[test]
fn an_annotation_sets_a_finding_aside() {
    let json = r#"{"metadata":{"annotations":{"checkov.io/skip1":"CKV_K8S_38=needs it"}},"spec":{"a":1}}"#;
    let graph = ResourceGraph { resources: vec![resource("Pod", "default/Pod/a", json)], ..ResourceGraph::default() };
    let found = judge(&graph, RuleSet::embedded()).found;
    let skipped = |alias: &str| found.iter().find(|f| f.is_called(alias)).unwrap().skipped.clone();
    assert_eq!(skipped("CKV_K8S_38").unwrap().reason.as_deref(), Some("needs it"));
    assert_eq!(skipped("CKV_K8S_29"), None);
}

#[test]
fn firewalls_are_judged_by_what_they_let_in() {
    let google = |json: &str| verdict("CKV_GCP_2", "google_compute_firewall", json);
    let allow = |what: &str| {
        format!(r#"{{"source_ranges":["10.0.0.0/8","0.0.0.0/0"],"allow":[{{"protocol":"icmp"}},{what}]}}"#)
    };
    for (what, expect) in [
        (r#"{"protocol":"tcp","ports":["80","20-22"]}"#, "fail"),
        (r#"{"protocol":"tcp"}"#, "fail"),
        (r#"{"protocol":"all"}"#, "fail"),
        (r#"{"protocol":"udp","ports":["22"]}"#, "pass"),
        (r#"{"protocol":"tcp","ports":["23-80","2222"]}"#, "pass"),
        (r#"{"protocol":"tcp","ports":["?"]}"#, "unknown"),
    ] {
        assert_eq!(google(&allow(what)), expect, "{what}");
    }
    let open = allow(r#"{"protocol":"tcp","ports":["22"]}"#);
    assert_eq!(google(&open.replacen('{', r#"{"direction":"EGRESS","#, 1)), "pass");
    assert_eq!(google(&open.replacen('{', r#"{"disabled":true,"#, 1)), "pass");

    let rule = |more: &str| {
        format!(r#"{{"security_rule":[{{}},{{"direction":"Inbound","access":"Allow","protocol":"*",{more}}}]}}"#)
    };
    for (more, expect) in [
        (r#""destination_port_ranges":["80","20-30"],"source_address_prefixes":["10.0.0.0/8","Internet"]"#, "fail"),
        (r#""destination_port_range":"*","source_address_prefix":"0.0.0.0/0""#, "fail"),
        (r#""destination_port_range":"22","source_address_prefix":"VirtualNetwork""#, "pass"),
        (r#""destination_port_range":"443","source_address_prefix":"*""#, "pass"),
        (r#""destination_port_range":"?","source_address_prefix":"*""#, "unknown"),
    ] {
        assert_eq!(verdict("CKV_AZURE_10", "azurerm_network_security_group", &rule(more)), expect, "{more}");
    }
    let members = |members: &str| verdict("CKV_GCP_28", "google_storage_bucket_iam_binding", members);
    assert_eq!(members(r#"{"members":["user:a@example.com","allUsers"]}"#), "fail");
    assert_eq!(members(r#"{"members":["user:a@example.com"]}"#), "pass");
}
