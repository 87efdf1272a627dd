//! The jobs a matrix gives.
//!
//! The product of all vectors, then `exclude` (a partial match removes), then `include`: an entry joins every
//! combination whose vector values it does not contradict, else it becomes a combination of its own. Values that
//! earlier entries added may be overwritten by later ones, vector values never.

use crate::expr::{Object, Value};
use std::sync::Arc;

/// Most jobs one matrix may give.
pub const MAX_JOBS: usize = 256;
/// Longest job name; what is longer ends in `...`.
pub const MAX_NAME_CHARS: usize = 100;

/// One job of a matrix.
#[derive(Clone, Debug)]
pub struct Combination {
    /// The `matrix` context.
    pub values: Value,
    /// Values that appear in the job's name: those of the vectors, or all of an entry of its own.
    pub shown: Vec<String>,
}

impl Combination {
    /// `test (1, linux)`; just the name when there is nothing to show.
    pub fn name(&self, job: &str) -> String {
        let name = match self.shown.as_slice() {
            [] => job.to_owned(),
            shown => format!("{job} ({})", shown.join(", ")),
        };
        if name.chars().count() > MAX_NAME_CHARS {
            return name.chars().take(MAX_NAME_CHARS - 3).collect::<String>() + "...";
        }
        name
    }
}

