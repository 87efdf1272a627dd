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

    fn gone(&self, error: &reqwest::Error) -> Failure {
        unreachable(format!(
            "{} does not answer ({error}); start a loop with lem up, or name it with {SERVER_VARIABLE}",
            self.url
        ))
    }
}
