//! Policies: HCL or JSON text becomes rules.

use crate::limits::POLICY_BYTES;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body};
use serde_json::{Map, Value, json};

/// One thing a rule may allow. `Deny` takes everything away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    Create,
    Read,
    Update,
    Patch,
    Delete,
    List,
    Sudo,
    Deny,
}

impl Capability {
    const ALL: [(&'static str, Self); 8] = [
        ("create", Self::Create),
        ("read", Self::Read),
        ("update", Self::Update),
        ("patch", Self::Patch),
        ("delete", Self::Delete),
        ("list", Self::List),
        ("sudo", Self::Sudo),
        ("deny", Self::Deny),
    ];

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, capability)| *capability)
    }

    pub(crate) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, c)| *c == self).map_or("", |(name, _)| name)
    }
}

/// What one policy says about one path.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) pattern: String,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) allowed_parameters: Option<Map<String, Value>>,
    pub(crate) denied_parameters: Option<Map<String, Value>>,
    pub(crate) required_parameters: Vec<String>,
    pub(crate) min_wrapping_ttl: Option<u64>,
    pub(crate) max_wrapping_ttl: Option<u64>,
}

/// Every token's own affairs; part of every token unless it was made without.
pub(crate) const DEFAULT: &str = r#"
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/internal/ui/mounts/*" { capabilities = ["read"] }
path "sys/internal/ui/mounts" { capabilities = ["read"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/renew" { capabilities = ["update"] }
path "sys/wrapping/wrap" { capabilities = ["update"] }
path "sys/wrapping/lookup" { capabilities = ["update", "read"] }
path "sys/wrapping/unwrap" { capabilities = ["update"] }
path "cubbyhole/*" { capabilities = ["create", "read", "update", "delete", "list"] }
"#;

/// Reads a policy. The error says what is wrong and where, in a sentence.
pub(crate) fn parse(text: &str) -> Result<Vec<Rule>, String> {
    if text.len() > POLICY_BYTES {
        return Err(format!("the policy has {} bytes, the limit is {POLICY_BYTES}", text.len()));
    }
    if text.contains("{{") {
        return Err("templated policies ({{identity...}}) are not supported; name the path in full".into());
    }
    let paths = if text.trim_start().starts_with('{') { json_paths(text)? } else { hcl_paths(text)? };
    paths.iter().map(|(pattern, fields)| rule(pattern, fields)).collect()
}

fn json_paths(text: &str) -> Result<Vec<(String, Value)>, String> {
    let document: Value = serde_json::from_str(text).map_err(|e| format!("the policy is no JSON: {e}"))?;
    match document.get("path") {
        Some(Value::Object(paths)) => Ok(paths.iter().map(|(k, v)| (k.clone(), v.clone())).collect()),
        _ => Err("the policy has no \"path\" object".into()),
    }
}

fn hcl_paths(text: &str) -> Result<Vec<(String, Value)>, String> {
    let body: Body = hcl_edit::parser::parse_body(text).map_err(|e| {
        format!("the policy is no HCL: line {}, column {}: {}", e.location().line(), e.location().column(), e.message())
    })?;
    let mut paths = vec![];
    for structure in &body {
        if let Some(block) = structure.as_block() {
            paths.push(hcl_path(block)?);
        } else if let Some(attribute) = structure.as_attribute()
            && attribute.key.as_str() != "name"
        {
            return Err(format!("unknown argument {:?}; a policy has path blocks", attribute.key.as_str()));
        }
    }
    Ok(paths)
}

fn hcl_path(block: &Block) -> Result<(String, Value), String> {
    let label = match block.labels.as_slice() {
        [label] if block.ident.as_str() == "path" => label.as_str().to_owned(),
        _ => {
            return Err(format!(
                "unknown block {:?}; a policy has blocks like path \"secret/*\" {{ }}",
                block.ident.as_str()
            ));
        }
    };
    let mut fields = Map::new();
    for structure in &block.body {
        if let Some(attribute) = structure.as_attribute() {
            fields.insert(attribute.key.as_str().to_owned(), json_of(&attribute.value)?);
        } else if let Some(inner) = structure.as_block() {
            let mut nested = Map::new();
            for attribute in inner.body.attributes() {
                nested.insert(attribute.key.as_str().to_owned(), json_of(&attribute.value)?);
            }
            fields.insert(inner.ident.as_str().to_owned(), Value::Object(nested));
        }
    }
    Ok((label, Value::Object(fields)))
}

fn json_of(expression: &Expression) -> Result<Value, String> {
    Ok(match expression {
        Expression::Null(_) => Value::Null,
        Expression::Bool(value) => json!(*value.value()),
        Expression::Number(number) => json!(number.value().as_f64()),
        Expression::String(text) => json!(text.as_str()),
        Expression::Array(array) => Value::Array(array.iter().map(json_of).collect::<Result<_, _>>()?),
        Expression::Object(object) => {
            let mut map = Map::new();
            for (key, value) in object {
                let name = match key {
                    hcl_edit::expr::ObjectKey::Ident(ident) => ident.as_str().to_owned(),
                    hcl_edit::expr::ObjectKey::Expression(Expression::String(text)) => text.as_str().to_owned(),
                    hcl_edit::expr::ObjectKey::Expression(_) => {
                        return Err("a key of an object is no plain name".into());
                    }
                };
                map.insert(name, json_of(value.expr())?);
            }
            Value::Object(map)
        }
        _ => return Err("a policy has plain values only: no references, functions or templates".into()),
    })
}

const FIELDS: [&str; 7] = [
    "capabilities",
    "policy",
    "allowed_parameters",
    "denied_parameters",
    "required_parameters",
    "min_wrapping_ttl",
    "max_wrapping_ttl",
];

fn rule(pattern: &str, fields: &Value) -> Result<Rule, String> {
    let Value::Object(fields) = fields else { return Err(format!("path {pattern:?}: expected an object")) };
    if let Some(unknown) = fields.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        return Err(format!("path {pattern:?}: unknown field {unknown:?}"));
    }
    let plain = pattern.strip_suffix('*').unwrap_or(pattern);
    if plain.contains('*') {
        return Err(format!("path {pattern:?}: * may only stand at the end; + stands for one segment"));
    }
    if pattern.split('/').any(|segment| segment.contains('+') && segment != "+" && segment != "+*") {
        return Err(format!("path {pattern:?}: + stands for a whole segment"));
    }
    let object = |name: &str| match fields.get(name) {
        None => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map.clone())),
        Some(_) => Err(format!("path {pattern:?}: {name} is no object")),
    };
    let ttl = |name: &str| match fields.get(name) {
        None => Ok(None),
        Some(Value::Number(n)) => Ok(n.as_f64().map(|n| n as u64)),
        Some(Value::String(text)) => {
            crate::request::seconds(text).map(Some).ok_or_else(|| format!("path {pattern:?}: {name} is no duration"))
        }
        Some(_) => Err(format!("path {pattern:?}: {name} is no duration")),
    };
    Ok(Rule {
        pattern: pattern.trim_start_matches('/').to_owned(),
        capabilities: capabilities(pattern, fields)?,
        allowed_parameters: object("allowed_parameters")?,
        denied_parameters: object("denied_parameters")?,
        required_parameters: words(fields.get("required_parameters")).unwrap_or_default(),
        min_wrapping_ttl: ttl("min_wrapping_ttl")?,
        max_wrapping_ttl: ttl("max_wrapping_ttl")?,
    })
}

fn words(value: Option<&Value>) -> Option<Vec<String>> {
    Some(value?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

fn capabilities(pattern: &str, fields: &Map<String, Value>) -> Result<Vec<Capability>, String> {
    use Capability::{Create, Delete, Deny, List, Read, Sudo, Update};
    // The old word for a whole set, which old policies still carry.
    if let Some(word) = fields.get("policy").and_then(Value::as_str) {
        return match word {
            "deny" => Ok(vec![Deny]),
            "read" => Ok(vec![Read, List]),
            "write" => Ok(vec![Create, Read, Update, Delete, List]),
            "sudo" => Ok(vec![Create, Read, Update, Delete, List, Sudo]),
            other => Err(format!("path {pattern:?}: unknown policy {other:?}")),
        };
    }
    let Some(given) = words(fields.get("capabilities")) else {
        return Err(format!("path {pattern:?}: capabilities is missing; it is a list such as [\"read\", \"list\"]"));
    };
    given
        .iter()
        .map(|word| Capability::parse(word).ok_or_else(|| format!("path {pattern:?}: unknown capability {word:?}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hcl_and_json_say_the_same() {
        let hcl = parse("path \"secret/data/shop/*\" {\n capabilities = [\"read\", \"list\"]\n}\n").expect("HCL");
        let json = parse(r#"{"path": {"secret/data/shop/*": {"capabilities": ["read", "list"]}}}"#).expect("JSON");
        assert_eq!(hcl, json);
        assert_eq!(hcl[0].capabilities, [Capability::Read, Capability::List]);
        assert!(!parse(DEFAULT).expect("our own").is_empty());
    }

    #[test]
    fn parameters_and_wrapping() {
        let text = r#"path "secret/data/a" {
          capabilities = ["create"]
          required_parameters = ["owner"]
          allowed_parameters = { "owner" = ["a", "b"], "*" = [] }
          max_wrapping_ttl = "90s"
        }"#;
        let rule = &parse(text).expect("reads")[0];
        assert_eq!(rule.required_parameters, ["owner"]);
        assert_eq!(rule.max_wrapping_ttl, Some(90));
        assert_eq!(rule.allowed_parameters.as_ref().expect("given")["owner"], json!(["a", "b"]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expect) in [
            ("path \"a\" { capabilities = [\"fly\"] }", "unknown capability \"fly\""),
            ("path \"a*b\" { capabilities = [\"read\"] }", "* may only stand at the end"),
            ("path \"a/+b\" { capabilities = [\"read\"] }", "+ stands for a whole segment"),
            ("path \"a\" { }", "capabilities is missing"),
            ("path \"a\" { colour = 1 }", "unknown field \"colour\""),
            ("rule \"a\" { }", "unknown block \"rule\""),
            ("path \"a\" {", "line 1"),
            ("{\"paths\": {}}", "no \"path\" object"),
            ("path \"secret/{{identity.entity.id}}\" { capabilities = [\"read\"] }", "templated policies"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(expect), "{text}: {error}");
        }
    }
}
