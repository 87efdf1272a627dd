//! Which advisories affect which packages, by the rules of the OSV schema ("Evaluation").

use super::db::Database;
use super::osv::{Advisory, Bound, Score};
use super::version::compare;
use super::{Ecosystem, Package};
use crate::{Found, Identity, Report, Unknown};
use lem_model::Place;
use lem_model::finding::{FindingSeverity, Scanner, Subject};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Whether a version is affected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Yes.
    Affected,
    /// No.
    Clean,
    /// A version does not parse.
    Unknown(String),
}

/// Judges one version by one advisory.
pub fn affects(advisory: &Advisory, version: &str) -> Judged {
    if advisory.versions.iter().any(|v| same(advisory.ecosystem, v, version)) {
        return Judged::Affected;
    }
    let mut unknown = None;
    for range in &advisory.ranges {
        match in_range(advisory.ecosystem, range, version) {
            Ok(true) => return Judged::Affected,
            Ok(false) => {}
            Err(text) => unknown = Some(text),
        }
    }
    unknown.map_or(Judged::Clean, |text| Judged::Unknown(format!("version {text:?} does not parse")))
}

fn same(ecosystem: Ecosystem, a: &str, b: &str) -> bool {
    a == b || compare(ecosystem, a, b) == Some(Ordering::Equal)
}

fn in_range(ecosystem: Ecosystem, range: &[Bound], version: &str) -> Result<bool, String> {
    let order = |a: &str, b: &str| {
        if b == "0" {
            // "0" is before every version.
            return compare(ecosystem, a, a).map(|_| Ordering::Greater).ok_or_else(|| a.to_owned());
        }
        compare(ecosystem, a, b).ok_or_else(|| if compare(ecosystem, a, a).is_none() { a } else { b }.to_owned())
    };
    let limits: Vec<&str> =
        range.iter().filter_map(|b| if let Bound::Limit(v) = b { Some(v.as_str()) } else { None }).collect();
    let mut below = limits.is_empty();
    for limit in limits {
        below |= limit == "*" || order(version, limit)? == Ordering::Less;
    }
    if !below {
        return Ok(false);
    }
    let mut events: Vec<(&str, &Bound)> = range.iter().filter_map(at).collect();
    for (v, _) in &events {
        order(version, v)?;
    }
    events.sort_by(|(a, x), (b, y)| {
        let by_version = match (*a == "0", *b == "0") {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => compare(ecosystem, a, b).unwrap_or(Ordering::Equal),
        };
        by_version.then_with(|| rank(x).cmp(&rank(y)))
    });
    let mut affected = false;
    for (v, bound) in events {
        let stands = order(version, v)?;
        match bound {
            Bound::Introduced(_) if stands != Ordering::Less => affected = true,
            Bound::Fixed(_) if stands != Ordering::Less => affected = false,
            Bound::LastAffected(_) if stands == Ordering::Greater => affected = false,
            _ => {}
        }
    }
    Ok(affected)
}

fn at(bound: &Bound) -> Option<(&str, &Bound)> {
    match bound {
        Bound::Introduced(v) | Bound::Fixed(v) | Bound::LastAffected(v) => Some((v, bound)),
        Bound::Limit(_) => None,
    }
}

/// Of two events at one version the end comes first.
fn rank(bound: &Bound) -> u8 {
    match bound {
        Bound::Fixed(_) => 0,
        Bound::Introduced(_) => 1,
        _ => 2,
    }
}

