//! The command line as people type it. One place for names, help texts and defaults; `docs/reference/cli.md` is generated
//! from it.

pub mod observe;
pub mod provision;
pub mod secure;

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The whole DevOps loop as one program.
#[derive(Debug, Parser)]
#[command(name = "lem", version, about, long_about = None, disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// Directory of the repository; the one you are in when not given.
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Form of what is printed on standard output.
    #[arg(short, long, global = true, value_enum, default_value_t = Output::Text)]
    pub output: Output,
    #[command(subcommand)]
    pub command: Command,
}

/// Form of output. Standard output is data, standard error is talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Ndjson,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Detects what the repository has and writes a small lem.yaml.
    Init {
        /// Print it instead of writing it.
        #[arg(long)]
        print: bool,
        /// Replace a lem.yaml that exists.
        #[arg(long)]
        force: bool,
    },
    /// Runs the loop on every new commit of the watched branch.
    Up(Up),
    /// Runs the whole loop on the example repository and tells what happens.
    Demo(Demo),
    /// Says what is missing or inactive, and why.
    Doctor,
    /// Explains the code of a message.
    Explain {
        /// Code, such as unknown-key.
        code: Option<String>,
    },
    /// Runs the pipelines that match an event, here and now.
    Run(Run),
    /// Looks into pipelines without running them.
    #[command(subcommand)]
    Pipeline(Pipeline),
    /// What is where, and what is on its way.
    Status {
        /// One service only.
        #[arg(long)]
        service: Option<String>,
    },
    /// Lets a rollout go on to its next step, or to its end.
    Promote {
        #[command(flatten)]
        rollout: RolloutRequest,
        /// All the way.
        #[arg(long)]
        full: bool,
    },
    /// Turns a rollout back.
    Abort(RolloutRequest),
    /// Tries an aborted rollout again from its first step.
    Retry(RolloutRequest),
    /// Makes a rollout wait.
    Pause(RolloutRequest),
    /// Lets a paused rollout go on.
    Resume(RolloutRequest),
    /// Puts an earlier version back.
    Rollback {
        #[command(flatten)]
        target: Target,
        /// Version to put back; the last verified one when not given.
        #[arg(long)]
        to: Option<String>,
        /// Why.
        #[arg(long, default_value = "asked for on the command line")]
        reason: String,
    },
    /// Stops promotion; rollback never stops.
    Freeze {
        /// `*`, a service, or environment/service.
        #[arg(default_value = "*")]
        scope: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// How long, such as 2h; until `lem unfreeze` when not given.
        #[arg(long = "for", value_name = "DURATION")]
        duration: Option<String>,
    },
    /// Lets promotion go on.
    Unfreeze {
        /// As it was frozen.
        #[arg(default_value = "*")]
        scope: String,
        /// Why.
        #[arg(long, default_value = "asked for on the command line")]
        reason: String,
    },
    /// Release notes of a rollout.
    Notes {
        /// Rollout; the latest when not given.
        deployment: Option<String>,
    },
    /// Asks the metrics of a running loop in PromQL.
    Query(observe::Query),
    /// Log lines of a running loop, in LogQL.
    Logs(observe::Logs),
    /// Alerts that are pending or firing, and who is told of them.
    Alerts,
    /// Keeps alerts quiet for a while.
    #[command(subcommand)]
    Silence(observe::Silence),
    /// Incidents, or one of them.
    Incidents {
        /// Incident.
        incident: Option<String>,
        /// The report instead of the state: Markdown on standard output.
        #[arg(long)]
        report: bool,
    },
    /// Ranked causes of an incident, with their factors and what speaks against them.
    Why {
        /// Incident; the latest when not given.
        incident: Option<String>,
        /// Say that the named cause is right.
        #[arg(long, conflicts_with = "reject")]
        confirm: bool,
        /// Say that it is not.
        #[arg(long)]
        reject: bool,
    },
    /// DORA's five metrics.
    Dora {
        /// Environment.
        #[arg(long, default_value = "production")]
        environment: String,
        /// Days back.
        #[arg(long, default_value_t = 30)]
        days: u32,
    },
    /// What the infrastructure costs a month, and what is not known of it.
    Cost {
        #[command(subcommand)]
        command: Option<Cost>,
    },
    /// Recommendations: what can be cheaper, faster or safer, each with a patch.
    Tune {
        #[command(subcommand)]
        command: Option<Tune>,
    },
    /// Says what an apply would do to the infrastructure.
    Plan(provision::Plan),
    /// Makes the infrastructure what its files say.
    Apply(provision::Apply),
    /// Destroys the infrastructure of an environment.
    Destroy(provision::Apply),
    /// Says whether what exists is what was applied; exit code 1 when not.
    Drift(provision::Infrastructure),
    /// Documents of a Terraform module as Markdown.
    Docs(provision::Docs),
    /// Looks into the state of an environment, and mends it.
    State(provision::State),
    /// Looks for what is unsafe: infrastructure, pipelines, packages, secrets. Works in any directory.
    Scan(secure::Scan),
    /// Prints the bill of materials (CycloneDX 1.6) of a directory.
    Sbom {
        /// Directory.
        path: Option<PathBuf>,
    },
    /// Signed statements about artifacts.
    #[command(subcommand)]
    Attest(secure::Attest),
    /// What is known about vulnerable packages, and of which day.
    #[command(subcommand)]
    Advisories(secure::Advisories),
    /// Secrets: kept sealed, given to jobs and services as leases, served by the Vault API under /v1/.
    #[command(subcommand)]
    Secret(Secret),
    /// The report of a team: engineering, qa, product, security, support or finance.
    Report(Report),
    /// The tamper-evident record of everything.
    #[command(subcommand)]
    Ledger(Ledger),
    /// Prints the command line reference in Markdown.
    #[command(hide = true)]
    Reference,
}

