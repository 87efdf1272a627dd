//! Key-value secrets, version 2: what a key is and what happens to it. No storage here.

use crate::Response;
use crate::limits::{CUSTOM_KEY_BYTES, CUSTOM_PAIRS, CUSTOM_VALUE_BYTES, VERSIONS, VERSIONS_DEFAULT};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Configuration of a mount or of a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) max_versions: u64,
    pub(crate) cas_required: bool,
    /// Seconds a version lives; 0 is for ever.
    pub(crate) delete_version_after: u64,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) created: String,
    /// When it was or will be deleted.
    pub(crate) deleted: Option<String>,
    pub(crate) destroyed: bool,
    /// The secret; gone once destroyed.
    pub(crate) data: Option<Map<String, Value>>,
}

/// A key with its versions: one record, so that it is never half written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) created: String,
    pub(crate) updated: String,
    pub(crate) current: u64,
    pub(crate) config: Config,
    pub(crate) custom: Option<BTreeMap<String, String>>,
    pub(crate) versions: BTreeMap<u64, Version>,
}

impl Key {
    pub(crate) fn new(now: &str) -> Self {
        Self {
            created: now.to_owned(),
            updated: now.to_owned(),
            current: 0,
            config: Config::default(),
            custom: None,
            versions: BTreeMap::new(),
        }
    }

    /// The version asked for; 0 is the newest.
    pub(crate) fn version(&self, number: u64) -> Option<(u64, &Version)> {
        let number = if number == 0 { self.current } else { number };
        self.versions.get(&number).map(|v| (number, v))
    }

    /// Adds a version, if check-and-set allows it.
    pub(crate) fn put(
        &mut self,
        data: Map<String, Value>,
        cas: Option<u64>,
        mount: &Config,
        now: jiff::Timestamp,
    ) -> Result<u64, Response> {
        if cas.is_none() && (mount.cas_required || self.config.cas_required) {
            return Err(Response::bad("check-and-set parameter required for this call"));
        }
        if cas.is_some_and(|cas| cas != self.current) {
            return Err(Response::bad("check-and-set parameter did not match the current version"));
        }
        let after = [self.config.delete_version_after, mount.delete_version_after].into_iter().find(|s| *s > 0);
        let deleted = after
            .and_then(|s| now.checked_add(jiff::SignedDuration::from_secs(i64::try_from(s).unwrap_or(i64::MAX))).ok())
            .map(|t| t.to_string());
        self.current += 1;
        self.updated = now.to_string();
        let version = Version { created: now.to_string(), deleted, destroyed: false, data: Some(data) };
        self.versions.insert(self.current, version);
        let keep = [self.config.max_versions, mount.max_versions]
            .into_iter()
            .find(|n| *n > 0)
            .unwrap_or(VERSIONS_DEFAULT)
            .min(VERSIONS);
        while self.versions.len() as u64 > keep {
            self.versions.pop_first();
        }
        Ok(self.current)
    }

    /// Deletes, so that it can be undone.
    pub(crate) fn delete(&mut self, numbers: &[u64], now: &str) {
        for number in numbers {
            if let Some(version) = self.versions.get_mut(number)
                && !version.is_deleted(now)
            {
                version.deleted = Some(now.to_owned());
            }
        }
        self.updated = now.to_owned();
    }

    pub(crate) fn undelete(&mut self, numbers: &[u64], now: &str) {
        for number in numbers {
            if let Some(version) = self.versions.get_mut(number) {
                version.deleted = None;
            }
        }
        self.updated = now.to_owned();
    }

    /// Takes the data away for good.
    pub(crate) fn destroy(&mut self, numbers: &[u64], now: &str) {
        for number in numbers {
            if let Some(version) = self.versions.get_mut(number) {
                version.destroyed = true;
                version.data = None;
            }
        }
        self.updated = now.to_owned();
    }

    /// `metadata` of a version's answer.
    pub(crate) fn version_metadata(&self, number: u64, version: &Version) -> Value {
        let mut data = version.shown();
        data["version"] = json!(number);
        data["custom_metadata"] = json!(self.custom);
        data
    }

    /// `data` of the metadata path.
    pub(crate) fn metadata(&self) -> Value {
        let versions: Map<String, Value> = self.versions.iter().map(|(n, v)| (n.to_string(), v.shown())).collect();
        json!({
            "cas_required": self.config.cas_required,
            "created_time": self.created,
            "current_version": self.current,
            "custom_metadata": self.custom,
            "delete_version_after": duration(self.config.delete_version_after),
            "max_versions": self.config.max_versions,
            "oldest_version": self.versions.keys().next().copied().unwrap_or(0),
            "updated_time": self.updated,
            "versions": versions,
        })
    }
}

impl Version {
    pub(crate) fn is_deleted(&self, now: &str) -> bool {
        let time = |t: &str| t.parse::<jiff::Timestamp>().ok();
        self.deleted.as_deref().is_some_and(|deleted| time(deleted) <= time(now))
    }

    fn shown(&self) -> Value {
        json!({
            "created_time": self.created,
            "deletion_time": self.deleted.as_deref().unwrap_or_default(),
            "destroyed": self.destroyed,
        })
    }
}

