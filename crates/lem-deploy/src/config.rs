//! `deploy:` in `lem.yaml`: only what no existing file says.

use crate::events::MigrationClass;
use crate::import;
use crate::model::Strategy;
use crate::promotion::{self, Window};
use lem_engine_judge::sequential::{Judge, Settings, Signal};
use lem_engine_yaml::{Fields, Node, Reader};
use lem_model::{Diagnostic, EnvironmentName, Place, ServiceName};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Services in one file.
pub const SERVICES_MAX: usize = 200;
/// Environments of one service.
pub const ENVIRONMENTS_MAX: usize = 20;
/// Replicas of one version on the process target.
pub const REPLICAS_MAX: u32 = 50;

/// Secrets of one environment.
pub const SECRETS_MAX: usize = 50;

/// Shortest interval of evidence: each one is an event of the ledger.
pub const INTERVAL_MIN: Duration = Duration::from_millis(100);
/// Longest interval of evidence: a bad release keeps its traffic at least as long.
pub const INTERVAL_MAX: Duration = Duration::from_mins(5);

/// All services.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// In the order of the file.
    pub services: Vec<Service>,
}

/// One service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Name.
    pub name: ServiceName,
    /// Artifact that is deployed.
    pub artifact: String,
    /// How it goes out.
    pub strategy: Strategy,
    /// Where, in order.
    pub environments: Vec<Environment>,
    /// Who judges.
    pub judge: JudgeKind,
    /// When promotion is allowed.
    pub windows: Vec<Window>,
    /// What its releases do to data.
    pub migration: MigrationClass,
    /// How long a rollback is a mere switch.
    pub rollback_window: Duration,
    /// Versions whose artifacts stay unpacked.
    pub keep: usize,
}

/// One environment of a service.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Name.
    pub name: EnvironmentName,
    /// Where the router serves it.
    pub listen: SocketAddr,
    /// What must have happened in earlier environments.
    pub from: Vec<From>,
    /// How it runs.
    pub process: Process,
}

/// A version must have been verified in another environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    /// That environment.
    pub stage: EnvironmentName,
    /// How long it must have stood there.
    pub soak: Duration,
}

/// Child processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Program and arguments, relative to the unpacked artifact.
    pub command: Vec<String>,
    /// Further environment variables.
    pub env: Vec<(String, String)>,
    /// Environment variables whose values are secrets: variable, and `PATH#KEY` of the secret.
    pub secrets: Vec<(String, String)>,
    /// Path that answers 2xx when an instance is ready.
    pub health: String,
    /// Path of its metrics, for whoever scrapes.
    pub metrics: Option<String>,
    /// Instances of one version.
    pub replicas: u32,
    /// Time requests under way have to end.
    pub drain: Duration,
}

/// Who judges a canary.
#[derive(Clone, Debug, PartialEq)]
pub enum JudgeKind {
    /// The e-process.
    Sequential {
        /// What it tolerates.
        settings: Settings,
        /// A response slower than this is bad.
        slower_than: Option<Duration>,
        /// Length of an interval of evidence; the engine's own when the file does not say.
        interval: Option<Duration>,
    },
    /// The strategy's own analysis alone.
    Conditions,
}

impl JudgeKind {
    /// As in files and events.
    pub fn name(&self) -> &'static str {
        match self {
            JudgeKind::Sequential { .. } => "sequential",
            JudgeKind::Conditions => "conditions",
        }
    }
}

/// Reads the section and the files it names; `root` is the repository.
pub fn read(root: &Path, file: &str, node: &Node) -> (Config, Vec<Diagnostic>) {
    let reader = Reader::new(file);
    let mut config = Config::default();
    let mut further = vec![];
    for entry in node.entries().unwrap_or_default() {
        let Some(name) = reader.string(&entry.key, "a service") else { continue };
        if config.services.len() >= SERVICES_MAX {
            reader.error(&entry.key, "too-many", format!("at most {SERVICES_MAX} services are possible"));
            break;
        }
        config.services.extend(service(&reader, root, &name, &entry.value, &mut further));
    }
    if node.entries().is_none() && !node.is_null() {
        reader.error(node, "wrong-type", format!("deploy must be a mapping of services, not {}", node.kind()));
    }
    same_listen(&reader, node, &config);
    let mut diagnostics = reader.into_diagnostics();
    diagnostics.extend(further);
    (config, diagnostics)
}

