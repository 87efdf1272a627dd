//! A running server and a client for it.

use async_trait::async_trait;
use futures::{Stream, StreamExt};
use lem_engine_logs::LogStore;
use lem_engine_promql::{Labels, Matcher, MemoryQuerier, Querier, Sample, SelectHints};
use lem_feedback::LoopState;
use lem_ledger::{EventLog, Ledger, Options, Recorder, SystemClock, View};
use lem_model::Fact;
use lem_model::fact::ChangeMerged;
use lem_server::port::{Ask, Metrics, PartError};
use lem_server::view::home::Repository;
use lem_server::{Audit, Hosts, Reading, Server, ServerParts, Settings};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const TOKEN: &str = "a-token-of-the-test";
/// Longer than anything here takes; reached only when something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A metric store in memory.
pub(crate) struct Samples(pub(crate) MemoryQuerier);

#[async_trait]
impl Metrics for Samples {
    fn querier(&self) -> &dyn Querier {
        &self.0
    }

    async fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Result<Vec<Labels>, PartError> {
        let hints = SelectHints { start_ms, end_ms, ..SelectHints::default() };
        let found = self.0.select(&hints, matchers).await.map_err(|e| PartError::Failed(e.to_string()))?;
        Ok(found.into_iter().map(|series| series.labels).collect())
    }

    async fn list(&self, ask: &Ask, matchers: &[Matcher], from: i64, to: i64) -> Result<Vec<String>, PartError> {
        let series = self.series(matchers, from, to).await?;
        let texts: BTreeSet<String> = match ask {
            Ask::Names => series.iter().flat_map(|l| l.iter().map(|(n, _)| n.to_owned())).collect(),
            Ask::Values(name) => series.iter().map(|l| l.get(name).to_owned()).filter(|v| !v.is_empty()).collect(),
        };
        Ok(texts.into_iter().collect())
    }
}

/// `up` of two targets, every 15 s for ten minutes from 1000 s on.
pub(crate) fn samples() -> Samples {
    let mut store = MemoryQuerier::new();
    for step in 0..40 {
        for (instance, value) in [("a:1", 1.0), ("b:2", 0.0)] {
            let labels = Labels::from_pairs([("__name__", "up"), ("instance", instance), ("job", "shop")]);
            store.push(&labels, Sample::float(1_000_000 + step * 15_000, value));
        }
    }
    Samples(store)
}

/// A server with everything it needs, on a ledger of its own.
pub(crate) struct Running {
    pub(crate) url: String,
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) directory: tempfile::TempDir,
    client: Client,
    cancel: CancellationToken,
    served: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ServerParts, &mut Settings)) -> Self {
        Self::in_directory(tempfile::tempdir().unwrap(), change).await
    }

    pub(crate) async fn in_directory(
        directory: tempfile::TempDir,
        change: impl FnOnce(&mut ServerParts, &mut Settings),
    ) -> Self {
        let options = ledger_options(directory.path());
        let ledger = Ledger::open(options.clone()).await.unwrap();
        let log: Arc<dyn EventLog> = ledger.clone();
        let feedback: View<LoopState> = View::start(log.clone());
        let mut parts = ServerParts::new(log, Arc::new(SystemClock), feedback);
        parts.audit = Some(Audit { ledger: ledger.clone(), options, database: "sqlite".into() });
        parts.metrics = Some(Arc::new(samples()));
        parts.logs =
            Some(LogStore::open(directory.path().join("logs"), lem_engine_logs::Options::default()).unwrap().0);
        let mut settings = Settings {
            repository: Repository { name: "shop".into(), branch: "main".into() },
            token: TOKEN.into(),
            reading: Reading::Open,
            hosts: Hosts::Addresses,
            subscriptions: Some(directory.path().join("webhooks.json")),
        };
        change(&mut parts, &mut settings);
        let log = parts.log.clone();
        let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0)), parts, settings).await.unwrap();
        let address = server.address();
        let cancel = CancellationToken::new();
        let told = cancel.clone();
        let served = tokio::spawn(async move { server.serve(told).await.unwrap() });
        let client = Client::builder().timeout(PATIENCE).build().unwrap();
        Self { url: format!("http://{address}"), address, log, ledger, directory, client, cancel, served }
    }

    /// Tells it to stop and waits until it has.
    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.cancel.cancel();
        tokio::time::timeout(PATIENCE, self.served).await.unwrap().unwrap();
        self.ledger.close().await.unwrap();
        self.directory
    }

    pub(crate) fn tell_to_stop(&self) {
        self.cancel.cancel();
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    /// A POST without a token.
    pub(crate) fn bare_post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.bare_post(path).bearer_auth(TOKEN)
    }

    pub(crate) fn delete(&self, path: &str) -> RequestBuilder {
        self.client.delete(format!("{}{path}", self.url)).bearer_auth(TOKEN)
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        expect(self.get(path), 200).await
    }

    /// Waits until the pages show an event: a live stream tells of it only then.
    pub(crate) async fn shows(&self, seq: u64) {
        let mut messages = Messages::open(self.get(&format!("/api/v1/events?from={seq}"))).await;
        assert_eq!(messages.next().await.unwrap().id, seq.to_string());
    }

    pub(crate) async fn record<F: Fact>(&self, fact: &F) -> u64 {
        Recorder::new(self.log.clone(), "/test").record(fact).await.unwrap().seq
    }
}

