//! `lem demo` as people run it: what it ends with, what it leaves behind, and that nobody can change that unseen.

use crate::repository::{Answer, copy, lem};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest a demo may take once it is built.
const LIMIT: Duration = Duration::from_secs(150);
/// Longest a bad release may keep traffic that fails.
const OFF_TRAFFIC_S: f64 = 60.0;
/// From here on a cause is named surely.
const LIKELY: f64 = 0.8;
/// Said by the second commit's message alone, so that it stands in one event.
const ONLY_THERE: &[u8] = b"Opening connections was most of the time";

fn run(directory: &Path, arguments: &[&str]) -> Answer {
    Answer::of(&lem().args(arguments).arg("-C").arg(directory).output().unwrap())
}

fn items<'a>(summary: &'a Value, key: &str) -> &'a Vec<Value> {
    summary[key].as_array().unwrap_or_else(|| panic!("{key} of {summary:#}"))
}

/// The story's commits; the one before them leaks a key and is not built.
fn commits(shop: &Path) -> Vec<String> {
    let output = std::process::Command::new("git").arg("-C").arg(shop).args(["rev-list", "--reverse", "HEAD"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn the_loop_turns_from_commit_to_rollback_and_report() {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("demo");
    let started = Instant::now();
    let demo = Answer::of(&lem().args(["demo", "--exit", "--output", "json", "--into"]).arg(&into).output().unwrap());
    let took = started.elapsed();
    demo.code(0);
    assert!(took <= LIMIT, "the demo took {} s:\n{}", took.as_secs(), demo.err);
    let summary = demo.json();
    let shop = into.join("shop");

    released_and_rolled_back(&summary, &commits(&shop));
    both_incidents_name_their_commit(&summary, &shop);
    the_outer_stages_turn(&summary, &shop);
    for line in ["step done", "cause confirmed", "report published"] {
        assert!(demo.err.contains(line), "{line} is told as it happens:\n{}", demo.err);
    }
    assert!(!demo.err.contains('\u{1b}'), "without a terminal lines are plain");
    keep(&into);
    the_ledger_holds_until_somebody_changes_it(&summary, &shop);
}

/// Leaves the whole story in Cargo's target directory: the tests of the web UI open it with `lem up`.
fn keep(demo: &Path) {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
    let new = kept.with_extension(std::process::id().to_string());
    copy(demo, &new);
    let _none_before = std::fs::remove_dir_all(&kept);
    std::fs::rename(&new, &kept).unwrap();
}

fn released_and_rolled_back(summary: &Value, commits: &[String]) {
    assert_eq!(commits.len(), 4);
    let runs: Vec<&Value> = items(summary, "runs").iter().map(|r| &r["outcome"]).collect();
    assert_eq!(runs, ["success"; 4], "all four changes pass their tests: {summary:#}");
    let releases = items(summary, "releases");
    let outcomes: Vec<&Value> = releases.iter().map(|r| &r["outcome"]).collect();
    assert_eq!(outcomes, ["promoted", "rolled_back", "rolled_back", "promoted"], "{summary:#}");
    for (release, commit) in releases.iter().zip(commits) {
        assert_eq!(release["version"].as_str(), commit.get(..8));
        let seconds = release["seconds_to_rollback"].as_f64();
        if release["outcome"] == "promoted" {
            assert!(seconds.is_none() && release["cause"].is_null(), "{release}");
        } else {
            assert!(seconds.is_some_and(|s| s <= OFF_TRAFFIC_S), "{release}");
            assert!(release["cause"].as_str().is_some_and(|c| c.contains("failing requests")), "{release}");
        }
    }
    let dora = &summary["dora"];
    assert_eq!(dora["changeFailRate"]["numerator"], 2, "{dora:#}");
    assert_eq!(dora["changeFailRate"]["denominator"], 4, "{dora:#}");
}

fn both_incidents_name_their_commit(summary: &Value, shop: &Path) {
    let commits = commits(shop);
    let incidents = items(summary, "incidents");
    assert_eq!(incidents.len(), 2, "{summary:#}");
    for (incident, commit) in incidents.iter().zip(&commits[1..3]) {
        assert_eq!(incident["cause_commit"].as_str(), Some(commit.as_str()), "{incident}");
        assert!(incident["attribution_score"].as_f64().is_some_and(|s| s >= LIKELY), "{incident}");
        let report = std::fs::read_to_string(incident["report"].as_str().unwrap()).unwrap();
        assert!(report.contains(commit.as_str()) && report.contains("## Timeline"), "{report}");
        let id = incident["incident"].as_str().unwrap();
        let why = run(shop, &["why", id]);
        why.code(0);
        assert!(why.out.contains("Cause, confirmed:") && why.out.contains(commit.as_str()), "{}", why.out);
        assert!(why.out.contains("cohort") && why.out.contains("failing requests on"), "{}", why.out);
    }
}

fn the_outer_stages_turn(summary: &Value, shop: &Path) {
    let (provision, secure, optimize) = (&summary["provision"], &summary["secure"], &summary["optimize"]);
    assert_eq!((&provision["created"], &provision["drifted"]), (&6.into(), &1.into()), "{provision}");
    assert_eq!((&secure["secrets"], &secure["vulnerabilities"]), (&1.into(), &1.into()), "{secure}");
    assert!(secure["infrastructure"].as_u64().is_some_and(|n| n > 0), "{secure}");
    assert!(optimize["unpriced"].as_u64().is_some_and(|n| n > 0), "what has no price is listed: {optimize}");
    assert!(optimize["monthly"].as_str().is_some_and(|m| m.starts_with('$') && m != "$0.00"), "{optimize}");
    let reports = items(summary, "reports");
    assert_eq!(reports.len(), 12, "six teams, two forms");
    for team in ["engineering", "qa", "product", "security", "support", "finance"] {
        let text = run(shop, &["report", team]).code(0).out.clone();
        assert!(text.starts_with("# ") && text.contains("| "), "{team}:\n{text}");
    }
    // The pipeline's secret was lent and given back, and stands nowhere in the clear.
    let told = run(shop, &["ledger", "list", "--type", "lease.issued", "--type", "lease.revoked", "--output", "json"]);
    let told = told.code(0).json().as_array().map_or(0, Vec::len);
    assert!(told >= 6, "three runs after the secret was written: {told}");
    let value = run(shop, &["secret", "get", "pipeline", "PRICE_TOKEN"]).code(0).out.trim().to_owned();
    assert_eq!(value.len(), 32);
    for file in walk(&shop.join(".lem")) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(value.len()).any(|w| w == value.as_bytes()), "the secret stands in {}", file.display());
    }
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn the_ledger_holds_until_somebody_changes_it(summary: &Value, shop: &Path) {
    assert_eq!(summary["ledger"]["verified"], true, "{summary:#}");
    let verified = run(shop, &["ledger", "verify", "--output", "json"]);
    assert_eq!(verified.code(0).json()["verified"], true);
    assert!(summary["ledger"]["events"].as_u64() <= verified.json()["events"].as_u64(), "{summary:#}");

    let listed = run(shop, &["ledger", "list", "--type", "change.merged", "--output", "json"]);
    let second = listed.code(0).json()[1]["seq"].as_u64().unwrap();
    let store = shop.join(".lem/ledger.db");
    let mut bytes = std::fs::read(&store).unwrap();
    let places: Vec<usize> =
        bytes.windows(ONLY_THERE.len()).enumerate().filter(|(_, w)| *w == ONLY_THERE).map(|(at, _)| at).collect();
    let [place] = places[..] else { panic!("the message stands {} times in the store", places.len()) };
    bytes[place] ^= 1;
    std::fs::write(&store, bytes).unwrap();
    let changed = run(shop, &["ledger", "verify", "--output", "json"]);
    assert_eq!(changed.code(1).json()["firstBad"].as_u64(), Some(second), "{}", changed.out);
}