/// Two environments on one address would need hosts to tell them apart, which nothing here says.
fn same_listen(reader: &Reader, node: &Node, config: &Config) {
    let all = config.services.iter().flat_map(|s| s.environments.iter().map(move |e| (&s.name, &e.name, e.listen)));
    let mut seen: Vec<(SocketAddr, String)> = vec![];
    for (service, environment, listen) in all.filter(|(_, _, listen)| listen.port() != 0) {
        let name = format!("{environment}/{service}");
        if let Some((_, other)) = seen.iter().find(|(known, _)| *known == listen) {
            reader.error(node, "same-listen", format!("{other} and {name} both listen on {listen}"));
        }
        seen.push((listen, name));
    }
}

fn service(reader: &Reader, root: &Path, name: &str, node: &Node, further: &mut Vec<Diagnostic>) -> Option<Service> {
    let mut fields = reader.fields(node, "the service")?;
    let artifact =
        fields.take("artifact").and_then(|n| reader.string(n, "artifact")).unwrap_or_else(|| name.to_owned());
    let templates = fields.take("analysis").and_then(|n| reader.strings(n, "analysis")).unwrap_or_default();
    let strategy = fields.require("strategy").and_then(|n| strategy(reader, root, n, &templates, further));
    let environments = environments(reader, &mut fields);
    let judge = fields.take("judge").map_or_else(|| Some(default_judge()), |n| judge(reader, n));
    let windows = fields.take("windows").map_or_else(|| Some(vec![]), |n| windows(reader, root, n, further));
    let migration = migrations(reader, &mut fields);
    let (rollback_window, keep) = rollback(reader, &mut fields);
    for key in ["approvals", "after"] {
        if let Some(n) = fields.take(key) {
            reader.error(n, "unsupported-key", format!("{key} is not supported yet"));
        }
    }
    fields.finish();
    Some(Service {
        name: name.into(),
        artifact,
        strategy: strategy?,
        environments: environments?,
        judge: judge?,
        windows: windows?,
        migration: migration?,
        rollback_window,
        keep,
    })
}

fn strategy(
    reader: &Reader,
    root: &Path,
    node: &Node,
    templates: &[String],
    further: &mut Vec<Diagnostic>,
) -> Option<Strategy> {
    let path = reader.string(node, "strategy")?;
    let text = file(reader, root, node, &path)?;
    let templates: Vec<(String, String)> =
        templates.iter().filter_map(|t| Some((t.clone(), file(reader, root, node, t)?))).collect();
    let (strategy, diagnostics) = import::argo::read(&path, &text, &templates);
    further.extend(diagnostics);
    strategy
}

fn file(reader: &Reader, root: &Path, node: &Node, path: &str) -> Option<String> {
    match lem_source::read_file(&root.join(path)) {
        Ok(text) => Some(text),
        Err(lem_source::ProjectError::Invalid(found)) => {
            for diagnostic in found {
                reader.report(diagnostic);
            }
            None
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            reader.error(node, "unreadable-file", format!("cannot read {path}: {cause}"));
            None
        }
    }
}

fn environments(reader: &Reader, fields: &mut Fields<'_>) -> Option<Vec<Environment>> {
    let node = fields.require("environments")?;
    let list = reader.items(node, "environments")?;
    if list.is_empty() || list.len() > ENVIRONMENTS_MAX {
        reader.error(node, "too-many", format!("1 to {ENVIRONMENTS_MAX} environments are possible"));
        return None;
    }
    let mut found: Vec<Environment> = vec![];
    for node in list {
        let Some(environment) = environment(reader, node, &found) else { continue };
        found.push(environment);
    }
    (found.len() == list.len()).then_some(found)
}

