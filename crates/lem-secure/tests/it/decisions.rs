//! Fingerprints, exceptions, the gate.

use crate::{day, write};
use lem_engine_scan::{Found, Identity, Skipped};
use lem_engine_yaml::{Options, parse_one};
use lem_model::Place;
use lem_model::finding::{Exception, FindingSeverity, Scanner, Standing, Subject};
use lem_secure::plan::{Question, Scanned, check, decide, findings, fingerprint, only_new};
use lem_secure::{GateMode, Policy};

fn found(rule: &str, address: &str, line: u32) -> Found {
    Found {
        rule: rule.into(),
        aliases: vec!["CKV_AWS_20".into()],
        scanner: Scanner::Infrastructure,
        severity: FindingSeverity::High,
        unscored: false,
        title: "t".into(),
        subject: Subject::Resource { address: address.into() },
        place: Place::new("main.tf", line, 1),
        end_line: line + 3,
        fix: None,
        references: vec![],
        identity: Identity { kind: "resource", key: address.into(), discriminator: "aws_s3_bucket".into() },
        skipped: None,
    }
}

fn exception(covers: &str, expires: &str) -> Exception {
    Exception {
        covers: covers.into(),
        owner: "ann".into(),
        approver: "bob".into(),
        reason: "test data".into(),
        expires: day(expires),
        granted_at: None,
    }
}

#[test]
fn a_fingerprint_stays_when_lines_move_and_changes_with_what_it_is_about() {
    let one = fingerprint(&found("LEM-AWS-0001", "aws_s3_bucket.a", 1));
    assert_eq!(one, fingerprint(&found("LEM-AWS-0001", "aws_s3_bucket.a", 99)));
    assert_eq!(one.len(), 32);
    assert_ne!(one, fingerprint(&found("LEM-AWS-0001", "aws_s3_bucket.b", 1)));
    assert_ne!(one, fingerprint(&found("LEM-AWS-0002", "aws_s3_bucket.a", 1)));
    // Version 1 is a promise: exceptions in users' files are made of it.
    assert_eq!(one, "08e49f84a770ecd1302a858da2669608");
}

#[test]
fn an_exception_covers_what_it_says_until_its_day() {
    let today = day("2026-11-26");
    let print = fingerprint(&found("LEM-AWS-0001", "aws_s3_bucket.a", 1));
    for (covers, expires, open) in [
        (print.as_str(), "2026-11-26", false),
        (print.as_str(), "2026-11-25", true),
        ("LEM-AWS-0001", "2026-12-01", false),
        ("CKV_AWS_20 aws_s3_bucket.a", "2026-12-01", false),
        ("CKV_AWS_20 aws_s3_bucket.b", "2026-12-01", true),
        ("LEM-AWS-0002", "2026-12-01", true),
    ] {
        let all =
            findings(vec![found("LEM-AWS-0001", "aws_s3_bucket.a", 1)], &[exception(covers, expires)], |_| None, today);
        assert_eq!(all[0].is_open(), open, "{covers} {expires}");
    }
    let mut skipped = found("LEM-AWS-0001", "aws_s3_bucket.a", 1);
    skipped.skipped = Some(Skipped { reason: Some("why".into()), expires: Some(day("2026-11-25")) });
    assert!(findings(vec![skipped], &[], |_| None, today)[0].is_open(), "a skip that is past counts no more");
}

#[test]
fn an_exception_needs_two_people_a_reason_and_an_end() {
    let today = day("2026-11-26");
    assert_eq!(check(&exception("X", "2026-12-26"), today), Ok(true));
    assert_eq!(check(&exception("X", "2026-11-25"), today), Ok(false));
    assert!(check(&exception("X", "2027-03-01"), today).unwrap_err().contains("90 days"));
    assert!(
        check(&Exception { approver: "Ann".into(), ..exception("X", "2026-12-01") }, today)
            .unwrap_err()
            .contains("their own")
    );
    assert!(
        check(&Exception { reason: " ".into(), ..exception("X", "2026-12-01") }, today).unwrap_err().contains("reason")
    );
}

#[test]
fn the_same_finding_twice_is_one_and_only_new_ones_are_new() {
    let today = day("2026-11-26");
    let print = |all: Vec<Found>| findings(all, &[], |_| Some("@ops".into()), today);
    let before = print(vec![found("LEM-AWS-0001", "a.b", 1), found("LEM-AWS-0001", "a.b", 7)]);
    assert_eq!((before.len(), before[0].owner.as_deref()), (1, Some("@ops")));
    let after = print(vec![found("LEM-AWS-0001", "a.b", 30), found("LEM-AWS-0001", "a.c", 1)]);
    let new: Vec<_> = only_new(after, &before).into_iter().map(|f| f.subject).collect();
    assert_eq!(new, [Subject::Resource { address: "a.c".into() }]);
}

