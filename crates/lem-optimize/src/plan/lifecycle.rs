//! The life of a recommendation, folded from facts: created, proposed, applied, then verified, inconclusive or reverted;
//! or dismissed, expired, superseded.
//!
//! Applied is observed, never claimed: the patched lines stand in the user's file. Verified is measured. What was claimed,
//! applied and verified is summed separately and never added together.

use jiff::{SignedDuration, Timestamp};
use lem_model::fact::{RecommendationCreated, RecommendationMoved};
use lem_model::money::Money;
use lem_model::{Event, Seq};
use rust_decimal::Decimal;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A recommendation nobody took up expires.
pub const EXPIRES_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Time between apply and verification: the same weekdays before and after.
pub const VERIFIED_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Recommendations that are kept.
pub const MAX_KEPT: usize = 10_000;
/// Points before and after that a verdict needs.
pub const MIN_POINTS: usize = 100;

/// Where a recommendation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Written down.
    Created,
    /// Offered as a patch or pull request.
    Proposed,
    /// Its lines stand in the file.
    Applied,
    /// Its saving was measured and nothing got worse.
    Verified,
    /// Too little happened to tell.
    Inconclusive,
    /// It did harm and was taken back.
    Reverted,
    /// Somebody said no.
    Dismissed,
    /// Nobody said anything for too long.
    Expired,
    /// Newer advice about the same thing took its place.
    Superseded,
}

impl Standing {
    const ALL: [Self; 9] = [
        Self::Created,
        Self::Proposed,
        Self::Applied,
        Self::Verified,
        Self::Inconclusive,
        Self::Reverted,
        Self::Dismissed,
        Self::Expired,
        Self::Superseded,
    ];

    /// Whether it may move there.
    pub fn may_become(self, next: Self) -> bool {
        use Standing::{Applied, Created, Dismissed, Expired, Inconclusive, Proposed, Reverted, Superseded, Verified};
        match self {
            Created => matches!(next, Proposed | Applied | Dismissed | Expired | Superseded),
            Proposed => matches!(next, Applied | Dismissed | Expired | Superseded),
            Applied => matches!(next, Verified | Inconclusive | Reverted | Superseded),
            Inconclusive => matches!(next, Verified | Reverted | Superseded),
            Verified => matches!(next, Reverted),
            Reverted | Dismissed | Expired | Superseded => false,
        }
    }

    /// Whether somebody can still take it up.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Created | Self::Proposed)
    }

    /// The word in facts, commands and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Proposed => "proposed",
            Self::Applied => "applied",
            Self::Verified => "verified",
            Self::Inconclusive => "inconclusive",
            Self::Reverted => "reverted",
            Self::Dismissed => "dismissed",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Standing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|s| s.word() == text).ok_or_else(|| format!("{text:?} is no standing"))
    }
}

/// One recommendation.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// What it says.
    pub advice: RecommendationCreated,
    /// Where it stands.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
    /// When it was created.
    pub created: Timestamp,
    /// Event that created it.
    pub event: Seq,
    /// Event that moved it last.
    pub moved: Seq,
    /// Why it stands there.
    pub why: String,
}

/// Every recommendation, folded.
#[derive(Clone, Debug, Default)]
pub struct Recommendations {
    all: BTreeMap<String, Recommendation>,
    refused: u64,
}

impl Recommendations {
    /// Takes a fact. A move that is not possible changes nothing and is counted.
    pub fn apply(&mut self, event: &Event) {
        if let Some(advice) = event.read::<RecommendationCreated>() {
            if self.all.len() >= MAX_KEPT {
                self.forget_one();
            }
            let id = advice.recommendation.clone();
            self.all.entry(id).or_insert_with(|| Recommendation {
                advice,
                standing: Standing::Created,
                since: event.time_occurred,
                created: event.time_occurred,
                event: event.seq,
                moved: event.seq,
                why: String::new(),
            });
        } else if let Some(moved) = event.read::<RecommendationMoved>() {
            let next = moved.standing.parse::<Standing>();
            let found = self.all.get_mut(&moved.recommendation);
            match (found, next) {
                (Some(found), Ok(next)) if found.standing.may_become(next) => {
                    found.standing = next;
                    found.since = event.time_occurred;
                    found.moved = event.seq;
                    found.why = moved.why;
                }
                _ => self.refused += 1,
            }
        }
    }

