//! The syntax tree. Every node carries the bytes it was read from.

mod duration;

use serde::Serialize;

pub use duration::{DurationExpr, DurationOp, DurationValue};

use crate::labels::Matcher;

/// A byte range of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// From first to one past last byte.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
}

/// The type of an expression's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueType {
    /// One number per step.
    Scalar,
    /// One point per series and step.
    Vector,
    /// A range of points per series and step.
    Matrix,
    /// A text.
    String,
}

impl ValueType {
    /// The words error messages use.
    pub fn documented(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }
}

/// A binary operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[expect(missing_docs, reason = "the operators name themselves")]
pub enum BinOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    TrimUpper,
    TrimLower,
    And,
    Or,
    Unless,
}

impl BinOp {
    /// The operator as written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    /// Whether it compares, and so filters.
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge)
    }

    /// Whether it works on sets of series.
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// Binding power; higher binds tighter.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            Self::Eq | Self::Ne | Self::Lt | Self::Le | Self::Gt | Self::Ge | Self::TrimUpper | Self::TrimLower => 3,
            Self::Add | Self::Sub => 4,
            Self::Mul | Self::Div | Self::Mod | Self::Atan2 => 5,
            Self::Pow => 6,
        }
    }

    /// Whether the result is no longer the metric it came from.
    pub fn changes_metric(self) -> bool {
        matches!(self, Self::Add | Self::Sub | Self::Mul | Self::Div | Self::Mod | Self::Pow | Self::Atan2)
    }
}

/// An aggregation operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[expect(missing_docs, reason = "the operators name themselves")]
pub enum AggOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

impl AggOp {
    /// All operators.
    pub const ALL: [Self; 14] = [
        Self::Sum,
        Self::Avg,
        Self::Count,
        Self::Min,
        Self::Max,
        Self::Group,
        Self::Stddev,
        Self::Stdvar,
        Self::Topk,
        Self::Bottomk,
        Self::CountValues,
        Self::Quantile,
        Self::Limitk,
        Self::LimitRatio,
    ];

    /// The operator as written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Topk => "topk",
            Self::Bottomk => "bottomk",
            Self::CountValues => "count_values",
            Self::Quantile => "quantile",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }

    /// Whether it takes a parameter before the vector.
    pub fn has_param(self) -> bool {
        matches!(
            self,
            Self::Topk | Self::Bottomk | Self::CountValues | Self::Quantile | Self::Limitk | Self::LimitRatio
        )
    }

    /// Whether it needs the experimental feature.
    pub fn is_experimental(self) -> bool {
        matches!(self, Self::Limitk | Self::LimitRatio)
    }
}

/// A number, possibly written as a duration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NumberLiteral {
    /// The value; seconds when written as a duration.
    pub value: f64,
    /// Whether it was written as a duration.
    pub is_duration: bool,
    /// Source bytes.
    pub span: Span,
}

/// A text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StringLiteral {
    /// The text; replacement characters stand for bytes that are not UTF-8.
    pub value: String,
    /// The bytes, when they are not UTF-8.
    #[serde(skip)]
    pub raw: Option<Vec<u8>>,
    /// Source bytes.
    pub span: Span,
}

/// What `@` pins to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub enum At {
    /// A time in milliseconds.
    Time(i64),
    /// `start()`
    Start,
    /// `end()`
    End,
}

/// `offset` and `@` of a selector or subquery.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct TimeModifiers {
    /// `offset`
    pub offset: DurationValue,
    /// Whether an offset was written.
    pub has_offset: bool,
    /// `@`
    pub at: Option<At>,
}

/// `anchored` and `smoothed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Extended {
    /// Values at the window's edges are those of the last samples before.
    Anchored,
    /// Values at the window's edges are interpolated.
    Smoothed,
}

/// An instant vector selector.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VectorSelector {
    /// Number of this selector within its query.
    pub id: u32,
    /// The bare metric name, empty when there is none.
    pub name: String,
    /// All matchers, the one of the bare name included.
    pub matchers: Vec<Matcher>,
    /// `offset` and `@`.
    pub time: TimeModifiers,
    /// `anchored` or `smoothed`.
    pub extended: Option<Extended>,
    /// Source bytes.
    pub span: Span,
}

/// A range vector selector.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MatrixSelector {
    /// The selector the range applies to.
    pub vector: VectorSelector,
    /// The range.
    pub range: DurationValue,
    /// Source bytes.
    pub span: Span,
}

