//! The `lem` binary: command line, configuration, wiring. The only crate that names everyone.
//!
//! In: what people type, `lem.yaml`, the environment. Out: text, JSON or exit codes; a running loop under `lem up`.
//! No stage logic lives here: a command reads or writes the ledger, or calls one stage.

pub mod cli;
mod client;
mod command;
mod demo;
mod exit;
mod print;
mod reports;
mod secrets;
mod serve;
mod settings;
mod stages;
mod up;
mod watch;
mod wiring;

use clap::Parser;
use cli::{Cli, Command};
use exit::Failure;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Parses the command line, runs the command, reports how it ended.
pub fn main() -> ExitCode {
    end_with_the_reader();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, not failures; anything else is usage: clap prints both where they belong.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _printed = error.print();
            return ExitCode::from(code);
        }
    };
    let directory = cli.directory.clone().unwrap_or_else(|| PathBuf::from("."));
    exit::report(run(cli, &directory), &directory)
}

/// How a shell says that a program was ended by SIGPIPE.
const READER_GONE: i32 = 128 + 13;

/// Whoever reads our output may stop at any line (`lem ledger list | head`): that ends the command, and is no bug of it.
fn end_with_the_reader() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload_as_str().unwrap_or_default();
        if said.starts_with("failed printing to std") && said.contains("Broken pipe") {
            std::process::exit(READER_GONE);
        }
        usual(panic);
    }));
}

fn run(cli: Cli, directory: &Path) -> Result<(), Failure> {
    match &cli.command {
        Command::Init { print, force } => command::init::init(directory, *print, *force),
        Command::Explain { code } => command::explain::explain(code.as_deref()),
        Command::Reference => command::reference::print(),
        Command::Pipeline(pipeline) => command::pipeline::pipeline(&cli, pipeline, directory),
        _ => runtime()?.block_on(asynchronous(&cli, directory)),
    }
}

async fn asynchronous(cli: &Cli, directory: &Path) -> Result<(), Failure> {
    match &cli.command {
        Command::Up(arguments) => up::up(directory, arguments).await,
        Command::Demo(arguments) => demo::demo(cli, arguments).await,
        Command::Run(arguments) => command::run::run(cli, arguments, directory).await,
        Command::Doctor => command::doctor::doctor(cli, directory),
        Command::Cost { command } => command::optimize::cost(cli, command.as_ref(), directory).await,
        Command::Tune { command } => command::optimize::tune(cli, command.as_ref(), directory).await,
        Command::Plan(arguments) => command::provision::plan(cli, arguments, directory).await,
        Command::Apply(arguments) => command::provision::apply(cli, arguments, directory, false).await,
        Command::Destroy(arguments) => command::provision::apply(cli, arguments, directory, true).await,
        Command::Drift(arguments) => command::provision::drift(cli, arguments, directory).await,
        Command::Docs(arguments) => command::provision::docs(arguments, directory),
        Command::State(arguments) => command::provision::state(cli, arguments, directory).await,
        Command::Scan(arguments) => command::secure::scan(cli, arguments, directory).await,
        Command::Sbom { path } => command::secure::sbom(path.as_deref(), directory),
        Command::Attest(arguments) => command::secure::attest(cli, arguments),
        Command::Advisories(arguments) => command::secure::advisories(cli, arguments).await,
        Command::Query(arguments) => command::observe::query(cli, arguments, directory).await,
        Command::Logs(arguments) => command::observe::logs(cli, arguments, directory).await,
        Command::Alerts => command::observe::alerts(cli, directory).await,
        Command::Silence(arguments) => command::observe::silence(cli, arguments, directory).await,
        Command::Secret(arguments) => command::secret::secret(cli, arguments, directory).await,
        Command::Report(arguments) => command::report::report(cli, arguments, directory).await,
        Command::Ledger(arguments) => command::ledger::ledger(cli, arguments, directory).await,
        _ => command::local::local(cli, directory).await,
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    logging();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| exit::usage(format!("cannot start: {e}")))
}

/// Talk goes to standard error; `LEM_LOG` chooses how much.
fn logging() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LEM_LOG").unwrap_or_else(|_| "warn".into());
    let color = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let format = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color);
    // A second call in one process (tests) keeps the first subscriber.
    let _first = format.with_target(false).try_init();
}

/// Where the state of a repository is kept.
pub(crate) fn data_directory(root: &Path) -> PathBuf {
    root.join(".lem")
}

/// Top of the repository a directory is in; the directory itself when it is in none.
pub(crate) fn root_of(directory: &Path) -> PathBuf {
    let found = lem_source::git::Repository::discover(directory).map(|r| r.root().to_owned());
    found.unwrap_or_else(|_| directory.to_owned())
}