    /// The oldest that is closed makes room; open ones are never forgotten first.
    fn forget_one(&mut self) {
        let oldest = self.all.values().min_by_key(|r| (r.standing.is_open(), r.created));
        if let Some(id) = oldest.map(|r| r.advice.recommendation.clone()) {
            self.all.remove(&id);
        }
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Option<&Recommendation> {
        self.all.get(id)
    }

    /// All of them, newest first.
    pub fn all(&self) -> Vec<&Recommendation> {
        let mut all: Vec<&Recommendation> = self.all.values().collect();
        all.sort_by_key(|r| (std::cmp::Reverse(r.created), r.advice.recommendation.clone()));
        all
    }

    /// Moves that were not possible.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Open advice about the same thing that this one replaces: at most one open patch per target.
    pub fn superseded_by(&self, advice: &RecommendationCreated) -> Vec<String> {
        let same = |r: &&Recommendation| {
            r.standing.is_open()
                && r.advice.recommendation != advice.recommendation
                && r.advice.kind == advice.kind
                && r.advice.target == advice.target
                && r.advice.environment == advice.environment
        };
        self.all.values().filter(same).map(|r| r.advice.recommendation.clone()).collect()
    }

    /// What is due by the clock alone.
    pub fn due(&self, now: Timestamp) -> Vec<Due> {
        let age = |r: &Recommendation| now.duration_since(r.since);
        let due = |r: &Recommendation| {
            let id = r.advice.recommendation.clone();
            match r.standing {
                standing if standing.is_open() && age(r) >= EXPIRES_AFTER => Some(Due::Expire(id)),
                Standing::Applied if age(r) >= VERIFIED_AFTER => Some(Due::Verify(id)),
                _ => None,
            }
        };
        self.all.values().filter_map(due).collect()
    }

    /// Savings a month: claimed by what is open, applied, and verified. Three sums in one currency each, never one.
    pub fn savings(&self, currency: &str) -> Savings {
        let sum = |wanted: &[Standing]| {
            let saved = self.all.values().filter(|r| wanted.contains(&r.standing));
            let deltas = saved.filter_map(|r| r.advice.monthly_delta.as_ref()).filter(|m| m.currency == currency);
            Money { amount: -deltas.map(|m| m.amount).sum::<Decimal>(), currency: currency.to_owned() }
        };
        Savings {
            proposed: sum(&[Standing::Created, Standing::Proposed]),
            applied: sum(&[Standing::Applied, Standing::Inconclusive]),
            verified: sum(&[Standing::Verified]),
        }
    }
}

/// What the clock asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nobody took it up.
    Expire(String),
    /// Long enough since it was applied.
    Verify(String),
}

/// The savings ledger. A negative amount costs more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Savings {
    /// Claimed, not yet applied.
    pub proposed: Money,
    /// Applied, not yet verified.
    pub applied: Money,
    /// Verified.
    pub verified: Money,
}

/// One signal before and after: the values of its points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signal {
    /// Name, for the sentence.
    pub name: String,
    /// Values in the week before.
    pub before: Vec<f64>,
    /// Values in the week after.
    pub after: Vec<f64>,
}

