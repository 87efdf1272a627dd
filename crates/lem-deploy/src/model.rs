//! What a strategy file says, once it is known to be right. Values here cannot be wrong: import checks them.

use lem_engine_judge::analysis::Limits;
use lem_engine_judge::condition::Conditions;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Weights are percent of the traffic.
pub const WEIGHT_TOTAL: u32 = 100;

/// How many instances may be added or missing while replicas change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slack {
    /// So many.
    Count(u32),
    /// Percent of the replicas.
    Percent(u32),
}

impl Slack {
    /// As a count, percent rounded up: `maxSurge`.
    pub fn up(self, replicas: u32) -> u32 {
        match self {
            Slack::Count(n) => n,
            Slack::Percent(p) => (u64::from(p) * u64::from(replicas)).div_ceil(100) as u32,
        }
    }

    /// As a count, percent rounded down: `maxUnavailable`.
    pub fn down(self, replicas: u32) -> u32 {
        match self {
            Slack::Count(n) => n,
            Slack::Percent(p) => (u64::from(p) * u64::from(replicas) / 100) as u32,
        }
    }
}

/// A strategy with its common settings.
#[derive(Clone, Debug)]
pub struct Strategy {
    /// Which way.
    pub method: Method,
    /// Replicas, where the manifest says; the target's otherwise.
    pub replicas: Option<u32>,
    /// Time a version has to become ready.
    pub progress_deadline_ms: u64,
    /// Time an instance must stay healthy before it counts as ready.
    pub min_ready_ms: u64,
    /// Time the old version stays after the new one took over.
    pub scale_down_delay_ms: u64,
    /// Time an aborted version stays; `None` keeps it for good.
    pub abort_scale_down_delay_ms: Option<u64>,
    /// `revisionHistoryLimit`.
    pub history: u32,
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// Analysis that runs beside the steps.
    pub background: Option<Background>,
    /// Added instances at most.
    pub max_surge: Slack,
    /// Missing instances at most.
    pub max_unavailable: Slack,
}

/// Way of deploying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// Old version ends before the new one starts.
    Recreate,
    /// Instance by instance.
    Rolling,
    /// Both whole, traffic switches at once.
    BlueGreen,
    /// Traffic in steps.
    Canary,
}

impl Method {
    /// As in files and events.
    pub fn name(self) -> &'static str {
        match self {
            Method::Recreate => "recreate",
            Method::Rolling => "rolling",
            Method::BlueGreen => "blueGreen",
            Method::Canary => "canary",
        }
    }
}

/// Background analysis of a canary.
#[derive(Clone, Debug)]
pub struct Background {
    /// From this step on.
    pub starting_step: usize,
    /// What is measured.
    pub analysis: Analysis,
}

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// The canary gets so many percent.
    SetWeight(u32),
    /// Wait so long, or for a person.
    Pause(Option<u64>),
    /// Measure until the run ends.
    Analysis(Analysis),
    /// Instances of the canary, independent of its weight.
    CanaryScale(CanaryScale),
    /// Requests with these headers go to the canary; no match removes the route.
    HeaderRoute {
        /// Name of the managed route.
        name: String,
        /// Header conditions, all of which must hold.
        matches: Vec<HeaderMatch>,
    },
    /// Blue-green: the new version runs whole and can be reached by header only.
    Preview,
    /// Blue-green: all traffic at once.
    Switch,
    /// Instance by instance.
    Roll,
    /// Old version down, new version up.
    Recreate,
}

/// `setCanaryScale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanaryScale {
    /// So many.
    Replicas(u32),
    /// Percent of the replicas.
    Weight(u32),
    /// As the traffic weight says.
    MatchTrafficWeight,
}

/// One header condition of a `setHeaderRoute`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Header.
    pub header: String,
    /// Value.
    pub value: ValueMatch,
}

/// How a value must look; regular expressions are refused, as the router has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatch {
    /// Exactly so.
    Exact(String),
    /// Starts so.
    Prefix(String),
}

/// An analysis with its templates resolved and its arguments not yet filled in.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// Names of the templates.
    pub templates: Vec<String>,
    /// What is measured.
    pub metrics: Vec<Metric>,
    /// Values of `{{args.name}}`.
    pub args: Vec<(String, ArgValue)>,
}

/// Value of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgValue {
    /// As written.
    Text(String),
    /// `podTemplateHashValue: Latest`: the new version.
    NewVersion,
    /// `podTemplateHashValue: Stable`: the version that runs.
    StableVersion,
}

/// One metric of an analysis.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Counters' limits.
    pub limits: Limits,
    /// Conditions on the result.
    pub conditions: Conditions,
    /// PromQL with `{{args.name}}`.
    pub query: String,
}

impl Analysis {
    /// A metric's query with the arguments filled in.
    pub fn query(&self, metric: &Metric, new: &str, stable: &str) -> String {
        let mut query = metric.query.clone();
        for (name, value) in &self.args {
            let text = match value {
                ArgValue::Text(text) => text.as_str(),
                ArgValue::NewVersion => new,
                ArgValue::StableVersion => stable,
            };
            query = query.replace(&format!("{{{{args.{name}}}}}"), text);
            query = query.replace(&format!("{{{{ args.{name} }}}}"), text);
        }
        query
    }
}

impl Strategy {
    /// The steps as sentences.
    pub fn sentences(&self) -> Vec<String> {
        self.steps.iter().map(ToString::to_string).collect()
    }

    /// The canary's weight while a step is under way: that of the last `setWeight` up to it.
    pub fn weight_at(&self, index: usize) -> u32 {
        let mut reached = self.steps.iter().take(index + 1).rev();
        reached.find_map(Step::weight).unwrap_or(0)
    }
}

impl Step {
    /// The weight it sets.
    pub fn weight(&self) -> Option<u32> {
        match self {
            Step::SetWeight(weight) => Some(*weight),
            Step::Switch => Some(WEIGHT_TOTAL),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::SetWeight(weight) => write!(f, "send {weight} % of the traffic to the new version"),
            Step::Pause(Some(ms)) => write!(f, "wait {}", human_ms(*ms)),
            Step::Pause(None) => f.write_str("wait for a person to promote"),
            Step::Analysis(a) => write!(f, "analyse {}", a.templates.join(", ")),
            Step::CanaryScale(CanaryScale::Replicas(n)) => write!(f, "run {n} instance(s) of the new version"),
            Step::CanaryScale(CanaryScale::Weight(w)) => write!(f, "run {w} % of the instances in the new version"),
            Step::CanaryScale(CanaryScale::MatchTrafficWeight) => f.write_str("run instances as the weight says"),
            Step::HeaderRoute { name, matches } if matches.is_empty() => write!(f, "remove header route {name}"),
            Step::HeaderRoute { name, .. } => write!(f, "send requests of header route {name} to the new version"),
            Step::Preview => f.write_str("start the new version beside the old one, reachable by header x-release"),
            Step::Switch => f.write_str("switch all traffic to the new version"),
            Step::Roll => f.write_str("replace instance by instance"),
            Step::Recreate => f.write_str("end the old version, then start the new one"),
        }
    }
}

/// `90s`, `5m`, `1h30m`, `250ms`.
pub fn human_ms(ms: u64) -> String {
    if ms < 1000 || !ms.is_multiple_of(1000) && ms < 10_000 {
        return format!("{ms}ms");
    }
    let seconds = ms / 1000;
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect()
}
