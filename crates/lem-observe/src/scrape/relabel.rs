//! Relabelling (Prometheus 3, "relabel_config").

use lem_engine_promql::Labels;
use regex::Regex;
use std::collections::BTreeMap;

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sets the target.
    Replace,
    /// Keeps what matches.
    Keep,
    /// Drops what matches.
    Drop,
    /// Keeps what equals the target.
    KeepEqual,
    /// Drops what equals the target.
    DropEqual,
    /// Copies labels by name.
    LabelMap,
    /// Drops labels by name.
    LabelDrop,
    /// Keeps labels by name.
    LabelKeep,
    /// Lower case into the target.
    Lowercase,
    /// Upper case into the target.
    Uppercase,
}

const NAMES: [(&str, Action); 10] = [
    ("replace", Action::Replace),
    ("keep", Action::Keep),
    ("drop", Action::Drop),
    ("keepequal", Action::KeepEqual),
    ("dropequal", Action::DropEqual),
    ("labelmap", Action::LabelMap),
    ("labeldrop", Action::LabelDrop),
    ("labelkeep", Action::LabelKeep),
    ("lowercase", Action::Lowercase),
    ("uppercase", Action::Uppercase),
];

impl Action {
    /// By its name in the file.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(n, _)| *n == name).map(|(_, a)| *a)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, a)| *a == self).map_or("", |(n, _)| n)
    }

    /// Whether it needs a target label.
    pub fn needs_target(self) -> bool {
        matches!(self, Self::Replace | Self::KeepEqual | Self::DropEqual | Self::Lowercase | Self::Uppercase)
    }
}

/// One step.
#[derive(Clone, Debug)]
pub struct Relabel {
    /// Labels whose values are joined.
    pub source: Vec<String>,
    /// Between them.
    pub separator: String,
    /// Anchored at both ends.
    pub regex: Regex,
    /// Label that is set.
    pub target: String,
    /// With `$1` and the like.
    pub replacement: String,
    /// What it does.
    pub action: Action,
}

/// Runs the steps; `None` when the target or series is dropped.
pub fn process(labels: &Labels, steps: &[Relabel]) -> Option<Labels> {
    if steps.is_empty() {
        return Some(labels.clone());
    }
    let mut map: BTreeMap<String, String> = labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    for step in steps {
        apply(&mut map, step)?;
    }
    Some(Labels::new(map.into_iter().filter(|(_, v)| !v.is_empty()).collect()))
}

fn apply(map: &mut BTreeMap<String, String>, step: &Relabel) -> Option<()> {
    let of = |map: &BTreeMap<String, String>, name: &str| map.get(name).cloned().unwrap_or_default();
    let value = step.source.iter().map(|n| of(map, n)).collect::<Vec<_>>().join(&step.separator);
    let matched = step.regex.is_match(&value);
    match step.action {
        Action::Keep => return matched.then_some(()),
        Action::Drop => return (!matched).then_some(()),
        Action::KeepEqual => return (of(map, &step.target) == value).then_some(()),
        Action::DropEqual => return (of(map, &step.target) != value).then_some(()),
        Action::Replace => replace(map, step, &value),
        Action::Lowercase => {
            map.insert(step.target.clone(), value.to_lowercase());
        }
        Action::Uppercase => {
            map.insert(step.target.clone(), value.to_uppercase());
        }
        Action::LabelMap => {
            let renamed: Vec<_> = map
                .iter()
                .filter_map(|(name, v)| {
                    let found = step.regex.captures(name)?;
                    let mut to = String::new();
                    found.expand(&step.replacement, &mut to);
                    Some((to, v.clone()))
                })
                .collect();
            map.extend(renamed);
        }
        Action::LabelDrop => map.retain(|name, _| !step.regex.is_match(name)),
        Action::LabelKeep => map.retain(|name, _| step.regex.is_match(name)),
    }
    Some(())
}

fn replace(map: &mut BTreeMap<String, String>, step: &Relabel, value: &str) {
    let Some(found) = step.regex.captures(value) else { return };
    let (mut target, mut replacement) = (String::new(), String::new());
    found.expand(&step.target, &mut target);
    found.expand(&step.replacement, &mut replacement);
    if !lem_engine_promql::labels::is_legacy_label_name(&target) {
        return;
    }
    if replacement.is_empty() {
        map.remove(&target);
    } else {
        map.insert(target, replacement);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn step(action: &str, source: &[&str], regex: &str, target: &str, replacement: &str) -> Relabel {
        Relabel {
            source: source.iter().map(|s| (*s).to_owned()).collect(),
            separator: ";".into(),
            regex: lem_engine_promql::labels::anchored_regex(regex).unwrap(),
            target: target.into(),
            replacement: replacement.into(),
            action: Action::named(action).unwrap(),
        }
    }

    #[test]
    fn relabelling() {
        let check = |steps: &[Relabel], expect: Option<&[(&str, &str)]>| {
            let labels = Labels::from_pairs([("a", "foo"), ("b", "bar"), ("__meta_x", "m")]);
            let found = process(&labels, steps);
            assert_eq!(found, expect.map(|pairs| Labels::from_pairs(pairs.iter().copied())), "{steps:?}");
        };
        let same: &[(&str, &str)] = &[("a", "foo"), ("b", "bar"), ("__meta_x", "m")];
        check(&[step("keep", &["a"], "f.*", "", "")], Some(same));
        check(&[step("drop", &["a"], "f.*", "", "")], None);
        check(&[step("keep", &["a"], "o+", "", "")], None);
        check(
            &[step("replace", &["a", "b"], "f(.*);(.*)", "c", "$2-${1}")],
            Some(&[("a", "foo"), ("b", "bar"), ("c", "bar-oo"), ("__meta_x", "m")]),
        );
        check(&[step("replace", &["a"], "(.*)", "b", "")], Some(&[("a", "foo"), ("__meta_x", "m")]));
        check(
            &[step("labelmap", &[], "__meta_(.*)", "", "$1")],
            Some(&[("a", "foo"), ("b", "bar"), ("x", "m"), ("__meta_x", "m")]),
        );
        check(&[step("labeldrop", &[], "[ab]", "", "")], Some(&[("__meta_x", "m")]));
        check(&[step("uppercase", &["a"], "(.*)", "b", "")], Some(&[("a", "foo"), ("b", "FOO"), ("__meta_x", "m")]));
        check(&[step("keepequal", &["a"], "(.*)", "b", "")], None);
    }
}
