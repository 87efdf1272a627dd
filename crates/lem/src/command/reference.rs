//! The command line reference, generated from the definitions.

use crate::cli::Cli;
use crate::exit::Failure;
use clap::CommandFactory;

/// Prints it.
pub(crate) fn print() -> Result<(), Failure> {
    print!("{}", markdown());
    Ok(())
}

/// `docs/reference/cli.md`.
pub(crate) fn markdown() -> String {
    let mut command = Cli::command();
    command.build();
    let mut out = String::from("# Command line\n\nGenerated from the code; a test fails when it drifts.\n\n");
    section(&mut out, &mut command, "lem");
    out += "\n## Exit codes\n\n| code | meaning |\n|---|---|\n| 0 | done |\n| 1 | negative result: tests failed, verification failed |\n| 2 | usage, configuration or file error |\n| 3 | an outside system is unreachable |\n| 70 | our bug |\n| 130 | interrupted |\n";
    out
}

fn section(out: &mut String, command: &mut clap::Command, path: &str) {
    let help = command.clone().bin_name(path).render_long_help().to_string();
    out.push_str(&format!("## {path}\n\n```\n{}\n```\n\n", help.trim_end()));
    let names: Vec<String> =
        command.get_subcommands().filter(|c| !c.is_hide_set()).map(|c| c.get_name().to_owned()).collect();
    for name in names {
        if let Some(sub) = command.find_subcommand_mut(&name) {
            section(out, sub, &format!("{path} {name}"));
        }
    }
}
