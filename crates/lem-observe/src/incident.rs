//! Incidents: a fold over the ledger decides what is open; what opens and closes is recorded.

use crate::ObserveError;
use crate::events::*;
use crate::plan::incident::{Book, Open, on_fired, on_requested, over};
use lem_ledger::{Projection, Recorder, View};
use lem_model::{Actor, Event, IncidentId};

impl Projection for Book {
    const NAME: &'static str = "incidents";
    const VERSION: u32 = 1;

    fn apply(&mut self, event: &Event) {
        let at = event.time_occurred;
        if let Some(fact) = event.read::<AlertFired>() {
            let scope = (text(fact.service.as_ref()), text(fact.environment.as_ref()));
            for open in self.open.values_mut().filter(|o| o.scope == scope && o.detected.alert.is_some()) {
                open.alerts.insert(fact.alert.clone());
            }
            self.firing.insert(fact.alert.clone(), (at, fact));
        } else if let Some(fact) = event.read::<AlertResolved>() {
            self.firing.remove(&fact.alert);
            for open in self.open.values_mut() {
                open.alerts.remove(&fact.alert);
            }
        } else if let Some(fact) = event.read::<IncidentDetected>() {
            self.detected(fact, at);
        } else if let Some(fact) = event.read::<IncidentResolved>() {
            self.open.remove(&fact.incident);
        } else if let Some(fact) = event.read::<RolloutFinished>() {
            self.ended.insert(fact.deployment);
        }
    }
}

impl Book {
    fn detected(&mut self, fact: IncidentDetected, at: jiff::Timestamp) {
        self.known.insert(fact.incident.clone());
        let scope =
            (fact.service.as_ref().map_or_else(|| "unknown".into(), |s| s.id.clone()), fact.environment.id.clone());
        let alerts = fact.alert.iter().filter(|a| self.firing.contains_key(*a)).cloned().collect();
        let open = Open { scope, alerts, deployment: fact.deployment.clone(), at, detected: fact.clone() };
        self.open.insert(fact.incident, open);
    }
}

fn text(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).filter(|v| !v.is_empty()).unwrap_or_else(|| "unknown".to_owned())
}

/// Opens and closes incidents.
#[derive(Clone, Debug)]
pub struct Incidents {
    /// What is open.
    pub book: View<Book>,
    /// Appends.
    pub recorder: Recorder,
}

impl Incidents {
    /// Deals with one event.
    pub async fn hear(&self, event: &Event) -> Result<(), ObserveError> {
        self.book.wait_for(event.seq).await;
        let detected = if let Some(alert) = event.read::<AlertFired>() {
            self.book.read(|b| on_fired(b, &alert, event.time_occurred))
        } else if let Some(request) = event.read::<IncidentRequested>() {
            self.book.read(|b| on_requested(b, &request))
        } else if let Some(report) = event.read::<ReportPublished>() {
            return self.reported(&report).await;
        } else {
            None
        };
        if let Some(detected) = detected {
            let id = format!("incident:{}", detected.incident);
            let appended = self.recorder.record_as(id, &detected).await?;
            self.book.wait_for(appended.seq).await;
        }
        Ok(())
    }

    /// Closes what is over.
    pub async fn look(&self) -> Result<(), ObserveError> {
        let done: Vec<(IncidentId, Open, String)> = self.book.read(|book| {
            let over = |(id, open): (&IncidentId, &Open)| over(book, open).map(|why| (id.clone(), open.clone(), why));
            book.open.iter().filter_map(over).collect()
        });
        for (id, open, why) in done {
            let fact = IncidentResolved {
                incident: id.clone(),
                description: Some(why),
                environment: open.detected.environment.clone(),
                service: open.detected.service.clone(),
                by: Actor::from("engine:observe"),
            };
            let appended = self.recorder.record_as(format!("resolved:{id}"), &fact).await?;
            self.book.wait_for(appended.seq).await;
        }
        Ok(())
    }

    /// CDEvents' own word for a report that exists.
    async fn reported(&self, report: &ReportPublished) -> Result<(), ObserveError> {
        if report.kind != "incident" {
            return Ok(());
        }
        let scope = self.book.read(|b| b.known.contains(&IncidentId::from(report.name.as_str())));
        if scope {
            let fact = IncidentReported {
                incident: report.name.as_str().into(),
                description: Some("the incident report is published".into()),
                environment: lem_model::fact::Ref::to("unknown"),
                service: None,
                ticket_uri: report.uri.clone(),
            };
            self.recorder.record_as(format!("reported:{}", report.name), &fact).await?;
        }
        Ok(())
    }
}
