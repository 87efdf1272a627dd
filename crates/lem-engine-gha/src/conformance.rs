//! The conformance suites of the expression language and of the reader, as data in folders.

use crate::Files;
use crate::expr::{Context, Expr, Names, Value};
use crate::normal_form::{Sources, events, normal_form};
use crate::read::{Checks, Options, PermissionsPolicy, Problem, read_with_callers};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Outcome of a suite.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Cases that pass.
    pub passed: usize,
    /// Cases that fail.
    pub failed: usize,
    /// Failing cases and why.
    pub failures: Vec<(String, String)>,
}

impl Report {
    fn add(&mut self, name: String, outcome: Result<(), Mismatch>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(Mismatch(message)) => {
                self.failed += 1;
                self.failures.push((name, message));
            }
        }
    }
}

/// How a case differs from what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(pub String);

/// Longest message of the reader, in UTF-16 units.
const MAX_MESSAGE: usize = 500;

fn files(dir: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let wanted = |path: &PathBuf| path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted));
    let mut found: Vec<PathBuf> = entries.filter(wanted).collect();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Runs every `.json` file of a folder through [`expressions`].
pub fn run_expressions(dir: &Path) -> Report {
    let mut report = Report::default();
    for path in files(dir, &["json"]) {
        let file = name(&path);
        let json = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        match json.and_then(|text| serde_json::from_str::<Json>(&text).map_err(|error| error.to_string())) {
            Err(error) => report.add(file, Err(Mismatch(error))),
            Ok(json) => {
                let cases = expressions(&json);
                report.passed += cases.passed;
                report.failed += cases.failed;
                report.failures.extend(cases.failures.into_iter().map(|(case, why)| (format!("{file} {case}"), why)));
            }
        }
    }
    report
}

/// Cases of one file: `{group: [{expr, contexts?, result | err}]}`.
pub fn expressions(json: &Json) -> Report {
    let mut report = Report::default();
    for (group, cases) in json.as_object().into_iter().flatten() {
        for case in cases.as_array().into_iter().flatten() {
            let name = format!("{group}: {}", case["expr"].as_str().unwrap_or_default());
            report.add(name, expression(case));
        }
    }
    report
}

fn expression(case: &Json) -> Result<(), Mismatch> {
    let source = case["expr"].as_str().unwrap_or_default();
    let mut context = Context::new();
    for (name, value) in case["contexts"].as_object().into_iter().flatten() {
        context.set(name, Value::from_json(value));
    }
    let contexts: Vec<&str> =
        case["contexts"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let outcome = Expr::parse(source, &Names::none().and_contexts(contexts)).and_then(|expr| expr.evaluate(&context));
    let fail = |what: String| Err(Mismatch(what));
    match (outcome, case.get("err")) {
        (Ok(value), None) => {
            let got = json!({"kind": capitalised(value.kind()), "value": value.to_json()});
            let want = &case["result"];
            let same = got["kind"] == want["kind"] && same_value(&got["value"], &want["value"]);
            if same { Ok(()) } else { fail(format!("gives {got}, not {want}")) }
        }
        (Err(error), Some(want)) => {
            let message = error.located(source);
            let phase = want["kind"] == error.phase.to_string();
            let says = want["value"].as_str().is_some_and(|text| message.contains(text));
            if phase && says { Ok(()) } else { fail(format!("fails ({}) with {message:?}, not {want}", error.phase)) }
        }
        (Ok(value), Some(want)) => fail(format!("gives {}, not the error {want}", value.to_json())),
        (Err(error), None) => fail(format!("fails ({}) with {:?}", error.phase, error.located(source))),
    }
}

fn capitalised(kind: &str) -> String {
    let mut chars = kind.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

/// Equal as JSON, numbers by value: `1` is `1.0`.
fn same_value(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_value(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same_value(value, other)))
        }
        _ => a == b,
    }
}

/// Runs every `.yml` file of a folder through [`reader`].
pub fn run_reader(dir: &Path) -> Report {
    let mut report = Report::default();
    for path in files(dir, &["yml", "yaml"]) {
        let file = name(&path);
        let outcome = match std::fs::read_to_string(&path) {
            Ok(text) => reader(&file, &text),
            Err(error) => Err(Mismatch(error.to_string())),
        };
        report.add(file, outcome);
    }
    report
}

struct Documents(HashMap<String, String>);

impl Files for Documents {
    fn load(&self, uses: &str) -> Option<String> {
        self.0.get(uses).cloned()
    }
}

