//! Tests on lines and labels.

use std::net::IpAddr;

use memchr::memmem;
use regex::bytes::Regex;

use super::pattern::Pattern;
use super::{ERROR, Row, TextMatch};
use crate::ast::{Compare, LabelFilter, LineOp, LineTerm};
use crate::units;

/// A line filter.
pub(super) struct LineTest {
    positive: bool,
    terms: Vec<Term>,
}

enum Term {
    Text(Box<memmem::Finder<'static>>),
    Regex(Regex),
    Pattern(Pattern),
    Ip(IpRange),
    Word(lem_engine_logs::Literal),
}

impl LineTest {
    pub(super) fn new(op: LineOp, terms: &[LineTerm]) -> Result<Self, String> {
        let positive = matches!(op, LineOp::Contains | LineOp::Matches | LineOp::Pattern | LineOp::Word);
        let term = |term: &LineTerm| {
            let text = match term {
                LineTerm::Ip(range) => return IpRange::new(range).map(Term::Ip),
                LineTerm::Text(text) => text,
            };
            Ok(match op {
                LineOp::Contains | LineOp::NotContains => {
                    Term::Text(Box::new(memmem::Finder::new(text.as_bytes()).into_owned()))
                }
                // In a line a dot also matches a newline.
                LineOp::Matches | LineOp::NotMatches => {
                    Term::Regex(Regex::new(&format!("(?s){text}")).map_err(|e| e.to_string())?)
                }
                LineOp::Pattern | LineOp::NotPattern => Term::Pattern(Pattern::filter(text)?),
                LineOp::Word => Term::Word(lem_engine_logs::Literal {
                    bytes: text.as_bytes().to_vec(),
                    kind: lem_engine_logs::LiteralKind::TokenNoCase,
                }),
            })
        };
        Ok(Self { positive, terms: terms.iter().map(term).collect::<Result<_, String>>()? })
    }

    pub(super) fn keep(&self, line: &[u8]) -> bool {
        let hit = self.terms.iter().any(|term| match term {
            Term::Text(finder) => finder.find(line).is_some(),
            Term::Regex(regex) => regex.is_match(line),
            Term::Pattern(pattern) => pattern.matches(line),
            Term::Ip(range) => range.occurs_in(line),
            Term::Word(word) => word.occurs_in(line),
        });
        hit == self.positive
    }
}

/// `1.2.3.4`, `1.2.3.4-1.2.3.9` or `1.2.3.0/24`, also version 6.
pub(super) struct IpRange {
    first: IpAddr,
    last: IpAddr,
}

impl IpRange {
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no address, range or network");
        let address = |t: &str| t.trim().parse::<IpAddr>().map_err(|_| bad());
        if let Some((first, last)) = text.split_once('-') {
            return Ok(Self { first: address(first)?, last: address(last)? });
        }
        let Some((net, bits)) = text.split_once('/') else {
            return Ok(Self { first: address(text)?, last: address(text)? });
        };
        let bits: u32 = bits.parse().map_err(|_| bad())?;
        match address(net)? {
            IpAddr::V4(v4) if bits <= 32 => {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                let first = u32::from(v4) & mask;
                Ok(Self { first: IpAddr::V4(first.into()), last: IpAddr::V4((first | !mask).into()) })
            }
            IpAddr::V6(v6) if bits <= 128 => {
                let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                let first = u128::from(v6) & mask;
                Ok(Self { first: IpAddr::V6(first.into()), last: IpAddr::V6((first | !mask).into()) })
            }
            IpAddr::V4(_) | IpAddr::V6(_) => Err(bad()),
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && self.first <= address && address <= self.last
    }

    fn occurs_in(&self, line: &[u8]) -> bool {
        let part = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b'.' | b':');
        line.split(|b| !part(b)).any(|run| {
            let Ok(text) = std::str::from_utf8(run) else { return false };
            let bare = text.trim_matches('.');
            // An address may have a port or a colon behind it.
            let candidates = [bare, bare.trim_end_matches(':'), bare.split(':').next().unwrap_or("")];
            candidates.iter().any(|t| t.parse().is_ok_and(|a| self.contains(a)))
        })
    }
}

/// A label filter.
pub(super) enum LabelTest {
    Text(String, TextMatch),
    Number(String, Compare, f64, fn(&str) -> Option<f64>),
    Ip(String, bool, IpRange),
    And(Box<LabelTest>, Box<LabelTest>),
    Or(Box<LabelTest>, Box<LabelTest>),
}

impl LabelTest {
    pub(super) fn new(filter: &LabelFilter) -> Result<Self, String> {
        let both =
            |a: &LabelFilter, b: &LabelFilter| Ok::<_, String>((Box::new(Self::new(a)?), Box::new(Self::new(b)?)));
        Ok(match filter {
            LabelFilter::Text(s) => Self::Text(s.name.clone(), TextMatch::new(s.op, &s.value)?),
            LabelFilter::Number(name, op, value) => Self::Number(name.clone(), *op, *value, |t| t.parse().ok()),
            LabelFilter::Duration(name, op, value) => Self::Number(name.clone(), *op, *value, units::duration_ns),
            LabelFilter::Bytes(name, op, value) => Self::Number(name.clone(), *op, *value, units::bytes),
            LabelFilter::Ip(name, positive, range) => Self::Ip(name.clone(), *positive, IpRange::new(range)?),
            LabelFilter::And(a, b) => {
                let (a, b) = both(a, b)?;
                Self::And(a, b)
            }
            LabelFilter::Or(a, b) => {
                let (a, b) = both(a, b)?;
                Self::Or(a, b)
            }
        })
    }

    /// A line whose label is no number stays, with an error.
    pub(super) fn keep(&self, row: &mut Row<'_>) -> bool {
        match self {
            Self::Text(name, test) => test.accepts(row.get(name)),
            Self::And(a, b) => a.keep(row) && b.keep(row),
            Self::Or(a, b) => a.keep(row) || b.keep(row),
            // Only text filters see lines with an error.
            _ if !row.get(ERROR).is_empty() => true,
            Self::Ip(name, positive, range) => {
                let value = row.get(name);
                !value.is_empty() && range.occurs_in(value.as_bytes()) == *positive
            }
            Self::Number(name, op, wanted, read) => {
                let value = row.get(name);
                if value.is_empty() {
                    return false;
                }
                match read(value) {
                    Some(value) => holds(*op, value, *wanted),
                    None => {
                        let why = format!("label {name} is no number: {value:?}");
                        row.fail("LabelFilterErr", why);
                        true
                    }
                }
            }
        }
    }
}

pub(crate) fn holds(op: Compare, a: f64, b: f64) -> bool {
    match op {
        Compare::Equal => a == b,
        Compare::NotEqual => a != b,
        Compare::Greater => a > b,
        Compare::GreaterOrEqual => a >= b,
        Compare::Less => a < b,
        Compare::LessOrEqual => a <= b,
    }
}
