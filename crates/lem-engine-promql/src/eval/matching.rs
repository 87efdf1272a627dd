//! Binary operators between vectors: which series meet, and what the result is called.

use std::collections::HashMap;

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

/// Stands for a column that is not there but filled in.
const FILLED: usize = usize::MAX;

/// One partner of a pair: its column, or [`FILLED`].
struct Partner<'a> {
    column: usize,
    labels: &'a Labels,
    point: Point,
}

/// A result column, and by which group it last got a point.
struct ResultColumn {
    column: Column,
    last: (usize, usize),
}

/// Columns of a result under construction. Which column a pair goes to is worked out once.
#[derive(Default)]
struct Results {
    columns: Vec<ResultColumn>,
    by_labels: HashMap<Labels, usize>,
    by_pair: HashMap<(usize, usize), usize>,
    /// Per group, one more than the step at which it last yielded a point.
    last_step: HashMap<usize, usize>,
}

impl Results {
    fn column(&mut self, labels: Labels, drop_name: bool, n: usize) -> usize {
        let columns = &mut self.columns;
        *self.by_labels.entry(labels).or_insert_with_key(|labels| {
            let mut column = Column::empty(labels.clone(), n);
            column.drop_name = drop_name;
            columns.push(ResultColumn { column, last: (usize::MAX, 0) });
            columns.len() - 1
        })
    }

    fn put(&mut self, at: usize, group: usize, i: usize, card: Cardinality, point: Point) -> Eval<()> {
        let again = self.last_step.insert(group, i + 1) == Some(i + 1);
        if card == Cardinality::OneToOne && again {
            return Err(QueryError::execution(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            ));
        }
        let result = &mut self.columns[at];
        if result.column.has(i) {
            if result.last == (i, group) {
                return Err(QueryError::execution(
                    "multiple matches for labels: grouping labels must ensure unique matches",
                ));
            }
            return Err(same_labelset());
        }
        result.last = (i, group);
        result.column.set(i, point);
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
    grid: Grid,
    i: usize,
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
        let mut results = Results::default();
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
            let step = Step { binary, matching, grid, i };
            for (m, (column, group)) in many.iter().zip(&groups.left).enumerate() {
                let Some(point) = column.point(i) else {
                    continue;
                };
                met[*group] = true;
                let left = Partner { column: m, labels: &column.labels, point };
                let found = ones.column[*group].and_then(|c| {
                    let point = one[c].point(i)?;
                    Some(Partner { column: c, labels: &one[c].labels, point })
                });
                let right = found.or_else(|| filled(fill_one, &groups.keys[*group]));
                if let Some(right) = right {
                    self.pair(&step, *group, left, right, &mut results)?;
                }
            }
            for (group, c) in ones.column.iter().enumerate() {
                let Some(left) = filled(fill_many, &groups.keys[group]) else {
                    break;
                };
                let Some(c) = c.filter(|_| !met[group]) else {
                    continue;
                };
                if let Some(point) = one[c].point(i) {
                    let right = Partner { column: c, labels: &one[c].labels, point };
                    self.pair(&step, group, left, right, &mut results)?;
                }
            }
        }
        Ok(results.columns.into_iter().map(|r| r.column).collect())
    }

    fn pair(
        &mut self,
        step: &Step<'_>,
        group: usize,
        many: Partner<'_>,
        one: Partner<'_>,
        results: &mut Results,
    ) -> Eval<()> {
        let (binary, matching) = (step.binary, step.matching);
        let (a, b) =
            if matching.card == Cardinality::OneToMany { (&one.point, &many.point) } else { (&many.point, &one.point) };
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
        let key = (many.column, one.column);
        let at = match results.by_pair.get(&key) {
            Some(at) => *at,
            None => {
                let mut labels = result_labels(many.labels, one.labels, binary.op, matching);
                if binary.return_bool && !self.options.delayed_name_removal {
                    labels = labels.without_metadata();
                }
                let at = results.column(labels, binary.return_bool, step.grid.n);
                results.by_pair.insert(key, at);
                at
            }
        };
        results.put(at, group, step.i, matching.card, point)
    }
}

fn filled(value: Option<f64>, labels: &Labels) -> Option<Partner<'_>> {
    Some(Partner { column: FILLED, labels, point: Point::Float(value?) })
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
