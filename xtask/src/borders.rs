//! Arrows only point down (ARCHITECTURE.md, "Borders"). Checked over `cargo metadata`, so that it holds for the code as
//! it is built.

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};

/// Floors of the building, lowest first. An arrow may only lead to a lower floor, and on some floors to the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    Model,
    Engine,
    Base,
    Stage,
    Connect,
    Server,
    Binary,
    Tool,
}

const STAGES: [&str; 7] = ["provision", "pipeline", "deploy", "observe", "secure", "optimize", "feedback"];
/// Closures that cost minutes of compile time: only leaves may have them.
const HEAVY: [&str; 6] = ["datafusion", "kube", "tantivy", "bollard", "aws-config", "deno_core"];

fn floor(name: &str) -> Option<Floor> {
    let short = name.strip_prefix("lem-").unwrap_or(name);
    Some(match short {
        "model" => Floor::Model,
        "source" | "ledger" => Floor::Base,
        "server" => Floor::Server,
        "lem" => Floor::Binary,
        "testkit" | "xtask" => Floor::Tool,
        _ if short.starts_with("engine-") => Floor::Engine,
        _ if short.starts_with("connect-") => Floor::Connect,
        _ if STAGES.contains(&short) => Floor::Stage,
        _ => return None,
    })
}

/// Whether a crate on one floor may depend on a crate on another.
fn allowed(from: Floor, to: Floor) -> bool {
    match (from, to) {
        (_, Floor::Tool) => from == Floor::Tool,
        (Floor::Engine, Floor::Engine) | (Floor::Tool, _) => true,
        _ => to < from,
    }
}

pub(crate) fn check() -> Result<Vec<String>> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let mut problems = vec![];
    for package in &metadata.packages {
        let Some(from) = floor(&package.name) else {
            problems.push(format!("{}: no floor is known for this crate; see xtask/src/borders.rs", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            if HEAVY.contains(&dependency.name.as_str()) && !matches!(from, Floor::Engine | Floor::Connect) {
                problems.push(format!(
                    "{}: {} is heavy and belongs into a lem-engine-* or lem-connect-*",
                    package.name, dependency.name
                ));
            }
            let Some(to) = floor(&dependency.name).filter(|_| dependency.path.is_some()) else { continue };
            let test_tool = to == Floor::Tool && dependency.kind == DependencyKind::Development;
            let test_only = dependency.kind == DependencyKind::Development && from != Floor::Stage;
            if !allowed(from, to) && !test_tool && !test_only {
                problems.push(format!("{} may not depend on {} ({from:?} to {to:?})", package.name, dependency.name));
            }
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_only_point_down() {
        for (from, to, expect) in [
            ("lem-deploy", "lem-ledger", true),
            ("lem-deploy", "lem-observe", false),
            ("lem-feedback", "lem-deploy", false),
            ("lem-engine-logql", "lem-engine-logs", true),
            ("lem-engine-gha", "lem-source", false),
            ("lem-model", "lem-ledger", false),
            ("lem-server", "lem-deploy", true),
            ("lem-deploy", "lem-server", false),
            ("lem", "lem-server", true),
            ("lem-source", "lem-engine-yaml", true),
        ] {
            let (from_floor, to_floor) = (floor(from).expect("known"), floor(to).expect("known"));
            assert_eq!(allowed(from_floor, to_floor), expect, "{from} to {to}");
        }
        assert_eq!(floor("lem-colour"), None);
    }
}
