//! Typed ids. A `CommitSha` cannot be passed where a `Version` is meant.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps the text as it is.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
            /// Whether there is no text at all.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    )*};
}

text_id! {
    /// A deployable thing, as OpenTelemetry's `service.name`.
    ServiceName;
    /// dev, staging, production; as OpenTelemetry's `deployment.environment`.
    EnvironmentName;
    /// What runs, as OpenTelemetry's `service.version`.
    Version;
    /// A full git commit id in lower-case hexadecimal.
    CommitSha;
    /// `sha256:` and 64 hexadecimal digits.
    Digest;
    /// One run of a pipeline.
    RunId;
    /// One rollout of one version of one service to one environment.
    DeploymentId;
    /// One incident.
    IncidentId;
    /// One attribution of an incident to a change.
    AttributionId;
    /// Who did or asked for something: `person:ann`, `policy:feedback`, `engine:deploy`.
    Actor;
    /// Rule name and label fingerprint of an alert.
    AlertId;
    /// One silence of alerts.
    SilenceId;
}

impl CommitSha {
    /// The first eight digits, as people quote a commit.
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(format!("sha256:{}", hex::encode(sha2::Sha256::digest(bytes))))
    }

    /// The hexadecimal part, as content-addressed stores name files.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_names_its_algorithm() {
        let digest = Digest::of(b"");
        assert_eq!(digest.as_str(), "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(digest.hex().len(), 64);
    }

    #[test]
    fn a_short_commit_never_panics() {
        assert_eq!(CommitSha::from("0123456789abcdef").short(), "01234567");
        assert_eq!(CommitSha::from("012").short(), "012");
    }
}