pub(crate) fn ledger_options(directory: &Path) -> Options {
    Options::new(format!("sqlite:{}", directory.join("ledger.db").display()), directory.join("ledger"))
}

/// With parameters in the body, as clients with long queries send them.
pub(crate) fn form(request: RequestBuilder, pairs: &[(&str, &str)]) -> RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

/// Sends it and gives the JSON of an answer that has to have this status.
#[track_caller]
pub(crate) fn expect(request: RequestBuilder, status: u16) -> impl Future<Output = Value> {
    let place = std::panic::Location::caller();
    async move {
        let answer = request.send().await.unwrap();
        let (have, path) = (answer.status(), answer.url().path().to_owned());
        let text = answer.text().await.unwrap();
        assert_eq!(have, StatusCode::from_u16(status).unwrap(), "{path} at {place}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }
}

/// A problem document with this status and code.
#[track_caller]
pub(crate) fn problem(request: RequestBuilder, status: u16, code: &str) -> impl Future<Output = Value> {
    let place = std::panic::Location::caller();
    async move {
        let answer = request.send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let have = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert_eq!((have, kind.as_str()), (status, "application/problem+json"), "at {place}: {text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((body["status"].as_u64(), body["code"].as_str()), (Some(u64::from(status)), Some(code)), "{text}");
        body
    }
}

pub(crate) fn sha(letter: char) -> String {
    letter.to_string().repeat(40)
}

pub(crate) fn merged(letter: char, message: &str) -> ChangeMerged {
    ChangeMerged {
        description: Some(message.into()),
        repository: None,
        sha: sha(letter).into(),
        parent: None,
        branch: "main".into(),
        author: "Ann <ann@example.com>".into(),
        message: message.into(),
        committed_at: None,
        files: vec![],
        files_omitted: 0,
    }
}

/// A server-sent event.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) event: String,
    pub(crate) id: String,
    pub(crate) data: String,
}

/// Reads server-sent events off a response.
pub(crate) struct Messages {
    body: std::pin::Pin<Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    rest: String,
}

impl Messages {
    pub(crate) async fn open(request: RequestBuilder) -> Self {
        let answer: Response = request.header("accept", "text/event-stream").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { body: Box::pin(answer.bytes_stream()), rest: String::new() }
    }

    /// The next message with data; `None` when the server has ended the stream.
    pub(crate) async fn next(&mut self) -> Option<Message> {
        loop {
            while let Some((block, rest)) = self.rest.split_once("\n\n") {
                let message = read(block);
                self.rest = rest.to_owned();
                if !message.data.is_empty() {
                    return Some(message);
                }
            }
            let more = tokio::time::timeout(PATIENCE, self.body.next()).await.unwrap()?;
            self.rest.push_str(std::str::from_utf8(&more.ok()?).unwrap());
        }
    }
}

fn read(block: &str) -> Message {
    let mut message = Message::default();
    for (field, value) in block.lines().filter_map(|line| line.split_once(':')) {
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "event" => message.event = value,
            "id" => message.id = value,
            "data" => message.data = value,
            _ => {}
        }
    }
    message
}
