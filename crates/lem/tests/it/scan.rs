//! `lem scan` and `lem sbom`: exit codes, every form, and what cannot be read.

use crate::repository::Repository;
use serde_json::Value;
use std::collections::BTreeSet;

const BUCKET: &str = "resource \"aws_s3_bucket\" \"logs\" {\n  bucket = \"logs\"\n  acl    = \"public-read\"\n}\n";
const LOCKFILE: &str = "[[package]]\nname = \"chrono\"\nversion = \"0.4.19\"\n\
                        source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";

fn unsafe_repository() -> Repository {
    let repository = Repository::empty();
    repository.write("infra/main.tf", BUCKET);
    repository.write("Cargo.lock", LOCKFILE);
    repository.write("Dockerfile", "FROM alpine:latest\nUSER root\n");
    repository.write(".github/workflows/ci.yml", "on: pull_request_target\njobs:\n  a:\n    runs-on: x\n    steps:\n    - run: echo ${{ github.event.pull_request.title }}\n");
    repository.write("settings.env", &format!("AWS_ACCESS_KEY_ID={}{}\n", "AKIA", "Z7VRSQ5TJN2XMPLQ"));
    repository
}

#[test]
fn exit_codes_say_what_was_found() {
    let clean = Repository::empty();
    clean.write("main.tf", "resource \"random_pet\" \"p\" {}\n");
    assert!(clean.lem(&["scan"]).code(0).out.contains("0 open findings (none)"));

    let repository = Repository::empty();
    repository.write("main.tf", BUCKET);
    let found = repository.lem(&["scan"]);
    assert!(found.code(1).out.starts_with("critical LEM-AWS-0001  main.tf:1:1  aws_s3_bucket.logs\n"), "{}", found.out);
    repository.replace("main.tf", "\"public-read\"", "\"private\"");
    assert!(
        repository.lem(&["scan"]).code(0).out.contains("medium LEM-AWS-0008"),
        "milder ones are said, and are no failure"
    );
    repository.lem(&["scan", "--severity", "medium"]).code(1);
    repository.write("lem.yaml", "secure: {severity: medium}\n");
    repository.lem(&["scan"]).code(1);

    // A value nobody knows is reported, and fails only when that is asked for.
    repository.write("lem.yaml", "secure: {severity: high}\n");
    repository.write("main.tf", "variable \"acl\" {}\nresource \"aws_s3_bucket\" \"b\" {\n  acl = var.acl\n}\n");
    assert!(repository.lem(&["scan"]).code(0).out.contains("unknown  LEM-AWS-0001"));
    assert!(repository.lem(&["scan", "--strict-unknown"]).code(1).err.contains("could not be judged"));

    repository.lem(&["scan", "--severity", "awful"]).code(2);
    repository.lem(&["scan", "nowhere"]).code(2);
}

#[test]
fn a_file_that_does_not_read_is_an_error_with_its_place_and_never_clean() {
    for (file, text, expect) in [
        (
            "package-lock.json",
            "{\"lockfileVersion\": 3,\n \"packages\": {",
            "package-lock.json:2:14: the lockfile does not read",
        ),
        ("Cargo.lock", "[[package]]\nname = \n", "Cargo.lock:2"),
        ("main.tf", "resource \"a\" \"b\" {\n  c = [\n}\n", "main.tf:3:"),
        ("main.tf", "locals {\n  a = uper(1)\n}\n", "main.tf:2:7: there is no function \"uper\""),
        ("stack.yaml", "AWSTemplateFormatVersion: x\nResources: [\n", "stack.yaml:"),
        ("lem.yaml", "secure: {gate: sometimes}\n", "lem.yaml:1:16: gate is \"sometimes\""),
    ] {
        let repository = Repository::empty();
        repository.write(file, text);
        let answer = repository.lem(&["scan"]);
        assert!(answer.code(2).err.contains(expect), "{file}: {}", answer.err);
    }
}

#[test]
fn every_form_tells_the_same_findings() {
    let repository = unsafe_repository();
    let json = repository.lem(&["scan", "--format", "json"]).code(1).json();
    let findings = json["findings"].as_array().unwrap();
    let scanners: BTreeSet<&str> = findings.iter().map(|f| f["scanner"].as_str().unwrap()).collect();
    assert_eq!(scanners, BTreeSet::from(["infrastructure", "pipeline", "secret", "vulnerability"]));
    assert!(!json.to_string().contains("Z7VRSQ5TJN2XMPLQ"), "the secret is not told");

    let text = repository.lem(&["scan"]).code(1).out.clone();
    let junit = repository.lem(&["scan", "--format", "junit"]).code(1).out.clone();
    let sarif = repository.lem(&["scan", "--format", "sarif"]).code(1).json();
    let told: BTreeSet<String> = sarif["runs"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|run| run["results"].as_array().unwrap())
        .map(|r| r["ruleId"].as_str().unwrap().to_owned())
        .collect();
    for finding in findings {
        let rule = finding["rule"].as_str().unwrap();
        assert!(text.contains(finding["fingerprint"].as_str().unwrap()), "{rule}\n{text}");
        assert!(junit.contains(&format!("name=\"{rule} ")), "{rule}\n{junit}");
        assert!(told.contains(rule), "{rule}: {told:?}");
    }
    assert!(junit.starts_with("<?xml") && junit.contains("<failure type=\"critical\""), "{junit}");
    for arguments in [["scan", "--format", "json"], ["scan", "--format", "sarif"], ["scan", "--format", "junit"]] {
        assert_eq!(repository.lem(&arguments).out, repository.lem(&arguments).out, "{arguments:?}: equal bytes");
    }
}

