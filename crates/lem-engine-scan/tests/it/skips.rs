//! Skip comments: each tool's words, each covering exactly its node.

use lem_engine_scan::skip::{NO_REASON_RULE, Skips};
use lem_engine_scan::{Found, Identity};
use lem_model::Place;
use lem_model::finding::{FindingSeverity, Scanner, Subject};

fn found(file: &str, scanner: Scanner, lines: (u32, u32)) -> Found {
    Found {
        rule: "LEM-X-0001".into(),
        aliases: vec!["CKV_X_1".into()],
        scanner,
        severity: FindingSeverity::High,
        unscored: false,
        title: "x".into(),
        subject: Subject::File { path: file.into() },
        place: Place::new(file, lines.0, 1),
        end_line: lines.1,
        fix: None,
        references: vec![],
        identity: Identity { kind: "file", key: file.into(), discriminator: String::new() },
        skipped: None,
    }
}

#[test]
fn a_skip_covers_its_node_and_nothing_else() {
    // File, text, stretch of the finding, whether it is skipped.
    let cases: &[(&str, &str, (u32, u32), bool)] = &[
        ("a.tf", "resource {\n # checkov:skip=CKV_X_1:why\n}\n", (1, 3), true),
        ("a.tf", "# checkov:skip=CKV_X_1:why\nresource {\n}\n", (2, 3), false),
        ("a.tf", "resource {\n # checkov:skip=CKV_Y_9:why\n}\n", (1, 3), false),
        ("a.tf", "#trivy:ignore:CKV_X_1 why\nresource {\n}\n", (2, 3), true),
        ("a.tf", "#tfsec:ignore:LEM-X-0001 why\n\nresource {\n}\n", (3, 4), true),
        ("a.tf", "#tfsec:ignore:* why\nresource {\n}\nresource {\n}\n", (4, 5), false),
        ("a.tf", "# kics-scan ignore-block why\nresource {\n}\n", (2, 3), true),
        ("a.tf", "resource {\n# kics-scan ignore-line why\nx\n}\n", (3, 3), true),
        ("a.tf", "# kics-scan disable=CKV_X_1 why\nx\nx\n", (3, 3), true),
        ("a.tf", "# kics-scan ignore why\nx\nx\n", (3, 3), true),
        ("Dockerfile", "FROM a\n# hadolint ignore=CKV_X_1 why\nRUN a\n", (3, 3), true),
        ("Dockerfile", "FROM a\n# hadolint ignore=CKV_X_1 why\nRUN a\nRUN b\n", (4, 4), false),
        ("Dockerfile", "# checkov:skip=CKV_X_1: why\nFROM a\nRUN a\n", (3, 3), true),
    ];
    for (file, text, lines, expect) in cases {
        let mut all = [found(file, Scanner::Infrastructure, *lines)];
        let (about, unused) = Skips::read(file, text).apply(&mut all);
        assert_eq!(all[0].skipped.is_some(), *expect, "{text}");
        assert_eq!((about.len(), unused.len()), (0, usize::from(!expect)), "{text}");
        if *expect {
            assert_eq!(all[0].skipped.as_ref().unwrap().reason.as_deref(), Some("why"), "{text}");
        }
    }
}

#[test]
fn words_about_secrets_cover_secrets_alone() {
    let text =
        "key = x # gitleaks:allow test\nkey = y  # pragma: allowlist secret\n# pragma: allowlist nextline secret\nz\n";
    let mut all = [
        found("a.py", Scanner::Secret, (1, 1)),
        found("a.py", Scanner::Secret, (2, 2)),
        found("a.py", Scanner::Secret, (4, 4)),
        found("a.py", Scanner::Infrastructure, (1, 1)),
    ];
    let (about, _) = Skips::read("a.py", text).apply(&mut all);
    let skipped: Vec<_> = all.iter().map(|f| f.skipped.is_some()).collect();
    assert_eq!(skipped, [true, true, true, false]);
    assert_eq!(about.len(), 2, "two of them give no reason");
}

#[test]
fn a_skip_without_reason_is_a_finding_and_one_for_nothing_is_said() {
    let text = "resource {\n # checkov:skip=CKV_X_1\n # checkov:skip=CKV_Z_1: z\n}\n";
    let mut all = [found("a.tf", Scanner::Infrastructure, (1, 4))];
    let (about, unused) = Skips::read("a.tf", text).apply(&mut all);
    assert_eq!((about[0].rule.as_str(), about[0].place.line), (NO_REASON_RULE, 2));
    assert_eq!(
        unused[0].to_string().lines().next().unwrap(),
        "a.tf:3: checkov:skip=CKV_Z_1 covers no finding [skip-unused]"
    );
}

#[test]
fn an_expiry_is_read_and_a_wrong_one_is_past() {
    let read = |text: &str| {
        let mut all = [found("a.tf", Scanner::Infrastructure, (2, 3))];
        Skips::read("a.tf", text).apply(&mut all);
        all[0].skipped.as_ref().unwrap().expires.unwrap()
    };
    assert_eq!(read("#trivy:ignore:CKV_X_1:exp:2030-01-02 why\nresource {\n}\n").to_string(), "2030-01-02");
    assert_eq!(read("#trivy:ignore:CKV_X_1:exp:soon why\nresource {\n}\n"), jiff::civil::Date::MIN);
}
