//! Values of templates.

use std::collections::BTreeMap;

/// One element of a query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Value.
    pub value: f64,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Nil,
    /// A truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(String),
    /// Labels.
    Map(BTreeMap<String, String>),
    /// A list.
    List(Vec<Value>),
    /// An element of a query's answer.
    Sample(Sample),
}

impl Value {
    /// Whether `if` takes it.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(b) => *b,
            Self::Int(i) => *i != 0,
            Self::Float(f) => *f != 0.0,
            Self::Text(t) => !t.is_empty(),
            Self::Map(m) => !m.is_empty(),
            Self::List(l) => !l.is_empty(),
            Self::Sample(_) => true,
        }
    }

    /// As `{{ }}` prints it.
    pub fn text(&self) -> String {
        match self {
            Self::Nil => "<no value>".into(),
            Self::Bool(b) => b.to_string(),
            Self::Int(i) => i.to_string(),
            Self::Float(f) => go_float(*f),
            Self::Text(t) => t.clone(),
            Self::Map(m) => {
                let pairs: Vec<String> = m.iter().map(|(k, v)| format!("{k}:{v}")).collect();
                format!("map[{}]", pairs.join(" "))
            }
            Self::List(l) => format!("[{}]", l.iter().map(Value::text).collect::<Vec<_>>().join(" ")),
            Self::Sample(s) => format!("{{{}}}", go_float(s.value)),
        }
    }

    /// As a number, which texts may be too.
    pub fn number(&self) -> Result<f64, String> {
        match self {
            Self::Int(i) => Ok(*i as f64),
            Self::Float(f) => Ok(*f),
            Self::Text(t) => lem_engine_promql::number::parse_float(t)
                .ok_or_else(|| format!("strconv.ParseFloat: parsing {t:?}: invalid syntax")),
            Self::Sample(_) | Self::Nil | Self::Bool(_) | Self::Map(_) | Self::List(_) => {
                Err("can't convert this to float64".into())
            }
        }
    }
}

/// `%v` of a float64: `%g` with the shortest digits, exponent from 1e21 on.
pub(super) fn go_float(v: f64) -> String {
    if v.is_nan() || v.is_infinite() || v == 0.0 {
        return lem_engine_promql::number::format_sample(v);
    }
    if (1e-4..1e21).contains(&v.abs()) {
        return format!("{v}");
    }
    let text = format!("{v:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |d| ('-', d));
    format!("{mantissa}e{sign}{digits:0>2}")
}
