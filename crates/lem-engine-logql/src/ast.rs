//! The syntax tree.

use crate::error::Span;

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// Answers with lines.
    Log(LogExpr),
    /// Answers with numbers.
    Metric(Metric),
}

/// A selector with its pipeline.
#[derive(Debug, Clone, PartialEq)]
pub struct LogExpr {
    /// The matchers in braces.
    pub selector: Vec<Selector>,
    /// What happens to each line.
    pub stages: Vec<Stage>,
    /// Its place.
    pub span: Span,
}

/// How two strings compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

/// One matcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The label.
    pub name: String,
    /// The comparison.
    pub op: MatchOp,
    /// What it is compared with.
    pub value: String,
}

/// What a line filter looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineOp {
    /// `|=`
    Contains,
    /// `!=`
    NotContains,
    /// `|~`
    Matches,
    /// `!~`
    NotMatches,
    /// `|>`
    Pattern,
    /// `!>`
    NotPattern,
    /// A bare word (extension): whole word, ASCII case ignored.
    Word,
}

/// One alternative of a line filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineTerm {
    /// Text, expression or pattern.
    Text(String),
    /// `ip("...")`
    Ip(String),
}

/// One stage.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// `|= "a" or "b"`
    Line {
        /// What is looked for.
        op: LineOp,
        /// Alternatives.
        terms: Vec<LineTerm>,
    },
    /// `| json`, with label and path pairs.
    Json(Vec<(String, String)>),
    /// `| logfmt`
    Logfmt {
        /// `--strict`
        strict: bool,
        /// `--keep-empty`
        keep_empty: bool,
        /// Label and key pairs.
        pairs: Vec<(String, String)>,
    },
    /// `| regexp "..."`
    Regexp(String),
    /// `| pattern "..."`
    Pattern(String),
    /// `| unpack`
    Unpack,
    /// `| a = "b" and c > 1`
    Label(LabelFilter),
    /// `| line_format "..."`
    LineFormat(String),
    /// `| label_format a=b, c="..."`
    LabelFormat(Vec<(String, Format)>),
    /// `| drop a, b="c"`
    Drop(Vec<Pick>),
    /// `| keep a, b="c"`
    Keep(Vec<Pick>),
    /// `| decolorize`
    Decolorize,
}

/// The right side of a `label_format`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Another label's name: renames it.
    Rename(String),
    /// A template.
    Template(String),
}

/// A label named by `drop` or `keep`, perhaps only with some value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// The label.
    pub name: String,
    /// The condition on its value.
    pub value: Option<(MatchOp, String)>,
}

/// A comparison of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// `=` or `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
}

/// A condition on labels.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelFilter {
    /// `a = "b"`
    Text(Selector),
    /// `a > 1`
    Number(String, Compare, f64),
    /// `a > 5s`, in nanoseconds.
    Duration(String, Compare, f64),
    /// `a > 10KB`
    Bytes(String, Compare, f64),
    /// `a = ip("...")`; false for `!=`.
    Ip(String, bool, String),
    /// Both.
    And(Box<LabelFilter>, Box<LabelFilter>),
    /// Either.
    Or(Box<LabelFilter>, Box<LabelFilter>),
}

/// How an unwrapped label becomes a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convert {
    /// As it is.
    Number,
    /// A duration, in seconds.
    Duration,
    /// A size, in bytes.
    Bytes,
}

/// `| unwrap x` and the filters behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Unwrap {
    /// The label.
    pub label: String,
    /// The conversion.
    pub convert: Convert,
    /// Label filters behind it.
    pub filters: Vec<LabelFilter>,
}

/// A function over a window of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeOp {
    /// `rate`
    Rate,
    /// `rate_counter`
    RateCounter,
    /// `count_over_time`
    Count,
    /// `bytes_rate`
    BytesRate,
    /// `bytes_over_time`
    Bytes,
    /// `sum_over_time`
    Sum,
    /// `avg_over_time`
    Avg,
    /// `max_over_time`
    Max,
    /// `min_over_time`
    Min,
    /// `first_over_time`
    First,
    /// `last_over_time`
    Last,
    /// `stdvar_over_time`
    Stdvar,
    /// `stddev_over_time`
    Stddev,
    /// `quantile_over_time`
    Quantile,
    /// `absent_over_time`
    Absent,
}

/// Labels to group by or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// `by (...)`
    By(Vec<String>),
    /// `without (...)`
    Without(Vec<String>),
}

/// An aggregation over series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VectorOp {
    /// `sum`
    Sum,
    /// `avg`
    Avg,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `count`
    Count,
    /// `stddev`
    Stddev,
    /// `stdvar`
    Stdvar,
    /// `topk`
    Topk,
    /// `bottomk`
    Bottomk,
    /// `sort`
    Sort,
    /// `sort_desc`
    SortDesc,
    /// `approx_topk`
    ApproxTopk,
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
    /// A comparison.
    Compare(Compare),
    /// `and`
    And,
    /// `or`
    Or,
    /// `unless`
    Unless,
}

/// How the series of two vectors pair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    /// `on(...)` or `ignoring(...)`; by default all labels.
    pub labels: Option<Grouping>,
    /// Which side may have many series per pair, and labels taken from the other side.
    pub many: Option<(Side, Vec<String>)>,
}

/// A side of a binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `group_left`
    Left,
    /// `group_right`
    Right,
}

/// A query for numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// A number.
    Number(f64),
    /// `vector(n)`
    Vector(f64),
    /// A function over a window.
    Range(Box<RangeExpr>),
    /// An aggregation.
    Aggregate {
        /// Which.
        op: VectorOp,
        /// `k` of `topk`.
        param: Option<f64>,
        /// Over what.
        inner: Box<Metric>,
        /// Into which groups.
        grouping: Option<Grouping>,
    },
    /// Two sides.
    Binary {
        /// The operator.
        op: BinaryOp,
        /// `bool`: a comparison answers 0 or 1 instead of filtering.
        as_bool: bool,
        /// How series pair.
        matching: Matching,
        /// Left side.
        lhs: Box<Metric>,
        /// Right side.
        rhs: Box<Metric>,
    },
    /// `label_replace(v, dst, replacement, src, regex)`
    LabelReplace {
        /// The vector.
        inner: Box<Metric>,
        /// The label that is set.
        dst: String,
        /// To what.
        replacement: String,
        /// The label that is looked at.
        src: String,
        /// The expression it has to match.
        regex: String,
    },
}

/// A function over a window of lines.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeExpr {
    /// The function.
    pub op: RangeOp,
    /// The quantile.
    pub param: Option<f64>,
    /// The lines.
    pub log: LogExpr,
    /// The number taken from each line.
    pub unwrap: Option<Unwrap>,
    /// Length of the window.
    pub range_ns: i64,
    /// How far back the window ends.
    pub offset_ns: i64,
    /// Into which groups.
    pub grouping: Option<Grouping>,
}
