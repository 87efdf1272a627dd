//! What a set of policies allows on a path.
//!
//! Of all patterns that match, only the best counts, even against a broader deny; the rules of several policies for the
//! same pattern are joined, and a deny in any of them wins.

use crate::policy::{Capability, Rule};
use serde_json::{Map, Value};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// The rules of a token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acl {
    root: bool,
    by_pattern: BTreeMap<String, Vec<Rule>>,
}

impl Acl {
    /// May do everything.
    pub(crate) fn root() -> Self {
        Self { root: true, by_pattern: BTreeMap::new() }
    }

    pub(crate) fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut by_pattern: BTreeMap<String, Vec<Rule>> = BTreeMap::new();
        for rule in rules {
            by_pattern.entry(rule.pattern.clone()).or_default().push(rule);
        }
        Self { root: false, by_pattern }
    }

    pub(crate) fn is_root(&self) -> bool {
        self.root
    }

    /// Capabilities on a path, as `sys/capabilities` tells them.
    pub(crate) fn words(&self, path: &str) -> Vec<&'static str> {
        if self.root {
            return vec!["root"];
        }
        let mut words: Vec<_> = self.on(path).0.into_iter().map(Capability::word).collect();
        words.sort_unstable();
        words.dedup();
        if words.is_empty() || words.contains(&"deny") { vec!["deny"] } else { words }
    }

    /// Whether an operation that needs a capability may go on, with these parameters.
    pub(crate) fn allows(&self, path: &str, needs: Capability, body: &Map<String, Value>) -> bool {
        if self.root {
            return true;
        }
        let (capabilities, rules) = self.on(path);
        let granted = capabilities.contains(&needs) && !capabilities.contains(&Capability::Deny);
        let writes = matches!(needs, Capability::Create | Capability::Update | Capability::Patch);
        granted && (!writes || rules.is_empty() || rules.iter().any(|rule| parameters_fit(rule, body)))
    }

    /// Bounds that the rules set on the life of a wrapping token.
    pub(crate) fn wrapping_fits(&self, path: &str, ttl: Option<u64>) -> bool {
        self.on(path).1.iter().all(|rule| match ttl {
            Some(ttl) => {
                rule.min_wrapping_ttl.is_none_or(|m| ttl >= m) && rule.max_wrapping_ttl.is_none_or(|m| ttl <= m)
            }
            None => rule.min_wrapping_ttl.is_none_or(|m| m == 0),
        })
    }

    /// Whether any rule leads below a mount.
    pub(crate) fn reaches(&self, mount: &str) -> bool {
        let leads =
            |pattern: &str| pattern.starts_with(mount) || mount.starts_with(pattern.trim_end_matches(['*', '+']));
        self.root
            || self
                .by_pattern
                .iter()
                .any(|(p, rules)| leads(p) && rules.iter().all(|r| !r.capabilities.contains(&Capability::Deny)))
    }

    fn on(&self, path: &str) -> (Vec<Capability>, &[Rule]) {
        let best = self
            .by_pattern
            .iter()
            .filter(|(pattern, _)| matches(pattern, path))
            .max_by(|(a, _), (b, _)| priority(a, b));
        match best {
            Some((_, rules)) => (rules.iter().flat_map(|r| r.capabilities.iter().copied()).collect(), rules),
            None => (vec![], &[]),
        }
    }
}

/// Whether a pattern covers a path. A path of a LIST may end in a slash that the pattern does not have, or lack one.
fn matches(pattern: &str, path: &str) -> bool {
    covers(pattern, path) || path.strip_suffix('/').is_some_and(|bare| covers(pattern, bare))
}

fn covers(pattern: &str, path: &str) -> bool {
    let (pattern, prefix) = match pattern.strip_suffix('*') {
        Some(stem) => (stem, true),
        None => (pattern, false),
    };
    if !pattern.contains('+') {
        return if prefix { path.starts_with(pattern) } else { path == pattern };
    }
    let (pattern, path): (Vec<_>, Vec<_>) = (pattern.split('/').collect(), path.split('/').collect());
    if path.len() < pattern.len() || (!prefix && path.len() != pattern.len()) {
        return false;
    }
    let last = pattern.len() - 1;
    pattern.iter().zip(&path).enumerate().all(|(at, (want, have))| match *want {
        "+" => true,
        want if at == last && prefix => have.starts_with(want),
        want => want == *have,
    })
}

/// Which of two patterns that both match counts more.
fn priority(a: &str, b: &str) -> Ordering {
    let wildcard = |p: &str| p.find(['+', '*']).unwrap_or(usize::MAX);
    let plus = |p: &str| p.split('/').filter(|s| s.starts_with('+')).count();
    wildcard(a)
        .cmp(&wildcard(b))
        .then_with(|| b.ends_with('*').cmp(&a.ends_with('*')))
        .then_with(|| plus(b).cmp(&plus(a)))
        .then_with(|| a.len().cmp(&b.len()))
        .then_with(|| a.cmp(b))
}