/// Objects of the SARIF 2.1.0 schema that a scan writes: what each must have, and what else it may have. The schema closes
/// every one of them but property bags.
const OBJECTS: &[(&str, &[&str], &[&str])] = &[
    ("log", &["version", "runs"], &["$schema"]),
    ("run", &["tool"], &["results", "invocations", "automationDetails", "columnKind", "originalUriBaseIds"]),
    ("tool", &["driver"], &[]),
    ("driver", &["name"], &["version", "informationUri", "rules"]),
    (
        "rule",
        &["id"],
        &["shortDescription", "fullDescription", "help", "helpUri", "defaultConfiguration", "properties"],
    ),
    (
        "result",
        &["message"],
        &[
            "ruleId",
            "ruleIndex",
            "level",
            "locations",
            "relatedLocations",
            "partialFingerprints",
            "suppressions",
            "properties",
            "fixes",
        ],
    ),
    ("invocation", &["executionSuccessful"], &["toolExecutionNotifications"]),
    ("notification", &["message"], &["level", "locations"]),
    ("suppression", &["kind"], &["status", "justification"]),
];

fn object<'a>(value: &'a Value, name: &str) -> &'a Value {
    let (_, required, allowed) = OBJECTS.iter().find(|(known, _, _)| *known == name).unwrap();
    let map = value.as_object().unwrap_or_else(|| panic!("{name} is no object: {value}"));
    for member in *required {
        assert!(map.contains_key(*member), "{name} needs {member}: {value}");
    }
    for member in map.keys() {
        assert!(required.contains(&member.as_str()) || allowed.contains(&member.as_str()), "{name} has no {member}");
    }
    value
}

fn each<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

#[test]
fn sarif_has_the_members_its_schema_asks_for_and_no_others() {
    let repository = unsafe_repository();
    repository.replace("infra/main.tf", "  acl ", "  # checkov:skip=CKV_AWS_20:a public site\n  acl ");
    let sarif = repository.lem(&["scan", "--format", "sarif"]).code(1).json();
    assert_eq!(object(&sarif, "log")["version"], "2.1.0");
    let mut results = 0;
    for run in each(&sarif, "runs").map(|run| object(run, "run")) {
        let driver = object(&object(&run["tool"], "tool")["driver"], "driver");
        let rules: Vec<&Value> = each(driver, "rules").map(|rule| object(rule, "rule")).collect();
        for result in each(run, "results").map(|result| object(result, "result")) {
            results += 1;
            assert!(result["message"]["text"].as_str().is_some_and(|t| !t.is_empty()), "{result}");
            assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()), "{result}");
            let index = result["ruleIndex"].as_u64().unwrap() as usize;
            assert_eq!(result["ruleId"], rules[index]["id"]);
            assert!(result["partialFingerprints"].as_object().unwrap().values().all(Value::is_string), "{result}");
            let place = &result["locations"][0]["physicalLocation"];
            let file = place["artifactLocation"]["uri"].as_str().unwrap();
            assert!(!file.starts_with('/') && !file.contains('\\'), "{file}");
            assert!(place["region"]["startLine"].as_u64().is_some_and(|line| line >= 1), "{result}");
            for suppression in each(result, "suppressions").map(|s| object(s, "suppression")) {
                assert!(["inSource", "external"].contains(&suppression["kind"].as_str().unwrap()), "{suppression}");
            }
        }
        for invocation in each(run, "invocations").map(|i| object(i, "invocation")) {
            assert!(invocation["executionSuccessful"].is_boolean());
            for notification in each(invocation, "toolExecutionNotifications") {
                assert!(object(notification, "notification")["message"]["text"].is_string());
            }
        }
        assert_eq!(run["columnKind"], "unicodeCodePoints");
    }
    assert!(results >= 5, "{results}");
    assert!(sarif.to_string().contains("a public site"), "what is set aside is in it, as suppressed");
}

#[test]
fn a_bill_of_materials_names_what_lockfiles_have() {
    let repository = Repository::empty();
    repository.write("Cargo.lock", LOCKFILE);
    let bill = repository.lem(&["sbom"]).code(0).json();
    assert_eq!((bill["bomFormat"].as_str(), bill["specVersion"].as_str()), (Some("CycloneDX"), Some("1.6")));
    assert_eq!(bill["components"][0]["purl"], "pkg:cargo/chrono@0.4.19");
    assert_eq!(repository.lem(&["sbom"]).out, repository.lem(&["scan", "--format", "cyclonedx"]).out);
    repository.lem(&["sbom", "nowhere"]).code(2);
}
