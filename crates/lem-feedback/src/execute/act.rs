//! What is done about a named cause: the one rollback, the mark for the pipeline, the questions to other stages.

use super::{ACTOR, FeedbackError, FeedbackService};
use crate::events::*;
use crate::plan::capacity::shortage;
use crate::plan::rank::{Evidence, Ranking};
use crate::plan::safety::{self, Decision};
use crate::state::Incident;
use jiff::Timestamp;
use lem_model::fact::Onset;
use lem_model::port::Scope;
use lem_model::{Actor, DeploymentId, EnvironmentName};

impl FeedbackService {
    pub(super) async fn act(
        &self,
        incident: &Incident,
        ranking: &Ranking,
        now: Timestamp,
    ) -> Result<(), FeedbackError> {
        let stopped =
            self.options.kill_switch.exists().then(|| format!("{} exists", self.options.kill_switch.display()));
        let decision = self.state.read(|s| {
            let current = s.incidents.get(&incident.detected.incident).unwrap_or(incident);
            safety::decide(s, current, ranking, &self.options.config, stopped.as_deref(), now)
        });
        match decision {
            Decision::RollBack { deployment } => self.roll_back(incident, &deployment, ranking).await,
            Decision::AlreadyOff => self.mark(incident, ranking).await,
            Decision::CheckDrift { environment, why } => {
                self.check_drift(incident, environment, ranking).await?;
                self.refuse(incident, why).await
            }
            Decision::Refuse(why) => self.refuse(incident, why).await,
        }
    }

    async fn refuse(&self, incident: &Incident, why: String) -> Result<(), FeedbackError> {
        let id = &incident.detected.incident;
        let fact = ActionRefused { incident: id.clone(), kind: "rollback".into(), why };
        self.options.recorder.record_as(format!("refusal:{id}:{}", incident.rejected.len()), &fact).await?;
        Ok(())
    }

    /// Asks provision whether what exists is what was applied.
    async fn check_drift(
        &self,
        incident: &Incident,
        environment: EnvironmentName,
        ranking: &Ranking,
    ) -> Result<(), FeedbackError> {
        let id = &incident.detected.incident;
        let sentence = ranking.named().map_or_else(String::new, |c| c.sentence.clone());
        let fact = DriftRequested {
            environment,
            reason: format!("likely behind {id}: {sentence}"),
            incident: Some(id.clone()),
            by: Actor::from(ACTOR),
        };
        self.options.recorder.record_as(format!("drift:{id}"), &fact).await?;
        Ok(())
    }

    /// Asks optimize for advice when memory, processor or disk ran short.
    pub(super) async fn advise(
        &self,
        incident: &Incident,
        scope: &Scope,
        onset: &Onset,
        evidence: &Evidence,
    ) -> Result<(), FeedbackError> {
        let Some(short) = self.state.read(|s| shortage(incident, &s.exits, onset, evidence)) else { return Ok(()) };
        let id = &incident.detected.incident;
        let fact = RecommendationRequested {
            target: scope.service.to_string(),
            environment: scope.environment.clone(),
            reason: format!("{} ran short: {}", short.resource, short.sentence),
            incident: Some(id.clone()),
            by: Actor::from(ACTOR),
        };
        self.options.recorder.record_as(format!("recommendation:{id}"), &fact).await?;
        Ok(())
    }

    /// The one automatic action of an incident. All of it goes in one batch: the action is recorded with its request.
    async fn roll_back(
        &self,
        incident: &Incident,
        deployment: &DeploymentId,
        ranking: &Ranking,
    ) -> Result<(), FeedbackError> {
        let Some(plan) = self.state.read(|s| s.releases.get(deployment).map(|r| r.plan.clone())) else { return Ok(()) };
        let id = &incident.detected.incident;
        let sentence = ranking.named().map_or_else(String::new, |c| c.sentence.clone());
        let target = plan.rollback_to.as_ref().map_or_else(String::new, ToString::to_string);
        let action = ActionTaken {
            incident: id.clone(),
            kind: "rollback".into(),
            sentence: format!("{} goes back from {} to {target} in {}", plan.service, plan.version, plan.environment),
            service: plan.service.clone(),
            environment: plan.environment.clone(),
        };
        let rollback = RollbackRequested {
            service: plan.service.clone(),
            environment: plan.environment.clone(),
            from: Some(plan.version.clone()),
            to: plan.rollback_to.clone(),
            reason: sentence.clone(),
            incident: Some(id.clone()),
            by: Actor::from(ACTOR),
        };
        let quarantine = QuarantineRequested {
            digest: plan.digest.clone(),
            service: plan.service.clone(),
            version: plan.version.clone(),
            sha: plan.sha.clone(),
            reason: format!("caused {id}"),
            incident: Some(id.clone()),
            by: Actor::from(ACTOR),
        };
        let revert = RevertRequested {
            service: plan.service,
            environment: plan.environment,
            sha: plan.sha,
            reason: format!("caused {id}: {sentence}"),
        };
        let batch = vec![
            self.once(format!("action:{id}"), &action)?,
            self.once(format!("rollback:{id}"), &rollback)?,
            self.once(format!("quarantine:{id}"), &quarantine)?,
            self.once(format!("revert:{id}"), &revert)?,
        ];
        self.options.recorder.append(batch).await?;
        self.mark(incident, ranking).await
    }

    /// Tells the pipeline: the next run of that commit carries the mark.
    async fn mark(&self, incident: &Incident, ranking: &Ranking) -> Result<(), FeedbackError> {
        let Some(cause) = ranking.named() else { return Ok(()) };
        let (Some(sha), Some(scope)) = (cause.sha.clone(), incident.scope()) else { return Ok(()) };
        let digest = cause
            .deployment
            .as_ref()
            .and_then(|d| self.state.read(|s| s.releases.get(d).map(|r| r.plan.digest.clone())));
        let id = &incident.detected.incident;
        let fact = RegressionMarked {
            sha,
            incident: id.clone(),
            service: scope.service,
            digest,
            sentence: format!("{id}: {}", cause.sentence),
        };
        self.options.recorder.record_as(format!("regression:{id}"), &fact).await?;
        Ok(())
    }
}