/// One case: options, the workflow, further workflows as pairs of name and text, the expected JSON, each a document.
/// The name of the case is part of the messages it expects.
pub fn reader(name: &str, text: &str) -> Result<(), Mismatch> {
    let documents = split(text);
    let [options_text, input, further @ .., expected] = &documents[..] else {
        return Err(Mismatch("a case has at least three documents".to_owned()));
    };
    let expected: Json = serde_json::from_str(expected).map_err(|error| Mismatch(format!("expected JSON: {error}")))?;
    let options = case_options(options_text);
    let called = further.chunks_exact(2).map(|pair| (pair[0].trim().to_owned(), pair[1].clone()));
    let called = Documents(called.collect());
    let file = format!(".github/workflows/{name}");
    let (workflow, problems) = read_with_callers(input, &file, Some(&called), &options.read);
    let got = match workflow {
        None => {
            json!({"errors": problems.iter().map(|problem| json!({"Message": message(problem)})).collect::<Json>()})
        }
        Some(workflow) => {
            let sources = if options.include_source { Sources::Kept } else { Sources::Dropped };
            let mut form = normal_form(&workflow, sources);
            if options.include_events {
                form["events"] = events(&workflow);
                form.as_object_mut().expect("the normal form is an object").shift_remove("input-types");
            }
            if options.partial_rerun {
                sort_file_table(&mut form);
            }
            form
        }
    };
    if same_value(&got, &expected) { Ok(()) } else { Err(Mismatch(difference(&got, &expected, "$"))) }
}

fn split(text: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in text.split_inclusive('\n') {
        if line.trim_end_matches(['\r', '\n']) == "---" && documents.last().is_some_and(|last| !last.is_empty()) {
            documents.push(String::new());
        } else if let Some(last) = documents.last_mut() {
            last.push_str(line);
        }
    }
    documents
}

struct CaseOptions {
    include_source: bool,
    include_events: bool,
    partial_rerun: bool,
    read: Options,
}

fn case_options(text: &str) -> CaseOptions {
    let (node, _) = lem_engine_yaml::parse_one(text, "options", lem_engine_yaml::Options::default());
    let json = node.map_or(Json::Null, |node| node.to_json());
    let flag = |json: &Json, key: &str| json[key] == true;
    let number = |key: &str, default: usize| json[key].as_u64().map_or(default, |value| value as usize);
    let skips = |word: &str| {
        json["skip"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|item| item.as_str().is_some_and(|s| s.eq_ignore_ascii_case(word)))
    };
    let features = &json["experimental-features"];
    let default = Options::default();
    CaseOptions {
        include_source: flag(&json, "include-source"),
        include_events: skips("Go") && skips("C#"),
        partial_rerun: flag(&json, "is-partial-rerun"),
        read: Options {
            checks: Checks::Service,
            background_steps: flag(features, "allowBackgroundSteps") || flag(features, "all"),
            permissions: match json["permissions-policy"].as_str() {
                Some("LimitedRead") => PermissionsPolicy::LimitedRead,
                _ => PermissionsPolicy::Write,
            },
            max_file_chars: number("max-file-size", default.max_file_chars),
            max_bytes: number("max-result-size", default.max_bytes),
            max_call_depth: number("max-nested-reusable-workflows-depth", default.max_call_depth),
            max_files: number("max-files", default.max_files),
            max_jobs: number("max-job-limit", default.max_jobs),
            max_depth: number("max-depth", default.max_depth),
        },
    }
}

/// A problem in the words of the service.
fn message(problem: &Problem) -> String {
    let place = &problem.diagnostic.place;
    let shown = |place: &lem_model::Place| match place.line {
        0 => place.file.clone(),
        line => format!("{} (Line: {line}, Col: {})", place.file, place.column),
    };
    let mut text = match problem.diagnostic.code.as_str() {
        "call-depth" | "too-many-files" => problem.diagnostic.message.clone(),
        _ => format!("{}: {}", shown(place), problem.diagnostic.message),
    };
    if let Some(caller) = &problem.caller {
        text = format!("In {}: Error from called workflow {text}", shown(caller));
    }
    let units: Vec<u16> = text.encode_utf16().collect();
    if units.len() > MAX_MESSAGE {
        text = String::from_utf16_lossy(&units[..MAX_MESSAGE]) + "[...]";
    }
    text
}

fn sort_file_table(form: &mut Json) {
    if let Some(table) = form["file-table"].as_array_mut() {
        table.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    }
}

/// The first place where two values differ.
fn difference(got: &Json, want: &Json, path: &str) -> String {
    match (got, want) {
        (Json::Object(a), Json::Object(b)) => {
            for (key, value) in b {
                let below = format!("{path}.{key}");
                match a.get(key) {
                    None => return format!("{below} is missing; expected {value}"),
                    Some(other) if !same_value(other, value) => return difference(other, value, &below),
                    Some(_) => {}
                }
            }
            let extra = a.iter().find(|(key, _)| !b.contains_key(*key));
            extra.map_or_else(String::new, |(key, value)| format!("{path}.{key} is not expected: {value}"))
        }
        (Json::Array(a), Json::Array(b)) => {
            let differs = a.iter().zip(b).position(|(a, b)| !same_value(a, b));
            match differs {
                Some(at) => difference(&a[at], &b[at], &format!("{path}[{at}]")),
                None => format!("{path} has {} items, not {}: {got}", a.len(), b.len()),
            }
        }
        _ => format!("{path} is {got}, not {want}"),
    }
}