fn environment(reader: &Reader, node: &Node, earlier: &[Environment]) -> Option<Environment> {
    let mut fields = reader.fields(node, "the environment")?;
    let name_node = fields.require("name");
    let name = name_node.and_then(|n| reader.string(n, "name"));
    if let (Some(n), Some(name)) = (name_node, &name)
        && earlier.iter().any(|e| e.name.as_str() == name)
    {
        reader.error(n, "duplicate", format!("a second environment is called {name}"));
    }
    let listen = fields.require("listen").and_then(|n| listen(reader, n));
    let from = fields.take("from").and_then(|n| reader.items(n, "from")).unwrap_or_default();
    let from: Vec<From> = from.iter().filter_map(|n| from_stage(reader, n, earlier)).collect();
    let process = fields.require("target").and_then(|n| target(reader, n));
    if let Some(n) = fields.take("approvals") {
        reader.error(n, "unsupported-key", "approvals is not supported yet");
    }
    fields.finish();
    Some(Environment { name: name?.into(), listen: listen?, from, process: process? })
}

fn listen(reader: &Reader, node: &Node) -> Option<SocketAddr> {
    let text = reader.string(node, "listen")?;
    let found = text.parse().ok();
    if found.is_none() {
        reader.error(node, "bad-address", format!("listen must be an address such as 127.0.0.1:8080, not {text}"));
    }
    found
}

fn from_stage(reader: &Reader, node: &Node, earlier: &[Environment]) -> Option<From> {
    let mut fields = reader.fields(node, "from")?;
    let stage_node = fields.require("stage");
    let soak_ms = fields.take("soak").and_then(|n| reader.duration_ms(n, "soak")).unwrap_or(0);
    if let Some(n) = fields.take("verified").filter(|n| reader.boolean(n, "verified") == Some(false)) {
        reader.error(
            n,
            "unsupported-value",
            "verified: false is not supported: a version is verified where it was promoted",
        );
    }
    fields.finish();
    let stage = reader.string(stage_node?, "stage")?;
    if let Some(n) = stage_node.filter(|_| !earlier.iter().any(|e| e.name.as_str() == stage)) {
        reader.error(n, "unknown-stage", format!("{stage} is no environment before this one"));
    }
    Some(From { stage: stage.into(), soak: Duration::from_millis(soak_ms) })
}

fn target(reader: &Reader, node: &Node) -> Option<Process> {
    let mut fields = reader.fields(node, "target")?;
    for key in ["container", "kubernetes", "nomad"] {
        if let Some(n) = fields.take(key) {
            reader.error(n, "unsupported-target", format!("target {key} is not supported yet; use process"));
        }
    }
    let process = fields.require("process");
    fields.finish();
    let node = process?;
    let mut fields = reader.fields(node, "process")?;
    let command = fields.require("command").and_then(|n| reader.strings(n, "command"));
    let env = fields.take("env").and_then(|n| reader.string_map(n, "env")).unwrap_or_default();
    let secrets = fields.take("secrets").map_or_else(|| Some(vec![]), |n| secrets(reader, n, &env));
    let health = fields.take("health").and_then(|n| path(reader, n, "health")).unwrap_or_else(|| "/up".to_owned());
    let metrics = fields.take("metrics").and_then(|n| path(reader, n, "metrics"));
    let replicas = fields.take("replicas").map_or(Some(1), |n| replicas(reader, n));
    let drain_ms = fields.take("drain").and_then(|n| reader.duration_ms(n, "drain")).unwrap_or(30_000);
    fields.finish();
    let command = command.filter(|c| c.first().is_some_and(|program| !program.is_empty()));
    if command.is_none() {
        reader.error(node, "no-command", "command must name a program");
    }
    let drain = Duration::from_millis(drain_ms);
    Some(Process { command: command?, env, secrets: secrets?, health, metrics, replicas: replicas?, drain })
}

