//! Whom an alert goes to, whether it is quiet, and whether a group has something to say (Alertmanager 0.34).

use crate::config::{InhibitRule, RouteConfig};
use crate::notify::matcher::{LabelMatcher, all_match};
use lem_model::SilenceId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Labels of an alert.
pub type LabelMap = BTreeMap<String, String>;

/// A route that took an alert, as the path of child numbers from the root.
pub type RoutePath = Vec<usize>;

/// The routes an alert goes to: depth first; a match without `continue` ends the siblings; without a matching child the
/// node itself takes it.
pub fn routes(root: &RouteConfig, labels: &LabelMap) -> Vec<RoutePath> {
    let mut found = vec![];
    walk(root, labels, &mut vec![], &mut found);
    found
}

fn walk(node: &RouteConfig, labels: &LabelMap, path: &mut RoutePath, found: &mut Vec<RoutePath>) -> bool {
    if !all_match(&node.matchers, labels) {
        return false;
    }
    let before = found.len();
    for (number, child) in node.routes.iter().enumerate() {
        path.push(number);
        let matched = walk(child, labels, path, found);
        path.pop();
        if matched && !child.go_on {
            break;
        }
    }
    if found.len() == before {
        found.push(path.clone());
    }
    true
}

/// The node at a path.
pub fn route_at<'a>(root: &'a RouteConfig, path: &[usize]) -> Option<&'a RouteConfig> {
    path.iter().try_fold(root, |node, number| node.routes.get(*number))
}

/// `{}/{severity="page"}:{alertname="A"}`: matchers along the path, then the group's labels.
pub fn group_key(root: &RouteConfig, path: &[usize], group: &LabelMap) -> String {
    let mut parts = vec![matcher_text(&root.matchers)];
    for end in 1..=path.len() {
        parts.extend(route_at(root, &path[..end]).map(|r| matcher_text(&r.matchers)));
    }
    let labels: Vec<String> = group.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
    format!("{}:{{{}}}", parts.join("/"), labels.join(", "))
}

fn matcher_text(matchers: &[LabelMatcher]) -> String {
    let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", texts.join(","))
}

/// The labels that make the group of an alert.
pub fn group_labels(route: &RouteConfig, labels: &LabelMap) -> LabelMap {
    let wanted = |name: &str| route.group_by.as_ref().is_none_or(|by| by.contains(name));
    labels.iter().filter(|(n, _)| wanted(n)).map(|(n, v)| (n.clone(), v.clone())).collect()
}

/// The firing alerts that make `target` quiet.
pub fn inhibitors<'a>(rules: &[InhibitRule], target: &LabelMap, firing: &'a [LabelMap]) -> Vec<&'a LabelMap> {
    let value = |labels: &LabelMap, name: &str| labels.get(name).cloned().unwrap_or_default();
    let mut found = vec![];
    for rule in rules.iter().filter(|rule| all_match(&rule.target, target)) {
        let both = all_match(&rule.source, target);
        found.extend(firing.iter().filter(|source| {
            all_match(&rule.source, source)
                && rule.equal.iter().all(|name| value(source, name) == value(target, name))
                // What matches both sides is not inhibited by another of its kind.
                && !(both && all_match(&rule.target, source))
        }));
    }
    found
}

/// Why nobody is told of an alert.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Muted {
    /// Silences that match.
    pub silences: Vec<SilenceId>,
    /// Alerts that make it quiet.
    pub inhibitors: Vec<LabelMap>,
}

impl Muted {
    /// Whether nobody is told.
    pub fn is_muted(&self) -> bool {
        !self.silences.is_empty() || !self.inhibitors.is_empty()
    }
}

/// What was last said of a group to a receiver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Fingerprints of the firing ones.
    pub firing: BTreeSet<String>,
    /// Fingerprints of the resolved ones.
    pub resolved: BTreeSet<String>,
    /// When.
    pub at_ms: i64,
}

/// Why a group speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// For the first time.
    First,
    /// There is more.
    NewAlerts,
    /// All is over.
    AllResolved,
    /// Some of it is over.
    SomeResolved,
    /// It has been quiet for long.
    Repeat,
}

impl Reason {
    /// The reference's words.
    pub fn text(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts added",
            Self::AllResolved => "all alerts resolved",
            Self::SomeResolved => "some alerts resolved",
            Self::Repeat => "repeat interval elapsed",
        }
    }
}

/// Whether a group has something to say, and why.
pub fn needs_update(
    said: Option<&Said>,
    firing: &BTreeSet<String>,
    resolved: &BTreeSet<String>,
    tell_resolved: TellResolved,
    repeat_ms: i64,
    at_ms: i64,
) -> Option<Reason> {
    let Some(said) = said else { return (!firing.is_empty()).then_some(Reason::First) };
    if !firing.is_subset(&said.firing) {
        return Some(if said.firing.is_empty() { Reason::First } else { Reason::NewAlerts });
    }
    if firing.is_empty() {
        // Whatever the receiver wants to hear, the log must be cleared.
        return (!said.firing.is_empty()).then_some(Reason::AllResolved);
    }
    if tell_resolved == TellResolved::Yes && !resolved.is_subset(&said.resolved) {
        return Some(Reason::SomeResolved);
    }
    (at_ms - said.at_ms >= repeat_ms).then_some(Reason::Repeat)
}

