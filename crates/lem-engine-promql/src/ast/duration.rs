//! Durations and the arithmetic they may be written with.

use serde::Serialize;

use super::{NumberLiteral, Span};

/// Operator of a duration expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the operators name themselves")]
pub enum DurationOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Min,
    Max,
}

/// Arithmetic on durations, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum DurationExpr {
    /// A number of seconds or a duration.
    Number(NumberLiteral),
    /// `step()`
    Step(Span),
    /// `range()`
    Range(Span),
    /// A sign.
    Sign {
        /// `-` when negative.
        negative: bool,
        /// What it applies to.
        expr: Box<DurationExpr>,
        /// Source bytes.
        span: Span,
    },
    /// An operator or `min_of`, `max_of`.
    Binary {
        /// The operator.
        op: DurationOp,
        /// Left side.
        lhs: Box<DurationExpr>,
        /// Right side.
        rhs: Box<DurationExpr>,
        /// Source bytes.
        span: Span,
    },
    /// Parentheses.
    Paren(Box<DurationExpr>, Span),
}

impl DurationExpr {
    /// Source bytes.
    pub fn span(&self) -> Span {
        match self {
            Self::Number(n) => n.span,
            Self::Step(span) | Self::Range(span) | Self::Paren(_, span) => *span,
            Self::Sign { span, .. } | Self::Binary { span, .. } => *span,
        }
    }
}

/// A duration: plain, or an expression that is worked out when the query runs.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct DurationValue {
    /// Milliseconds; zero until worked out when there is an expression.
    pub ms: i64,
    /// The expression, unless the duration is a plain literal.
    pub expr: Option<DurationExpr>,
}
