//! Ids of jobs and steps.

use std::collections::HashSet;

/// Length an id must stay below.
const MAX_LENGTH: usize = 100;
/// How often an implied id is tried with another number.
const MAX_ATTEMPTS: usize = 1000;

/// Ids taken in one scope; they ignore case.
#[derive(Debug, Default)]
pub(super) struct Ids {
    taken: HashSet<String>,
}

impl Ids {
    /// Takes an id the file gives.
    pub(super) fn add_known(&mut self, id: &str) -> Result<(), String> {
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !id.starts_with(first) || !id.chars().all(rest) || id.len() >= MAX_LENGTH {
            return Err(format!(
                "The identifier '{id}' is invalid. IDs may only contain alphanumeric characters, '_', and '-'. IDs must \
                 start with a letter or '_' and and must be less than {MAX_LENGTH} characters."
            ));
        }
        if id.starts_with("__") {
            return Err(format!("The identifier '{id}' is invalid. IDs starting with '__' are reserved."));
        }
        if !self.taken.insert(id.to_lowercase()) {
            return Err(format!("The identifier '{id}' may not be used more than once within the same scope."));
        }
        Ok(())
    }

    /// Takes an id nobody has, made from a text: `actions/checkout` gives `__actions_checkout`, then
    /// `__actions_checkout_2`.
    pub(super) fn implied(&mut self, text: &str) -> String {
        let legal = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
        let base: String = format!("__{text}").chars().map(legal).collect();
        for attempt in 1..MAX_ATTEMPTS {
            let suffix = if attempt == 1 { String::new() } else { format!("_{attempt}") };
            let kept = base.len().min(MAX_LENGTH - suffix.len());
            let candidate = format!("{}{suffix}", &base[..kept]);
            if self.taken.insert(candidate.to_lowercase()) {
                return candidate;
            }
        }
        // A job with a thousand equal steps: any name that is not taken will do.
        let candidate = format!("__{}", self.taken.len());
        self.taken.insert(candidate.clone());
        candidate
    }
}