/// A subquery.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Subquery {
    /// The inner expression.
    pub expr: Box<Expr>,
    /// The range.
    pub range: DurationValue,
    /// The resolution; `None` is the evaluation interval.
    pub step: Option<DurationValue>,
    /// `offset` and `@`.
    pub time: TimeModifiers,
    /// Source bytes.
    pub span: Span,
}

/// A function call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// The function's name.
    pub func: &'static str,
    /// Arguments.
    pub args: Vec<Expr>,
    /// Source bytes.
    pub span: Span,
}

/// Which labels make a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grouping {
    /// `without` instead of `by`.
    pub without: bool,
    /// The labels.
    pub labels: Vec<String>,
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Aggregate {
    /// The operator.
    pub op: AggOp,
    /// The vector.
    pub expr: Box<Expr>,
    /// The parameter of operators that take one.
    pub param: Option<Box<Expr>>,
    /// The grouping.
    pub grouping: Grouping,
    /// Source bytes.
    pub span: Span,
}

/// How many series of each side may match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the cardinalities name themselves")]
pub enum Cardinality {
    OneToOne,
    ManyToOne,
    OneToMany,
    ManyToMany,
}

/// How the series of both sides find each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Matching {
    /// The cardinality.
    pub card: Cardinality,
    /// `on` instead of `ignoring`.
    pub on: bool,
    /// Labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Labels of `group_left` or `group_right`.
    pub include: Vec<String>,
    /// Value for a missing left side.
    pub fill_left: Option<f64>,
    /// Value for a missing right side.
    pub fill_right: Option<f64>,
}

/// A binary expression.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Binary {
    /// The operator.
    pub op: BinOp,
    /// Left side.
    pub lhs: Box<Expr>,
    /// Right side.
    pub rhs: Box<Expr>,
    /// Matching, when both sides are vectors.
    pub matching: Option<Matching>,
    /// Whether `bool` was written.
    pub return_bool: bool,
    /// Source bytes.
    pub span: Span,
}

/// A sign before an expression.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unary {
    /// `-` when true.
    pub negative: bool,
    /// The expression.
    pub expr: Box<Expr>,
    /// Source bytes.
    pub span: Span,
}

/// Any expression.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "each variant holds the node of its name")]
pub enum Expr {
    Number(NumberLiteral),
    String(StringLiteral),
    Vector(VectorSelector),
    Matrix(MatrixSelector),
    Subquery(Subquery),
    Call(Call),
    Aggregate(Aggregate),
    Binary(Binary),
    Unary(Unary),
    Paren(Box<Expr>, Span),
}

impl Expr {
    /// Source bytes.
    pub fn span(&self) -> Span {
        match self {
            Self::Number(n) => n.span,
            Self::String(n) => n.span,
            Self::Vector(n) => n.span,
            Self::Matrix(n) => n.span,
            Self::Subquery(n) => n.span,
            Self::Call(n) => n.span,
            Self::Aggregate(n) => n.span,
            Self::Binary(n) => n.span,
            Self::Unary(n) => n.span,
            Self::Paren(_, span) => *span,
        }
    }

    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Number(_) => ValueType::Scalar,
            Self::String(_) => ValueType::String,
            Self::Vector(_) | Self::Aggregate(_) => ValueType::Vector,
            Self::Matrix(_) | Self::Subquery(_) => ValueType::Matrix,
            Self::Call(call) => crate::funcs::signature(call.func).map_or(ValueType::Vector, |f| f.returns),
            Self::Binary(b) => {
                let scalar = |e: &Self| e.value_type() == ValueType::Scalar;
                if scalar(&b.lhs) && scalar(&b.rhs) { ValueType::Scalar } else { ValueType::Vector }
            }
            Self::Unary(u) => u.expr.value_type(),
            Self::Paren(e, _) => e.value_type(),
        }
    }

    /// The direct sub-expressions.
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => Vec::new(),
            Self::Subquery(s) => vec![&s.expr],
            Self::Call(c) => c.args.iter().collect(),
            Self::Aggregate(a) => a.param.iter().map(|p| &**p).chain(std::iter::once(&*a.expr)).collect(),
            Self::Binary(b) => vec![&b.lhs, &b.rhs],
            Self::Unary(u) => vec![&u.expr],
            Self::Paren(e, _) => vec![e],
        }
    }

    /// Without the parentheses around it.
    pub fn unwrap_paren(&self) -> &Self {
        match self {
            Self::Paren(inner, _) => inner.unwrap_paren(),
            other => other,
        }
    }
}
