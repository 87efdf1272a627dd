//! `info`: adds the labels of info series to the series they describe.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Column, Eval, Evaluator, Grid, Val, merge_same_labels};
use crate::ast::{Call, Expr};
use crate::error::QueryError;
use crate::labels::{Labels, METRIC_NAME, Matcher};
use crate::number::is_stale;

/// The labels that say which target a series belongs to.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Target and info metric: what the two sides meet on.
fn signature(labels: &Labels, metric: &str) -> Labels {
    labels.filter(|n| IDENTIFYING.contains(&n)).with(METRIC_NAME, metric)
}

/// Data label matchers by label, the name's left out.
type DataMatchers<'a> = BTreeMap<&'a str, Vec<&'a Matcher>>;

impl Evaluator<'_> {
    pub(super) fn info(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let base = self.vector(&call.args[0], grid)?;
        // Preparation adds the selector of the default info metric when there is none.
        let Some(Expr::Vector(selector)) = call.args.get(1) else {
            return Ok(Val::Vector(base));
        };
        let mut data: DataMatchers<'_> = BTreeMap::new();
        let mut names: Vec<&Matcher> = Vec::new();
        for matcher in &selector.matchers {
            if matcher.name == METRIC_NAME {
                names.push(matcher);
            } else {
                data.entry(&matcher.name).or_default().push(matcher);
            }
        }
        let is_info = |labels: &Labels| names.iter().any(|m| m.matches(labels.metric_name()));
        let mut wanted: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for column in base.iter().filter(|c| !is_info(&c.labels)) {
            for name in IDENTIFYING.into_iter().filter(|n| column.labels.has(n)) {
                wanted.entry(name).or_default().insert(column.labels.get(name));
            }
        }
        let mut infos = if wanted.is_empty() { Vec::new() } else { self.instant(selector, grid, true)? };
        infos.retain(|info| wanted.iter().all(|(name, values)| values.contains(info.labels.get(name))));
        let mut out: Vec<Column> = Vec::new();
        let mut index: HashMap<(usize, Labels), usize> = HashMap::new();
        let metrics: HashSet<&str> = infos.iter().map(|i| i.labels.metric_name()).collect();
        for i in 0..grid.n {
            let found = newest_infos(&infos, i)?;
            for (b, column) in base.iter().enumerate() {
                let Some(point) = column.point(i) else {
                    continue;
                };
                let labels = if is_info(&column.labels) {
                    Some(column.labels.clone())
                } else {
                    enriched(&column.labels, &metrics, &found, &infos, &data)?
                };
                let Some(labels) = labels else { continue };
                let at = *index.entry((b, labels)).or_insert_with_key(|(_, labels)| {
                    let mut fresh = Column::empty(labels.clone(), grid.n);
                    fresh.drop_name = column.drop_name;
                    out.push(fresh);
                    out.len() - 1
                });
                out[at].set(i, point);
            }
        }
        Ok(Val::Vector(merge_same_labels(out)?))
    }
}

/// Per signature the info series with the newest sample at a step.
fn newest_infos(infos: &[Column], i: usize) -> Eval<HashMap<Labels, usize>> {
    let mut found: HashMap<Labels, usize> = HashMap::new();
    for (c, info) in infos.iter().enumerate() {
        if is_stale(info.floats[i]) {
            continue;
        }
        let key = signature(&info.labels, info.labels.metric_name());
        match found.get(&key) {
            Some(other) if infos[*other].floats[i] > info.floats[i] => {}
            Some(other) if infos[*other].floats[i] == info.floats[i] => {
                let t_ms = (info.floats[i] * 1000.0).round() as i64;
                return Err(QueryError::execution(format!(
                    "found duplicate series for info metric: existing {} @ {t_ms}, new {} @ {t_ms}",
                    infos[*other].labels, info.labels
                )));
            }
            _ => {
                found.insert(key, c);
            }
        }
    }
    Ok(found)
}

/// The labels of a series with those of its info series; nothing when a data label that must be
/// there is missing.
fn enriched(
    labels: &Labels,
    metrics: &HashSet<&str>,
    found: &HashMap<Labels, usize>,
    infos: &[Column],
    data: &DataMatchers<'_>,
) -> Eval<Option<Labels>> {
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    let mut matched = false;
    for metric in metrics {
        let Some(info) = found.get(&signature(labels, metric)) else {
            continue;
        };
        matched = true;
        for (name, value) in infos[*info].labels.iter() {
            if name == METRIC_NAME || (!data.is_empty() && !data.contains_key(name)) {
                continue;
            }
            if added.get(name).is_some_and(|known| *known != value) {
                return Err(QueryError::execution(format!("conflicting label: {name}")));
            }
            if !labels.has(name) {
                added.insert(name, value);
            }
        }
    }
    let all_match_empty = data.values().flatten().all(|m| m.matches(""));
    if !matched && !all_match_empty {
        return Ok(None);
    }
    let mut pairs: Vec<(String, String)> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    pairs.extend(added.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
    Ok(Some(Labels::new(pairs)))
}