fn policy(section: &str, exceptions: &str) -> (Policy, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[("lem-exceptions.yaml", exceptions)]);
    let (tree, _) = parse_one(section, "lem.yaml", Options::default());
    let (policy, found) = Policy::read(dir.path(), tree.as_ref().map(|t| ("lem.yaml", t)), day("2026-11-26"));
    (policy, found.iter().map(ToString::to_string).collect())
}

#[test]
fn the_policy_is_read_and_what_is_wrong_has_a_place_and_a_hint() {
    let good = "exceptions:\n- {covers: CKV_AWS_20 a.b, owner: ann, approver: bob, reason: x, expires: 2026-12-01}\n";
    let (read, said) = policy("gate: required\ngate_wait: 30s\nseverity: medium\nmax_db_age: 48h\n", good);
    assert_eq!(read.patience(), std::time::Duration::from_secs(30));
    assert_eq!((read.gate, read.threshold, read.max_db_age_days), (GateMode::Required, FindingSeverity::Medium, 2));
    assert_eq!((read.exceptions.len(), said.len()), (1, 0));
    assert_eq!(policy("gate_wait: 2m\n", "").0.patience(), std::time::Duration::from_secs(10), "it only warns");
    assert!(policy("gate_wait: 48h\n", "").1[0].contains("gate_wait is at most 24h"));
    for (exceptions, expect) in [
        (
            "exceptions:\n- {covers: CKV_AWS_2O, owner: a, approver: b, reason: x, expires: 2026-12-01}\n",
            "did you mean",
        ),
        (
            "exceptions:\n- {covers: CKV_AWS_20, owner: a, approver: a, reason: x, expires: 2026-12-01}\n",
            "lem-exceptions.yaml:2:3: a cannot approve",
        ),
        ("exceptions:\n- {covers: CKV_AWS_20, owner: a, approver: b, reason: x, expires: soon}\n", "not a day"),
        (
            "exceptions:\n- {covers: CKV_AWS_20, owner: a, approver: b, reason: x, expires: 2026-11-01}\n",
            "exception-expired",
        ),
        ("exceptions:\n- {covers: CKV_AWS_20, owner: a, reason: x, expires: 2026-12-01}\n", "approver"),
    ] {
        let (read, said) = policy("", exceptions);
        assert!(read.exceptions.is_empty() && said.iter().any(|s| s.contains(expect)), "{exceptions}: {said:?}");
    }
    assert!(policy("gate: maybe\n", "").1[0].contains("one of warn, required"));
}

#[test]
fn the_gate_asks_in_order_and_unknown_is_not_allow() {
    let today = day("2026-11-26");
    let scanned = |date: &str, open: &[FindingSeverity]| {
        Some(Scanned {
            advisories: date.parse().ok(),
            open: open.iter().map(|s| (*s, "R on a: t".to_owned())).collect(),
            omitted: 0,
        })
    };
    let high = FindingSeverity::High;
    for (known, provenance, scan, expect) in [
        (false, true, scanned("2026-11-20", &[]), "unknown"),
        (true, false, scanned("2026-11-20", &[]), "unknown"),
        (true, true, None, "unknown"),
        (true, true, scanned("", &[]), "unknown"),
        (true, true, scanned("2026-01-01", &[]), "deny"),
        (true, true, scanned("2026-11-20", &[FindingSeverity::Medium]), "allow"),
        (true, true, scanned("2026-11-20", &[high; 9]), "deny"),
    ] {
        let question = Question { known, provenance, scanned: scan, failed: None };
        let verdict = decide(&question, high, 30, today);
        assert_eq!(verdict.word(), expect, "{question:?}");
        assert_eq!(verdict.reasons().is_empty(), expect == "allow");
    }
}

#[test]
fn findings_are_in_order_and_set_aside_ones_come_last() {
    let mut mild = found("LEM-AWS-0003", "a.a", 1);
    mild.severity = FindingSeverity::Low;
    let all = vec![mild, found("LEM-AWS-0001", "a.b", 1), found("LEM-AWS-0002", "a.c", 1)];
    let all = findings(all, &[exception("LEM-AWS-0001", "2026-12-01")], |_| None, day("2026-11-26"));
    let rules: Vec<_> = all.iter().map(|f| (f.rule.as_str(), f.standing == Standing::Open)).collect();
    assert_eq!(rules, [("LEM-AWS-0002", true), ("LEM-AWS-0003", true), ("LEM-AWS-0001", false)]);
}