/// Variables that the target sets itself.
const OWN_VARIABLES: [&str; 2] = ["PORT", "SERVICE_VERSION"];

/// `VARIABLE: PATH#KEY`; nothing when one of them is wrong.
fn secrets(reader: &Reader, node: &Node, env: &[(String, String)]) -> Option<Vec<(String, String)>> {
    let found = reader.string_map(node, "secrets")?;
    let entries = node.entries().unwrap_or_default();
    if entries.len() > SECRETS_MAX {
        reader.error(node, "too-many", format!("at most {SECRETS_MAX} secrets are possible"));
        return None;
    }
    let mut right = found.len() == entries.len();
    for (entry, (variable, place)) in entries.iter().zip(&found) {
        let own = OWN_VARIABLES.contains(&variable.as_str()) || variable.starts_with("LEM_");
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if variable.is_empty() || !variable.chars().all(letters) || variable.starts_with(|c: char| c.is_ascii_digit()) {
            reader.error(&entry.key, "bad-variable", format!("{variable:?} is no name of an environment variable"));
        } else if own {
            reader.error(&entry.key, "bad-variable", format!("{variable} is set by the target"));
        } else if env.iter().any(|(name, _)| name == variable) {
            reader.error(&entry.key, "duplicate", format!("{variable} stands in env and in secrets"));
        } else if !place.split_once('#').is_some_and(|(path, key)| !path.is_empty() && !key.is_empty()) {
            let message = format!("{variable} must name a secret as PATH#KEY, not {place}");
            reader.error_with_hint(&entry.value, "bad-secret", message, "such as shop/database#password");
        } else {
            continue;
        }
        right = false;
    }
    right.then_some(found)
}

fn path(reader: &Reader, node: &Node, what: &str) -> Option<String> {
    let path = reader.string(node, what)?;
    if !path.starts_with('/') {
        reader.error(node, "bad-path", format!("{what} must be a path that starts with /"));
    }
    Some(path)
}

fn replicas(reader: &Reader, node: &Node) -> Option<u32> {
    let n = reader.integer(node, "replicas")?;
    let found = u32::try_from(n).ok().filter(|n| (1..=REPLICAS_MAX).contains(n));
    if found.is_none() {
        reader.error(node, "out-of-range", format!("replicas must be between 1 and {REPLICAS_MAX}, not {n}"));
    }
    found
}

fn default_judge() -> JudgeKind {
    JudgeKind::Sequential { settings: Settings::default(), slower_than: None, interval: None }
}

fn judge(reader: &Reader, node: &Node) -> Option<JudgeKind> {
    let mut fields = reader.fields(node, "judge")?;
    let kind_node = fields.take("kind");
    let kind = kind_node.and_then(|n| reader.string(n, "kind")).unwrap_or_else(|| "sequential".to_owned());
    let mut settings = Settings::default();
    for (key, target) in [
        ("alpha", &mut settings.alpha),
        ("tolerance", &mut settings.tolerance),
        ("promoteBelow", &mut settings.promote_below),
        ("beta", &mut settings.beta),
        ("acceptable", &mut settings.acceptable),
    ] {
        if let Some(value) = fields.take(key).and_then(|n| reader.number(n, key)) {
            *target = value;
        }
    }
    let slower_than =
        fields.take("slowerThan").and_then(|n| reader.duration_ms(n, "slowerThan")).map(Duration::from_millis);
    let interval = fields.take("interval").and_then(|n| interval(reader, n));
    if let Some(n) = fields.take("noEvidence").filter(|n| n.text() != Some("hold")) {
        reader.error(n, "unsupported-value", "noEvidence must be hold: no evidence is never success and never failure");
    }
    fields.finish();
    if let Err(error) = Judge::new(settings.clone(), vec![Signal::only("errors")]) {
        reader.error(node, "bad-judge", error.to_string());
        return None;
    }
    match (kind.as_str(), kind_node) {
        ("sequential", _) => Some(JudgeKind::Sequential { settings, slower_than, interval }),
        ("conditions", _) => Some(JudgeKind::Conditions),
        (other, at) => {
            let known = matches!(other, "threshold" | "kayenta");
            let what = if known { "is not supported yet" } else { "is unknown" };
            let message = format!("judge {other} {what}; use sequential or conditions");
            reader.error(at.unwrap_or(node), "unknown-judge", message);
            None
        }
    }
}

