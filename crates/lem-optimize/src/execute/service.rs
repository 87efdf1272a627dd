//! The running stage.

use super::{OptimizeError, Pricer, Strategy, Tuning, tune};
use crate::Config;
use crate::events::{
    ChangeMerged, PlanFinished, RecommendationCreated, RecommendationMoved, RecommendationRequested, RunFinished,
};
use crate::patch;
use crate::plan::estimate::{Estimate, Pricing};
use crate::plan::lifecycle::{Due, Signal, Standing, judge};
use crate::plan::observe::{budgets_exceeded, cost_estimated, with_actions};
use crate::plan::recommend::{capacity, pipeline};
use crate::state::OptimizeState;
use jiff::{SignedDuration, Timestamp};
use lem_ledger::{Consumer, Filter, Recorder, View};
use lem_model::port::{MetricQuery, ResourceGraphs, Scope, SymptomSource, Window};
use lem_model::resource::ResourceGraph;
use lem_model::{Actor, Event};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Source of everything optimize appends.
pub const SOURCE: &str = "/lem/optimize";
/// Name under which recommendations move.
const ACTOR: &str = "engine:optimize";
/// Time between looks at what is due.
const PAUSE: Duration = Duration::from_mins(1);
/// Time between looks at what containers use.
const TUNE_EVERY: SignedDuration = SignedDuration::from_hours(6);
/// Span of the signals before and after an apply.
const VERIFICATION: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What the service needs.
#[derive(Clone)]
pub struct OptimizeOptions {
    /// Appends under [`SOURCE`].
    pub recorder: Recorder,
    /// Configuration.
    pub config: Config,
    /// Top of the repository.
    pub root: PathBuf,
    /// Where state is kept.
    pub data: PathBuf,
    /// Evaluates infrastructure files.
    pub graphs: Arc<dyn ResourceGraphs>,
    /// What a service looks like, for verification; without it nothing is verified.
    pub symptoms: Option<Arc<dyn SymptomSource>>,
    /// What containers use; without it nothing is right-sized.
    pub metrics: Option<Arc<dyn MetricQuery>>,
}

impl std::fmt::Debug for OptimizeOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OptimizeOptions")
            .field("root", &self.root)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// The running stage.
#[derive(Clone, Debug)]
pub struct OptimizeService {
    options: OptimizeOptions,
    pricer: Pricer,
    state: View<OptimizeState>,
}

impl OptimizeService {
    /// Folds the ledger; nothing happens before [`OptimizeService::serve`].
    pub fn new(options: OptimizeOptions) -> Self {
        let state = View::start(options.recorder.log().clone());
        let pricer = Pricer {
            root: options.root.clone(),
            data: options.data.clone(),
            config: options.config.clone(),
            clock: options.recorder.clock().clone(),
        };
        Self { options, pricer, state }
    }

    /// What the stage knows.
    pub fn state(&self) -> &View<OptimizeState> {
        &self.state
    }

    /// Prices plans for whoever makes them.
    pub fn prices(&self) -> Arc<Pricer> {
        Arc::new(self.pricer.clone())
    }

