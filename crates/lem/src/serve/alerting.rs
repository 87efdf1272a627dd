//! Groups of alerts and silences, as Alertmanager's clients read them.

use async_trait::async_trait;
use lem_model::{Actor, SilenceId};
use lem_observe::notify::matcher::{self, all_match};
use lem_observe::{ObserveService, SilenceError, SilenceState};
use lem_server::port::{AlertGroup, Alerting, AlertingError, GroupedAlert, Matching, NewSilence, Silence};

/// What the observing stage tells people.
pub(super) struct Told(pub(super) ObserveService);

fn alert(alert: lem_observe::GroupedAlert) -> GroupedAlert {
    GroupedAlert {
        fingerprint: alert.fingerprint.to_string(),
        labels: alert.labels,
        annotations: alert.annotations,
        starts_at: alert.starts_at.into(),
        ends_at: alert.ends_at.into(),
        generator_url: alert.generator_url,
        state: alert.status.state,
        silenced_by: alert.status.silenced_by.iter().map(ToString::to_string).collect(),
        inhibited_by: alert.status.inhibited_by.iter().map(ToString::to_string).collect(),
    }
}

fn silence(silence: lem_observe::Silence) -> Silence {
    Silence {
        id: silence.id.to_string(),
        state: match silence.state {
            SilenceState::Active => "active",
            SilenceState::Pending => "pending",
            SilenceState::Expired => "expired",
        },
        matchers: silence.matchers,
        starts_at: silence.starts_at.into(),
        ends_at: silence.ends_at.into(),
        updated_at: silence.updated_at.into(),
        created_by: silence.created_by,
        comment: silence.comment,
    }
}

fn refused(error: SilenceError) -> AlertingError {
    let said = error.to_string();
    match error {
        SilenceError::Missing(_) => AlertingError::Missing(said),
        SilenceError::Invalid(_) | SilenceError::Over(_) | SilenceError::TooMany => AlertingError::Invalid(said),
        SilenceError::Ledger(_) => AlertingError::Unavailable(said),
    }
}

#[async_trait]
impl Alerting for Told {
    fn configuration(&self) -> String {
        self.0.alerting_configuration()
    }

    fn receivers(&self) -> Vec<String> {
        self.0.receivers()
    }

    fn groups(&self) -> Vec<AlertGroup> {
        let group = |group: lem_observe::AlertGroup| AlertGroup {
            labels: group.labels,
            receiver: group.receiver,
            alerts: group.alerts.into_iter().map(alert).collect(),
        };
        self.0.alert_groups().into_iter().map(group).collect()
    }

    fn silences(&self) -> Vec<Silence> {
        self.0.silences().into_iter().map(silence).collect()
    }

    async fn add_silence(&self, new: NewSilence) -> Result<String, AlertingError> {
        let new = lem_observe::NewSilence {
            id: new.id.map(SilenceId::new),
            matchers: new.matchers,
            starts_at: new.starts_at,
            ends_at: new.ends_at,
            created_by: new.created_by,
            comment: new.comment,
        };
        self.0.add_silence(new).await.map(|id| id.to_string()).map_err(refused)
    }

    async fn expire_silence(&self, id: &str, by: Actor) -> Result<(), AlertingError> {
        self.0.expire_silence(&SilenceId::new(id), by).await.map_err(refused)
    }

    fn matching(&self, text: &str) -> Result<Matching, String> {
        let matchers = matcher::parse(text)?;
        Ok(Box::new(move |labels| all_match(&matchers, labels)))
    }
}
