//! The whole loop, once, as a newcomer sees it.

use crate::repository::{Answer, lem};
use serde_json::Value;

#[test]
fn demo_tells_the_whole_story() {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("demo");
    let output = lem().args(["demo", "--output", "json", "--exit", "--into"]).arg(&into).output().unwrap();
    let answer = Answer::of(&output);
    let summary = answer.code(0).json();

    let outcomes: Vec<_> =
        summary["releases"].as_array().unwrap().iter().map(|r| r["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["promoted", "rolled_back", "rolled_back", "promoted"], "{}", answer.err);
    assert_eq!(summary["runs"].as_array().unwrap().len(), 4);
    let releases = summary["releases"].as_array().unwrap();
    for (release, incident) in releases[1..3].iter().zip(summary["incidents"].as_array().unwrap()) {
        assert_eq!(release["commit"], incident["cause_commit"], "{summary:#}");
        assert!(incident["attribution_score"].as_f64().unwrap() >= 0.8, "{incident}");
        assert!(release["seconds_to_rollback"].as_f64().unwrap() < 60.0, "{release}");
        let report = std::fs::read_to_string(incident["report"].as_str().unwrap()).unwrap();
        assert!(report.contains(release["commit"].as_str().unwrap()), "{report}");
    }
    assert_eq!(summary["ledger"]["verified"], true);
    assert_eq!(summary["dora"]["changeFailRate"]["numerator"], 2, "{:#}", summary["dora"]);
    byte_flip_is_found(&into.join("shop"), summary["ledger"]["events"].as_u64().unwrap());
}

/// After the demo the ledger verifies; after one changed byte it does not, and the first bad event is named.
fn byte_flip_is_found(root: &std::path::Path, events: u64) {
    let verify =
        || Answer::of(&lem().current_dir(root).args(["ledger", "verify", "--output", "json"]).output().unwrap());
    let before: Value = verify().code(0).json();
    assert!(before["events"].as_u64().unwrap() >= events);
    let store = root.join(".lem/ledger.db");
    let mut bytes = std::fs::read(&store).unwrap();
    let at = bytes.windows(16).position(|w| w == b"Ada Example <ada").expect("the author stands in the store");
    bytes[at + 3] ^= 1;
    std::fs::write(&store, bytes).unwrap();
    let after = verify();
    assert!(matches!(after.code, 1), "{} {}", after.out, after.err);
    assert!(after.json()["firstBad"].is_u64(), "{}", after.out);
}