fn interval(reader: &Reader, node: &Node) -> Option<Duration> {
    let found = Duration::from_millis(reader.duration_ms(node, "interval")?);
    if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&found) {
        let (min, max) = (INTERVAL_MIN.as_millis(), INTERVAL_MAX.as_secs());
        reader.error(node, "out-of-range", format!("interval must be between {min}ms and {max}s"));
        return None;
    }
    Some(found)
}

fn windows(reader: &Reader, root: &Path, node: &Node, further: &mut Vec<Diagnostic>) -> Option<Vec<Window>> {
    let path = reader.string(node, "windows")?;
    let text = file(reader, root, node, &path)?;
    let (windows, diagnostics) = promotion::read(&path, &text);
    let failed = diagnostics.iter().any(Diagnostic::is_error);
    further.extend(diagnostics);
    (!failed).then_some(windows)
}

fn migrations(reader: &Reader, fields: &mut Fields<'_>) -> Option<MigrationClass> {
    let Some(node) = fields.take("migrations") else { return Some(MigrationClass::None) };
    let mut f = reader.fields(node, "migrations")?;
    let class = f.take("class");
    for key in ["dir", "onIrreversible"] {
        if let Some(n) = f.take(key) {
            reader.error(n, "unsupported-key", format!("migrations.{key} is not supported yet; give the class"));
        }
    }
    f.finish();
    let Some(class) = class else { return Some(MigrationClass::None) };
    match class.text() {
        Some("none") => Some(MigrationClass::None),
        Some("expand") => Some(MigrationClass::Expand),
        Some("contract") => Some(MigrationClass::Contract),
        Some("irreversible") => Some(MigrationClass::Irreversible),
        _ => {
            reader.error(class, "out-of-range", "class must be none, expand, contract or irreversible");
            None
        }
    }
}

fn rollback(reader: &Reader, fields: &mut Fields<'_>) -> (Duration, usize) {
    let (mut window, mut keep) = (Duration::from_hours(24), 3);
    if let Some(mut f) = fields.take("rollback").and_then(|n| reader.fields(n, "rollback")) {
        if let Some(ms) = f.take("window").and_then(|n| reader.duration_ms(n, "window")) {
            window = Duration::from_millis(ms);
        }
        if let Some(n) = f.take("keep")
            && let Some(count) = reader.integer(n, "keep")
        {
            keep = usize::try_from(count).unwrap_or(0);
            if keep == 0 || keep > 100 {
                reader.error(n, "out-of-range", format!("keep must be between 1 and 100, not {count}"));
            }
        }
        if let Some(n) = f.take("git") {
            reader.error(n, "unsupported-key", "rollback.git is not supported yet");
        }
        f.finish();
    }
    (window, keep)
}

/// What is wrong when there is no section at all: nothing.
pub fn read_section(root: &Path, section: Option<&Node>) -> Result<Config, Vec<Diagnostic>> {
    let Some(node) = section else { return Ok(Config::default()) };
    let (config, diagnostics) = read(root, lem_source::CONFIG_FILE, node);
    if diagnostics.iter().any(Diagnostic::is_error) { Err(diagnostics) } else { Ok(config) }
}

/// A diagnostic for a whole file.
pub(crate) fn whole_file(file: &str, code: &str, message: impl Into<String>) -> Diagnostic {
    Diagnostic::error(code, message, Place::file(file))
}
