//! Stage 4. Owner: `lem-observe`.

use super::{Ref, facts};
use crate::id::{Actor, AlertId, EnvironmentName, IncidentId, ServiceName, SilenceId, Version};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A condition on one label, in the shape Alertmanager's API gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SilenceMatcher {
    /// Label.
    pub name: String,
    /// Text or regular expression, anchored at both ends.
    pub value: String,
    /// Whether the value is a regular expression.
    #[serde(default)]
    pub is_regex: bool,
    /// Whether the label must match; `false` is `!=` and `!~`.
    #[serde(default = "yes")]
    pub is_equal: bool,
}

fn yes() -> bool {
    true
}

facts! {
    /// An alert fires.
    AlertFired = "dev.cdeventsx.lem-alert.fired.0.1.0", content [],
    subject |s| s.alert.to_string(), chain |_c| None,
    {
        /// Rule and label fingerprint.
        alert: AlertId,
        /// Rule name.
        rule: String,
        /// Labels, `alertname` included.
        labels: BTreeMap<String, String>,
        /// Annotations, rendered.
        annotations: BTreeMap<String, String>,
        /// Query text.
        query: String,
        /// Value at firing.
        value: f64,
        /// Since when the condition held.
        active_at: Timestamp,
        /// Service, by its label.
        service: Option<ServiceName>,
        /// Environment, by its label.
        environment: Option<EnvironmentName>,
        /// Severity label: page, ticket, critical, warning ...
        severity: String,
    }
    /// An alert no longer fires.
    AlertResolved = "dev.cdeventsx.lem-alert.resolved.0.1.0", content [],
    subject |s| s.alert.to_string(), chain |_c| None,
    {
        /// Rule and label fingerprint.
        alert: AlertId,
        /// Rule name.
        rule: String,
        /// Labels.
        labels: BTreeMap<String, String>,
        /// Service, by its label.
        service: Option<ServiceName>,
        /// Environment, by its label.
        environment: Option<EnvironmentName>,
    }
    /// A receiver took a notification.
    NotificationSent = "dev.cdeventsx.lem-notification.sent.0.1.0", content [],
    subject |s| s.receiver.clone(), chain |_c| None,
    {
        /// Receiver.
        receiver: String,
        /// Group key.
        group: String,
        /// firing or resolved.
        status: String,
        /// Alerts in it.
        alerts: Vec<AlertId>,
        /// Why it was sent, in Alertmanager's words.
        reason: String,
        /// Which of the receiver's integrations took it: `webhook[0]`.
        #[serde(default)]
        integration: String,
        /// Those of the alerts that are over.
        #[serde(default)]
        resolved: Vec<AlertId>,
    }
    /// A group is quiet again at an integration that does not hear of ends: nothing is sent, and the next firing is a first
    /// one.
    NotificationCleared = "dev.cdeventsx.lem-notification.cleared.0.1.0", content [],
    subject |s| s.receiver.clone(), chain |_c| None,
    {
        /// Receiver.
        receiver: String,
        /// Which of its integrations.
        integration: String,
        /// Group key.
        group: String,
    }
    /// Alerts that match are not told of from now or later on, until an end. Said again under the same id it is changed.
    SilenceCreated = "dev.cdeventsx.lem-silence.created.0.1.0", content [],
    subject |s| s.silence.to_string(), chain |_c| None,
    {
        /// Silence.
        silence: SilenceId,
        /// All must match.
        matchers: Vec<SilenceMatcher>,
        /// From.
        starts_at: Timestamp,
        /// Until.
        ends_at: Timestamp,
        /// Who wants it.
        created_by: Actor,
        /// Why.
        comment: String,
    }
    /// A silence was ended before its time.
    SilenceExpired = "dev.cdeventsx.lem-silence.expired.0.1.0", content [],
    subject |s| s.silence.to_string(), chain |_c| None,
    {
        /// Silence.
        silence: SilenceId,
        /// Who ended it.
        by: Actor,
    }
    /// A receiver did not take a notification, finally.
    NotificationFailed = "dev.cdeventsx.lem-notification.failed.0.1.0", content [],
    subject |s| s.receiver.clone(), chain |_c| None,
    {
        /// Receiver.
        receiver: String,
        /// Group key.
        group: String,
        /// Alerts in it.
        alerts: Vec<AlertId>,
        /// What went wrong.
        error: String,
        /// Attempts made.
        attempts: u32,
    }
    /// A log pattern that no earlier release had said.
    PatternFirstSeen = "dev.cdeventsx.lem-log.patternfirstseen.0.1.0", content [],
    subject |s| s.pattern.clone(), chain |_c| None,
    {
        /// Pattern id.
        pattern: String,
        /// Template with `<_>` for what varies.
        template: String,
        /// error, warn, info ...
        severity: String,
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// Version that said it first.
        version: Version,
    }
    /// Something is wrong.
    IncidentDetected = "dev.cdevents.incident.detected.0.3.0", content ["description", "environment", "service", "artifactId"],
    subject |s| s.incident.to_string(), chain |_c| None,
    {
        /// Incident.
        #[serde(alias = "subjectId")]
        incident: IncidentId,
        /// One sentence.
        description: Option<String>,
        /// Environment, as CDEvents refers to it.
        environment: Ref,
        /// Service, as CDEvents refers to it.
        #[serde(default)]
        service: Option<Ref>,
        /// Package URL of the artifact that ran.
        #[serde(default)]
        artifact_id: Option<String>,
        /// Short title.
        #[serde(default)]
        title: String,
        /// SEV1 to SEV4.
        #[serde(default)]
        severity: String,
        /// Alert that opened it, if one did.
        #[serde(default)]
        alert: Option<AlertId>,
        /// Rollout whose failed verdict opened it, if one did.
        #[serde(default)]
        deployment: Option<crate::id::DeploymentId>,
        /// Since when, as far as known then.
        #[serde(default)]
        since: Option<Timestamp>,
    }
    /// An incident's report is available.
    IncidentReported = "dev.cdevents.incident.reported.0.3.0", content ["description", "environment", "service", "artifactId", "ticketURI"],
    subject |s| s.incident.to_string(), chain |_c| None,
    {
        /// Incident.
        #[serde(alias = "subjectId")]
        incident: IncidentId,
        /// One sentence.
        description: Option<String>,
        /// Environment, as CDEvents refers to it.
        environment: Ref,
        /// Service, as CDEvents refers to it.
        #[serde(default)]
        service: Option<Ref>,
        /// Where the report is.
        #[serde(rename = "ticketURI", default)]
        ticket_uri: String,
    }
    /// It is over.
    IncidentResolved = "dev.cdevents.incident.resolved.0.3.0", content ["description", "environment", "service", "artifactId"],
    subject |s| s.incident.to_string(), chain |_c| None,
    {
        /// Incident.
        #[serde(alias = "subjectId")]
        incident: IncidentId,
        /// How it ended, in one sentence.
        description: Option<String>,
        /// Environment, as CDEvents refers to it.
        environment: Ref,
        /// Service, as CDEvents refers to it.
        #[serde(default)]
        service: Option<Ref>,
        /// Who or what resolved it.
        #[serde(default)]
        by: Actor,
    }
    /// A person wrote something down.
    IncidentNoted = "dev.cdeventsx.lem-incidentnote.added.0.1.0", content [],
    subject |s| s.incident.to_string(), chain |_c| None,
    {
        /// Incident.
        incident: IncidentId,
        /// acknowledged, mitigated, closed or a plain note.
        kind: String,
        /// What.
        text: String,
        /// Who.
        by: Actor,
    }
    /// Asks to open an incident.
    IncidentRequested = "dev.cdeventsx.lem-incident.requested.0.1.0", content [],
    subject |s| s.incident.to_string(), chain |_c| None,
    {
        /// Id the incident will have; makes the request idempotent.
        incident: IncidentId,
        /// Short title.
        title: String,
        /// One sentence.
        description: String,
        /// SEV1 to SEV4.
        severity: String,
        /// Service.
        service: ServiceName,
        /// Environment.
        environment: EnvironmentName,
        /// Rollout it is about, if any.
        deployment: Option<crate::id::DeploymentId>,
        /// Since when.
        since: Timestamp,
        /// Who asks.
        by: Actor,
    }
}