    /// Runs until cancelled.
    pub async fn serve(&self, cancel: CancellationToken) -> Result<(), OptimizeError> {
        let log = self.options.recorder.log().clone();
        let heard =
            Filter::types(["plan.finished", "recommendation.requested", "pipelinerun.finished", "change.merged"]);
        let mut subscription = log.subscribe(&Consumer::from("optimize"), heard).await?;
        let mut tuned: Option<Timestamp> = None;
        let mut tick = tokio::time::interval(PAUSE);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                event = subscription.next() => {
                    let event = event?;
                    self.hear(&event).await?;
                    subscription.ack(event.seq).await?;
                }
                _ = tick.tick() => {
                    self.look().await?;
                    let now = self.options.recorder.clock().now();
                    if tuned.is_none_or(|last| now.duration_since(last) >= TUNE_EVERY) {
                        tuned = Some(now);
                        for advice in self.tune(Strategy::Vpa).await.recommendations {
                            self.recommend(advice).await?;
                        }
                    }
                }
            }
        }
    }

    /// Answers one fact.
    pub async fn hear(&self, event: &Event) -> Result<(), OptimizeError> {
        self.state.wait_for(event.seq).await;
        if let Some(plan) = event.read::<PlanFinished>() {
            self.estimate(&plan).await?;
        } else if let Some(request) = event.read::<RecommendationRequested>() {
            let advice = self.capacity(&request).await;
            self.recommend(advice).await?;
        } else if let Some(run) = event.read::<RunFinished>() {
            self.pipeline(&run).await?;
        } else if event.is::<ChangeMerged>() {
            self.observe_applied().await?;
        }
        Ok(())
    }

    async fn graphs(&self) -> Vec<ResourceGraph> {
        match self.options.graphs.graphs(&self.options.root).await {
            Ok(graphs) => graphs,
            Err(error) => {
                tracing::warn!(%error, "infrastructure files cannot be evaluated");
                vec![]
            }
        }
    }

    async fn estimate(&self, plan: &PlanFinished) -> Result<(), OptimizeError> {
        let graphs = self.graphs().await;
        let own =
            |g: &&ResourceGraph| g.root == plan.root && g.environment.as_ref().is_none_or(|e| *e == plan.environment);
        let Some(graph) = graphs.iter().find(own) else {
            tracing::warn!(root = plan.root, "a plan of files that cannot be evaluated is not priced");
            return Ok(());
        };
        let mut graph = with_actions(graph, plan);
        graph.environment = Some(plan.environment.clone());
        let (estimate, found) = self.pricer.price(&graph);
        for diagnostic in found {
            tracing::warn!("{diagnostic}");
        }
        let fact =
            self.state.read(|s| cost_estimated(&estimate, plan, s.latest(&plan.root, plan.environment.as_str())));
        self.options.recorder.record_as(format!("cost:{}", plan.plan), &fact).await?;
        for exceeded in budgets_exceeded(&estimate, plan, &self.options.config.budgets) {
            let id = format!("budget:{}:{}", exceeded.budget, plan.plan);
            self.options.recorder.record_as(id, &exceeded).await?;
        }
        Ok(())
    }

    async fn capacity(&self, request: &RecommendationRequested) -> RecommendationCreated {
        let graphs = self.graphs().await;
        let (book, _) = self.pricer.book();
        let (usage, _) = self.pricer.usage();
        let pricing =
            Pricing { book: &book, usage: &usage, currency: &self.options.config.currency, on: self.pricer.today() };
        let read = |path: &str| std::fs::read_to_string(self.options.root.join(path)).ok();
        capacity::advise(request, &graphs, &read, &pricing)
    }

    async fn pipeline(&self, run: &RunFinished) -> Result<(), OptimizeError> {
        let advice: Vec<RecommendationCreated> = self.state.read(|s| {
            let slow = s.slow().into_iter().filter(|(analysis, _)| analysis.run == run.run);
            slow.flat_map(|(analysis, grown)| grown.iter().map(|g| pipeline(analysis, g)).collect::<Vec<_>>()).collect()
        });
        for advice in advice {
            self.recommend(advice).await?;
        }
        Ok(())
    }

    /// Says it once; open advice about the same thing gives way.
    pub async fn recommend(&self, advice: RecommendationCreated) -> Result<(), OptimizeError> {
        let known = self.state.read(|s| s.recommendations.get(&advice.recommendation).is_some());
        if known {
            return Ok(());
        }
        let replaced = self.state.read(|s| s.recommendations.superseded_by(&advice));
        for old in replaced {
            self.move_to(&old, Standing::Superseded, &format!("{} says better", advice.recommendation)).await?;
        }
        let id = format!("{}:created", advice.recommendation);
        let appended = self.options.recorder.record_as(id, &advice).await?;
        self.state.wait_for(appended.seq).await;
        if advice.patch.is_some() {
            self.move_to(&advice.recommendation, Standing::Proposed, "offered as a patch").await?;
        }
        Ok(())
    }

    async fn move_to(&self, id: &str, standing: Standing, why: &str) -> Result<(), OptimizeError> {
        let fact = RecommendationMoved {
            recommendation: id.to_owned(),
            standing: standing.word().to_owned(),
            why: why.to_owned(),
            by: Actor::from(ACTOR),
        };
        let appended = self.options.recorder.record_as(format!("{id}:{standing}"), &fact).await?;
        self.state.wait_for(appended.seq).await;
        Ok(())
    }

    /// Whether the lines of patches stand in the files: applied and taken back are observed, not claimed.
    async fn observe_applied(&self) -> Result<(), OptimizeError> {
        let patched: Vec<(String, Standing, String)> = self.state.read(|s| {
            let alive = s
                .recommendations
                .all()
                .into_iter()
                .filter(|r| r.standing.may_become(Standing::Applied) || r.standing.may_become(Standing::Reverted));
            alive.filter_map(|r| Some((r.advice.recommendation.clone(), r.standing, r.advice.patch.clone()?))).collect()
        });
        for (id, standing, patch) in patched {
            let files = patch::files(&patch);
            // Some(true): the lines stand. Some(false): they do not, and would fit. None: the file has moved on.
            let stands = |file: &String| {
                let text = std::fs::read_to_string(self.options.root.join(file)).ok()?;
                patch::apply(file, &text, &patch).ok().map(|after| after == text)
            };
            let found: Vec<Option<bool>> = files.iter().map(stands).collect();
            let all = |wanted: bool| !found.is_empty() && found.iter().all(|f| *f == Some(wanted));
            let named = files.join(", ");
            if standing.is_open() && all(true) {
                self.move_to(&id, Standing::Applied, &format!("its lines stand in {named}")).await?;
            } else if standing.may_become(Standing::Reverted) && all(false) {
                self.move_to(&id, Standing::Reverted, &format!("its lines no longer stand in {named}")).await?;
            }
        }
        Ok(())
    }

    /// What containers should ask for, by the metrics there are.
    pub async fn tune(&self, strategy: Strategy) -> Tuning {
        let Some(metrics) = &self.options.metrics else { return Tuning::default() };
        let graphs = self.graphs().await;
        let now = self.options.recorder.clock().now();
        tune(&self.pricer, metrics.as_ref(), &graphs, &[], strategy, now).await
    }

    /// What is due by the clock.
    pub async fn look(&self) -> Result<(), OptimizeError> {
        let now = self.options.recorder.clock().now();
        for due in self.state.read(|s| s.recommendations.due(now)) {
            match due {
                Due::Expire(id) => self.move_to(&id, Standing::Expired, "nobody took it up for 30 days").await?,
                Due::Verify(id) => self.verify(&id).await?,
            }
        }
        Ok(())
    }

    async fn verify(&self, id: &str) -> Result<(), OptimizeError> {
        let found = self.state.read(|s| s.recommendations.get(id).cloned());
        let Some(found) = found else { return Ok(()) };
        let scope = found.advice.service.clone().zip(found.advice.environment.clone());
        let (Some((service, environment)), Some(symptoms)) = (scope, &self.options.symptoms) else {
            return self.move_to(id, Standing::Inconclusive, "no service's signals can tell").await;
        };
        let scope = Scope { service, environment };
        let around = |from: Timestamp, to: Timestamp| Window { from, to };
        let before = around(found.since.checked_sub(VERIFICATION).unwrap_or(Timestamp::MIN), found.since);
        let after = around(found.since, found.since.checked_add(VERIFICATION).unwrap_or(Timestamp::MAX));
        // With the signals out of reach nothing is verified on stale data; the next look asks again.
        let (Ok(before), Ok(after)) = (symptoms.series(&scope, before).await, symptoms.series(&scope, after).await)
        else {
            return Ok(());
        };
        let values = |series: &[lem_model::port::Series], signal: &str| -> Vec<f64> {
            let own = series.iter().filter(|s| s.labels.get("signal").is_some_and(|l| l == signal));
            own.filter(|s| !s.labels.contains_key("version"))
                .flat_map(|s| &s.points)
                .map(|p| p.1)
                .filter(|v| v.is_finite())
                .collect()
        };
        let signals = ["error_ratio", "latency"].map(|name| Signal {
            name: name.replace('_', " "),
            before: values(&before, name),
            after: values(&after, name),
        });
        let (standing, why) = judge(&signals);
        // Harm is said, and the way back is a patch the other way round; nothing is taken back without being asked for.
        let standing = if standing == Standing::Reverted { Standing::Inconclusive } else { standing };
        self.move_to(id, standing, &why).await
    }

    /// The estimate of a graph, for commands.
    pub fn price(&self, graph: &ResourceGraph) -> Estimate {
        self.pricer.price(graph).0
    }
}
