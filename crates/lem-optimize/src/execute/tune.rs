//! Asks the metrics what containers and services use, and turns the answers into advice.

use super::Pricer;
use crate::plan::recommend::sizing::{Container, Observed, containers, process_queries, recommend};
use crate::plan::rightsize::vpa::{ContainerState, Policy};
use crate::plan::rightsize::{Advice, krr};
use jiff::{SignedDuration, Timestamp};
use lem_model::fact::RecommendationCreated;
use lem_model::port::{MetricQuery, Scope, Series, SourceError, Window};
use lem_model::resource::ResourceGraph;

/// History that is read: the recommender's eight windows.
pub const HISTORY: SignedDuration = SignedDuration::from_hours(8 * 24);
/// Step of the queries. At one minute the confidence is what the recommender would have.
pub const STEP_MS: u64 = 60_000;
/// Containers that are asked about at once.
pub const MAX_CONTAINERS: usize = 1_000;

/// How a request is worked out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// The Kubernetes VPA recommender.
    #[default]
    Vpa,
    /// KRR.
    Krr,
}

impl Strategy {
    /// Name with its version and values.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vpa => "vpa (recommender 1.7)",
            Self::Krr => krr::NAME,
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Tuning {
    /// Recommendations.
    pub recommendations: Vec<RecommendationCreated>,
    /// What each of our own services uses, for which no request is written anywhere.
    pub services: Vec<(Scope, Advice)>,
    /// About what nothing can be said, and why.
    pub unknown: Vec<(String, String)>,
}

/// Right-sizing of the containers of graphs and of our own services.
pub async fn tune(
    pricer: &Pricer,
    metrics: &dyn MetricQuery,
    graphs: &[ResourceGraph],
    services: &[Scope],
    strategy: Strategy,
    now: Timestamp,
) -> Tuning {
    let mut tuning = Tuning::default();
    let window = Window { from: now.checked_sub(HISTORY).unwrap_or(Timestamp::MIN), to: now };
    let (book, _) = pricer.book();
    let all: Vec<(&ResourceGraph, Container)> =
        graphs.iter().flat_map(|g| containers(g).into_iter().map(move |c| (g, c))).collect();
    for (_, skipped) in all.iter().skip(MAX_CONTAINERS) {
        let what = format!("{}/{}", skipped.workload, skipped.container);
        tuning.unknown.push((what, format!("at most {MAX_CONTAINERS} containers are asked about")));
    }
    for (graph, container) in all.iter().take(MAX_CONTAINERS) {
        let what = format!("{}/{}", container.workload, container.container);
        let queries = (container.cpu_query(), container.memory_query());
        match advice(metrics, &queries, window, container.siblings, strategy).await {
            Ok((advice, cpu, memory)) => {
                let text = std::fs::read_to_string(pricer.root.join(&container.file)).ok();
                let observed = Observed { advice, strategy: strategy.name(), cpu: &cpu, memory: &memory };
                let found =
                    recommend(container, &observed, graph.environment.as_ref(), text.as_deref(), &book, pricer.today());
                tuning.recommendations.extend(found);
            }
            Err(why) => tuning.unknown.push((what, why)),
        }
    }
    for scope in services {
        let queries = process_queries(&scope.service, &scope.environment);
        match advice(metrics, &queries, window, 1, strategy).await {
            Ok((advice, _, _)) => tuning.services.push((scope.clone(), advice)),
            Err(why) => tuning.unknown.push((format!("{}/{}", scope.environment, scope.service), why)),
        }
    }
    tuning
}

async fn advice(
    metrics: &dyn MetricQuery,
    (cpu, memory): &(String, String),
    window: Window,
    siblings: usize,
    strategy: Strategy,
) -> Result<(Advice, Vec<Series>, Vec<Series>), String> {
    let say = |e: SourceError| e.to_string();
    let cpu = metrics.query_range(cpu, window, STEP_MS).await.map_err(say)?;
    let memory = metrics.query_range(memory, window, STEP_MS).await.map_err(say)?;
    let advice = match strategy {
        Strategy::Krr => krr::advise(&cpu, &memory, None)?,
        Strategy::Vpa => {
            let mut state = ContainerState::default();
            let discarded = state.feed(&cpu, &memory);
            if state.samples() == 0 {
                return Err("no sample in the last 8 days".into());
            }
            let mut advice = state.advise(siblings, &Policy::default());
            if discarded > 0 {
                advice.steps.push(format!("{discarded} samples discarded: out of order or no number"));
            }
            advice
        }
    };
    Ok((advice, cpu, memory))
}