/// Judges the packages of a lockfile. Advisories that are aliases of each other give one finding.
pub fn judge(file: &str, packages: &[Package], database: &Database) -> Report {
    let mut report = Report::default();
    let mut without: BTreeMap<Ecosystem, (u32, u32)> = BTreeMap::new();
    for package in packages.iter().filter(|p| p.registry) {
        if database.day(package.ecosystem).is_none() {
            let (count, _) = without.entry(package.ecosystem).or_insert((0, package.line));
            *count += 1;
            continue;
        }
        let mut matched: Vec<&Advisory> = vec![];
        for advisory in database.about(package.ecosystem, &package.name) {
            match affects(advisory, &package.version) {
                Judged::Affected => matched.push(advisory),
                Judged::Clean => {}
                Judged::Unknown(why) => report.unknown.push(Unknown {
                    rule: advisory.id.clone(),
                    subject: package.purl(),
                    place: Place::new(file, package.line, 0),
                    why,
                }),
            }
        }
        report.found.extend(groups(&matched).into_iter().map(|group| found(file, package, &group)));
    }
    for (ecosystem, (count, line)) in without {
        report.unknown.push(Unknown {
            rule: "no-advisory-data".into(),
            subject: format!("{count} packages of {}", ecosystem.word()),
            place: Place::new(file, line, 0),
            why: format!("there is no advisory data for {}: these packages are not judged", ecosystem.word()),
        });
    }
    report
}

/// Advisories that share an id or an alias, together (union-find over ids).
fn groups<'a>(matched: &[&'a Advisory]) -> Vec<Vec<&'a Advisory>> {
    let mut group: Vec<usize> = (0..matched.len()).collect();
    let ids = |a: &'a Advisory| std::iter::once(&a.id).chain(&a.aliases);
    for i in 0..matched.len() {
        for j in 0..i {
            if ids(matched[i]).any(|id| ids(matched[j]).any(|other| other == id)) {
                let (from, to) = (group[i].max(group[j]), group[i].min(group[j]));
                group.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
            }
        }
    }
    let mut out: BTreeMap<usize, Vec<&Advisory>> = BTreeMap::new();
    for (at, advisory) in matched.iter().enumerate() {
        out.entry(group[at]).or_default().push(advisory);
    }
    out.into_values().collect()
}

fn severity(group: &[&Advisory]) -> (FindingSeverity, bool) {
    let of = |score: Score| match score {
        Score::Word(severity) => severity,
        // The bands of the CVSS specification.
        Score::Cvss(s) if s >= 9.0 => FindingSeverity::Critical,
        Score::Cvss(s) if s >= 7.0 => FindingSeverity::High,
        Score::Cvss(s) if s >= 4.0 => FindingSeverity::Medium,
        Score::Cvss(s) if s > 0.0 => FindingSeverity::Low,
        Score::Cvss(_) => FindingSeverity::Info,
    };
    let worst = group.iter().filter_map(|a| a.score).map(of).max();
    // Somebody must look at what nobody scored.
    worst.map_or((FindingSeverity::High, true), |worst| (worst, false))
}

fn found(file: &str, package: &Package, group: &[&Advisory]) -> Found {
    let first = group.iter().min_by_key(|a| &a.id).expect("a group has a member");
    let mut aliases: Vec<String> =
        group.iter().flat_map(|a| std::iter::once(&a.id).chain(&a.aliases)).cloned().collect();
    aliases.sort();
    aliases.dedup();
    aliases.retain(|id| *id != first.id);
    let (severity, unscored) = severity(group);
    let purl = package.purl();
    let newer = |v: &&str| compare(package.ecosystem, v, &package.version) == Some(Ordering::Greater);
    let mut fixes: Vec<&str> = group.iter().flat_map(|a| a.fixed()).filter(newer).collect();
    fixes.sort_by(|a, b| compare(package.ecosystem, a, b).unwrap_or(Ordering::Equal));
    let fix = match fixes.first() {
        Some(version) => format!("update {} to {version} or later", package.name),
        None => format!("no version of {} without it is known; replace it or confine it", package.name),
    };
    let dev = if package.dev { ", needed for development only" } else { "" };
    Found {
        rule: first.id.clone(),
        aliases,
        scanner: Scanner::Vulnerability,
        severity,
        unscored,
        title: format!("{} {}: {}{dev}", package.name, package.version, first.summary),
        subject: Subject::Package { purl: purl.clone(), from: file.to_owned() },
        place: Place::new(file, package.line, 0),
        end_line: package.line,
        fix: Some(fix),
        references: vec![format!("https://osv.dev/vulnerability/{}", first.id)],
        identity: Identity { kind: "package", key: format!("{purl}\n{file}"), discriminator: first.id.clone() },
        skipped: None,
    }
}
