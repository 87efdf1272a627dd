//! Advisories: OSV documents (schema 1.6) and our compact form of them.
//!
//! An OSV document speaks of many packages and holds much text; what matching needs is one entry per package.

use super::Ecosystem;
use serde::{Deserialize, Serialize};

/// How bad, as far as anybody said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Score {
    /// A CVSS base score.
    Cvss(f32),
    /// The advisory's own word.
    Word(lem_model::finding::FindingSeverity),
}

/// One bound of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// Affected from here on; `0` is the beginning.
    #[serde(rename = "i")]
    Introduced(String),
    /// No longer affected from here on.
    #[serde(rename = "f")]
    Fixed(String),
    /// Affected up to and including this.
    #[serde(rename = "l")]
    LastAffected(String),
    /// Nothing is said about versions from here on.
    #[serde(rename = "m")]
    Limit(String),
}

/// One advisory about one package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advisory {
    /// Id.
    pub id: String,
    /// Other ids of the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Ecosystem.
    pub ecosystem: Ecosystem,
    /// Package, in its ecosystem's normal form.
    pub package: String,
    /// Ranges of affected versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Vec<Bound>>,
    /// Affected versions by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// How bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// One line.
    pub summary: String,
}

impl Advisory {
    /// The lowest version that mends it, as far as one is named.
    pub fn fixed(&self) -> Vec<&str> {
        let bounds = self.ranges.iter().flatten();
        bounds.filter_map(|b| if let Bound::Fixed(v) = b { Some(v.as_str()) } else { None }).collect()
    }
}

