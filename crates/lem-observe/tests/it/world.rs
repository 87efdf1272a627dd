//! Targets that can be told what to say, a receiver that hands on what it is told, and files in a directory.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{get, post};
use axum::{Json, Router};
use lem_ledger::{EventLog, Filter, SystemClock};
use lem_model::Event;
use lem_observe::config::Section;
use lem_observe::{ObserveOptions, ObserveService};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Long enough for a busy machine; only a failing test waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A target.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) address: String,
    text: Arc<Mutex<String>>,
}

impl Target {
    pub(crate) async fn saying(text: &str) -> Self {
        let said = Arc::new(Mutex::new(text.to_owned()));
        let page = |State(said): State<Arc<Mutex<String>>>| async move {
            let text = said.lock().clone();
            ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
        };
        let router = Router::new().route("/metrics", get(page)).with_state(said.clone());
        Self { address: serve(router).await, text: said }
    }

    pub(crate) fn say(&self, text: &str) {
        text.clone_into(&mut self.text.lock());
    }
}

/// A webhook receiver.
pub(crate) struct Receiver {
    pub(crate) url: String,
    messages: UnboundedReceiver<Value>,
}

impl Receiver {
    pub(crate) async fn new() -> Self {
        let (into, messages) = unbounded_channel();
        let hook = |State(into): State<UnboundedSender<Value>>, Json(body): Json<Value>| async move {
            into.send(body).unwrap();
        };
        let router = Router::new().route("/hook", post(hook)).with_state(into);
        Self { url: format!("http://{}/hook", serve(router).await), messages }
    }

    pub(crate) async fn next(&mut self) -> Value {
        tokio::time::timeout(PATIENCE, self.messages.recv()).await.expect("a message in time").unwrap()
    }
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The files of a stage in a directory.
pub(crate) fn files(dir: &Path, prometheus: &str, rules: &str, url: &str) -> Section {
    let write = |name: &str, text: &str| std::fs::write(dir.join(name), text).unwrap();
    write("prometheus.yml", prometheus);
    write("rules.yml", rules);
    let alertmanager = format!(
        "route: {{receiver: team, group_by: [alertname], group_wait: 100ms, group_interval: 300ms}}\n\
         receivers:\n- name: team\n  webhook_configs: [{{url: \"{url}\"}}]\n"
    );
    write("alertmanager.yml", &alertmanager);
    Section {
        prometheus: Some("prometheus.yml".into()),
        alertmanager: Some("alertmanager.yml".into()),
        ..Section::default()
    }
}

pub(crate) fn service(dir: &Path, section: Section, log: Arc<dyn EventLog>) -> ObserveService {
    let options = ObserveOptions {
        root: dir.to_owned(),
        section,
        data: dir.join("data"),
        log,
        clock: Arc::new(SystemClock),
        paths: BTreeMap::new(),
        external_url: "http://lem.example.org".into(),
    };
    ObserveService::new(options).unwrap()
}

/// The next events of these types, one after the other, from the beginning of the log.
pub(crate) async fn events(log: &Arc<dyn EventLog>, types: &[&str], count: usize) -> Vec<Event> {
    let who = format!("test/{}", types.join("+"));
    let mut subscription = log.subscribe(&who.as_str().into(), Filter::types(types.to_vec())).await.unwrap();
    let mut found = vec![];
    while found.len() < count {
        let next = tokio::time::timeout(PATIENCE, subscription.next()).await;
        found.push(next.unwrap_or_else(|_| panic!("{types:?} in time")).unwrap());
    }
    found
}
