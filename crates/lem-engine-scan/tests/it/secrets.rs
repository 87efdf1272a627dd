//! Secrets: each rule with a value it finds and one it does not, put together here so that none stands in this file.

use lem_engine_scan::files::Tree;
use lem_engine_scan::leaks::{Matcher, scan_history, scan_tree};
use std::collections::BTreeSet;
use std::process::Command;

/// Text that looks random, the same on every run: letters of an alphabet chosen by a linear congruence.
fn noise(alphabet: &str, length: usize) -> String {
    let letters: Vec<char> = alphabet.chars().collect();
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        letters[(state >> 16) as usize % letters.len()]
    };
    (0..length).map(|_| next()).collect()
}

const WORD: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const HEX: &str = "0123456789abcdef";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DIGITS: &str = "1234567890";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { (c >> 1) ^ 0xedb8_8320 } else { c >> 1 })
    })
}

fn with_checksum(prefix: &str) -> String {
    let body = noise(WORD, 30);
    let digits: Vec<char> = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".chars().collect();
    let (mut number, mut sum) = (crc32(body.as_bytes()), vec![]);
    for _ in 0..6 {
        sum.push(digits[(number % 62) as usize]);
        number /= 62;
    }
    format!("{prefix}{body}{}", sum.into_iter().rev().collect::<String>())
}

