//! Silences: which alerts nobody is told of, until when, who wants it and why (Alertmanager 0.34, "Silences").
//!
//! A silence is a fact in the ledger, so it survives whatever ends the program; what is silent now is a fold over those
//! facts. Time is an argument everywhere.

use crate::events::{SilenceCreated, SilenceExpired};
use crate::notify::matcher::{LabelMatcher, all_match};
use jiff::{SignedDuration, Timestamp};
use lem_ledger::{LedgerError, Projection};
use lem_model::{Event, SilenceId, fact::SilenceMatcher};
use serde::Serialize;
use std::collections::BTreeMap;
use thiserror::Error;

/// Silences that are not over, at once.
pub const MAX_SILENCES: usize = 10_000;
/// Matchers of one silence.
pub const MAX_MATCHERS: usize = 100;
/// Bytes of the author, of the comment and of each matcher.
pub const MAX_TEXT_BYTES: usize = 4_096;
/// How long a silence that is over is still shown.
pub const RETENTION: SignedDuration = SignedDuration::from_hours(120);
/// Every so many silences those that are long over are forgotten.
const PURGE_EVERY: usize = 64;

/// Where a silence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// It holds.
    Active,
    /// It begins later.
    Pending,
    /// It is over.
    Expired,
}

/// A silence.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// Id.
    pub id: SilenceId,
    /// Where it stands now.
    pub state: SilenceState,
    /// All must match.
    pub matchers: Vec<SilenceMatcher>,
    /// From.
    pub starts_at: Timestamp,
    /// Until.
    pub ends_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// A silence somebody asks for. With the id of one that is there it is changed; where that cannot be, the old one ends and
/// a new one begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewSilence {
    /// The one to change.
    pub id: Option<SilenceId>,
    /// All must match.
    pub matchers: Vec<SilenceMatcher>,
    /// From; now when absent or past.
    pub starts_at: Option<Timestamp>,
    /// Until.
    pub ends_at: Timestamp,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// Why a silence could not be made or ended.
#[derive(Debug, Error)]
pub enum SilenceError {
    /// It is not one.
    #[error("invalid silence: {0}")]
    Invalid(String),
    /// There is none of this id.
    #[error("silence {0} is not there")]
    Missing(SilenceId),
    /// It is over already.
    #[error("silence {0} is over already")]
    Over(SilenceId),
    /// There are too many.
    #[error("there are {MAX_SILENCES} silences already; let some end")]
    TooMany,
    /// It could not be kept.
    #[error("the silence could not be recorded")]
    Ledger(#[from] LedgerError),
}

/// A silence as the facts say it.
#[derive(Clone, Debug)]
struct Kept {
    fact: SilenceCreated,
    matchers: Vec<LabelMatcher>,
    updated_at: Timestamp,
}

/// All silences: a fold over the ledger.
#[derive(Clone, Debug, Default)]
pub struct Silences(BTreeMap<SilenceId, Kept>);

impl Projection for Silences {
    const NAME: &'static str = "silences";
    const VERSION: u32 = 1;

    fn apply(&mut self, event: &Event) {
        let at = event.time_occurred;
        if let Some(fact) = event.read::<SilenceCreated>() {
            // What does not read as matchers never silences anything.
            let Ok(matchers) = compiled(&fact.matchers) else { return };
            if self.0.len().is_multiple_of(PURGE_EVERY) {
                self.0.retain(|_, kept| kept.fact.ends_at.saturating_add(RETENTION).is_ok_and(|until| until > at));
            }
            self.0.insert(fact.silence.clone(), Kept { fact, matchers, updated_at: at });
        } else if let Some(fact) = event.read::<SilenceExpired>()
            && let Some(kept) = self.0.get_mut(&fact.silence)
        {
            kept.fact.starts_at = kept.fact.starts_at.min(at);
            kept.fact.ends_at = kept.fact.ends_at.min(at);
            kept.updated_at = at;
        }
    }
}

fn state(fact: &SilenceCreated, now: Timestamp) -> SilenceState {
    if fact.ends_at <= now {
        SilenceState::Expired
    } else if fact.starts_at > now {
        SilenceState::Pending
    } else {
        SilenceState::Active
    }
}

fn compiled(matchers: &[SilenceMatcher]) -> Result<Vec<LabelMatcher>, String> {
    matchers.iter().map(LabelMatcher::of_silence).collect()
}

/// What has to be said for a silence that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The silence is changed.
    Update(SilenceCreated),
    /// A new one, and the one that ends for it.
    Replace(SilenceCreated, Option<SilenceId>),
}