/// A number of seconds as Go prints a duration.
pub(crate) fn duration(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

/// Checks custom metadata: few, short, text.
pub(crate) fn custom(value: &Value) -> Result<Option<BTreeMap<String, String>>, Response> {
    let Value::Object(map) = value else {
        return if value.is_null() { Ok(None) } else { Err(Response::bad("custom_metadata is no object")) };
    };
    if map.len() > CUSTOM_PAIRS {
        return Err(Response::bad(format!("custom_metadata has {} keys, the limit is {CUSTOM_PAIRS}", map.len())));
    }
    map.iter()
        .map(|(key, value)| match value {
            Value::String(text) if key.len() <= CUSTOM_KEY_BYTES && text.len() <= CUSTOM_VALUE_BYTES => {
                Ok((key.clone(), text.clone()))
            }
            Value::String(_) => Err(Response::bad(format!(
                "custom_metadata {key:?}: a key has at most {CUSTOM_KEY_BYTES} bytes, a value {CUSTOM_VALUE_BYTES}"
            ))),
            _ => Err(Response::bad(format!("custom_metadata {key:?}: the value is no text"))),
        })
        .collect::<Result<_, _>>()
        .map(Some)
}

/// JSON merge patch (RFC 7396).
pub(crate) fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Value::Object(into) = into else { return };
    for (key, value) in patch {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The keys of a secret without its values, down to a depth; 0 is all the way.
pub(crate) fn subkeys(data: &Map<String, Value>, depth: u64) -> Value {
    fn walk(value: &Value, left: Option<u64>) -> Value {
        match value {
            Value::Object(map) if left != Some(0) && !map.is_empty() => {
                Value::Object(map.iter().map(|(k, v)| (k.clone(), walk(v, left.map(|n| n - 1)))).collect())
            }
            _ => Value::Null,
        }
    }
    let left = (depth > 0).then(|| depth - 1);
    Value::Object(data.iter().map(|(k, v)| (k.clone(), walk(v, left))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(second).expect("a second of the test")
    }

    fn data(value: &str) -> Map<String, Value> {
        Map::from_iter([("k".to_owned(), json!(value))])
    }

    #[test]
    fn check_and_set() {
        let mount = Config::default();
        let mut key = Key::new("1970-01-01T00:00:00Z");
        assert_eq!(key.put(data("a"), Some(0), &mount, at(1)), Ok(1), "0 is: only when absent");
        assert!(key.put(data("b"), Some(0), &mount, at(2)).is_err());
        assert_eq!(key.put(data("b"), Some(1), &mount, at(2)), Ok(2));
        let strict = Config { cas_required: true, ..Config::default() };
        assert!(key.put(data("c"), None, &strict, at(3)).is_err());
        key.delete(&[2], &at(4).to_string());
        assert!(key.put(data("c"), Some(0), &mount, at(5)).is_err(), "a deleted key keeps its number");
    }

    #[test]
    fn versions_are_kept_up_to_a_limit() {
        let mut key = Key::new("1970-01-01T00:00:00Z");
        for n in 1..=12 {
            key.put(data(&n.to_string()), None, &Config::default(), at(n)).expect("no check asked");
        }
        assert_eq!(key.versions.keys().copied().collect::<Vec<_>>(), (3..=12).collect::<Vec<_>>());
        assert_eq!(key.metadata()["oldest_version"], 3);
        let two = Config { max_versions: 2, ..Config::default() };
        key.put(data("13"), None, &two, at(13)).expect("no check asked");
        assert_eq!(key.versions.len(), 2);
    }

    #[test]
    fn delete_can_be_undone_and_destroy_cannot() {
        let mut key = Key::new("1970-01-01T00:00:00Z");
        key.put(data("a"), None, &Config::default(), at(1)).expect("no check asked");
        key.delete(&[1], &at(2).to_string());
        assert!(key.versions[&1].is_deleted(&at(2).to_string()));
        key.undelete(&[1], &at(3).to_string());
        assert!(!key.versions[&1].is_deleted(&at(3).to_string()));
        key.destroy(&[1], &at(4).to_string());
        assert_eq!(key.versions[&1].data, None);
    }

    #[test]
    fn a_version_ends_by_itself() {
        let mount = Config { delete_version_after: 60, ..Config::default() };
        let mut key = Key::new("1970-01-01T00:00:00Z");
        key.put(data("a"), None, &mount, at(0)).expect("no check asked");
        assert!(!key.versions[&1].is_deleted(&at(59).to_string()));
        assert!(key.versions[&1].is_deleted(&at(60).to_string()));
    }

    #[test]
    fn merge_patches_and_subkeys() {
        let mut value = json!({"a": 1, "b": {"c": 2, "d": 3}});
        merge(&mut value, &json!({"a": null, "b": {"c": 4}, "e": 5}));
        assert_eq!(value, json!({"b": {"c": 4, "d": 3}, "e": 5}));
        let Value::Object(map) = value else { return };
        assert_eq!(subkeys(&map, 0), json!({"b": {"c": null, "d": null}, "e": null}));
        assert_eq!(subkeys(&map, 1), json!({"b": null, "e": null}));
    }

    #[test]
    fn durations_look_like_gos() {
        assert_eq!([duration(0), duration(90), duration(10_800)], ["0s", "1m30s", "3h0m0s"]);
    }

    #[test]
    fn custom_metadata_is_bounded() {
        let many: Map<String, Value> = (0..=CUSTOM_PAIRS).map(|n| (n.to_string(), json!("x"))).collect();
        assert!(custom(&Value::Object(many)).is_err());
        assert!(custom(&json!({"k": "x".repeat(CUSTOM_VALUE_BYTES + 1)})).is_err());
        assert!(custom(&json!({"k": 1})).is_err());
        assert!(custom(&json!({"k": "v"})).is_ok());
    }
}