/// Rule number and a value of its form.
fn positives() -> Vec<(u32, String)> {
    let n = noise;
    vec![
        (1, format!("AKIA{}", n(UPPER, 16))),
        (2, format!("aws_secret_access_key = \"{}\"", n(WORD, 40))),
        (3, with_checksum("ghp_")),
        (4, format!("github_pat_{}_{}", n(WORD, 22), n(WORD, 59))),
        (5, format!("glpat-{}", n(WORD, 20))),
        (6, format!("glptt-{}", n(HEX, 40))),
        (7, format!("glrt-{}", n(WORD, 20))),
        (8, format!("gldt-{}", n(WORD, 20))),
        (9, format!("xoxb-{}-{}-{}", n(DIGITS, 12), n(DIGITS, 12), n(WORD, 24))),
        (10, format!("xapp-1-{}-{}-{}", n(UPPER, 11), n(DIGITS, 12), n(HEX, 64))),
        (11, format!("https://hooks.slack.com/services/T{}/B{}/{}", n(UPPER, 9), n(UPPER, 9), n(WORD, 24))),
        (12, format!("sk_live_{}", n(WORD, 30))),
        (13, format!("sk_test_{}", n(WORD, 30))),
        (14, format!("AIza{}", n(WORD, 35))),
        (15, format!("GOCSPX-{}", n(WORD, 28))),
        (16, format!("-----BEGIN RSA PRIVATE KEY-----\n{}\n{}\n", n(WORD, 64), n(WORD, 64))),
        (17, with_checksum("npm_")),
        (18, format!("pypi-AgEIcHlwaS5vcmc{}", n(WORD, 80))),
        (19, format!("cio{}", n(WORD, 32))),
        (20, format!("rubygems_{}", n(HEX, 48))),
        (21, format!("dckr_pat_{}", n(WORD, 27))),
        (22, format!("dop_v1_{}", n(HEX, 64))),
        (23, format!("SG.{}.{}", n(WORD, 22), n(WORD, 43))),
        (24, format!("MAILGUN_KEY=key-{}", n(HEX, 32))),
        (25, format!("mailchimp: {}-us12", n(HEX, 32))),
        (26, format!("shpat_{}", n(HEX, 32))),
        (27, format!("sq0atp-{}", n(WORD, 22))),
        (28, format!("sk-proj-{}T3BlbkFJ{}", n(WORD, 40), n(WORD, 40))),
        (29, format!("sk-ant-api03-{}", n(WORD, 95))),
        (30, format!("hf_{}", n(LETTERS, 34))),
        (31, format!("dapi{}", n(HEX, 32))),
        (32, format!("hvs.{}", n(WORD, 95))),
        (33, format!("{}.atlasv1.{}", n(WORD, 14), n(WORD, 67))),
        (34, format!("glsa_{}_{}", n(WORD, 32), n(HEX, 8))),
        (35, format!("glc_{}", n(WORD, 100))),
        (36, format!("NRAK-{}", n(UPPER, 27))),
        (37, format!("sntryu_{}", n(HEX, 64))),
        (38, format!("lin_api_{}", n(WORD, 40))),
        (39, format!("ntn_{}{}", n(DIGITS, 11), n(WORD, 35))),
        (40, format!("PMAK-{}-{}", n(HEX, 24), n(HEX, 34))),
        (41, format!("pul-{}", n(HEX, 40))),
        (42, format!("pscale_pw_{}", n(WORD, 43))),
        (43, format!("dp.pt.{}", n(WORD, 43))),
        (44, format!("fo1_{}", n(WORD, 43))),
        (45, format!("AGE-SECRET-KEY-1{}", n("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58))),
        (46, format!("ATATT3{}", n(WORD, 186))),
        (47, format!("AccountKey={}==", n(WORD, 86))),
        (48, format!("secret: {}8Q~{}", n(WORD, 3), n(WORD, 34))),
        (49, format!("{}:AA{}", n(DIGITS, 10), n(WORD, 33))),
        (50, format!("https://discord.com/api/webhooks/{}/{}", n(DIGITS, 18), n(WORD, 68))),
        (51, format!("dt0c01.{}.{}", n(UPPER, 24), n(UPPER, 64))),
        (52, format!("bkua_{}", n(LOWER, 40))),
        (53, format!("AKCp{}", n(WORD, 69))),
        (54, format!("postgres://app:{}@db.internal:5432/x", n(WORD, 20))),
    ]
}

fn rules_in(text: &str) -> BTreeSet<String> {
    Matcher::embedded().file("a.txt", text.as_bytes()).into_iter().map(|f| f.rule).collect()
}

#[test]
fn each_rule_finds_its_format() {
    let positives = positives();
    for (number, text) in &positives {
        let id = format!("LEM-LEAK-{number:04}");
        assert!(rules_in(&format!("x = 1\n{text}\n")).contains(&id), "{id} is not found");
    }
    assert_eq!(positives.len(), Matcher::embedded().rules().len(), "every rule has a case");
}

#[test]
fn placeholders_cut_values_and_wrong_checksums_are_not_found() {
    for (number, text) in positives() {
        // A value whose random part is one letter over and over is somebody's placeholder.
        let flat: String = text
            .chars()
            .scan(0u32, |run, c| {
                *run = if c.is_ascii_alphanumeric() { *run + 1 } else { 0 };
                Some(if *run > 6 { 'a' } else { c })
            })
            .collect();
        if number != 54 && number != 9 && flat != text {
            assert!(
                !rules_in(&flat).contains(&format!("LEM-LEAK-{number:04}")),
                "LEM-LEAK-{number:04} finds a placeholder"
            );
        }
    }
    let token = with_checksum("ghp_");
    let wrong = format!("{}{}", &token[..39], if token.ends_with('0') { "1" } else { "0" });
    for text in [
        &wrong,
        &token[..39],
        &format!("AKIA{}EXAMPLE", "IOSFODNN7"),
        "postgres://app:${PASSWORD}@db/x",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "https://example.com/AIzaNot",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----\n...\n",
    ] {
        assert_eq!(rules_in(text), BTreeSet::new(), "{text}");
    }
}

#[test]
fn base64_is_decoded_once() {
    use base64::Engine;
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let secret = format!("token: {}", with_checksum("ghp_"));
    assert_eq!(rules_in(&format!("data: {}", encode(&secret))).len(), 1);
    assert_eq!(rules_in(&format!("data: {}", encode(&encode(&secret)))).len(), 0);
}

#[test]
fn places_are_right_and_no_value_is_in_a_finding() {
    let token = with_checksum("ghp_");
    let found = Matcher::embedded().file("a/b.env", format!("ä = 1\nü {token}\n").as_bytes());
    assert_eq!(found[0].place.to_string(), "a/b.env:2:3");
    for (_, text) in positives() {
        for finding in Matcher::embedded().file("a", text.as_bytes()) {
            let shown = format!("{finding:?}");
            let longest = text.split(|c: char| !c.is_ascii_alphanumeric()).max_by_key(|p| p.len()).unwrap();
            assert!(!shown.contains(&longest[..12.min(longest.len())]), "{shown}");
        }
    }
}

#[test]
fn the_same_secret_twice_is_one_identity_and_another_is_another() {
    let one = Matcher::embedded().file("a", format!("{}\n", with_checksum("ghp_")).as_bytes());
    let moved = Matcher::embedded().file("a", format!("\n\n{}\n", with_checksum("ghp_")).as_bytes());
    let other = Matcher::embedded().file("a", format!("{}\n", with_checksum("gho_")).as_bytes());
    assert_eq!(one[0].identity, moved[0].identity);
    assert_ne!(one[0].identity, other[0].identity);
}

fn git(root: &std::path::Path, arguments: &[&str]) {
    let identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
    let output = Command::new("git").arg("-C").arg(root).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn history_keeps_what_the_tree_has_lost() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    git(root, &["init", "-q", "-b", "main"]);
    std::fs::write(root.join("config.env"), format!("A=1\nTOKEN={}\n", with_checksum("ghp_"))).unwrap();
    std::fs::write(root.join("logo.bin"), b"\0\0AKIA").unwrap();
    git(root, &["add", "."]);
    git(root, &["commit", "-qm", "one"]);
    std::fs::write(root.join("config.env"), "A=1\n").unwrap();
    git(root, &["commit", "-qam", "two"]);

    let tree = scan_tree(Matcher::embedded(), &Tree::list(root), 2);
    assert_eq!((tree.found.len(), tree.diagnostics.len()), (0, 0));
    let history = scan_history(Matcher::embedded(), root, None).unwrap();
    assert_eq!(history.found.len(), 1);
    assert_eq!(history.found[0].place.to_string(), "config.env:2:7");
    assert!(history.found[0].references[0].starts_with("added by commit "), "{:?}", history.found[0]);
    let since = scan_history(Matcher::embedded(), root, Some("HEAD~1")).unwrap();
    assert_eq!(since.found.len(), 0, "only new commits");
    let nowhere = tempfile::tempdir().unwrap();
    let error = scan_history(Matcher::embedded(), nowhere.path(), None).unwrap_err();
    assert!(error.to_string().contains("not a git repository"), "{error}");
}
