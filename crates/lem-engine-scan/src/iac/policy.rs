//! Access policies: statements with an effect, principals, actions and resources.
//!
//! A policy may be a JSON text, a value of the template's own language, or a data source. One that is not known, or
//! only partly, is judged as far as it decides.

use super::eval::Subject;
use super::truth::Truth;
use super::view::{Found, View, list};
use lem_model::resource::Attribute;
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Condition keys that confine a statement for everybody to somebody we know.
const CONFINING: [&str; 12] = [
    "aws:sourceVpce",
    "aws:SourceVpc",
    "aws:VpceAccount",
    "aws:PrincipalOrgPaths",
    "aws:userid",
    "aws:PrincipalArn",
    "aws:PrincipalAccount",
    "aws:PrincipalOrgID",
    "aws:Ec2InstanceSourceVpc",
    "ec2:SourceInstanceArn",
    "lambda:SourceFunctionArn",
    "ssm:SourceInstanceArn",
];

/// A policy as a value: JSON text is read first.
fn policy(found: Found<'_>) -> Result<Option<Cow<'_, Attribute>>, String> {
    match found {
        Found::Absent => Ok(None),
        Found::Unknown(why) | Found::Hidden(why) => Err(why.to_owned()),
        Found::Known(value) => match value.revealed() {
            Attribute::String(text) => match serde_json::from_str(text) {
                Ok(json) => Ok(Some(Cow::Owned(from_json(json)))),
                Err(_) => Err("the policy is text that is not JSON".to_owned()),
            },
            _ => Ok(Some(Cow::Borrowed(value))),
        },
    }
}

fn from_json(json: serde_json::Value) -> Attribute {
    use serde_json::Value;
    match json {
        Value::Null => Attribute::Null,
        Value::Bool(value) => Attribute::Bool(value),
        Value::Number(number) => Attribute::Number(number),
        Value::String(text) => Attribute::String(text),
        Value::Array(items) => Attribute::List(items.into_iter().map(from_json).collect()),
        Value::Object(map) => Attribute::Map(map.into_iter().map(|(k, v)| (k, from_json(v))).collect()),
    }
}

/// Whether no statement of the policy at a path is bad.
fn no_statement(subject: Subject<'_>, at: &str, bad: impl Fn(View<'_>) -> Truth) -> Truth {
    let policy = match policy(subject.view.at(at)) {
        Err(why) => return Truth::Unknown(why),
        Ok(None) => return Truth::True,
        Ok(Some(policy)) => policy,
    };
    statements(View::Value(&policy), "Statement", bad)
}

fn statements(policy: View<'_>, name: &str, bad: impl Fn(View<'_>) -> Truth) -> Truth {
    match policy.items(name) {
        Err(why) => Truth::Unknown(why.to_owned()),
        Ok(statements) => Truth::any(statements.into_iter().map(|statement| match statement.revealed() {
            Attribute::Unknown(why) => Truth::Unknown(why.clone()),
            _ => bad(View::Value(statement)),
        }))
        .not(),
    }
}

/// Whether the value at a path is this text, or a list that has it.
fn has(view: View<'_>, at: &str, wanted: &str) -> Truth {
    match view.at(at) {
        Found::Absent => Truth::False,
        Found::Unknown(why) | Found::Hidden(why) => Truth::Unknown(why.to_owned()),
        Found::Known(value) => Truth::any(list(value).into_iter().map(|item| match item.revealed() {
            Attribute::Unknown(why) => Truth::Unknown(why.clone()),
            known => Truth::of(known.as_str() == Some(wanted)),
        })),
    }
}

/// Whether the effect is this one; what is not written counts as `absent`.
fn effect(view: View<'_>, name: &str, wanted: &str, absent: bool) -> Truth {
    match view.at(name) {
        Found::Absent => Truth::of(absent),
        _ => has(view, name, wanted),
    }
}

fn allows(view: View<'_>) -> Truth {
    effect(view, "Effect", "Allow", true)
}

fn not_denies(view: View<'_>) -> Truth {
    effect(view, "Effect", "Deny", false).not()
}

/// A policy document data source gives nobody every action on everything.
pub(crate) fn document_not_admin(subject: Subject<'_>, _at: &str, _value: Option<&toml::Value>) -> Truth {
    statements(subject.view, "statement", |s| {
        Truth::all([effect(s, "effect", "Allow", true), has(s, "actions", "*"), has(s, "resources", "*")])
    })
}

/// A policy document data source gives nobody every action.
pub(crate) fn document_no_star_action(subject: Subject<'_>, _at: &str, _value: Option<&toml::Value>) -> Truth {
    statements(subject.view, "statement", |s| Truth::all([effect(s, "effect", "Allow", true), has(s, "actions", "*")]))
}

/// A policy gives nobody every action on everything.
pub(crate) fn policy_not_admin(subject: Subject<'_>, at: &str, _value: Option<&toml::Value>) -> Truth {
    no_statement(subject, at, |s| Truth::all([allows(s), has(s, "Action", "*"), has(s, "Resource", "*")]))
}

