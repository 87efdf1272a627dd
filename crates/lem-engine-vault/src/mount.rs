//! What is mounted where: secret engines and login methods.

use crate::VaultError;
use crate::core::Open;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Kind of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Kv,
    Cubbyhole,
    System,
    Token,
    Approle,
    Userpass,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Cubbyhole => "cubbyhole",
            Self::System => "system",
            Self::Token => "token",
            Self::Approle => "approle",
            Self::Userpass => "userpass",
        }
    }
}

/// A mount.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Mount {
    /// Path with its trailing slash; for a login method without `auth/`.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// Version of a key-value engine; 0 for others.
    pub(crate) version: u8,
    pub(crate) description: String,
    /// Where its records are: a mount that goes and comes again finds nothing of the first.
    pub(crate) uuid: String,
    pub(crate) default_lease_ttl: u64,
    pub(crate) max_lease_ttl: u64,
}

impl Mount {
    pub(crate) fn new(path: &str, kind: Kind, version: u8, description: &str) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            version,
            description: description.to_owned(),
            uuid: uuid::Uuid::new_v4().to_string(),
            default_lease_ttl: 0,
            max_lease_ttl: 0,
        }
    }

    /// As the API tells it.
    pub(crate) fn shown(&self) -> Value {
        let options = match self.kind {
            Kind::Kv => json!({ "version": self.version.to_string() }),
            _ => Value::Null,
        };
        json!({
            "accessor": format!("{}_{}", self.kind.word(), self.uuid.get(..8).unwrap_or_default()),
            "config": {
                "default_lease_ttl": self.default_lease_ttl,
                "force_no_cache": false,
                "max_lease_ttl": self.max_lease_ttl,
            },
            "description": self.description,
            "external_entropy_access": false,
            "local": self.kind == Kind::Cubbyhole,
            "options": options,
            "plugin_version": "",
            "running_plugin_version": "",
            "running_sha256": "",
            "seal_wrap": false,
            "type": self.kind.word(),
            "uuid": self.uuid,
        })
    }
}

/// Names that other protocols own on the same port.
const TAKEN: [&str; 4] = ["metrics", "logs", "traces", "input"];

/// Mounts and login methods.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Mounts {
    pub(crate) secrets: Vec<Mount>,
    pub(crate) auth: Vec<Mount>,
}

impl Mounts {
    pub(crate) fn fresh() -> Self {
        Self {
            secrets: vec![
                Mount::new("secret/", Kind::Kv, 2, "secrets of the loop"),
                Mount::new("cubbyhole/", Kind::Cubbyhole, 0, "private storage of each token"),
                Mount::new("sys/", Kind::System, 0, "the store itself"),
            ],
            auth: vec![Mount::new("token/", Kind::Token, 0, "tokens")],
        }
    }

    /// The mount a path is under, and the rest of the path.
    pub(crate) fn secret<'a>(&self, path: &'a str) -> Option<(&Mount, &'a str)> {
        under(&self.secrets, path)
    }

    /// The same for a login method; the path has no `auth/`.
    pub(crate) fn login<'a>(&self, path: &'a str) -> Option<(&Mount, &'a str)> {
        under(&self.auth, path)
    }

    /// Whether a new mount may stand at a path; why not, otherwise.
    pub(crate) fn free(list: &[Mount], path: &str) -> Result<(), String> {
        if let Some(taken) = TAKEN.iter().find(|name| path == format!("{name}/")) {
            return Err(format!("{taken} is the address of another protocol on this port; choose another path"));
        }
        match list.iter().find(|m| m.path.starts_with(path) || path.starts_with(&m.path)) {
            Some(mount) => Err(format!("path is already in use at {}", mount.path)),
            None => Ok(()),
        }
    }
}

fn under<'a, 'm>(list: &'m [Mount], path: &'a str) -> Option<(&'m Mount, &'a str)> {
    list.iter()
        .filter_map(|mount| {
            let rest = path.strip_prefix(&mount.path).or_else(|| (format!("{path}/") == mount.path).then_some(""))?;
            Some((mount, rest))
        })
        .max_by_key(|(mount, _)| mount.path.len())
}

impl Open {
    pub(crate) fn keep_mounts(&mut self) -> Result<(), VaultError> {
        let mounts = self.mounts.clone();
        self.store.put("core/mounts", &mounts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_wins() {
        let mut mounts = Mounts::fresh();
        mounts.secrets.push(Mount::new("secretive/", Kind::Kv, 1, ""));
        assert_eq!(
            mounts.secret("secret/data/a").map(|(m, rest)| (m.path.clone(), rest)),
            Some(("secret/".into(), "data/a"))
        );
        assert_eq!(mounts.secret("secretive/a").map(|(m, _)| m.version), Some(1));
        assert_eq!(mounts.secret("secret").map(|(_, rest)| rest), Some(""));
        assert!(mounts.secret("nowhere/a").is_none());
    }

    #[test]
    fn names_of_other_protocols_are_not_for_mounts() {
        assert!(Mounts::free(&[], "metrics/").is_err());
        assert!(Mounts::free(&Mounts::fresh().secrets, "secret/inner/").is_err());
        assert!(Mounts::free(&Mounts::fresh().secrets, "team/").is_ok());
    }
}