/// Key-value version 2 nests what people mean in `data`; Vault looks at the body as it came, and so do we.
fn parameters_fit(rule: &Rule, body: &Map<String, Value>) -> bool {
    let listed = |list: &Value, value: &Value| match list {
        Value::Array(values) => values.is_empty() || values.iter().any(|v| value_fits(v, value)),
        _ => false,
    };
    if !rule.required_parameters.iter().all(|name| body.contains_key(name)) {
        return false;
    }
    if let Some(denied) = &rule.denied_parameters {
        if denied.contains_key("*") && !body.is_empty() {
            return false;
        }
        if body.iter().any(|(name, value)| denied.get(&name.to_lowercase()).is_some_and(|list| listed(list, value))) {
            return false;
        }
    }
    match &rule.allowed_parameters {
        None => true,
        Some(allowed) => body.iter().all(|(name, value)| match allowed.get(&name.to_lowercase()) {
            Some(list) => listed(list, value),
            None => allowed.contains_key("*"),
        }),
    }
}

fn value_fits(want: &Value, have: &Value) -> bool {
    match (want, have) {
        (Value::String(want), Value::String(have)) => match want.strip_suffix('*') {
            Some(stem) => have.starts_with(stem),
            None => want == have,
        },
        _ => want == have,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::parse;
    use serde_json::json;

    fn acl(policies: &[&str]) -> Acl {
        Acl::new(policies.iter().flat_map(|p| parse(p).expect("a policy of the test")))
    }

    fn rule(path: &str, capability: &str) -> String {
        format!("path \"{path}\" {{ capabilities = [\"{capability}\"] }}\n")
    }

    #[test]
    fn the_best_match_counts_alone() {
        let broad_deny = [rule("secret/*", "deny"), rule("secret/data/a", "read")].concat();
        let acl = acl(&[&broad_deny]);
        for (path, expect) in
            [("secret/data/a", vec!["read"]), ("secret/data/b", vec!["deny"]), ("other", vec!["deny"])]
        {
            assert_eq!(acl.words(path), expect, "{path}");
        }
    }

    #[test]
    fn the_same_pattern_in_two_policies_is_joined_and_a_deny_wins() {
        let (read, list, deny) = (rule("a/*", "read"), rule("a/*", "list"), rule("a/*", "deny"));
        assert_eq!(acl(&[&read, &list]).words("a/b"), ["list", "read"]);
        assert_eq!(acl(&[&read, &deny]).words("a/b"), ["deny"]);
    }

    #[test]
    fn patterns() {
        for (pattern, path, expect) in [
            ("secret/*", "secret/a/b", true),
            ("secret/*", "secret", false),
            ("secret/+/c", "secret/a/c", true),
            ("secret/+/c", "secret/a/b/c", false),
            ("secret/+/c*", "secret/a/cd/e", true),
            ("+/+", "a/b", true),
            ("a", "a", true),
            ("a", "a/", true),
            ("a/", "a/", true),
            ("a", "ab", false),
            ("secret/metadata/+", "secret/metadata/x/", true),
        ] {
            assert_eq!(matches(pattern, path), expect, "{pattern} {path}");
        }
    }

    #[test]
    fn priorities_are_vaults() {
        for (better, worse) in [
            ("secret/a/b", "secret/a/*"),
            ("secret/a/*", "secret/*"),
            ("secret/a/+", "secret/+/b"),
            ("secret/+/b", "secret/+/*"),
            ("secret/+/b/c", "secret/+/+/c"),
            ("a/+/bb", "a/+/b"),
        ] {
            assert_eq!(priority(better, worse), Ordering::Greater, "{better} over {worse}");
        }
    }

    #[test]
    fn parameters_bound_what_may_be_written() {
        let text = r#"path "a" {
          capabilities = ["create", "update"]
          allowed_parameters = { "colour" = ["red", "bl*"], "size" = [] }
          denied_parameters = { "size" = ["huge"] }
          required_parameters = ["colour"]
        }"#;
        let acl = acl(&[text]);
        for (body, expect) in [
            (json!({"colour": "red"}), true),
            (json!({"colour": "blue", "size": "small"}), true),
            (json!({"colour": "green"}), false),
            (json!({"colour": "red", "size": "huge"}), false),
            (json!({"colour": "red", "shape": "round"}), false),
            (json!({"size": "small"}), false),
        ] {
            let Value::Object(map) = &body else { continue };
            assert_eq!(acl.allows("a", Capability::Update, map), expect, "{body}");
        }
    }
}