impl Silences {
    /// All of them: active first, then pending, then those that are over, each by end.
    pub fn list(&self, now: Timestamp) -> Vec<Silence> {
        let mut all: Vec<Silence> = self.0.values().map(|kept| shown(kept, now)).collect();
        all.retain(|s| s.state != SilenceState::Expired || s.ends_at.saturating_add(RETENTION).is_ok_and(|t| t > now));
        all.sort_by(|a, b| (a.state, a.ends_at, &a.id).cmp(&(b.state, b.ends_at, &b.id)));
        all
    }

    /// One of them.
    pub fn get(&self, id: &SilenceId, now: Timestamp) -> Option<Silence> {
        self.0.get(id).map(|kept| shown(kept, now))
    }

    /// The active ones that match.
    pub fn silencing(&self, labels: &BTreeMap<String, String>, now: Timestamp) -> Vec<SilenceId> {
        let holds = |kept: &&Kept| state(&kept.fact, now) == SilenceState::Active && all_match(&kept.matchers, labels);
        self.0.values().filter(holds).map(|kept| kept.fact.silence.clone()).collect()
    }

    /// What a wish comes to; `fresh` is the id of a new silence.
    pub fn plan(&self, new: NewSilence, fresh: SilenceId, now: Timestamp) -> Result<Change, SilenceError> {
        check(&new, now).map_err(SilenceError::Invalid)?;
        let starts_at = new.starts_at.unwrap_or(now);
        let fact = |silence: SilenceId, starts_at: Timestamp| SilenceCreated {
            silence,
            matchers: new.matchers.clone(),
            starts_at,
            ends_at: new.ends_at,
            created_by: new.created_by.as_str().into(),
            comment: new.comment.clone(),
        };
        let before = match &new.id {
            Some(id) => Some(self.0.get(id).ok_or_else(|| SilenceError::Missing(id.clone()))?),
            None => None,
        };
        if let Some(kept) = before
            && kept.fact.matchers == new.matchers
        {
            let same = match state(&kept.fact, now) {
                SilenceState::Active => starts_at == kept.fact.starts_at || new.starts_at.is_none(),
                SilenceState::Pending => starts_at >= now,
                SilenceState::Expired => false,
            };
            if same {
                let starts_at =
                    if state(&kept.fact, now) == SilenceState::Active { kept.fact.starts_at } else { starts_at };
                return Ok(Change::Update(fact(kept.fact.silence.clone(), starts_at)));
            }
        }
        if self.0.values().filter(|k| state(&k.fact, now) != SilenceState::Expired).count() >= MAX_SILENCES {
            return Err(SilenceError::TooMany);
        }
        let ends = before.filter(|k| state(&k.fact, now) != SilenceState::Expired).map(|k| k.fact.silence.clone());
        Ok(Change::Replace(fact(fresh, starts_at.max(now)), ends))
    }

    /// Whether a silence can be ended.
    pub fn may_expire(&self, id: &SilenceId, now: Timestamp) -> Result<(), SilenceError> {
        let kept = self.0.get(id).ok_or_else(|| SilenceError::Missing(id.clone()))?;
        if state(&kept.fact, now) == SilenceState::Expired { Err(SilenceError::Over(id.clone())) } else { Ok(()) }
    }
}

