//! Function calls: dispatch, and the functions of instant vectors and scalars.

use super::dates::{at_seconds, date_function};
use super::{Column, Eval, Evaluator, Grid, Val, merge_same_labels};
use crate::annotations::Note;
use crate::ast::{Call, Expr, ValueType};
use crate::error::QueryError;
use crate::number::{STALE, is_stale};

/// A function of one number.
fn float_function(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "ceil" => f64::ceil,
        "floor" => f64::floor,
        "exp" => f64::exp,
        "sqrt" => f64::sqrt,
        "ln" => f64::ln,
        "log2" => f64::log2,
        "log10" => f64::log10,
        "sin" => f64::sin,
        "cos" => f64::cos,
        "tan" => f64::tan,
        "asin" => f64::asin,
        "acos" => f64::acos,
        "atan" => f64::atan,
        "sinh" => f64::sinh,
        "cosh" => f64::cosh,
        "tanh" => f64::tanh,
        "asinh" => f64::asinh,
        "acosh" => f64::acosh,
        "atanh" => f64::atanh,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "sgn" => |v| {
            if v < 0.0 {
                -1.0
            } else if v > 0.0 {
                1.0
            } else {
                v
            }
        },
        _ => return None,
    })
}

/// Go's `math.Min`: not-a-number wins.
pub(super) fn go_min(a: f64, b: f64) -> f64 {
    if a == f64::NEG_INFINITY || b == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.min(b)
    }
}

/// Go's `math.Max`: not-a-number wins.
pub(super) fn go_max(a: f64, b: f64) -> f64 {
    if a == f64::INFINITY || b == f64::INFINITY {
        f64::INFINITY
    } else if a.is_nan() || b.is_nan() {
        f64::NAN
    } else {
        a.max(b)
    }
}

