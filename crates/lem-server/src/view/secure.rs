//! The page of the secure stage.

use crate::dto::{
    BomRow, ControlRow, ExceptionRow, FindingRow, FindingStanding, GateRow, LeaseRow, RunningAt, ScanInfo, SecretRow,
    SecureView, State,
};
use crate::record::Record;
use crate::view::counted;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;
use lem_model::finding::{Finding, FindingSeverity, Standing, Subject};
use std::collections::BTreeMap;

/// Findings that are shown.
pub const FINDINGS_MAX: usize = 500;

/// The page.
pub fn secure(record: &Record, now: Timestamp) -> SecureView {
    let stages = &record.stages;
    let all: Vec<FindingRow> = findings(record);
    let shown = all.iter().take(FINDINGS_MAX).cloned().collect();
    let omitted = stages.scan.as_ref().map_or(0, |s| u64::from(s.fact.findings_omitted));
    SecureView {
        scan: stages.scan.as_ref().map(|scan| ScanInfo {
            at: scan.at.into(),
            seq: scan.seq,
            sha: scan.fact.sha.as_ref().map(ToString::to_string),
            advisories_date: scan.fact.advisories_date.clone(),
            advisories_age_days: age_days(&scan.fact.advisories_date, now),
            rules: scan.fact.rules.to_string(),
            unknown: scan.fact.unknown,
        }),
        findings_omitted: omitted + all.len().saturating_sub(FINDINGS_MAX) as u64,
        findings: shown,
        exceptions: exceptions(record, now),
        secrets: secrets(record),
        boms: boms(record),
        gates: stages
            .gates
            .iter()
            .rev()
            .map(|gate| GateRow {
                gate: gate.fact.gate.clone(),
                subject: gate.fact.subject.clone(),
                environment: gate.fact.environment.as_ref().map(ToString::to_string),
                answer: gate.fact.answer.as_str().into(),
                reasons: gate.fact.reasons.clone(),
                at: gate.at.into(),
                seq: gate.seq,
            })
            .collect(),
        controls: controls(record),
    }
}

/// Days since a date; 0 when it does not read.
pub(crate) fn age_days(date: &str, now: Timestamp) -> i64 {
    let today = Offset::UTC.to_datetime(now).date();
    date.get(..10)
        .and_then(|d| d.parse::<Date>().ok())
        .and_then(|d| d.until(today).ok())
        .map_or(0, |span| i64::from(span.get_days()))
}

/// Open and excepted findings: what runs first, then the worst, then by rule.
pub(crate) fn findings(record: &Record) -> Vec<FindingRow> {
    let Some(scan) = &record.stages.scan else { return vec![] };
    let running = running(record, scan.fact.sha.as_ref().map(|s| s.as_str()));
    let mut rows: Vec<FindingRow> = scan.fact.findings.iter().map(|f| row(record, f, &running)).collect();
    rows.sort_by_key(|r| (r.running.is_empty(), std::cmp::Reverse(r.severity), r.rule.clone(), r.subject.clone()));
    rows
}

/// Where the scanned commit runs.
fn running(record: &Record, sha: Option<&str>) -> Vec<RunningAt> {
    let Some(sha) = sha else { return vec![] };
    record
        .places
        .iter()
        .filter(|(_, placed)| placed.sha.as_deref() == Some(sha))
        .filter_map(|((service, environment), placed)| {
            let version = placed.version.clone()?;
            Some(RunningAt { service: service.clone(), environment: environment.clone(), version })
        })
        .collect()
}

fn row(record: &Record, finding: &Finding, running: &[RunningAt]) -> FindingRow {
    let (subject, deployed) = match &finding.subject {
        Subject::Resource { address } => (address.clone(), false),
        Subject::Package { purl, .. } => (purl.clone(), true),
        Subject::File { path } => (path.clone(), true),
        Subject::History { commit, path } => (format!("{path} in {}", commit.get(..8).unwrap_or(commit)), false),
    };
    let first = record.stages.first_seen.get(&finding.fingerprint);
    let scan = record.stages.scan.as_ref();
    FindingRow {
        fingerprint: finding.fingerprint.clone(),
        rule: finding.rule.clone(),
        aliases: finding.aliases.clone(),
        scanner: finding.scanner.into(),
        severity: finding.severity.into(),
        unscored: finding.unscored,
        title: finding.title.clone(),
        subject,
        place: (&finding.place).into(),
        fix: finding.fix.clone(),
        owner: finding.owner.clone(),
        running: if deployed { running.to_vec() } else { vec![] },
        standing: if finding.is_open() { FindingStanding::Open } else { FindingStanding::Excepted },
        first_seen_at: first.map(|f| f.at).or(scan.map(|s| s.at)).unwrap_or_default().into(),
        seq: scan.map_or(0, |s| s.seq),
        references: finding.references.clone(),
    }
}

