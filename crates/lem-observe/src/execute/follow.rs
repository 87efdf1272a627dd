//! Following the ledger: instances for scraping, incidents for people. A ledger that is away is followed again from where
//! it was left; it never ends silently.

use super::Instances;
use crate::ObserveError;
use crate::events::{InstanceExited, InstanceStarted};
use crate::incident::Incidents;
use crate::ledger::{Patience, insist};
use crate::own::Own;
use lem_ledger::{Consumer, EventLog, Filter, LedgerError};
use lem_model::Event;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Time between two looks at what is over.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What following needs.
pub(crate) struct Following {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) instances: Arc<Mutex<Instances>>,
    pub(crate) incidents: Incidents,
    pub(crate) own: Arc<Own>,
}

impl Following {
    /// Until told to stop, or until the ledger fails in a way that waiting cannot mend.
    pub(crate) async fn run(self, cancel: CancellationToken) -> Result<(), ObserveError> {
        tokio::try_join!(self.incidents(&cancel), self.moves(&cancel), self.looks(&cancel)).map(|_| ())
    }

    async fn incidents(&self, cancel: &CancellationToken) -> Result<(), ObserveError> {
        let heard = Filter::types(["alert.fired", "incident.requested", "report.published"]);
        let mut patience = Patience::new(&self.own, "incidents");
        loop {
            let subscribed = self.log.subscribe(&Consumer::from("observe"), heard.clone()).await;
            let mut subscription = match subscribed {
                Ok(subscription) => subscription,
                Err(error) => match patience.lose(error, cancel).await? {
                    Some(()) => continue,
                    None => return Ok(()),
                },
            };
            patience.follows();
            // Whatever fails, the cursor stands before the event that was not dealt with.
            let error = loop {
                let event = tokio::select! {
                    () = cancel.cancelled() => return Ok(()),
                    event = subscription.next() => event,
                };
                let done = match event {
                    Ok(event) => self.deal_with(&event, cancel).await?,
                    Err(error) => break error,
                };
                let Some(seq) = done else { return Ok(()) };
                if let Err(error) = subscription.ack(seq).await {
                    break error;
                }
                patience.renew();
            };
            if patience.lose(error, cancel).await?.is_none() {
                return Ok(());
            }
        }
    }

    /// One event, until it is dealt with; gives its number, or `None` when told to stop.
    async fn deal_with(&self, event: &Event, cancel: &CancellationToken) -> Result<Option<u64>, ObserveError> {
        let heard = insist(&self.own, cancel, "incidents", || self.incidents.hear(event)).await;
        match heard {
            Ok(done) => Ok(done.map(|()| event.seq)),
            Err(error) if crate::ledger::is_about_one(&error) => {
                self.own.fact_lost();
                tracing::error!(%error, seq = event.seq, "an incident could not be recorded");
                Ok(Some(event.seq))
            }
            Err(error) => Err(error),
        }
    }

    async fn looks(&self, cancel: &CancellationToken) -> Result<(), ObserveError> {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                _ = tick.tick() => {}
            }
            if insist(&self.own, cancel, "incidents", || self.incidents.look()).await?.is_none() {
                return Ok(());
            }
        }
    }

    /// What runs is folded from the beginning each time.
    async fn moves(&self, cancel: &CancellationToken) -> Result<(), ObserveError> {
        let mut patience = Patience::new(&self.own, "instances");
        loop {
            match self.fold(cancel, &mut patience).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    if patience.lose(error, cancel).await?.is_none() {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn fold(&self, cancel: &CancellationToken, patience: &mut Patience<'_>) -> Result<(), LedgerError> {
        let started = Filter::types(["instance.started", "instance.exited"]);
        let who = Consumer::new(format!("observe-instances/{}", uuid::Uuid::now_v7()));
        let mut moves = self.log.subscribe(&who, started).await?;
        patience.follows();
        loop {
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                event = moves.next() => note(&event?, &mut self.instances.lock()),
            }
            patience.renew();
        }
    }
}

fn note(event: &Event, instances: &mut Instances) {
    if let Some(fact) = event.read::<InstanceStarted>() {
        instances.insert(fact.instance.clone(), fact);
    } else if let Some(fact) = event.read::<InstanceExited>() {
        instances.remove(&fact.instance);
    }
}