/// Why a matrix gives no jobs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatrixError {
    /// It is not a mapping.
    #[error("matrix must be a mapping, not {0}")]
    NotMapping(&'static str),
    /// A vector is not a list.
    #[error("matrix vector '{0}' must be a list, not {1}")]
    NotList(String, &'static str),
    /// A vector is empty.
    #[error("Matrix vector '{0}' does not contain any values")]
    EmptyVector(String),
    /// `include` or `exclude` holds something else than mappings.
    #[error("entries of matrix '{0}' must be mappings with at least one key")]
    Entry(&'static str),
    /// A key of `exclude` names no vector.
    #[error("Matrix exclude key '{0}' does not match any key within the matrix")]
    UnknownKey(String),
    /// Nothing is defined.
    #[error("Matrix must define at least one vector")]
    Empty,
    /// More than [`MAX_JOBS`].
    #[error("the matrix gives {0} jobs; at most {MAX_JOBS} are allowed")]
    TooMany(usize),
}

type Vector = (String, Arc<[Value]>);
type Pairs = Vec<(String, Value)>;

/// All combinations of a matrix whose expressions are evaluated.
pub fn expand(matrix: &Value) -> Result<Vec<Combination>, MatrixError> {
    let entries = matrix.as_object().ok_or(MatrixError::NotMapping(matrix.kind()))?;
    let vectors = vectors(entries)?;
    let includes = list(entries, "include")?;
    let excludes = list(entries, "exclude")?;
    for key in excludes.iter().flat_map(|entry| entry.iter().map(|(key, _)| key)) {
        if !is_vector(&vectors, key) {
            return Err(MatrixError::UnknownKey(key.clone()));
        }
    }
    if vectors.is_empty() && includes.is_empty() {
        return Err(MatrixError::Empty);
    }
    let size = product_size(&vectors)?;
    let mut joined = vec![false; includes.len()];
    let mut found = vec![];
    for index in 0..size {
        let mut values = product(&vectors, index, size);
        if excludes.iter().any(|entry| agrees(entry, &values, |_| true)) {
            continue;
        }
        let shown = shown(&values);
        let of_vectors = values.clone();
        for (entry, joined) in includes.iter().zip(&mut joined) {
            if agrees(entry, &of_vectors, |key| is_vector(&vectors, key)) {
                *joined = true;
                let extra = entry.iter().filter(|(key, _)| !is_vector(&vectors, key));
                extra.for_each(|(key, value)| put(&mut values, key, value));
            }
        }
        found.push(Combination { values: Value::object(values), shown });
    }
    for (entry, _) in includes.into_iter().zip(joined).filter(|(_, joined)| !joined) {
        found.push(Combination { shown: shown(&entry), values: Value::object(entry) });
    }
    if found.len() > MAX_JOBS {
        return Err(MatrixError::TooMany(found.len()));
    }
    Ok(found)
}

fn vectors(entries: &Object) -> Result<Vec<Vector>, MatrixError> {
    let mut vectors = vec![];
    for (key, value) in entries.iter().filter(|(key, _)| !matches!(*key, "include" | "exclude")) {
        let Some(items) = value.items() else { return Err(MatrixError::NotList(key.to_owned(), value.kind())) };
        if items.is_empty() {
            return Err(MatrixError::EmptyVector(key.to_owned()));
        }
        vectors.push((key.to_owned(), items.into()));
    }
    Ok(vectors)
}

fn list(entries: &Object, name: &'static str) -> Result<Vec<Pairs>, MatrixError> {
    let Some(value) = entries.get(name) else { return Ok(vec![]) };
    if matches!(value, Value::Null) {
        return Ok(vec![]);
    }
    let items = value.items().ok_or_else(|| MatrixError::NotList(name.to_owned(), value.kind()))?;
    let pairs = |item: &Value| {
        let entry = item.as_object().filter(|entry| !entry.is_empty()).ok_or(MatrixError::Entry(name))?;
        Ok(entry.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect())
    };
    items.iter().map(pairs).collect()
}

fn is_vector(vectors: &[Vector], key: &str) -> bool {
    vectors.iter().any(|(name, _)| name.eq_ignore_ascii_case(key))
}

/// Combinations before `exclude`; the bound keeps a product of large vectors from being walked.
fn product_size(vectors: &[Vector]) -> Result<usize, MatrixError> {
    const MAX_PRODUCT: usize = 1_000_000;
    if vectors.is_empty() {
        return Ok(0);
    }
    let size = vectors.iter().fold(1_usize, |size, (_, items)| size.saturating_mul(items.len()));
    if size > MAX_PRODUCT { Err(MatrixError::TooMany(size)) } else { Ok(size) }
}

fn product(vectors: &[Vector], index: usize, size: usize) -> Pairs {
    let mut block = size;
    let pick = |(name, items): &Vector| {
        block /= items.len();
        (name.clone(), items[(index / block) % items.len()].clone())
    };
    vectors.iter().map(pick).collect()
}

/// Whether every value of an entry that counts is that of the combination; deep values part by part.
fn agrees(entry: &Pairs, values: &Pairs, counts: impl Fn(&str) -> bool) -> bool {
    let find = |key: &str| values.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
    entry.iter().filter(|(key, _)| counts(key)).all(|(key, wanted)| contains(find(key).unwrap_or(&Value::Null), wanted))
}

fn contains(value: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Object(entries) => {
            entries.iter().all(|(key, wanted)| contains(value.get(key).unwrap_or(&Value::Null), wanted))
        }
        Value::Array(items) | Value::Filtered(items) => items.iter().enumerate().all(|(at, wanted)| {
            contains(value.items().and_then(|items| items.get(at)).unwrap_or(&Value::Null), wanted)
        }),
        literal => value.loosely_equals(literal),
    }
}

fn put(values: &mut Pairs, key: &str, value: &Value) {
    match values.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(key)) {
        Some((_, old)) => *old = value.clone(),
        None => values.push((key.to_owned(), value.clone())),
    }
}

/// Literals of a combination, nested ones too, in order.
fn shown(values: &Pairs) -> Vec<String> {
    fn walk(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Array(items) | Value::Filtered(items) => items.iter().for_each(|item| walk(item, into)),
            Value::Object(object) => object.iter().for_each(|(_, item)| walk(item, into)),
            literal => into.extend(Some(literal.to_text()).filter(|text| !text.is_empty())),
        }
    }
    let mut into = vec![];
    for (_, value) in values {
        walk(value, &mut into);
    }
    into
}

/// The `strategy` context of one of `total` jobs.
pub fn strategy_context(fail_fast: bool, max_parallel: Option<usize>, index: usize, total: usize) -> Value {
    Value::object([
        ("fail-fast", Value::Bool(fail_fast)),
        ("job-index", Value::Number(index as f64)),
        ("job-total", Value::Number(total as f64)),
        ("max-parallel", Value::Number(max_parallel.unwrap_or(total) as f64)),
    ])
}