#[derive(Debug, Args)]
pub struct Up {
    /// Where state is kept; .lem in the repository when not given.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Where the web UI, the API and the protocols are served; 127.0.0.1:4700 when neither this nor lem.yaml says.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
}

#[derive(Debug, Args)]
pub struct Demo {
    /// Where the repository and its state go; a temporary directory when not given.
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
    /// Requests per second of the load.
    #[arg(long, default_value_t = 200)]
    pub rate: u32,
    /// End when the story is told, also on a terminal.
    #[arg(long)]
    pub exit: bool,
}

#[derive(Debug, Args)]
pub struct Run {
    /// Workflow file; every pipeline whose trigger matches when not given.
    pub file: Option<PathBuf>,
    /// Triggering event.
    #[arg(long, default_value = "push")]
    pub event: String,
    /// Only this job and what it needs.
    #[arg(long)]
    pub job: Option<String>,
    /// Validate and print the plan; run nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Input of a manual run.
    #[arg(long = "input", value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
    /// Secret for this run; the value comes from the environment variable of that name.
    #[arg(long = "secret", value_name = "NAME")]
    pub secrets: Vec<String>,
    /// Jobs at once; the number of processors when not given.
    #[arg(short, long)]
    pub jobs: Option<usize>,
    /// sandbox or host.
    #[arg(long, default_value = "sandbox")]
    pub executor: String,
}

