//! `local-exec`: a program on this machine, with a limit of time; what it says is log, unless it was told a secret.

use super::Progress;
use lem_engine_hcl::config::Provisioner;
use lem_engine_hcl::value::{Entries, Value};
use lem_engine_hcl::{Evaluator, Scope};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// Longest a provisioner runs.
pub(super) const MAX_RUN: Duration = Duration::from_hours(1);
/// Lines of its output that are told.
const MAX_LINES: usize = 10_000;

/// When a provisioner runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Create,
    Destroy,
}

/// A provisioner with its arguments.
pub(super) struct Script {
    program: Vec<String>,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    hidden: bool,
    keep_going: bool,
    unknown: Option<String>,
}

/// Evaluates the arguments of a provisioner. `object` is what `self` means.
pub(super) fn script(
    provisioner: &Provisioner,
    evaluator: &Evaluator<'_>,
    scope: &Scope<'_>,
    object: &Entries,
    root: &Path,
) -> Result<Script, String> {
    let own = Value::object(object.clone());
    let (body, problems) = evaluator.body(&provisioner.body, None, &scope.with_self(&own));
    if let Some(problem) = problems.iter().find(|p| p.is_error()) {
        return Err(problem.to_string());
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let list = |name: &str| -> Option<Vec<String>> {
        Some(body.get(name)?.items()?.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
    };
    let unknown = body.first_unknown().map(|u| u.why.to_string());
    let mut program = list("interpreter").unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
    match text("command") {
        Some(command) => program.push(command),
        None if unknown.is_some() => {}
        None => return Err(format!("{}: local-exec needs \"command\"", provisioner.pos.place())),
    }
    let environment = body.get("environment").and_then(Value::entries).cloned().unwrap_or_default();
    let pairs = environment.iter().filter_map(|(k, v)| Some((k.to_string(), v.as_str()?.to_owned())));
    Ok(Script {
        program,
        folder: text("working_dir").map_or_else(|| root.to_owned(), |folder| root.join(folder)),
        environment: pairs.collect(),
        hidden: body.has_sensitive() || body.get("quiet").and_then(Value::as_bool) == Some(true),
        keep_going: provisioner.keep_going,
        unknown,
    })
}

/// Runs all, in order.
pub(super) async fn all(scripts: &[Script], address: &str, progress: &dyn Progress) -> Result<(), String> {
    for script in scripts {
        if let Some(why) = &script.unknown {
            return Err(format!("local-exec needs a value that is not known: {why}"));
        }
        match run(script, address, progress).await {
            Err(why) if script.keep_going => progress.line(address, &format!("local-exec failed, going on: {why}")),
            other => other?,
        }
    }
    Ok(())
}

async fn run(script: &Script, address: &str, progress: &dyn Progress) -> Result<(), String> {
    let Some((program, arguments)) = script.program.split_first() else {
        return Err("local-exec names no program".to_owned());
    };
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).current_dir(&script.folder).envs(script.environment.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| format!("local-exec cannot start {program}: {error}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let work = async {
        let ((), (), status) = tokio::join!(
            tell(out, script.hidden, address, progress),
            tell(err, script.hidden, address, progress),
            child.wait()
        );
        status
    };
    match tokio::time::timeout(MAX_RUN, work).await {
        Err(_) => Err(format!("local-exec ran longer than {} s", MAX_RUN.as_secs())),
        Ok(Err(error)) => Err(format!("local-exec: {error}")),
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("local-exec ended with {status}")),
    }
}

async fn tell(stream: Option<impl AsyncRead + Unpin>, hidden: bool, address: &str, progress: &dyn Progress) {
    let Some(stream) = stream else { return };
    let mut lines = BufReader::new(stream).lines();
    let mut told = 0;
    while let Ok(Some(line)) = lines.next_line().await {
        if hidden && told == 0 {
            progress.line(address, "(output suppressed: it may show a sensitive value)");
        } else if !hidden && told < MAX_LINES {
            progress.line(address, &line);
        }
        told += 1;
    }
}
