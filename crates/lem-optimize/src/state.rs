//! What the ledger says about cost, pipelines and recommendations.

use crate::plan::bottleneck::{Analysis, Growth, PipelineHistory};
use crate::plan::lifecycle::Recommendations;
use lem_ledger::Projection;
use lem_model::fact::{BudgetExceeded, CostEstimated, PlanFinished};
use lem_model::{Digest, Event, Seq};
use std::collections::{BTreeMap, VecDeque};

/// Estimates and exceeded budgets that are kept.
pub const MAX_KEPT: usize = 500;
/// Plans whose folder is remembered until their estimate comes.
const MAX_PLANS: usize = 100;

/// An estimate with its place in the ledger.
#[derive(Clone, Debug)]
pub struct Estimated {
    /// Folder of the configuration, when the plan said one.
    pub root: Option<String>,
    /// The fact.
    pub fact: CostEstimated,
    /// Its event.
    pub event: Seq,
}

/// The stage's view of the ledger.
#[derive(Clone, Debug, Default)]
pub struct OptimizeState {
    /// Recommendations with their standing.
    pub recommendations: Recommendations,
    /// Runs of pipelines.
    pub pipelines: PipelineHistory,
    /// Estimates, oldest first.
    pub estimates: VecDeque<Estimated>,
    /// Exceeded budgets, oldest first.
    pub exceeded: VecDeque<(BudgetExceeded, Seq)>,
    plans: BTreeMap<Digest, String>,
}

impl OptimizeState {
    /// The latest estimate of a folder in an environment.
    pub fn latest(&self, root: &str, environment: &str) -> Option<&CostEstimated> {
        let own = |e: &&Estimated| e.root.as_deref() == Some(root) && e.fact.environment.as_str() == environment;
        self.estimates.iter().rev().find(own).map(|e| &e.fact)
    }

    /// The latest estimate of every folder and environment.
    pub fn current(&self) -> Vec<&Estimated> {
        let mut latest: BTreeMap<(Option<&str>, &str), &Estimated> = BTreeMap::new();
        for estimated in &self.estimates {
            latest.insert((estimated.root.as_deref(), estimated.fact.environment.as_str()), estimated);
        }
        latest.into_values().collect()
    }

    /// The latest run of every pipeline, with the jobs that take more of it than before.
    pub fn slow(&self) -> Vec<(&Analysis, Vec<Growth>)> {
        self.pipelines.latest().map(|a| (a, self.pipelines.grown(a))).collect()
    }
}

impl Projection for OptimizeState {
    const NAME: &'static str = "optimize";
    const VERSION: u32 = 1;

    fn apply(&mut self, event: &Event) {
        self.recommendations.apply(event);
        self.pipelines.apply(event);
        if let Some(plan) = event.read::<PlanFinished>() {
            if self.plans.len() >= MAX_PLANS {
                self.plans.pop_first();
            }
            self.plans.insert(plan.plan, plan.root);
        } else if let Some(fact) = event.read::<CostEstimated>() {
            let root = self.plans.remove(&fact.plan);
            self.estimates.push_back(Estimated { root, fact, event: event.seq });
            if self.estimates.len() > MAX_KEPT {
                self.estimates.pop_front();
            }
        } else if let Some(fact) = event.read::<BudgetExceeded>() {
            self.exceeded.push_back((fact, event.seq));
            if self.exceeded.len() > MAX_KEPT {
                self.exceeded.pop_front();
            }
        }
    }
}
