//! Talks to the server of a running loop, as a person on this machine would: with the token of the data directory.

use crate::exit::{Failure, unreachable, usage};
use crate::settings::Settings;
use serde_json::Value;
use std::time::Duration;

/// Environment variable with the address of a server.
const SERVER_VARIABLE: &str = "LEM_SERVER";
/// How long an answer may take.
const WITHIN: Duration = Duration::from_mins(1);

/// A server and the right to write there.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    /// The server of a repository's loop: `LEM_SERVER`, the one of `lem.yaml`, or the default.
    pub(crate) fn of(settings: &Settings) -> Result<Self, Failure> {
        let listen = settings.listen.as_deref().unwrap_or(crate::serve::DEFAULT_LISTEN);
        let url = std::env::var(SERVER_VARIABLE).unwrap_or_else(|_| crate::serve::address(&settings.data, listen));
        let token = crate::serve::token_text(&settings.data)?;
        let http = reqwest::Client::builder().timeout(WITHIN).build().map_err(|e| usage(e.to_string()))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// Asks the secret store; status and body.
    pub(crate) async fn vault(&self, verb: &str, path: &str, body: &Value) -> Result<(u16, Option<Value>), Failure> {
        let method = reqwest::Method::from_bytes(verb.as_bytes()).map_err(|e| usage(e.to_string()))?;
        let mut request =
            self.http.request(method, format!("{}/v1/{path}", self.url)).header("X-Vault-Token", &self.token);
        if verb == "PATCH" {
            request = request.header("Content-Type", "application/merge-patch+json");
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        let answer = request.send().await.map_err(|e| self.gone(&e))?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(|e| self.gone(&e))?;
        Ok((status, serde_json::from_slice(&bytes).ok()))
    }

    /// Reads a document of the API.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, Failure> {
        self.document(self.http.get(self.with(path, query)?)).await
    }

    /// Sends a document.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.http.post(format!("{}{path}", self.url)).header("Content-Type", "application/json");
        self.document(request.body(body.to_string())).await
    }

    /// Takes something away.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), Failure> {
        self.document(self.http.delete(format!("{}{path}", self.url))).await.map(|_| ())
    }

    /// Follows an event stream until it ends or somebody stops the command.
    pub(crate) async fn events(
        &self,
        path: &str,
        query: &[(&str, String)],
        mut each: impl FnMut(&str, &str),
    ) -> Result<(), Failure> {
        let http = reqwest::Client::builder().build().map_err(|e| usage(e.to_string()))?;
        let request = http.get(self.with(path, query)?).bearer_auth(&self.token);
        let mut answer = request.send().await.map_err(|e| self.gone(&e))?;
        if !answer.status().is_success() {
            return Err(refused(answer).await);
        }
        let mut rest = Vec::new();
        while let Some(bytes) = answer.chunk().await.map_err(|e| self.gone(&e))? {
            rest.extend_from_slice(&bytes);
            // A message ends with an empty line (HTML, Server-sent events).
            while let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") {
                let message: Vec<u8> = rest.drain(..end + 2).collect();
                let message = String::from_utf8_lossy(&message);
                let of = |name: &str| message.lines().find_map(|l| l.strip_prefix(name)).map(str::trim_start);
                if let Some(data) = of("data:") {
                    each(of("event:").unwrap_or("message"), data);
                }
            }
        }
        Ok(())
    }

    fn with(&self, path: &str, query: &[(&str, String)]) -> Result<url::Url, Failure> {
        let text = format!("{}{path}", self.url);
        url::Url::parse_with_params(&text, query).map_err(|e| usage(format!("{text} is no address: {e}")))
    }

    async fn document(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let answer = request.bearer_auth(&self.token).send().await.map_err(|e| self.gone(&e))?;
        if !answer.status().is_success() {
            return Err(refused(answer).await);
        }
        let bytes = answer.bytes().await.map_err(|e| self.gone(&e))?;
        Ok(serde_json::from_slice(&bytes).unwrap_or_default())
    }

    fn gone(&self, error: &reqwest::Error) -> Failure {
        unreachable(format!(
            "{} does not answer ({error}); start a loop with lem up, or name it with {SERVER_VARIABLE}",
            self.url
        ))
    }
}

/// What the server says against it: a problem (RFC 9457), an error of Prometheus, or a string of Alertmanager.
async fn refused(answer: reqwest::Response) -> Failure {
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let said = [&body["detail"], &body["error"], &body].into_iter().find_map(Value::as_str).map(str::to_owned);
    let hint = body["hint"].as_str().map(|hint| format!("; {hint}")).unwrap_or_default();
    let said = format!("{}{hint}", said.unwrap_or_else(|| format!("the server answers {status}")));
    if status.is_server_error() && status != reqwest::StatusCode::NOT_IMPLEMENTED {
        unreachable(said)
    } else {
        usage(said)
    }
}
