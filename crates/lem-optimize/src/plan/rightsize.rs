//! Right-sizing: what a container should ask for, from what it used.
//!
//! The default strategy is the Kubernetes VPA recommender 1.7, step by step; the other is KRR's. Both say what they did.

pub mod histogram;
pub mod krr;
pub mod vpa;

use serde::Serialize;

/// CPU in millicores and memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amounts {
    /// Millicores.
    pub cpu_milli: i64,
    /// Bytes.
    pub memory_bytes: i64,
}

/// What a container should ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// Below this it starves.
    pub lower: Amounts,
    /// What to ask for.
    pub target: Amounts,
    /// Above this it wastes.
    pub upper: Amounts,
    /// CPU samples behind it.
    pub samples: usize,
    /// What each step did, in words.
    pub steps: Vec<String>,
}

/// `812m`, `1`, `1500m`.
pub fn cpu_text(milli: i64) -> String {
    if milli % 1000 == 0 { (milli / 1000).to_string() } else { format!("{milli}m") }
}

/// Bytes as Kubernetes writes them: whole Mi, rounded up so that a request never falls below the advice.
pub fn memory_text(bytes: i64) -> String {
    const MI: i64 = 1 << 20;
    let mi = bytes.div_euclid(MI) + i64::from(bytes.rem_euclid(MI) > 0);
    if mi % 1024 == 0 && mi > 0 { format!("{}Gi", mi / 1024) } else { format!("{mi}Mi") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_in_a_manifest() {
        assert_eq!([cpu_text(250), cpu_text(2000), cpu_text(1500)], ["250m", "2", "1500m"]);
        assert_eq!([memory_text(262_144_000), memory_text(1 << 30), memory_text(1)], ["250Mi", "1Gi", "1Mi"]);
    }
}