/// A policy gives nobody every action.
pub(crate) fn policy_no_star_action(subject: Subject<'_>, at: &str, _value: Option<&toml::Value>) -> Truth {
    no_statement(subject, at, |s| Truth::all([allows(s), has(s, "Action", "*")]))
}

/// Not everybody in the cloud may assume the role.
pub(crate) fn role_not_for_anyone(subject: Subject<'_>, at: &str, _value: Option<&toml::Value>) -> Truth {
    no_statement(subject, at, |s| Truth::all([not_denies(s), has(s, "Principal.AWS", "*")]))
}

/// A role is not open to a whole account.
pub(crate) fn role_not_for_account(subject: Subject<'_>, at: &str, _value: Option<&toml::Value>) -> Truth {
    static ACCOUNT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^(?:\d{12}|arn:aws:iam::\d{12}:root)").expect("a fixed expression"));
    no_statement(subject, at, |s| {
        let named = match s.items("Principal.AWS") {
            Err(why) => Truth::Unknown(why.to_owned()),
            Ok(principals) => Truth::any(principals.into_iter().map(|p| match p.revealed() {
                Attribute::Unknown(why) => Truth::Unknown(why.clone()),
                known => Truth::of(known.as_str().is_some_and(|text| ACCOUNT.is_match(text))),
            })),
        };
        Truth::all([not_denies(s), named])
    })
}

fn everybody(statement: View<'_>) -> Truth {
    match statement.at("Principal") {
        Found::Known(principal) if matches!(principal.revealed(), Attribute::Map(_)) => {
            has(statement, "Principal.AWS", "*")
        }
        _ => has(statement, "Principal", "*"),
    }
}

/// A key's policy does not open it to everybody.
pub(crate) fn key_not_for_anyone(subject: Subject<'_>, at: &str, _value: Option<&toml::Value>) -> Truth {
    no_statement(subject, at, |s| {
        let unconditional = Truth::of(s.at("Condition") == Found::Absent);
        Truth::all([not_denies(s), unconditional, everybody(s)])
    })
}

/// A bucket's policy does not open it to everybody without a condition that confines it.
pub(crate) fn bucket_not_for_anyone(subject: Subject<'_>, at: &str, _value: Option<&toml::Value>) -> Truth {
    no_statement(subject, at, |s| {
        let effective = Truth::all([Truth::of(s.at("Effect") != Found::Absent), not_denies(s)]);
        Truth::all([effective, everybody(s), Truth::of(confined(s)).not()])
    })
}

fn confined(statement: View<'_>) -> bool {
    let written = |name: &str| statement.at(&format!("Condition.{name}")) != Found::Absent;
    if ["ArnNotEquals", "ArnNotLike", "ArnEquals", "ArnLike"].iter().any(|name| written(name)) {
        return true;
    }
    ["StringEquals", "StringEqualsIgnoreCase", "StringLike"].iter().any(|name| {
        match statement.at(&format!("Condition.{name}")) {
            Found::Known(value) => match value.revealed() {
                Attribute::Map(map) => map.keys().any(|key| CONFINING.contains(&key.as_str())),
                _ => false,
            },
            _ => false,
        }
    })
}

/// A resource's policy allows nothing to the whole internet: everybody, without any condition on who or from where.
pub(crate) fn not_public(subject: Subject<'_>, at: &str, _value: Option<&toml::Value>) -> Truth {
    no_statement(subject, at, |s| {
        let unconditional = Truth::of(s.at("Condition") == Found::Absent);
        Truth::all([effect(s, "Effect", "Allow", false), everybody(s), unconditional])
    })
}

static AWS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    [
        r"(?:^|[^A-Za-z0-9/+=])[A-Za-z0-9/+=]{40}(?:$|[^A-Za-z0-9/+=])",
        r"(?:A3T[A-Z0-9]|AKIA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|ASIA)[A-Z0-9]{16}",
        r"-----BEGIN (?:RSA|EC|DSA|GPP) PRIVATE KEY-----",
    ]
    .map(|pattern| Regex::new(pattern).expect("fixed expressions"))
});

/// No text at a path, or in the map there, looks like a credential.
pub(crate) fn no_credentials(subject: Subject<'_>, at: &str, _value: Option<&toml::Value>) -> Truth {
    match subject.view.at(at) {
        Found::Absent => Truth::True,
        Found::Unknown(why) | Found::Hidden(why) => Truth::Unknown(why.to_owned()),
        Found::Known(value) => match value.revealed() {
            Attribute::Map(map) => Truth::all(map.values().map(clean)),
            _ => Truth::all(list(value).into_iter().map(clean)),
        },
    }
}

fn clean(value: &Attribute) -> Truth {
    match value.revealed() {
        Attribute::Unknown(why) => Truth::Unknown(why.clone()),
        known => Truth::of(!known.as_str().is_some_and(|text| AWS.iter().any(|re| re.is_match(text)))),
    }
}
