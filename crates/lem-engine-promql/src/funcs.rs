//! The functions of the language: names, argument types, and which need a feature.

use crate::ast::ValueType::{self, Matrix, Scalar, String as Text, Vector};

/// What a function takes and returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The name.
    pub name: &'static str,
    /// Types of the arguments.
    pub args: &'static [ValueType],
    /// How many of the last arguments may be left out (positive 1) or repeated; -1 for any number.
    pub variadic: i32,
    /// The result.
    pub returns: ValueType,
    /// Whether it needs `promql-experimental-functions`.
    pub experimental: bool,
}

const fn f(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Signature {
    Signature { name, args, variadic: 0, returns, experimental: false }
}

const fn v(name: &'static str, args: &'static [ValueType], variadic: i32) -> Signature {
    Signature { name, args, variadic, returns: Vector, experimental: false }
}

const fn x(s: Signature) -> Signature {
    Signature { experimental: true, ..s }
}

/// All functions, by name.
pub const FUNCTIONS: &[Signature] = &[
    f("abs", &[Vector], Vector),
    f("absent", &[Vector], Vector),
    f("absent_over_time", &[Matrix], Vector),
    f("acos", &[Vector], Vector),
    f("acosh", &[Vector], Vector),
    f("asin", &[Vector], Vector),
    f("asinh", &[Vector], Vector),
    f("atan", &[Vector], Vector),
    f("atanh", &[Vector], Vector),
    f("avg_over_time", &[Matrix], Vector),
    f("ceil", &[Vector], Vector),
    f("changes", &[Matrix], Vector),
    f("clamp", &[Vector, Scalar, Scalar], Vector),
    f("clamp_max", &[Vector, Scalar], Vector),
    f("clamp_min", &[Vector, Scalar], Vector),
    f("cos", &[Vector], Vector),
    f("cosh", &[Vector], Vector),
    f("count_over_time", &[Matrix], Vector),
    v("day_of_month", &[Vector], 1),
    v("day_of_week", &[Vector], 1),
    v("day_of_year", &[Vector], 1),
    v("days_in_month", &[Vector], 1),
    f("deg", &[Vector], Vector),
    f("delta", &[Matrix], Vector),
    f("deriv", &[Matrix], Vector),
    x(f("double_exponential_smoothing", &[Matrix, Scalar, Scalar], Vector)),
    x(f("end", &[], Scalar)),
    f("exp", &[Vector], Vector),
    f("first_over_time", &[Matrix], Vector),
    f("floor", &[Vector], Vector),
    f("histogram_avg", &[Vector], Vector),
    f("histogram_count", &[Vector], Vector),
    f("histogram_fraction", &[Scalar, Scalar, Vector], Vector),
    f("histogram_quantile", &[Scalar, Vector], Vector),
    x(v("histogram_quantiles", &[Vector, Text, Scalar, Scalar], 9)),
    f("histogram_stddev", &[Vector], Vector),
    f("histogram_stdvar", &[Vector], Vector),
    f("histogram_sum", &[Vector], Vector),
    v("hour", &[Vector], 1),
    f("idelta", &[Matrix], Vector),
    f("increase", &[Matrix], Vector),
    x(v("info", &[Vector, Vector], 1)),
    f("irate", &[Matrix], Vector),
    v("label_join", &[Vector, Text, Text, Text], -1),
    f("label_replace", &[Vector, Text, Text, Text, Text], Vector),
    f("last_over_time", &[Matrix], Vector),
    f("ln", &[Vector], Vector),
    f("log10", &[Vector], Vector),
    f("log2", &[Vector], Vector),
    x(f("mad_over_time", &[Matrix], Vector)),
    x(f("max_of", &[Scalar, Scalar], Scalar)),
    f("max_over_time", &[Matrix], Vector),
    x(f("min_of", &[Scalar, Scalar], Scalar)),
    f("min_over_time", &[Matrix], Vector),
    v("minute", &[Vector], 1),
    v("month", &[Vector], 1),
    f("pi", &[], Scalar),
    f("predict_linear", &[Matrix, Scalar], Vector),
    f("present_over_time", &[Matrix], Vector),
    f("quantile_over_time", &[Scalar, Matrix], Vector),
    f("rad", &[Vector], Vector),
    x(f("range", &[], Scalar)),
    f("rate", &[Matrix], Vector),
    f("resets", &[Matrix], Vector),
    v("round", &[Vector, Scalar], 1),
    f("scalar", &[Vector], Scalar),
    f("sgn", &[Vector], Vector),
    f("sin", &[Vector], Vector),
    f("sinh", &[Vector], Vector),
    f("sort", &[Vector], Vector),
    x(v("sort_by_label", &[Vector, Text], -1)),
    x(v("sort_by_label_desc", &[Vector, Text], -1)),
    f("sort_desc", &[Vector], Vector),
    f("sqrt", &[Vector], Vector),
    x(f("start", &[], Scalar)),
    f("stddev_over_time", &[Matrix], Vector),
    f("stdvar_over_time", &[Matrix], Vector),
    x(f("step", &[], Scalar)),
    f("sum_over_time", &[Matrix], Vector),
    f("tan", &[Vector], Vector),
    f("tanh", &[Vector], Vector),
    f("time", &[], Scalar),
    f("timestamp", &[Vector], Vector),
    x(f("ts_of_first_over_time", &[Matrix], Vector)),
    x(f("ts_of_last_over_time", &[Matrix], Vector)),
    x(f("ts_of_max_over_time", &[Matrix], Vector)),
    x(f("ts_of_min_over_time", &[Matrix], Vector)),
    f("vector", &[Scalar], Vector),
    v("year", &[Vector], 1),
];

/// The function of a name.
pub fn signature(name: &str) -> Option<&'static Signature> {
    FUNCTIONS.iter().find(|s| s.name == name)
}

/// Functions whose result depends on the evaluation time even when all arguments are pinned.
pub fn depends_on_time(name: &str, args: usize) -> bool {
    match name {
        "days_in_month" | "day_of_month" | "day_of_week" | "day_of_year" | "hour" | "minute" | "month" | "year" => {
            args == 0
        }
        "predict_linear" | "time" | "timestamp" => true,
        _ => false,
    }
}

/// The function most alike to a misspelt name, when there is one close enough.
pub fn closest(name: &str) -> Option<&'static str> {
    FUNCTIONS
        .iter()
        .map(|s| (edit_distance(name, s.name), s.name))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, name)| name)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let next = (diagonal + usize::from(ca != *cb)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}
