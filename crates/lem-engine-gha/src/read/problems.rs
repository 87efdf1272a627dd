//! What is wrong with a file, and how much of it there may be.

use crate::token::{Kind, Token};
use lem_model::{Diagnostic, Place};

/// Smallest size of a value in the service's accounting.
const VALUE_BYTES: usize = 24;
/// Size of an empty text in the service's accounting; every UTF-16 unit adds two.
const TEXT_BYTES: usize = 26;

/// A problem, and where the workflow it stands in was called from.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) diagnostic: Diagnostic,
    pub(crate) caller: Option<Place>,
}

/// Collects problems, and counts the size of what was read.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    /// Size of all values read so far, called workflows included.
    pub(crate) bytes: usize,
}

impl Problems {
    pub(crate) fn at(&mut self, place: &Place, code: &str, message: &str) {
        self.with_hint(place, code, message, None);
    }

    pub(crate) fn token(&mut self, token: &Token, code: &str, message: &str) {
        self.at(&token.place, code, message);
    }

    pub(crate) fn with_hint(&mut self, place: &Place, code: &str, message: &str, hint: Option<String>) {
        let mut diagnostic = Diagnostic::error(code, message, place.clone());
        diagnostic.hint = hint;
        self.push(diagnostic);
    }

    /// A problem the service reports for the file as a whole.
    pub(crate) fn of_file(&mut self, file: &str, code: &str, message: &str) {
        self.at(&Place::file(file), code, message);
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.found.push(Problem { diagnostic, caller: None });
    }

    /// Whether there is an error.
    pub(crate) fn any(&self) -> bool {
        self.found.iter().any(|problem| problem.diagnostic.is_error())
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.found
    }

    /// Notes on every problem outside the caller's file where that file was called from.
    pub(crate) fn called_from(&mut self, caller: &Place) {
        for problem in &mut self.found {
            if problem.caller.is_none() && problem.diagnostic.place.file != caller.file {
                problem.caller = Some(caller.clone());
                problem.diagnostic.hint.get_or_insert_with(|| format!("called from {caller}"));
            }
        }
    }

    pub(crate) fn count(&mut self, kind: &Kind) {
        let text = match kind {
            Kind::String(text) => Some(text.as_str()),
            Kind::Expression(expr) => Some(expr.source()),
            _ => None,
        };
        self.bytes += VALUE_BYTES + text.map_or(0, |text| TEXT_BYTES + 2 * text.encode_utf16().count());
    }
}
