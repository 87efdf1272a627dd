//! Dockerfiles.
//!
//! In: a text. Out: findings per instruction. Semantics follow the rules named by the aliases.

mod parse;

pub use parse::{Instruction, instructions};

use crate::{Found, Identity};
use lem_model::Place;
use lem_model::finding::{FindingSeverity, Scanner, Subject};
use regex::Regex;
use std::sync::LazyLock;

/// A rule: id, aliases, severity, what is wrong, what to do.
type Rule = (&'static str, &'static [&'static str], FindingSeverity, &'static str, &'static str);

use FindingSeverity::{Critical, High, Low, Medium};

const SSH: Rule = (
    "LEM-DOCKER-0001",
    &["CKV_DOCKER_1", "AVD-DS-0004"],
    Medium,
    "the image offers port 22 (SSH)",
    "use the engine's exec instead",
);
const HEALTH: Rule = (
    "LEM-DOCKER-0002",
    &["CKV_DOCKER_2", "AVD-DS-0026"],
    Low,
    "the image says nothing about its health",
    "add a HEALTHCHECK",
);
const NO_USER: Rule =
    ("LEM-DOCKER-0003", &["CKV_DOCKER_3"], Medium, "the image names no user, so it runs as root", "add a USER");
const ADD: Rule = (
    "LEM-DOCKER-0004",
    &["CKV_DOCKER_4", "DL3020", "AVD-DS-0005"],
    Low,
    "ADD fetches and unpacks what it is given",
    "use COPY",
);
const LATEST: Rule = (
    "LEM-DOCKER-0005",
    &["CKV_DOCKER_7", "DL3006", "DL3007", "AVD-DS-0001"],
    Medium,
    "the base image has no fixed version",
    "name a tag, or better a digest",
);
const ROOT: Rule = (
    "LEM-DOCKER-0006",
    &["CKV_DOCKER_8", "DL3002", "AVD-DS-0002"],
    High,
    "the last user is root",
    "end with a USER that is not root",
);
const SUDO: Rule =
    ("LEM-DOCKER-0007", &["CKV2_DOCKER_1", "DL3004", "AVD-DS-0010"], Medium, "RUN uses sudo", "switch with USER");
const CURL: Rule =
    ("LEM-DOCKER-0008", &["CKV2_DOCKER_2"], Critical, "curl does not check whom it talks to", "drop -k and --insecure");

/// Every rule, for counting and for documentation.
pub const RULES: &[Rule] = &[SSH, HEALTH, NO_USER, ADD, LATEST, ROOT, SUDO, CURL];

/// Judges a Dockerfile.
pub fn judge(file: &str, text: &str) -> Vec<Found> {
    let all = instructions(text);
    if all.is_empty() {
        return vec![];
    }
    let named = |name: &'static str| all.iter().filter(move |i| i.name == name);
    let mut found = vec![];
    let mut report = |rule: Rule, at: &Instruction| found.push(of(rule, file, at));
    for expose in named("EXPOSE").filter(|i| i.value.split_whitespace().any(|p| p == "22" || p == "22/tcp")) {
        report(SSH, expose);
    }
    if named("HEALTHCHECK").next().is_none() {
        report(HEALTH, &all[0]);
    }
    match named("USER").next_back() {
        None => report(NO_USER, &all[0]),
        Some(user) if user.value == "root" => report(ROOT, user),
        Some(_) => {}
    }
    named("ADD").for_each(|add| report(ADD, add));
    floating(&all).for_each(|from| report(LATEST, from));
    for run in named("RUN") {
        if uses_sudo(&run.value) {
            report(SUDO, run);
        }
        if blind_curl(&run.value) {
            report(CURL, run);
        }
    }
    found
}

/// Stages whose base has no version: neither a tag, a digest, an earlier stage nor `scratch`.
fn floating(all: &[Instruction]) -> impl Iterator<Item = &Instruction> {
    let mut stages: Vec<String> = vec![];
    all.iter().filter(|i| i.name == "FROM").filter(move |from| {
        let words: Vec<&str> = from.value.split_whitespace().filter(|w| !w.starts_with("--")).collect();
        let Some(image) = words.first() else { return false };
        let known = stages.iter().any(|s| s == image) || *image == "scratch";
        if let [_, keyword, name, ..] = words[..]
            && keyword.eq_ignore_ascii_case("as")
        {
            stages.push(name.to_owned());
        }
        (!image.contains(':') && !known && !image.starts_with('$')) || image.ends_with(":latest")
    })
}

fn uses_sudo(command: &str) -> bool {
    static SUDO: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?:^|[\s;&|])sudo(?:\s|$)").expect("fixed"));
    SUDO.is_match(command)
}

fn blind_curl(command: &str) -> bool {
    static CURL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\bcurl\b[^|;&\n]*\s(?:--insecure\b|-[a-zA-Z]*k\b)").expect("fixed"));
    CURL.is_match(command)
}

fn of(rule: Rule, file: &str, at: &Instruction) -> Found {
    let (id, aliases, severity, title, fix) = rule;
    Found {
        rule: id.into(),
        aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
        scanner: Scanner::Infrastructure,
        severity,
        unscored: false,
        title: title.into(),
        subject: Subject::File { path: file.to_owned() },
        place: Place::new(file, at.line, 1),
        end_line: at.end_line,
        fix: Some(fix.into()),
        references: vec![],
        identity: Identity {
            kind: "file",
            key: file.to_owned(),
            discriminator: at.value.split_whitespace().collect::<Vec<_>>().join(" "),
        },
        skipped: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_fails_and_passes() {
        let clean = "FROM a:1\nHEALTHCHECK CMD x\nUSER app\n";
        assert_eq!(judge("Dockerfile", clean), []);
        for (id, text) in [
            ("CKV_DOCKER_1", "FROM a:1\nHEALTHCHECK NONE\nUSER a\nEXPOSE 80 22/tcp"),
            ("CKV_DOCKER_2", "FROM a:1\nUSER a"),
            ("CKV_DOCKER_3", "FROM a:1\nHEALTHCHECK NONE"),
            ("CKV_DOCKER_4", "FROM a:1\nHEALTHCHECK NONE\nUSER a\nADD x y"),
            ("CKV_DOCKER_7", "FROM --platform=linux/amd64 a AS b\nFROM b\nHEALTHCHECK NONE\nUSER a"),
            ("CKV_DOCKER_7", "FROM a:latest\nHEALTHCHECK NONE\nUSER a"),
            ("CKV_DOCKER_8", "FROM a:1\nHEALTHCHECK NONE\nUSER a\nUSER root"),
            ("CKV2_DOCKER_1", "FROM a:1\nHEALTHCHECK NONE\nUSER a\nRUN x && sudo y"),
            ("CKV2_DOCKER_2", "FROM a:1\nHEALTHCHECK NONE\nUSER a\nRUN curl -sSLk https://x"),
        ] {
            let found = judge("Dockerfile", text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].is_called(id), "{text}: {}", found[0].rule);
        }
        assert_eq!(judge("Dockerfile", "FROM scratch\nHEALTHCHECK NONE\nUSER 1\nRUN curl -o k https://x"), []);
        assert_eq!(judge("Dockerfile", "# nothing\n"), []);
    }
}