fn shown(kept: &Kept, now: Timestamp) -> Silence {
    let fact = &kept.fact;
    Silence {
        id: fact.silence.clone(),
        state: state(fact, now),
        matchers: fact.matchers.clone(),
        starts_at: fact.starts_at,
        ends_at: fact.ends_at,
        updated_at: kept.updated_at,
        created_by: fact.created_by.to_string(),
        comment: fact.comment.clone(),
    }
}

fn check(new: &NewSilence, now: Timestamp) -> Result<(), String> {
    if new.matchers.is_empty() {
        return Err("at least one matcher is needed".into());
    }
    if new.matchers.len() > MAX_MATCHERS {
        return Err(format!("{} matchers; the limit is {MAX_MATCHERS}", new.matchers.len()));
    }
    for (what, text) in [("createdBy", &new.created_by), ("comment", &new.comment)] {
        if text.trim().is_empty() {
            return Err(format!("{what} is missing: say who silences and why"));
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err(format!("{what} has {} bytes; the limit is {MAX_TEXT_BYTES}", text.len()));
        }
    }
    for matcher in &new.matchers {
        if matcher.name.is_empty() {
            return Err("a matcher names no label".into());
        }
        if matcher.name.len() + matcher.value.len() > MAX_TEXT_BYTES {
            return Err(format!("a matcher is longer than {MAX_TEXT_BYTES} bytes"));
        }
    }
    let matchers = compiled(&new.matchers)?;
    if all_match(&matchers, &BTreeMap::new()) {
        return Err("at least one matcher must not match the empty string, or everything is silent".into());
    }
    if new.ends_at <= now {
        return Err("it must not end in the past".into());
    }
    if new.starts_at.is_some_and(|starts| starts >= new.ends_at) {
        return Err("it must start before it ends".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use lem_model::NewEvent;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn is(name: &str, value: &str) -> SilenceMatcher {
        SilenceMatcher { name: name.into(), value: value.into(), is_regex: false, is_equal: true }
    }

    fn wish(id: Option<&str>, matchers: &[SilenceMatcher], from: Option<i64>, to: i64) -> NewSilence {
        NewSilence {
            id: id.map(SilenceId::from),
            matchers: matchers.to_vec(),
            starts_at: from.map(at),
            ends_at: at(to),
            created_by: "ann".into(),
            comment: "maintenance".into(),
        }
    }

    fn event<F: lem_model::Fact>(fact: &F, second: i64) -> Event {
        let NewEvent { id, kind, time_occurred, source, subject, chain, payload } =
            NewEvent::of(fact, format!("e{second}"), at(second), "/t").unwrap();
        Event { seq: 0, id, kind, time_occurred, time_received: time_occurred, source, subject, chain, payload }
    }

    fn made(silences: &mut Silences, wish: NewSilence, fresh: &str, second: i64) -> Change {
        let change = silences.plan(wish, fresh.into(), at(second)).unwrap();
        match &change {
            Change::Update(fact) => silences.apply(&event(fact, second)),
            Change::Replace(fact, old) => {
                if let Some(old) = old {
                    let fact = SilenceExpired { silence: old.clone(), by: "ann".into() };
                    silences.apply(&event(&fact, second));
                }
                silences.apply(&event(fact, second));
            }
        }
        change
    }

    fn states(silences: &Silences, second: i64) -> Vec<String> {
        let all = silences.list(at(second));
        all.iter().map(|s| format!("{} {:?} {}", s.id, s.state, s.ends_at.as_second())).collect()
    }

    #[test]
    fn they_begin_hold_and_end() {
        let mut all = Silences::default();
        made(&mut all, wish(None, &[is("team", "a")], None, 100), "one", 10);
        made(&mut all, wish(None, &[is("team", "b")], Some(50), 200), "two", 10);
        let labels = |team: &str| -> BTreeMap<String, String> { [("team".to_owned(), team.to_owned())].into() };
        assert_eq!(all.silencing(&labels("a"), at(10)), [SilenceId::from("one")]);
        assert!(all.silencing(&labels("a"), at(100)).is_empty(), "the end is not in it");
        assert!(all.silencing(&labels("b"), at(49)).is_empty());
        assert_eq!(all.silencing(&labels("b"), at(50)), [SilenceId::from("two")]);
        assert_eq!(states(&all, 60), ["one Active 100", "two Active 200"]);
        assert_eq!(states(&all, 20), ["one Active 100", "two Pending 200"]);
        all.may_expire(&"two".into(), at(60)).unwrap();
        all.apply(&event(&SilenceExpired { silence: "two".into(), by: "ann".into() }, 60));
        assert_eq!(states(&all, 61), ["one Active 100", "two Expired 60"]);
        assert!(matches!(all.may_expire(&"two".into(), at(61)), Err(SilenceError::Over(_))));
        assert!(matches!(all.may_expire(&"none".into(), at(61)), Err(SilenceError::Missing(_))));
        let later = RETENTION.as_secs() + 61;
        assert_eq!(states(&all, later), ["one Expired 100"], "what is long over is not shown");
    }

    #[test]
    fn a_change_keeps_the_id_where_it_can() {
        let mut all = Silences::default();
        made(&mut all, wish(None, &[is("team", "a")], None, 100), "one", 10);
        let longer = made(&mut all, wish(Some("one"), &[is("team", "a")], None, 300), "new", 20);
        assert!(
            matches!(&longer, Change::Update(f) if f.silence == "one".into() && f.starts_at == at(10)),
            "{longer:?}"
        );
        made(&mut all, wish(Some("one"), &[is("team", "b")], None, 300), "two", 30);
        assert_eq!(states(&all, 31), ["two Active 300", "one Expired 30"]);
        let again = made(&mut all, wish(Some("one"), &[is("team", "a")], None, 300), "three", 40);
        assert!(matches!(again, Change::Replace(_, None)));
    }

    #[test]
    fn what_is_refused() {
        let check = |wish: NewSilence, expect: &str| {
            let error = Silences::default().plan(wish, "x".into(), at(10)).unwrap_err();
            assert_eq!(error.to_string(), expect);
        };
        let a = [is("team", "a")];
        check(wish(None, &[], None, 100), "invalid silence: at least one matcher is needed");
        check(
            wish(None, &[SilenceMatcher { is_regex: true, ..is("team", ".*") }], None, 100),
            "invalid silence: at least one matcher must not match the empty string, or everything is silent",
        );
        check(wish(None, &a, None, 10), "invalid silence: it must not end in the past");
        check(wish(None, &a, Some(200), 100), "invalid silence: it must start before it ends");
        check(
            NewSilence { comment: " ".into(), ..wish(None, &a, None, 100) },
            "invalid silence: comment is missing: say who silences and why",
        );
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        check(
            NewSilence { created_by: long, ..wish(None, &a, None, 100) },
            "invalid silence: createdBy has 4097 bytes; the limit is 4096",
        );
        check(
            wish(None, &vec![is("team", "a"); MAX_MATCHERS + 1], None, 100),
            "invalid silence: 101 matchers; the limit is 100",
        );
        check(wish(Some("none"), &a, None, 100), "silence none is not there");
        let mut full = Silences::default();
        let Ok(Change::Replace(fact, _)) = full.plan(wish(None, &a, None, 100), "0".into(), at(1)) else {
            panic!("a silence like any")
        };
        let kept = |n: usize| Kept {
            fact: SilenceCreated { silence: n.to_string().as_str().into(), ..fact.clone() },
            matchers: vec![],
            updated_at: at(1),
        };
        full.0.extend((0..MAX_SILENCES).map(kept).map(|kept| (kept.fact.silence.clone(), kept)));
        let error = full.plan(wish(None, &a, None, 100), "x".into(), at(10)).unwrap_err();
        assert!(matches!(error, SilenceError::TooMany));
    }
}