/// Whether an applied recommendation did harm: a signal whose mean is worse than before by more than twice the noise it had.
/// All signals are better when lower. Too few points say nothing.
pub fn judge(signals: &[Signal]) -> (Standing, String) {
    let enough = |s: &&Signal| s.before.len() >= MIN_POINTS && s.after.len() >= MIN_POINTS;
    let judged: Vec<&Signal> = signals.iter().filter(enough).collect();
    if judged.is_empty() {
        return (Standing::Inconclusive, format!("no signal has {MIN_POINTS} points before and after"));
    }
    for signal in &judged {
        let (before, after) = (mean(&signal.before), mean(&signal.after));
        let noise = deviation(&signal.before, before);
        if after > before + 2.0 * noise && after > before * 1.01 {
            let why = format!("{} went from {before:.4} to {after:.4}, beyond its noise of {noise:.4}", signal.name);
            return (Standing::Reverted, why);
        }
    }
    let names: Vec<&str> = judged.iter().map(|s| s.name.as_str()).collect();
    (Standing::Verified, format!("{} not worse than the week before", names.join(", ")))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn deviation(values: &[f64], mean: f64) -> f64 {
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use lem_model::{Fact, NewEvent};

    fn event<F: Fact>(seq: u64, day: i64, fact: &F) -> Event {
        let time = Timestamp::from_second(day * 86_400).unwrap();
        let new = NewEvent::of(fact, format!("e{seq}"), time, "/lem/optimize").unwrap();
        Event {
            seq,
            id: new.id,
            kind: new.kind,
            time_occurred: time,
            time_received: time,
            source: new.source,
            subject: new.subject,
            chain: new.chain,
            payload: new.payload,
        }
    }

    fn created(id: &str, saving: i64) -> RecommendationCreated {
        RecommendationCreated {
            recommendation: id.into(),
            kind: "rightsize".into(),
            target: "shop".into(),
            environment: None,
            service: None,
            sentence: "smaller".into(),
            evidence: vec![],
            monthly_delta: Some(Money::usd(Decimal::from(-saving))),
            patch: None,
            risk: String::new(),
            cause: String::new(),
        }
    }

    fn moved(id: &str, standing: &str) -> RecommendationMoved {
        RecommendationMoved {
            recommendation: id.into(),
            standing: standing.into(),
            why: "so".into(),
            by: "person:a".into(),
        }
    }

    #[test]
    fn the_machine_goes_forward_only() {
        let paths: [(&[&str], Standing, u64); 7] = [
            (&["proposed", "applied", "verified"], Standing::Verified, 0),
            (&["applied", "inconclusive", "verified", "reverted"], Standing::Reverted, 0),
            (&["dismissed", "applied"], Standing::Dismissed, 1),
            (&["verified"], Standing::Created, 1),
            (&["applied", "expired"], Standing::Applied, 1),
            (&["superseded", "proposed"], Standing::Superseded, 1),
            (&["nonsense"], Standing::Created, 1),
        ];
        for (path, expect, refused) in paths {
            let mut all = Recommendations::default();
            all.apply(&event(0, 0, &created("r", 1)));
            for (seq, standing) in path.iter().enumerate() {
                all.apply(&event(seq as u64 + 1, 1, &moved("r", standing)));
            }
            assert_eq!((all.get("r").unwrap().standing, all.refused()), (expect, refused), "{path:?}");
        }
    }

    #[test]
    fn the_clock_expires_and_verifies() {
        let mut all = Recommendations::default();
        all.apply(&event(0, 0, &created("a", 1)));
        all.apply(&event(1, 0, &created("b", 1)));
        all.apply(&event(2, 20, &moved("b", "applied")));
        let day = |d: i64| Timestamp::from_second(d * 86_400).unwrap();
        assert_eq!(all.due(day(26)), []);
        assert_eq!(all.due(day(27)), [Due::Verify("b".into())]);
        assert_eq!(all.due(day(30)), [Due::Expire("a".into()), Due::Verify("b".into())]);
    }

    #[test]
    fn savings_are_three_sums() {
        let mut all = Recommendations::default();
        for (seq, (id, saving)) in [("a", 1), ("b", 10), ("c", 100), ("d", 1000)].into_iter().enumerate() {
            all.apply(&event(seq as u64, 0, &created(id, saving)));
        }
        for (seq, (id, standing)) in
            [("b", "applied"), ("c", "applied"), ("c", "verified"), ("d", "dismissed")].into_iter().enumerate()
        {
            all.apply(&event(seq as u64 + 4, 0, &moved(id, standing)));
        }
        let savings = all.savings("USD");
        assert_eq!(
            [savings.proposed, savings.applied, savings.verified].map(|m| m.to_string()),
            ["$1.00", "$10.00", "$100.00"]
        );
        assert_eq!(all.superseded_by(&created("new", 5)), ["a"]);
    }

    #[test]
    fn what_is_kept_is_bounded_and_open_advice_stays() {
        let mut all = Recommendations::default();
        all.apply(&event(0, 0, &created("first", 1)));
        all.apply(&event(1, 0, &created("closed", 1)));
        all.apply(&event(2, 0, &moved("closed", "dismissed")));
        for n in 0..MAX_KEPT as u64 {
            all.apply(&event(n + 3, 1, &created(&format!("r{n}"), 1)));
            if all.get("closed").is_none() {
                break;
            }
        }
        assert!(all.get("first").is_some() && all.get("closed").is_none());
        assert!(all.all().len() <= MAX_KEPT);
    }

    #[test]
    fn harm_is_worse_than_the_noise_and_little_data_says_nothing() {
        let signal = |before: f64, after: f64, points: usize| Signal {
            name: "error ratio".into(),
            before: (0..points).map(|i| before + if i % 2 == 0 { 0.01 } else { -0.01 }).collect(),
            after: vec![after; points],
        };
        for (before, after, points, expect) in [
            (0.05, 0.05, 200, Standing::Verified),
            (0.05, 0.065, 200, Standing::Verified),
            (0.05, 0.2, 200, Standing::Reverted),
            (0.05, 0.2, 99, Standing::Inconclusive),
        ] {
            assert_eq!(judge(&[signal(before, after, points)]).0, expect, "{before} -> {after}");
        }
    }
}
