//! Binary operators between vectors: which series meet, and what the result is called.

use std::collections::{HashMap, HashSet};

use super::binop::point_op;
use super::{Column, Eval, Evaluator, Grid, Point, same_labelset};
use crate::ast::{BinOp, Binary, Cardinality, Matching};
use crate::error::QueryError;
use crate::labels::Labels;
use crate::number::STALE;

/// Match groups of both sides: per column the number of its group.
struct Groups {
    left: Vec<usize>,
    right: Vec<usize>,
    keys: Vec<Labels>,
}

fn groups(left: &[Column], right: &[Column], matching: &Matching) -> Groups {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut keys = Vec::new();
    let mut number = |column: &Column| {
        let key = column.labels.match_labels(matching.on, &matching.labels);
        *index.entry(key.clone()).or_insert_with(|| {
            keys.push(key);
            keys.len() - 1
        })
    };
    let left = left.iter().map(&mut number).collect();
    let right = right.iter().map(&mut number).collect();
    Groups { left, right, keys }
}

static DEFAULT_MATCHING: Matching = Matching {
    card: Cardinality::OneToOne,
    on: false,
    labels: Vec::new(),
    include: Vec::new(),
    fill_left: None,
    fill_right: None,
};

/// What the "one" side looks like at one step.
struct OneSide {
    /// Column of each group at the current step.
    column: Vec<Option<usize>>,
}

impl OneSide {
    fn at(columns: &[Column], groups: &[usize], keys: &[Labels], i: usize, is_right: bool) -> Eval<Self> {
        let mut column: Vec<Option<usize>> = vec![None; keys.len()];
        for (c, group) in groups.iter().enumerate() {
            if !columns[c].has(i) {
                continue;
            }
            if let Some(other) = column[*group].replace(c) {
                let side = if is_right { "right" } else { "left" };
                return Err(QueryError::execution(format!(
                    "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];many-to-many matching not allowed: matching labels must be unique on one side",
                    keys[*group], columns[c].labels, columns[other].labels
                )));
            }
        }
        Ok(Self { column })
    }
}

/// Columns of a result under construction, found by label set.
struct Results {
    columns: Vec<Column>,
    index: HashMap<Labels, usize>,
    n: usize,
}

impl Results {
    fn put(&mut self, labels: Labels, drop_name: bool, i: usize, point: Point) -> Eval<()> {
        let n = self.n;
        let columns = &mut self.columns;
        let at = *self.index.entry(labels).or_insert_with_key(|labels| {
            let mut column = Column::empty(labels.clone(), n);
            column.drop_name = drop_name;
            columns.push(column);
            columns.len() - 1
        });
        if columns[at].has(i) {
            return Err(same_labelset());
        }
        columns[at].set(i, point);
        Ok(())
    }
}

/// Labels of the result of one pair; `many` is the left side unless sides were swapped.
fn result_labels(many: &Labels, one: &Labels, op: BinOp, matching: &Matching) -> Labels {
    let mut labels = if op.changes_metric() { many.without_metadata() } else { many.clone() };
    if matching.card == Cardinality::OneToOne {
        labels = labels.filter(|n| matching.on == matching.labels.iter().any(|l| l == n));
    }
    for name in &matching.include {
        labels = labels.with(name, one.get(name));
    }
    labels
}

struct Step<'a> {
    binary: &'a Binary,
    matching: &'a Matching,
    i: usize,
    /// Result label sets per group, to find two of the same.
    seen: HashMap<usize, HashSet<Labels>>,
}

/// `and`, `or`, `unless`.
pub(super) fn set_operation(binary: &Binary, mut left: Vec<Column>, mut right: Vec<Column>, grid: Grid) -> Vec<Column> {
    let matching = binary.matching.as_ref().unwrap_or(&DEFAULT_MATCHING);
    let groups = groups(&left, &right, matching);
    let mut present = vec![false; groups.keys.len()];
    for i in 0..grid.n {
        present.fill(false);
        let (from, of, to, to_of) = if binary.op == BinOp::Or {
            (&left, &groups.left, &mut right, &groups.right)
        } else {
            (&right, &groups.right, &mut left, &groups.left)
        };
        for (column, group) in from.iter().zip(of) {
            present[*group] |= column.has(i);
        }
        let keep_present = binary.op == BinOp::And;
        for (column, group) in to.iter_mut().zip(to_of) {
            if present[*group] != keep_present {
                column.floats[i] = STALE;
                if let Some(hists) = &mut column.hists {
                    hists[i] = None;
                }
            }
        }
    }
    if binary.op == BinOp::Or {
        return union(left, right);
    }
    left.retain(|c| !c.is_empty());
    left
}

