//! The `feedback:` section of `lem.yaml`.

use lem_engine_yaml::{Node, Reader};
use std::time::Duration;

/// What may happen without a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollbackPolicy {
    /// A likely cause is rolled back at once.
    Automatic,
    /// The rollback is proposed; a person decides.
    Ask,
    /// Nothing is proposed.
    Off,
}

/// Configuration of the feedback.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What may happen without a person.
    pub rollback: RollbackPolicy,
    /// How long the symptom must stay in its band before an intervention counts as having helped.
    pub recovered_for: Duration,
    /// How long the symptom may take to return before an intervention counts as having failed.
    pub recovered_within: Duration,
    /// Automatic actions per service and hour, incidents together.
    pub hourly_limit: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rollback: RollbackPolicy::Ask,
            recovered_for: Duration::from_mins(5),
            recovered_within: Duration::from_mins(10),
            hourly_limit: 3,
        }
    }
}

impl Config {
    /// Reads the section; what is wrong is reported to the reader.
    pub fn read(reader: &Reader, node: &Node) -> Self {
        let mut config = Self::default();
        let Some(mut fields) = reader.fields(node, "feedback") else { return config };
        if let Some(policy) = fields.take("rollback") {
            match policy.text() {
                Some("automatic") => config.rollback = RollbackPolicy::Automatic,
                Some("ask") => config.rollback = RollbackPolicy::Ask,
                Some("off") => config.rollback = RollbackPolicy::Off,
                _ => reader.error(policy, "wrong-value", "rollback must be automatic, ask or off"),
            }
        }
        let mut duration = |key: &str, into: &mut Duration| {
            if let Some(ms) = fields.take(key).and_then(|n| reader.duration_ms(n, key)) {
                *into = Duration::from_millis(ms);
            }
        };
        duration("recoveredFor", &mut config.recovered_for);
        duration("recoveredWithin", &mut config.recovered_within);
        if let Some(limit) = fields.take("hourlyLimit").and_then(|n| reader.integer(n, "hourlyLimit")) {
            config.hourly_limit = u32::try_from(limit).unwrap_or(0);
        }
        fields.finish();
        config
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use lem_engine_yaml::{Options, parse_one};

    fn read(text: &str) -> (Config, Vec<String>) {
        let node = parse_one(text, "lem.yaml", Options::default()).0.unwrap();
        let reader = Reader::new("lem.yaml");
        let config = Config::read(&reader, &node);
        (config, reader.into_diagnostics().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_section_reads_and_complains_with_places() {
        let (config, none) = read("rollback: automatic\nrecoveredFor: 10s\n");
        assert_eq!(
            (config.rollback, config.recovered_for, none.len()),
            (RollbackPolicy::Automatic, Duration::from_secs(10), 0)
        );
        let (_, found) = read("rollback: maybe\nrecoverdFor: 10s\n");
        assert_eq!(found[0], "lem.yaml:1:11: rollback must be automatic, ask or off [wrong-value]");
        assert!(found[1].contains("did you mean \"recoveredFor\"?"), "{found:?}");
    }
}