/// Whether a receiver hears of the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TellResolved {
    /// It does.
    Yes,
    /// It does not.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::alertmanager;

    fn set(text: &str) -> BTreeSet<String> {
        text.chars().map(String::from).collect()
    }

    #[test]
    fn whether_to_speak() {
        let check = |said: Option<(&str, &str, i64)>, firing, resolved, tell, expect: Option<&str>| {
            let said = said.map(|(f, r, at_ms)| Said { firing: set(f), resolved: set(r), at_ms });
            let found = needs_update(said.as_ref(), &set(firing), &set(resolved), tell, 100, 150);
            assert_eq!(found.map(Reason::text), expect, "{said:?} {firing} {resolved}");
        };
        use TellResolved::{No, Yes};
        check(None, "a", "", Yes, Some("first notification"));
        check(None, "", "a", Yes, None);
        check(Some(("a", "", 100)), "ab", "", Yes, Some("new alerts added"));
        check(Some(("", "a", 100)), "a", "", Yes, Some("first notification"));
        check(Some(("a", "", 100)), "", "a", Yes, Some("all alerts resolved"));
        check(Some(("a", "", 100)), "", "a", No, Some("all alerts resolved"));
        check(Some(("", "a", 100)), "", "a", Yes, None);
        check(Some(("ab", "", 100)), "a", "b", Yes, Some("some alerts resolved"));
        check(Some(("ab", "", 100)), "a", "b", No, None);
        check(Some(("a", "", 100)), "a", "", Yes, None);
        check(Some(("a", "", 50)), "a", "", Yes, Some("repeat interval elapsed"));
    }

    #[test]
    fn routing_and_keys() {
        let text = "route:\n  receiver: r\n  group_by: [alertname]\n  routes:\n  - matchers: [team=\"a\"]\n    receiver: a\n    continue: true\n  \
                    - matchers: [severity=~\"page|critical\"]\n    receiver: p\n    routes:\n    - matchers: [team=\"b\"]\n      receiver: b\n  - receiver: last\n\
                    receivers: [{name: r}, {name: a}, {name: b}, {name: p}, {name: last}]\n";
        let (config, diagnostics) = alertmanager::parse(text, "am.yml");
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        let root = config.unwrap_or_default().route;
        let check = |labels: &[(&str, &str)], expect: &[&str]| {
            let labels: LabelMap = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            let found: Vec<_> = routes(&root, &labels)
                .iter()
                .map(|p| route_at(&root, p).map_or("", |r| r.receiver.as_str()).to_owned())
                .collect();
            assert_eq!(found, expect, "{labels:?}");
        };
        check(&[("team", "a")], &["a", "last"]);
        check(&[("team", "a"), ("severity", "page")], &["a", "p"]);
        check(&[("team", "b"), ("severity", "critical")], &["b"]);
        check(&[("severity", "ticket")], &["last"]);
        let group: LabelMap = [("alertname".to_owned(), "A".to_owned())].into();
        assert_eq!(group_key(&root, &[], &group), "{}:{alertname=\"A\"}");
        assert_eq!(
            group_key(&root, &[1, 0], &group),
            "{}/{severity=~\"page|critical\"}/{team=\"b\"}:{alertname=\"A\"}"
        );
    }

    #[test]
    fn quiet_while_a_source_fires() {
        let m = |text: &str| crate::notify::matcher::parse(text).unwrap_or_default();
        let rule = InhibitRule {
            source: m("severity=\"page\""),
            target: m("severity=~\"page|ticket\""),
            equal: vec!["service".into()],
        };
        let labels = |severity: &str, service: &str| -> LabelMap {
            [("severity".to_owned(), severity.to_owned()), ("service".to_owned(), service.to_owned())].into()
        };
        let check = |target: LabelMap, firing: &[LabelMap], expect| {
            assert_eq!(!inhibitors(std::slice::from_ref(&rule), &target, firing).is_empty(), expect, "{target:?}");
        };
        check(labels("ticket", "shop"), &[labels("page", "shop")], true);
        check(labels("page", "shop"), &[labels("page", "shop")], false);
        let other = InhibitRule { target: m("severity=\"ticket\""), ..rule.clone() };
        let quiet = |target: &LabelMap, firing: &[LabelMap]| {
            !inhibitors(std::slice::from_ref(&other), target, firing).is_empty()
        };
        assert!(quiet(&labels("ticket", "shop"), &[labels("page", "shop")]));
        assert!(!quiet(&labels("ticket", "shop"), &[labels("page", "cart")]));
        let bare = |severity: &str| -> LabelMap { [("severity".to_owned(), severity.to_owned())].into() };
        assert!(quiet(&bare("ticket"), &[bare("page")]), "a missing label equals a missing one");
    }
}
