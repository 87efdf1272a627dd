//! What the record keeps of provision, secure and optimize.

use super::At;
use indexmap::IndexMap;
use lem_model::fact::{
    ApplyFinished, AttestationRecorded, BudgetExceeded, CostEstimated, DriftChecked, ExceptionGranted, GateDecided,
    LeaseIssued, LeaseRevoked, PlanFinished, RecommendationCreated, RecommendationMoved, ScanFinished, SecretChanged,
};
use lem_model::{Event, Fact};
use std::collections::{BTreeMap, VecDeque};

/// Plans, gates, exceptions, attestations and leases kept of each kind.
pub const STAGE_ROWS_KEPT: usize = 500;

/// Environment and root folder.
pub type InfraKey = (String, String);

/// A recommendation and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// As it was made.
    pub created: At<RecommendationCreated>,
    /// Its last move.
    pub moved: Option<At<RecommendationMoved>>,
}

impl Advice {
    /// Where it stands.
    pub fn standing(&self) -> &str {
        self.moved.as_ref().map_or("created", |m| &m.fact.standing)
    }

    /// Whether somebody still has to decide about it.
    pub fn is_open(&self) -> bool {
        matches!(self.standing(), "created" | "proposed")
    }
}

/// Facts of the stages around the delivery path, newest of each thing.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// The newest plan of each environment.
    pub plans: BTreeMap<InfraKey, At<PlanFinished>>,
    /// The newest apply of each environment.
    pub applies: BTreeMap<InfraKey, At<ApplyFinished>>,
    /// The newest drift check of each environment.
    pub drift: BTreeMap<InfraKey, At<DriftChecked>>,
    /// The newest scan of the tree.
    pub scan: Option<At<ScanFinished>>,
    /// When each finding was seen first, by fingerprint.
    pub first_seen: BTreeMap<String, At<()>>,
    /// Granted exceptions.
    pub exceptions: VecDeque<At<ExceptionGranted>>,
    /// Answers of gates.
    pub gates: VecDeque<At<GateDecided>>,
    /// Attestations.
    pub attestations: VecDeque<At<AttestationRecorded>>,
    /// The newest change of each secret.
    pub secrets: BTreeMap<String, At<SecretChanged>>,
    /// Leases that did not end.
    pub leases: IndexMap<String, At<LeaseIssued>>,
    /// The newest estimates, by plan.
    pub costs: IndexMap<String, At<CostEstimated>>,
    /// The newest word on each budget.
    pub budgets: BTreeMap<String, At<BudgetExceeded>>,
    /// Recommendations.
    pub advice: IndexMap<String, Advice>,
}

fn at<F: Fact>(event: &Event) -> Option<At<F>> {
    event.read::<F>().map(|fact| At { at: event.time_occurred, seq: event.seq, fact })
}

fn push<T>(list: &mut VecDeque<T>, item: Option<T>) {
    list.extend(item);
    while list.len() > STAGE_ROWS_KEPT {
        list.pop_front();
    }
}

fn trim<T>(map: &mut IndexMap<String, T>) {
    while map.len() > STAGE_ROWS_KEPT {
        map.shift_remove_index(0);
    }
}

impl Stages {
    /// Takes an event, when it is about one of these stages.
    pub(super) fn fold(&mut self, event: &Event) {
        match event.kind.short() {
            "plan.finished" => self.plan(event),
            "apply.finished" => {
                if let Some(apply) = at::<ApplyFinished>(event) {
                    let key = (apply.fact.environment.to_string(), apply.fact.root.clone());
                    self.applies.insert(key, apply);
                }
            }
            "drift.checked" => {
                if let Some(check) = at::<DriftChecked>(event) {
                    let key = (check.fact.environment.to_string(), check.fact.root.clone());
                    self.drift.insert(key, check);
                }
            }
            "scan.finished" => self.scanned(event),
            "exception.granted" => push(&mut self.exceptions, at(event)),
            "gate.decided" => push(&mut self.gates, at(event)),
            "attestation.recorded" => push(&mut self.attestations, at(event)),
            "secret.changed" => {
                if let Some(change) = at::<SecretChanged>(event) {
                    self.secrets.insert(change.fact.secret.clone(), change);
                }
            }
            "lease.issued" => {
                if let Some(lease) = at::<LeaseIssued>(event) {
                    self.leases.insert(lease.fact.lease.clone(), lease);
                    trim(&mut self.leases);
                }
            }
            "lease.revoked" => {
                if let Some(revoked) = event.read::<LeaseRevoked>() {
                    self.leases.shift_remove(&revoked.lease);
                }
            }
            _ => self.optimize(event),
        }
    }

    fn plan(&mut self, event: &Event) {
        if let Some(plan) = at::<PlanFinished>(event) {
            let key = (plan.fact.environment.to_string(), plan.fact.root.clone());
            self.plans.insert(key, plan);
        }
    }

    fn scanned(&mut self, event: &Event) {
        let Some(scan) = at::<ScanFinished>(event) else { return };
        let seen: Vec<String> = scan.fact.findings.iter().map(|f| f.fingerprint.clone()).collect();
        self.first_seen.retain(|fingerprint, _| seen.contains(fingerprint));
        for fingerprint in seen {
            self.first_seen.entry(fingerprint).or_insert(At { at: scan.at, seq: scan.seq, fact: () });
        }
        self.scan = Some(scan);
    }

    fn optimize(&mut self, event: &Event) {
        match event.kind.short() {
            "cost.estimated" => {
                if let Some(cost) = at::<CostEstimated>(event) {
                    // The newest word about a plan stands last.
                    let key = cost.fact.plan.to_string();
                    self.costs.shift_remove(&key);
                    self.costs.insert(key, cost);
                    trim(&mut self.costs);
                }
            }
            "budget.exceeded" => {
                if let Some(over) = at::<BudgetExceeded>(event) {
                    self.budgets.insert(over.fact.budget.clone(), over);
                }
            }
            "recommendation.created" => {
                if let Some(created) = at::<RecommendationCreated>(event) {
                    let id = created.fact.recommendation.clone();
                    self.advice.insert(id, Advice { created, moved: None });
                    trim(&mut self.advice);
                }
            }
            "recommendation.moved" => {
                if let Some(moved) = at::<RecommendationMoved>(event)
                    && let Some(advice) = self.advice.get_mut(&moved.fact.recommendation)
                {
                    advice.moved = Some(moved);
                }
            }
            _ => {}
        }
    }

    /// The newest estimate of each environment.
    pub fn newest_costs(&self) -> BTreeMap<String, &At<CostEstimated>> {
        let mut newest = BTreeMap::new();
        for cost in self.costs.values() {
            newest.insert(cost.fact.environment.to_string(), cost);
        }
        newest
    }

    /// The last event of these stages that a plan, by its digest, is named in.
    pub fn gate_of(&self, subject: &str) -> Option<&At<GateDecided>> {
        self.gates.iter().rev().find(|g| g.fact.subject == subject)
    }
}