impl Evaluator<'_> {
    pub(super) fn vector_vector(
        &mut self,
        binary: &Binary,
        left: Vec<Column>,
        right: Vec<Column>,
        grid: Grid,
    ) -> Eval<Vec<Column>> {
        let matching = binary.matching.as_ref().unwrap_or(&DEFAULT_MATCHING);
        let mut groups = groups(&left, &right, matching);
        let swapped = matching.card == Cardinality::OneToMany;
        let (many, one) = if swapped { (right, left) } else { (left, right) };
        if swapped {
            std::mem::swap(&mut groups.left, &mut groups.right);
        }
        let mut results = Results { columns: Vec::new(), index: HashMap::new(), n: grid.n };
        let has_fill = matching.fill_left.is_some() || matching.fill_right.is_some();
        // The fill of the left side serves the "many" side, whichever side that is.
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        for i in 0..grid.n {
            self.interrupt.check()?;
            let any_many = many.iter().any(|c| c.has(i));
            let any_one = one.iter().any(|c| c.has(i));
            if !(any_many && any_one || has_fill && (any_many || any_one)) {
                continue;
            }
            let ones = OneSide::at(&one, &groups.right, &groups.keys, i, !swapped)?;
            let mut met = vec![false; groups.keys.len()];
            let mut step = Step { binary, matching, i, seen: HashMap::new() };
            for (column, group) in many.iter().zip(&groups.left) {
                let Some(point) = column.point(i) else {
                    continue;
                };
                met[*group] = true;
                let found = ones.column[*group].and_then(|c| {
                    let point = one[c].point(i)?;
                    Some((&one[c].labels, point))
                });
                let filled = fill_one.map(|v| (&groups.keys[*group], Point::Float(v)));
                if let Some(partner) = found.or(filled) {
                    self.pair(&mut step, *group, (&column.labels, point), partner, &mut results)?;
                }
            }
            let Some(fill) = fill_many else { continue };
            for (group, column) in ones.column.iter().enumerate() {
                let Some(column) = column.filter(|_| !met[group]).map(|c| &one[c]) else {
                    continue;
                };
                let Some(point) = column.point(i) else {
                    continue;
                };
                let filled = (&groups.keys[group], Point::Float(fill));
                self.pair(&mut step, group, filled, (&column.labels, point), &mut results)?;
            }
        }
        Ok(results.columns)
    }

    fn pair(
        &mut self,
        step: &mut Step<'_>,
        group: usize,
        (many_labels, many): (&Labels, Point),
        (one_labels, one): (&Labels, Point),
        results: &mut Results,
    ) -> Eval<()> {
        let (binary, matching) = (step.binary, step.matching);
        let (a, b) = if matching.card == Cardinality::OneToMany { (&one, &many) } else { (&many, &one) };
        let mut note = None;
        let outcome = point_op(binary.op, a, b, &mut note);
        let failed = note.is_some() && outcome.is_none();
        if let Some(note) = note {
            self.note(note, binary.span);
        }
        let point = match outcome {
            _ if binary.return_bool && !failed => {
                let yes = outcome.is_some_and(|o| o.keep);
                Point::Float(f64::from(u8::from(yes)))
            }
            Some(o) if o.keep => o.point,
            _ => return Ok(()),
        };
        let mut labels = result_labels(many_labels, one_labels, binary.op, matching);
        if binary.return_bool && !self.options.delayed_name_removal {
            labels = labels.without_metadata();
        }
        let is_new = step.seen.entry(group).or_default().insert(labels.clone());
        if matching.card == Cardinality::OneToOne {
            if step.seen[&group].len() > 1 || !is_new {
                return Err(QueryError::execution(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
                ));
            }
        } else if !is_new {
            return Err(QueryError::execution(
                "multiple matches for labels: grouping labels must ensure unique matches",
            ));
        }
        results.put(labels, binary.return_bool, step.i, point)
    }
}

/// All of the left side, and of the right side what is not empty; series of one name join.
fn union(left: Vec<Column>, right: Vec<Column>) -> Vec<Column> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut out: Vec<Column> = Vec::with_capacity(left.len() + right.len());
    for column in left.into_iter().chain(right) {
        if column.is_empty() {
            continue;
        }
        let Some(&at) = index.get(&column.labels) else {
            index.insert(column.labels.clone(), out.len());
            out.push(column);
            continue;
        };
        for i in 0..column.floats.len() {
            if let Some(point) = column.point(i)
                && !out[at].has(i)
            {
                out[at].set(i, point);
            }
        }
    }
    out
}