fn exceptions(record: &Record, now: Timestamp) -> Vec<ExceptionRow> {
    let today = Offset::UTC.to_datetime(now).date();
    let title = |covers: &str| {
        let scan = record.stages.scan.as_ref();
        let found = scan.and_then(|s| s.fact.findings.iter().find(|f| f.fingerprint == covers || f.rule == covers));
        found.map(|f| f.title.clone()).unwrap_or_default()
    };
    let granted = record.stages.exceptions.iter().rev().map(|granted| {
        let exception = &granted.fact.exception;
        ExceptionRow {
            covers: exception.covers.clone(),
            title: title(&exception.covers),
            owner: exception.owner.clone(),
            approver: Some(exception.approver.clone()),
            reason: exception.reason.clone(),
            expires: Some(exception.expires.to_string()),
            expired: exception.expires < today,
            seq: Some(granted.seq),
        }
    });
    let scan = record.stages.scan.as_ref();
    let skipped = scan.into_iter().flat_map(|scan| &scan.fact.findings).filter_map(|finding| match &finding.standing {
        Standing::Open => None,
        Standing::Excepted { reason, approver, expires } => Some(ExceptionRow {
            covers: finding.fingerprint.clone(),
            title: finding.title.clone(),
            owner: finding.owner.clone().unwrap_or_default(),
            approver: approver.clone(),
            reason: reason.clone(),
            expires: expires.map(|d| d.to_string()),
            expired: expires.is_some_and(|d| d < today),
            seq: scan.map(|s| s.seq),
        }),
    });
    granted.chain(skipped).collect()
}

fn secrets(record: &Record) -> Vec<SecretRow> {
    let stages = &record.stages;
    let plain = |secret: &str| secret.split('?').next().unwrap_or(secret).replacen("/data/", "/", 1);
    let mut rows: BTreeMap<String, SecretRow> = stages
        .secrets
        .iter()
        .map(|(path, change)| {
            let row = SecretRow {
                path: path.clone(),
                version: change.fact.version,
                changed_at: Some(change.at.into()),
                by: Some(change.fact.by.to_string()),
                seq: Some(change.seq),
                leases: vec![],
            };
            (path.clone(), row)
        })
        .collect();
    for lease in stages.leases.values() {
        let path = plain(&lease.fact.secret);
        let row = rows.entry(path.clone()).or_insert_with(|| SecretRow {
            path,
            version: 0,
            changed_at: None,
            by: None,
            seq: None,
            leases: vec![],
        });
        row.leases.push(LeaseRow {
            lease: lease.fact.lease.clone(),
            to: lease.fact.to.clone(),
            expires: lease.fact.expires.into(),
        });
    }
    rows.into_values().collect()
}

fn boms(record: &Record) -> Vec<BomRow> {
    let mut rows: BTreeMap<String, BomRow> = BTreeMap::new();
    for attestation in &record.stages.attestations {
        let fact = &attestation.fact;
        let digest = fact.artifact.to_string();
        let packaged = record.runs.values().flat_map(|r| &r.artifacts).find(|a| a.digest == fact.artifact);
        let sha = fact.sha.as_ref().map(ToString::to_string);
        let row = rows.entry(digest.clone()).or_insert_with(|| BomRow {
            artifact: digest,
            name: packaged.map(|a| a.name.clone()).unwrap_or_default(),
            version: sha.clone(),
            components: None,
            attestations: vec![],
            key: None,
            href: None,
            seq: attestation.seq,
            running: record.places.values().any(|p| p.sha.is_some() && p.sha == sha),
        });
        row.components = row.components.or(fact.components);
        row.attestations.push(fact.predicate.clone());
        row.key = Some(fact.key.clone()).filter(|k| !k.is_empty()).or(row.key.take());
        row.seq = row.seq.max(attestation.seq);
    }
    let mut rows: Vec<BomRow> = rows.into_values().collect();
    rows.sort_by_key(|r| std::cmp::Reverse(r.seq));
    rows
}

/// What an auditor asks first, each answered from the ledger.
fn controls(record: &Record) -> Vec<ControlRow> {
    let stages = &record.stages;
    let running: Vec<_> = record.places.values().filter_map(|p| p.sha.as_deref()).collect();
    let attested =
        |sha: &&str| stages.attestations.iter().any(|a| a.fact.sha.as_ref().is_some_and(|s| s.as_str() == *sha));
    let scanned = stages.scan.as_ref();
    let critical = scanned
        .map(|s| s.fact.findings.iter().filter(|f| f.is_open() && f.severity == FindingSeverity::Critical).count());
    let row = |control: &str, title: &str, state: State, sentence: String, seqs: Vec<u64>| ControlRow {
        control: control.into(),
        title: title.into(),
        state,
        sentence,
        seqs,
    };
    let provenance = match (running.len(), running.iter().filter(|sha| attested(sha)).count()) {
        (0, _) => (State::Unknown, "Nothing runs yet.".to_owned()),
        (all, some) if all == some => {
            (State::Ok, format!("{} signed statements.", counted(all, "running version has", "running versions have")))
        }
        (all, some) => (State::Bad, format!("{some} of {all} running versions have signed statements.")),
    };
    let vulnerabilities = match critical {
        None => (State::Unknown, "Nothing was scanned yet.".to_owned()),
        Some(0) => (State::Ok, "No open critical finding.".to_owned()),
        Some(n) => (State::Bad, format!("{}.", counted(n, "open critical finding", "open critical findings"))),
    };
    let secrets = match stages.leases.len() {
        0 => (State::Ok, "No secret is lent to anybody now.".to_owned()),
        n => {
            (State::Ok, format!("{}, bound to a run or an instance and ended with it.", counted(n, "lease", "leases")))
        }
    };
    vec![
        row(
            "provenance",
            "What runs can be traced to its commit and build",
            provenance.0,
            provenance.1,
            stages.attestations.iter().rev().take(10).map(|a| a.seq).collect(),
        ),
        row(
            "vulnerabilities",
            "Known critical weaknesses are mended or accepted by name",
            vulnerabilities.0,
            vulnerabilities.1,
            scanned.map(|s| s.seq).into_iter().collect(),
        ),
        row(
            "secrets",
            "Secrets are given out as leases, and every change is recorded",
            secrets.0,
            secrets.1,
            stages.secrets.values().rev().take(10).map(|s| s.seq).collect(),
        ),
    ]
}
