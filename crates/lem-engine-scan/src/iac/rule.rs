//! Rules as data: the tables under `rules/`, compiled in and read once.

use super::predicate;
use lem_model::finding::FindingSeverity;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::LazyLock;

/// One table per service.
const TABLES: &[(&str, &str)] = &[
    ("aws-compute.toml", include_str!("../../rules/aws-compute.toml")),
    ("aws-data.toml", include_str!("../../rules/aws-data.toml")),
    ("aws-hardening.toml", include_str!("../../rules/aws-hardening.toml")),
    ("aws-iam.toml", include_str!("../../rules/aws-iam.toml")),
    ("aws-logging.toml", include_str!("../../rules/aws-logging.toml")),
    ("aws-messaging.toml", include_str!("../../rules/aws-messaging.toml")),
    ("aws-network.toml", include_str!("../../rules/aws-network.toml")),
    ("aws-s3.toml", include_str!("../../rules/aws-s3.toml")),
    ("azure.toml", include_str!("../../rules/azure.toml")),
    ("builtin.toml", include_str!("../../rules/builtin.toml")),
    ("google.toml", include_str!("../../rules/google.toml")),
    ("kubernetes.toml", include_str!("../../rules/kubernetes.toml")),
    ("kubernetes-health.toml", include_str!("../../rules/kubernetes-health.toml")),
];

/// A rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Our id.
    pub id: String,
    /// Ids of the same rule elsewhere.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// How bad.
    pub severity: FindingSeverity,
    /// One sentence that says what is wrong.
    pub title: String,
    /// What to do.
    pub fix: String,
    /// Which resources it judges, and how.
    pub on: Vec<Clause>,
}

/// How a rule judges resources of some types.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clause {
    /// Resource types; of Kubernetes the kind without its API group.
    pub kinds: Vec<String>,
    /// Whether the subject is a data source.
    #[serde(default)]
    pub data: bool,
    /// The part of the resource that `pass` speaks about.
    #[serde(default)]
    pub scope: Scope,
    /// Resources it does not hold for are not judged.
    #[serde(default)]
    pub when: Option<Test>,
    /// Holds for a resource that is in order.
    pub pass: Test,
}

/// Part of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// All of it.
    #[default]
    Resource,
    /// The pod a Kubernetes workload makes.
    Pod,
    /// Each container of that pod, init containers included.
    Containers,
}

/// What stands in for a value that is not written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Absent {
    /// As if the test failed.
    #[default]
    Fail,
    /// As if it held.
    Pass,
    /// Not judged.
    Unknown,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Something is written, even if its value is not known yet.
    Exists,
    /// Nothing is written.
    NotExists,
    /// The same; text and number of the same form are the same.
    Equals,
    /// Not the same.
    NotEquals,
    /// One of a list.
    Within,
    /// None of a list.
    NotWithin,
    /// A list or text that has this in it.
    Contains,
    /// A list or text that has not.
    NotContains,
    /// A list that has all of these.
    Superset,
    /// Text that begins so.
    StartingWith,
    /// Text that ends so.
    EndingWith,
    /// Text that matches an expression.
    RegexMatch,
    /// Text that does not.
    NotRegexMatch,
    /// A larger number.
    GreaterThan,
    /// A larger number or the same.
    GreaterThanOrEqual,
    /// A smaller number.
    LessThan,
    /// A smaller number or the same.
    LessThanOrEqual,
    /// True, a number other than zero, text or a list that is not empty.
    IsTrue,
    /// The opposite.
    IsFalse,
}

/// A test as it stands in a table. Exactly one of the forms is filled in; [`Test::form`] says which.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    #[serde(default)]
    all: Option<Vec<Test>>,
    #[serde(default)]
    any: Option<Vec<Test>>,
    #[serde(default)]
    not: Option<Box<Test>>,
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    op: Option<Operator>,
    #[serde(default)]
    value: Option<toml::Value>,
    #[serde(default)]
    absent: Absent,
    #[serde(default)]
    each: Option<String>,
    #[serde(default)]
    some: Option<String>,
    #[serde(default)]
    linked: Option<Vec<String>>,
    #[serde(default)]
    check: Option<String>,
    #[serde(default)]
    holds: Option<Box<Test>>,
}

