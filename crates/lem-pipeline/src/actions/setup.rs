//! `actions/setup-*`: the tool is there in the version that is asked for, or a clear error says what is there.

use super::{Call, Done};
use crate::execute::Console;
use std::process::Command;

/// A tool a workflow may ask for.
#[derive(Debug)]
pub struct Tool {
    /// Programs, the first that is there counts.
    programs: &'static [&'static str],
    /// Argument that makes it say its version.
    version: &'static str,
    /// Input with the version that is wanted, and output with the one that is there.
    input: &'static str,
}

pub(super) const NODE: Tool = Tool { programs: &["node"], version: "--version", input: "node-version" };
pub(super) const PYTHON: Tool =
    Tool { programs: &["python3", "python"], version: "--version", input: "python-version" };
pub(super) const GO: Tool = Tool { programs: &["go"], version: "version", input: "go-version" };
pub(super) const JAVA: Tool = Tool { programs: &["java"], version: "--version", input: "java-version" };
pub(super) const RUST: Tool = Tool { programs: &["rustc"], version: "--version", input: "toolchain" };

pub(super) fn tool(tool: &Tool, call: &Call<'_>, console: &mut Console) -> Result<Done, String> {
    let path = call.env.iter().find(|(k, _)| k == "PATH").map_or("", |(_, v)| v.as_str());
    let program = tool.programs.iter().find_map(|p| crate::execute::find_program(p, path));
    let Some(program) = program else {
        return Err(format!(
            "{} is not installed on this machine; install it, runs download nothing",
            tool.programs[0]
        ));
    };
    let output = Command::new(&program).arg(tool.version).env_clear().envs(call.env.iter().cloned()).output();
    let output = output.map_err(|e| format!("{}: {e}", program.display()))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let found = version_in(&said).ok_or_else(|| format!("{} does not say its version", program.display()))?;
    let wanted = wanted(tool, call)?;
    if let Some(wanted) = &wanted
        && !satisfies(&found, wanted)
    {
        return Err(format!("{} {found} is installed, but {wanted} is asked for ({})", tool.programs[0], tool.input));
    }
    console.say(&format!("{} {found} at {} (native)", tool.programs[0], program.display()));
    let outputs = [(tool.input.to_owned(), found)];
    Ok(Done { outputs: outputs.into_iter().collect(), ..Done::default() })
}

fn wanted(tool: &Tool, call: &Call<'_>) -> Result<Option<String>, String> {
    if let Some(version) = call.input(tool.input) {
        return match version.lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>()[..] {
            [one] => Ok(Some(one.to_owned())),
            _ => Err(format!("{}: one version at a time", tool.input)),
        };
    }
    let Some(file) = call.input(&format!("{}-file", tool.input)) else { return Ok(None) };
    let path = call.path(file);
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    match version_in(&text) {
        Some(version) => Ok(Some(version)),
        None => Err(format!("{file} names no version")),
    }
}

/// The first thing in a text that looks like a version.
fn version_in(text: &str) -> Option<String> {
    let starts = text
        .char_indices()
        .filter(|(i, c)| c.is_ascii_digit() && !text[..*i].ends_with(|p: char| p.is_ascii_digit() || p == '.'));
    starts
        .map(|(i, _)| {
            let rest = &text[i..];
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            rest[..end].trim_end_matches('.').to_owned()
        })
        .next()
}

fn parts(version: &str) -> Vec<u64> {
    version.split('.').map_while(|p| p.parse().ok()).collect()
}

/// `20`, `20.x`, `3.11`, `^20.1`, `~3.2`, `>=3.10`, `stable`, `lts/*`.
fn satisfies(found: &str, wanted: &str) -> bool {
    let wanted = wanted.trim().trim_start_matches('v');
    let have = parts(found);
    let digits = |text: &str| parts(text.trim().trim_end_matches(".x").trim_end_matches(".*"));
    if let Some(least) = wanted.strip_prefix(">=") {
        return have >= digits(least);
    }
    if let Some(base) = wanted.strip_prefix('^') {
        let base = digits(base);
        return have >= base && have.first() == base.first();
    }
    let prefix = digits(wanted.trim_start_matches(['~', '=']));
    if prefix.is_empty() {
        return matches!(wanted, "stable" | "latest" | "current" | "node" | "*" | "x" | "oldstable")
            || wanted.starts_with("lts");
    }
    have.starts_with(&prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_people_mean_them() {
        for (found, wanted, holds) in [
            ("20.11.1", "20", true),
            ("20.11.1", "20.x", true),
            ("20.11.1", "18", false),
            ("3.11.2", "3.1", false),
            ("3.11.2", "3.11", true),
            ("3.9.0", ">=3.10", false),
            ("3.12.0", ">=3.10", true),
            ("20.1.0", "^20.1", true),
            ("21.0.0", "^20.1", false),
            ("1.95.0", "stable", true),
            ("22.0.0", "lts/*", true),
            ("1.95.0", "nightly", false),
        ] {
            assert_eq!(satisfies(found, wanted), holds, "{found} {wanted}");
        }
        assert_eq!(version_in("go version go1.22.3 linux/amd64"), Some("1.22.3".into()));
        assert_eq!(version_in("v20.11.1\n"), Some("20.11.1".into()));
    }
}
