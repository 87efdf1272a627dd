//! Which app a request belongs to, and which version a header or cookie demands. Pure.

use http::{HeaderMap, HeaderName, header};

use crate::plan::{Condition, MatchRule, Pattern, RoutePlan};

/// A rule with its names parsed and its version looked up.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Index of the version in the plan.
    pub(crate) version: usize,
    conditions: Vec<Test>,
}

#[derive(Debug)]
enum Test {
    Header(HeaderName, Pattern),
    Cookie(String, Pattern),
}

/// Compiles the rules of a checked plan, those with header conditions first.
pub(crate) fn compile(plan: &RoutePlan) -> Vec<Rule> {
    let by_header = |rule: &&MatchRule| rule.when.iter().any(|c| matches!(c, Condition::Header { .. }));
    let headers = plan.rules.iter().filter(by_header);
    let cookies = plan.rules.iter().filter(|rule| !by_header(rule));
    headers.chain(cookies).filter_map(|rule| compile_rule(plan, rule)).collect()
}

fn compile_rule(plan: &RoutePlan, rule: &MatchRule) -> Option<Rule> {
    let version = plan.versions.iter().position(|v| v.id == rule.version)?;
    let conditions = rule
        .when
        .iter()
        .map(|condition| match condition {
            Condition::Header { name, value } => {
                HeaderName::from_bytes(name.as_bytes()).ok().map(|name| Test::Header(name, value.clone()))
            }
            Condition::Cookie { name, value } => Some(Test::Cookie(name.clone(), value.clone())),
        })
        .collect::<Option<Vec<_>>>()?;
    Some(Rule { version, conditions })
}

impl Rule {
    /// Whether every condition holds.
    pub(crate) fn holds(&self, headers: &HeaderMap) -> bool {
        self.conditions.iter().all(|test| match test {
            Test::Header(name, pattern) => headers.get_all(name).iter().any(|value| fits(pattern, value.as_bytes())),
            Test::Cookie(name, pattern) => cookie(headers, name).is_some_and(|value| fits(pattern, value.as_bytes())),
        })
    }
}

fn fits(pattern: &Pattern, value: &[u8]) -> bool {
    match pattern {
        Pattern::Present => true,
        Pattern::Exact(exact) => value == exact.as_bytes(),
        Pattern::Prefix(prefix) => value.starts_with(prefix.as_bytes()),
    }
}

/// The value of the first cookie of that name (RFC 6265 section 5.4).
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Whether `path` lies under `prefix`: `/api` covers `/api` and `/api/x`, not `/apix`.
pub(crate) fn under(path: &str, prefix: &str) -> bool {
    prefix == "/"
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
}

/// The host without its port, in the case it came in. An IPv6 literal keeps its brackets.
pub(crate) fn host_name(host: &str) -> &str {
    match host.rfind(':') {
        Some(at) if !host[at..].contains(']') => &host[..at],
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn prefixes_end_at_slashes() {
        for (path, prefix, expect) in [
            ("/", "/", true),
            ("/api", "/api", true),
            ("/api/x", "/api", true),
            ("/api/x", "/api/", true),
            ("/apix", "/api", false),
            ("/", "/api", false),
        ] {
            assert_eq!(under(path, prefix), expect, "{path} under {prefix}");
        }
    }

    #[test]
    fn cookies_are_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append("cookie", "a=1; b=2".parse().unwrap());
        headers.append("cookie", "c=x=y".parse().unwrap());
        let found: Vec<_> = ["a", "b", "c", "d"].iter().map(|n| cookie(&headers, n)).collect();
        assert_eq!(found, [Some("1"), Some("2"), Some("x=y"), None]);
    }

    #[test]
    fn hosts_lose_their_port() {
        for (host, expect) in [("a.test", "a.test"), ("a.test:80", "a.test"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")]
        {
            assert_eq!(host_name(host), expect);
        }
    }
}