/// Why a document was not taken.
#[derive(Debug, thiserror::Error)]
pub enum OsvError {
    /// Not OSV.
    #[error("not an OSV document")]
    Json(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Document {
    id: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    severity: Vec<Severity>,
    #[serde(default)]
    affected: Vec<Affected>,
    #[serde(default)]
    database_specific: Specific,
}

#[derive(Deserialize)]
struct Severity {
    score: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Specific {
    severity: Option<serde_json::Value>,
    last_known_affected_version_range: Option<String>,
}

#[derive(Deserialize)]
struct Affected {
    package: Option<PackageName>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    severity: Vec<Severity>,
    #[serde(default)]
    database_specific: Specific,
}

#[derive(Deserialize)]
struct PackageName {
    ecosystem: String,
    name: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// Advisories of one OSV document, for the ecosystems that are read here. Withdrawn ones give none.
pub fn read(json: &[u8]) -> Result<Vec<Advisory>, OsvError> {
    let document: Document = serde_json::from_slice(json)?;
    if document.withdrawn.is_some() {
        return Ok(vec![]);
    }
    let summary = document.summary.clone().unwrap_or_else(|| first_line(document.details.as_deref().unwrap_or("")));
    let whole = score(&document.severity, &document.database_specific);
    let of = |affected: Affected| {
        let package = affected.package?;
        let ecosystem = Ecosystem::named(&package.ecosystem)?;
        let mut ranges: Vec<Vec<Bound>> = affected.ranges.iter().filter(|r| r.kind != "GIT").map(bounds).collect();
        if let Some(last) = last_known(&affected.database_specific) {
            ranges.iter_mut().filter(|r| open(r)).for_each(|r| r.push(last.clone()));
        }
        Some(Advisory {
            id: document.id.clone(),
            aliases: document.aliases.clone(),
            ecosystem,
            package: ecosystem.normal(&package.name),
            ranges,
            versions: affected.versions,
            score: score(&affected.severity, &affected.database_specific).or(whole),
            summary: summary.clone(),
        })
    };
    Ok(document.affected.into_iter().filter_map(of).collect())
}

/// The first line of a text, without the marks of a heading, at most 160 characters.
pub(super) fn first_line(text: &str) -> String {
    let line = text.lines().map(|l| l.trim().trim_start_matches('#').trim()).find(|l| !l.is_empty());
    line.unwrap_or_default().chars().take(160).collect()
}

fn bounds(range: &Range) -> Vec<Bound> {
    let bound = |(name, value): (&String, &serde_json::Value)| {
        let version = value.as_str()?.to_owned();
        match name.as_str() {
            "introduced" => Some(Bound::Introduced(version)),
            "fixed" => Some(Bound::Fixed(version)),
            "last_affected" => Some(Bound::LastAffected(version)),
            "limit" => Some(Bound::Limit(version)),
            _ => None,
        }
    };
    range.events.iter().flat_map(|event| event.iter().filter_map(bound)).collect()
}

/// Whether a range has no upper end.
fn open(range: &[Bound]) -> bool {
    !range.iter().any(|b| matches!(b, Bound::Fixed(_) | Bound::LastAffected(_)))
}

/// Older documents keep the upper end aside: `<= 1.2.3` or `< 1.2.3`.
fn last_known(specific: &Specific) -> Option<Bound> {
    let text = specific.last_known_affected_version_range.as_deref()?.trim();
    match text.strip_prefix("<=") {
        Some(version) => Some(Bound::LastAffected(version.trim().to_owned())),
        None => text.strip_prefix('<').map(|version| Bound::Fixed(version.trim().to_owned())),
    }
}

fn score(vectors: &[Severity], specific: &Specific) -> Option<Score> {
    let scores = vectors.iter().filter_map(|s| cvss(&s.score));
    let worst = scores.fold(None, |worst: Option<f32>, s| Some(worst.map_or(s, |w| w.max(s))));
    worst.map(Score::Cvss).or_else(|| word(specific.severity.as_ref()?.as_str()?).map(Score::Word))
}

/// The base score of a CVSS vector of version 2, 3 or 4.
pub(super) fn cvss(vector: &str) -> Option<f32> {
    vector.parse::<cvss::Cvss>().ok().map(|parsed| parsed.score() as f32)
}

fn word(text: &str) -> Option<lem_model::finding::FindingSeverity> {
    use lem_model::finding::FindingSeverity::{Critical, High, Low, Medium};
    Some(match text.to_ascii_lowercase().as_str() {
        "critical" => Critical,
        "high" | "important" => High,
        "medium" | "moderate" => Medium,
        "low" => Low,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_document_gives_one_advisory_per_package_that_is_read() {
        let json = r#"{"id":"GHSA-1","aliases":["CVE-1"],"summary":"bad","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
          "affected":[
            {"package":{"ecosystem":"PyPI","name":"A_b"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.0"}]},{"type":"GIT","events":[{"introduced":"0"}]}]},
            {"package":{"ecosystem":"Maven","name":"g:a"}},
            {"package":{"ecosystem":"npm","name":"c"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"}]}],"database_specific":{"last_known_affected_version_range":"<= 1.4.0"}}]}"#;
        let read = read(json.as_bytes()).unwrap();
        assert_eq!(read.iter().map(|a| a.package.as_str()).collect::<Vec<_>>(), ["a-b", "c"]);
        assert_eq!(read[0].ranges.len(), 1, "commits are not versions");
        assert_eq!(read[0].score, Some(Score::Cvss(9.8)));
        assert_eq!(read[1].ranges[0][1], Bound::LastAffected("1.4.0".into()));
        assert_eq!(read[0].fixed(), ["2.0"]);
    }

    #[test]
    fn what_is_withdrawn_gives_none_and_what_is_no_document_is_said() {
        assert_eq!(super::read(br#"{"id":"X","withdrawn":"2020-01-01T00:00:00Z"}"#).unwrap(), []);
        assert!(super::read(b"[]").is_err());
        let unscored = br#"{"id":"X","affected":[{"package":{"ecosystem":"Go","name":"a"}}],"database_specific":{"severity":"MODERATE"}}"#;
        assert_eq!(
            super::read(unscored).unwrap()[0].score,
            Some(Score::Word(lem_model::finding::FindingSeverity::Medium))
        );
    }
}