#[derive(Debug, Subcommand)]
pub enum Pipeline {
    /// Why a job runs, is skipped or blocked.
    Explain {
        /// Job.
        job: String,
        /// Workflow file.
        #[arg(long)]
        file: Option<PathBuf>,
        /// Triggering event.
        #[arg(long, default_value = "push")]
        event: String,
    },
    /// The jobs and what they need.
    Graph {
        /// Workflow file.
        file: Option<PathBuf>,
        /// Form.
        #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
        format: GraphFormat,
    },
    /// Evaluates an expression.
    Eval {
        /// Language.
        #[arg(long, default_value = "github")]
        dialect: String,
        /// Expression.
        expr: String,
        /// File with contexts, JSON or YAML.
        #[arg(long)]
        context: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    Text,
    Dot,
    Mermaid,
    Json,
}

#[derive(Debug, Args)]
pub struct Target {
    /// Service; the only one when not given.
    #[arg(long)]
    pub service: Option<String>,
    /// Environment; the only one when not given.
    #[arg(long)]
    pub environment: Option<String>,
}

#[derive(Debug, Args)]
pub struct RolloutRequest {
    /// Rollout; the one in flight when not given.
    pub deployment: Option<String>,
    /// Why.
    #[arg(long, default_value = "asked for on the command line")]
    pub reason: String,
}

#[derive(Debug, Subcommand)]
pub enum Ledger {
    /// Events, oldest first.
    List {
        /// From this event on.
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// Only of this type, such as pipelinerun.finished.
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// Only of this subject.
        #[arg(long)]
        subject: Option<String>,
        /// Only of this commit.
        #[arg(long)]
        chain: Option<String>,
        /// Most events.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// One event.
    Show {
        /// Its number.
        seq: u64,
        /// With the proof that it is in the ledger.
        #[arg(long)]
        proof: bool,
    },
    /// Recomputes everything and names the first event that was changed.
    Verify {
        /// An exported package instead of the ledger: needs nothing else.
        #[arg(long, value_name = "FILE")]
        package: Option<PathBuf>,
    },
    /// Signs the ledger as it stands and prints the checkpoint.
    Checkpoint,
    /// Writes a package that verifies offline on another machine.
    Export {
        /// File.
        file: PathBuf,
        /// Only of this commit.
        #[arg(long)]
        chain: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Cost {
    /// Every resource: quantity times price, with source and age.
    Show {
        /// A plan made by terraform show -json instead of the files.
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
    },
    /// What a plan changes; exit code 1 when it breaks a budget.
    Plan {
        /// A plan made by terraform show -json; the files alone when not given.
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
    },
    /// By service, environment or team; what nobody owns is a row of its own.
    Allocate {
        /// By what.
        #[arg(long, value_enum, default_value_t = By::Service)]
        by: By,
        /// A plan made by terraform show -json instead of the files.
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
    },
    /// Budgets of lem.yaml; exit code 1 when one is broken.
    Budget {
        /// A plan made by terraform show -json instead of the files.
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
    },
    /// Writes the estimate as FOCUS 1.3, and what has no price beside it.
    Export {
        /// File.
        #[arg(long, value_name = "FILE")]
        focus: PathBuf,
        /// A plan made by terraform show -json instead of the files.
        #[arg(long, value_name = "FILE")]
        plan: Option<PathBuf>,
    },
    /// Reads a bill in FOCUS form.
    Import {
        /// File.
        file: PathBuf,
    },
    /// What the price book is made of.
    Prices {
        #[command(subcommand)]
        command: Option<Prices>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    Service,
    Environment,
    Team,
}

#[derive(Debug, Subcommand)]
pub enum Prices {
    /// Writes a new dated layer and says what it changes; exit code 3 when the source is out of reach.
    Update {
        /// aws, azure, or a file of rows in JSON.
        #[arg(long)]
        from: String,
        /// Region of the AWS list.
        #[arg(long, default_value = "us-east-1")]
        region: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Tune {
    /// Every recommendation with its standing.
    List,
    /// One of them, with evidence, risk and patch.
    Show {
        /// Recommendation.
        id: String,
    },
    /// Writes its patch into the files.
    Apply {
        /// Recommendation.
        id: String,
    },
    /// Says no.
    Dismiss {
        /// Recommendation.
        id: String,
        /// Why.
        #[arg(long, default_value = "said on the command line")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Secret {
    /// Paths and versions; never values.
    List {
        /// Only below this path.
        path: Option<String>,
    },
    /// A secret, or one key of it. The reading is recorded.
    Get {
        /// Path, such as shop/database.
        path: String,
        /// Key.
        key: Option<String>,
    },
    /// Writes a new version. Jobs see the keys of the path pipeline as ${{ secrets.KEY }}.
    Set {
        /// Path, such as shop/database.
        path: String,
        /// KEY=VALUE, KEY=@FILE, or KEY=- for standard input.
        #[arg(required = true, value_name = "KEY=VALUE")]
        values: Vec<String>,
        /// Forget the keys that are not named.
        #[arg(long)]
        replace: bool,
    },
    /// Deletes the newest version, which can be undone, or everything.
    Delete {
        /// Path.
        path: String,
        /// All versions, for good.
        #[arg(long)]
        destroy: bool,
    },
    /// Who holds which secret until when.
    Leases,
}

#[derive(Debug, Args)]
pub struct Report {
    /// Team.
    pub team: String,
    /// Form; Markdown when neither this nor --output says.
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
    /// File instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub into: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    Md,
    Html,
    Csv,
    Json,
}