/// The forms of a test.
#[derive(Debug)]
pub(crate) enum Form<'a> {
    /// Every one holds.
    All(&'a [Test]),
    /// One of them holds.
    Any(&'a [Test]),
    /// It does not hold.
    Not(&'a Test),
    /// The value at a path compares so.
    Value { at: &'a str, op: Operator, value: Option<&'a toml::Value>, absent: Absent },
    /// Every item at a path passes.
    Each(&'a str, &'a Test),
    /// An item at a path passes.
    Some(&'a str, &'a Test),
    /// A resource of these types that refers to this one, or that this one refers to, passes.
    Linked(&'a [String], Option<&'a Test>),
    /// A predicate of [`predicate`], over the value at a path.
    Check { name: &'a str, at: &'a str, value: Option<&'a toml::Value> },
}

impl Test {
    /// Which form it has; `None` when it is malformed.
    pub(crate) fn form(&self) -> Option<Form<'_>> {
        let holds = self.holds.as_deref();
        Some(match self {
            Self { all: Some(tests), .. } => Form::All(tests),
            Self { any: Some(tests), .. } => Form::Any(tests),
            Self { not: Some(test), .. } => Form::Not(test),
            Self { each: Some(at), .. } => Form::Each(at, holds?),
            Self { some: Some(at), .. } => Form::Some(at, holds?),
            Self { linked: Some(kinds), .. } => Form::Linked(kinds, holds),
            Self { check: Some(name), .. } => {
                Form::Check { name, at: self.at.as_deref().unwrap_or(""), value: self.value.as_ref() }
            }
            Self { at: Some(at), op: Some(op), .. } => {
                Form::Value { at, op: *op, value: self.value.as_ref(), absent: self.absent }
            }
            _ => return None,
        })
    }

    /// The first path it looks at: where a finding points.
    pub(crate) fn path(&self) -> Option<&str> {
        match self.form()? {
            Form::All(tests) | Form::Any(tests) => tests.iter().find_map(Self::path),
            Form::Not(test) => test.path(),
            Form::Value { at, .. } | Form::Each(at, _) | Form::Some(at, _) => Some(at),
            Form::Check { at, .. } => (!at.is_empty()).then_some(at),
            Form::Linked(..) => None,
        }
    }

    /// What is wrong with the test as a table writes it.
    fn complaint(&self) -> Option<String> {
        let Some(form) = self.form() else { return Some(format!("{self:?} has no known form")) };
        match form {
            Form::All(tests) | Form::Any(tests) => tests.iter().find_map(Self::complaint),
            Form::Not(test) | Form::Each(_, test) | Form::Some(_, test) | Form::Linked(_, Some(test)) => {
                test.complaint()
            }
            Form::Check { name, .. } if predicate::named(name).is_none() => Some(format!("no predicate {name:?}")),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    rule: Vec<Rule>,
}

/// Every rule, grouped by the resource types it judges.
#[derive(Debug)]
pub struct RuleSet {
    /// In order of table and place.
    pub rules: Vec<Rule>,
    by_kind: HashMap<String, Vec<(usize, usize)>>,
}

impl RuleSet {
    /// The rules that are compiled in.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<RuleSet> = LazyLock::new(|| {
            let tables = TABLES.iter().map(|(name, text)| (*name, *text));
            RuleSet::read(tables).expect("a test reads the embedded tables")
        });
        &EMBEDDED
    }

    /// Reads tables; the error names the table and what is wrong.
    pub fn read<'a>(tables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, String> {
        let mut rules: Vec<Rule> = vec![];
        for (name, text) in tables {
            let table: Table = toml::from_str(text).map_err(|e| format!("{name}: {e}"))?;
            rules.extend(table.rule);
        }
        let mut by_kind: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
        for (r, rule) in rules.iter().enumerate() {
            for (c, clause) in rule.on.iter().enumerate() {
                let tests = std::iter::once(&clause.pass).chain(&clause.when);
                if let Some(complaint) = tests.into_iter().find_map(Test::complaint) {
                    return Err(format!("{}: {complaint}", rule.id));
                }
                for kind in &clause.kinds {
                    by_kind.entry(kind.clone()).or_default().push((r, c));
                }
            }
        }
        Ok(Self { rules, by_kind })
    }

    /// The rules for a resource type.
    pub(crate) fn of_kind(&self, kind: &str) -> impl Iterator<Item = (&Rule, &Clause)> {
        let short = kind.rsplit('/').next().unwrap_or(kind);
        let places = self.by_kind.get(short).map_or(&[][..], Vec::as_slice);
        places.iter().map(|(r, c)| (&self.rules[*r], &self.rules[*r].on[*c]))
    }

    /// Digest of the tables, so that a report can say which rules judged.
    pub fn digest() -> lem_model::Digest {
        let text: String = TABLES.iter().map(|(name, text)| format!("{name}\n{text}\n")).collect();
        lem_model::Digest::of(text.as_bytes())
    }
}