impl Evaluator<'_> {
    pub(super) fn call(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        if call.args.iter().any(|a| a.value_type() == ValueType::Matrix) {
            return self.range_call(call, grid);
        }
        if let Some(f) = float_function(call.func) {
            return self.map_floats(call, grid, |_, v| f(v));
        }
        if let Some(f) = date_function(call.func) {
            if call.args.is_empty() {
                let mut column = Column::empty(crate::labels::Labels::default(), grid.n);
                for i in 0..grid.n {
                    column.floats[i] = at_seconds((grid.at(i).div_euclid(1000)) as f64, f);
                }
                return Ok(Val::Vector(vec![column]));
            }
            return self.map_floats(call, grid, |_, v| at_seconds(v, f));
        }
        match call.func {
            "time" => Ok(Val::Scalar((0..grid.n).map(|i| grid.at(i) as f64 / 1000.0).collect())),
            "pi" => Ok(Val::Scalar(vec![std::f64::consts::PI; grid.n])),
            "start" | "end" | "step" | "range" => Ok(self.query_constant(call.func, grid)),
            "min_of" | "max_of" => self.pick_scalar(call, grid),
            "vector" => {
                let mut column = Column::empty(crate::labels::Labels::default(), grid.n);
                column.floats = self.scalar(&call.args[0], grid)?;
                Ok(Val::Vector(vec![column]))
            }
            "scalar" => self.scalar_of_vector(call, grid),
            "absent" => self.absent(call, grid),
            "timestamp" => self.timestamp(call, grid),
            "clamp" | "clamp_min" | "clamp_max" => self.clamp(call, grid),
            "round" => self.round(call, grid),
            "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc" => self.sort(call, grid),
            "label_replace" => self.label_replace(call, grid),
            "label_join" => self.label_join(call, grid),
            "info" => self.info(call, grid),
            name if name.starts_with("histogram_") => self.histogram_call(call, grid),
            name => Err(QueryError::execution(format!("function {name} is not implemented"))),
        }
    }

    fn query_constant(&self, name: &str, grid: Grid) -> Val {
        let whole = self.query_grid;
        let ms = match name {
            "start" => whole.start,
            "end" => self.query_end,
            "step" => {
                if self.is_range {
                    whole.step
                } else {
                    0
                }
            }
            _ => self.query_end - whole.start,
        };
        Val::Scalar(vec![ms as f64 / 1000.0; grid.n])
    }

    fn pick_scalar(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let a = self.scalar(&call.args[0], grid)?;
        let b = self.scalar(&call.args[1], grid)?;
        let pick = if call.func == "min_of" { go_min } else { go_max };
        Ok(Val::Scalar(a.iter().zip(&b).map(|(a, b)| pick(*a, *b)).collect()))
    }

    /// Applies `f` to all floats of the first argument; histograms are left out.
    fn map_floats(&mut self, call: &Call, grid: Grid, f: impl Fn(usize, f64) -> f64) -> Eval<Val> {
        let columns = self.vector(&call.args[0], grid)?;
        let mut out = Vec::with_capacity(columns.len());
        for column in columns {
            let mut column = column.floats_only();
            self.drop_name(&mut column);
            for (i, v) in column.floats.iter_mut().enumerate() {
                if !is_stale(*v) {
                    *v = f(i, *v);
                }
            }
            if !column.is_empty() {
                out.push(column);
            }
        }
        Ok(Val::Vector(merge_same_labels(out)?))
    }

    fn scalar_of_vector(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let columns = self.vector(&call.args[0], grid)?;
        let values = (0..grid.n).map(|i| {
            let mut floats = columns.iter().map(|c| c.floats[i]).filter(|v| !is_stale(*v));
            match (floats.next(), floats.next()) {
                (Some(only), None) => only,
                _ => f64::NAN,
            }
        });
        Ok(Val::Scalar(values.collect()))
    }

    fn absent(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let columns = self.vector(&call.args[0], grid)?;
        let labels = super::range_fn::absent_labels(&call.args[0]);
        let mut column = Column::empty(labels, grid.n);
        for i in 0..grid.n {
            if !columns.iter().any(|c| c.has(i)) {
                column.floats[i] = 1.0;
            }
        }
        Ok(Val::Vector(if column.is_empty() { Vec::new() } else { vec![column] }))
    }

    /// Times of samples for a selector, times of evaluation for anything else.
    fn timestamp(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let mut columns = if let Expr::Vector(selector) = call.args[0].unwrap_paren() {
            self.instant(selector, grid, true)?
        } else {
            let mut columns = self.vector(&call.args[0], grid)?;
            for column in &mut columns {
                for i in 0..grid.n {
                    column.floats[i] = if column.has(i) { grid.at(i) as f64 / 1000.0 } else { STALE };
                }
                column.hists = None;
            }
            columns
        };
        for column in &mut columns {
            self.drop_name(column);
        }
        Ok(Val::Vector(merge_same_labels(columns)?))
    }

    fn clamp(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let mut bound = |arg: Option<&Expr>, default: f64| match arg {
            Some(arg) => self.scalar(arg, grid),
            None => Ok(vec![default; grid.n]),
        };
        let (low, high) = match call.func {
            "clamp_min" => (bound(call.args.get(1), 0.0)?, vec![f64::INFINITY; grid.n]),
            "clamp_max" => (vec![f64::NEG_INFINITY; grid.n], bound(call.args.get(1), 0.0)?),
            _ => (bound(call.args.get(1), 0.0)?, bound(call.args.get(2), 0.0)?),
        };
        self.map_floats(call, grid, |i, v| if high[i] < low[i] { STALE } else { go_max(low[i], go_min(high[i], v)) })
    }

    fn round(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        let nearest = match call.args.get(1) {
            Some(arg) => self.scalar(arg, grid)?,
            None => vec![1.0; grid.n],
        };
        self.map_floats(call, grid, |i, v| {
            let inverse = 1.0 / nearest[i];
            (v * inverse + 0.5).floor() / inverse
        })
    }

    fn sort(&mut self, call: &Call, grid: Grid) -> Eval<Val> {
        if self.is_range {
            self.note(Note::SortInRange, call.span);
        }
        let mut columns = self.vector(&call.args[0], grid)?;
        let descending = call.func.ends_with("_desc");
        if call.func.starts_with("sort_by_label") {
            let mut names = Vec::new();
            for arg in &call.args[1..] {
                match self.eval(arg, grid)? {
                    Val::Text(name) => names.push(name),
                    _ => return Err(QueryError::execution("expected a label name")),
                }
            }
            columns.sort_by(|a, b| {
                let order = names
                    .iter()
                    .map(|n| natural_order(a.labels.get(n), b.labels.get(n)))
                    .find(|o| o.is_ne())
                    .unwrap_or_else(|| a.labels.cmp(&b.labels));
                if descending { order.reverse() } else { order }
            });
            return Ok(Val::Vector(columns));
        }
        let mut columns: Vec<Column> = columns.into_iter().map(Column::floats_only).filter(|c| !c.is_empty()).collect();
        if grid.n == 1 {
            columns.sort_by(|a, b| {
                let (x, y) = (a.floats[0], b.floats[0]);
                match (x.is_nan(), y.is_nan()) {
                    (true, true) => std::cmp::Ordering::Equal,
                    (true, false) => std::cmp::Ordering::Greater,
                    (false, true) => std::cmp::Ordering::Less,
                    (false, false) if descending => y.total_cmp(&x),
                    (false, false) => x.total_cmp(&y),
                }
            });
        }
        Ok(Val::Vector(columns))
    }
}

/// Numbers inside texts compare by value: `a2` comes before `a10`.
fn natural_order(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        match (a.is_empty(), b.is_empty()) {
            (true, true) => return std::cmp::Ordering::Equal,
            (true, false) => return std::cmp::Ordering::Less,
            (false, true) => return std::cmp::Ordering::Greater,
            (false, false) => {}
        }
        let (head_a, rest_a) = chunk(a);
        let (head_b, rest_b) = chunk(b);
        let digits = |s: &str| s.starts_with(|c: char| c.is_ascii_digit());
        let order = if digits(head_a) && digits(head_b) {
            let (x, y) = (head_a.trim_start_matches('0'), head_b.trim_start_matches('0'));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y)).then_with(|| head_a.len().cmp(&head_b.len()))
        } else {
            head_a.cmp(head_b)
        };
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The first run of digits, or of anything else.
fn chunk(text: &str) -> (&str, &str) {
    let digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(text.len());
    text.split_at(end)
}
