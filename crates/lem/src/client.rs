//! Talking to a running `lem up`: found through the repository, or by address and token.

use crate::exit::{Failure, unreachable, usage};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a running server leaves in its data directory, readable by its owner only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServerFile {
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) pid: u32,
}

impl ServerFile {
    /// Where it is in a data directory.
    pub(crate) fn path(data: &Path) -> PathBuf {
        data.join("server.json")
    }

    /// Writes it with mode 0600.
    pub(crate) fn write(&self, data: &Path) -> std::io::Result<()> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let path = Self::path(data);
        let draft = path.with_extension("tmp");
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(&draft, &path)
    }

    fn read(data: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(Self::path(data)).ok()?).ok()
    }
}

/// A client of the API.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

impl Api {
    /// By address, or through the data directory of the repository.
    pub(crate) fn find(server: Option<String>, token: Option<String>, data: &Path) -> Result<Self, Failure> {
        let known = ServerFile::read(data);
        let base = match (server, &known) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, Some(file)) => file.url.clone(),
            (None, None) => {
                return Err(usage(format!(
                    "no running server is known for {}; start one with lem up, or name one with --server",
                    data.display()
                )));
            }
        };
        // A token found on disk belongs to the server found on disk and goes nowhere else.
        let token = token.or_else(|| known.filter(|k| k.url == base).map(|k| k.token));
        Ok(Self { base, token, http: reqwest::Client::new() })
    }

    /// GET as JSON.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        let response = self.send(Method::GET, path, None, "application/json").await?;
        response.json().await.map_err(|e| unreachable(format!("{path}: the answer is not JSON: {e}")))
    }

    /// GET as text.
    pub(crate) async fn text(&self, path: &str, accept: &str) -> Result<String, Failure> {
        let response = self.send(Method::GET, path, None, accept).await?;
        response.text().await.map_err(|e| unreachable(format!("{path}: {e}")))
    }

    /// The answer as it streams in.
    pub(crate) async fn stream(&self, path: &str, accept: &str) -> Result<reqwest::Response, Failure> {
        self.send(Method::GET, path, None, accept).await
    }

    /// POST with a JSON body.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let response = self.send(Method::POST, path, Some(body), "application/json").await?;
        Ok(response.json().await.unwrap_or(Value::Null))
    }

    /// DELETE with a JSON body.
    pub(crate) async fn delete(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let response = self.send(Method::DELETE, path, Some(body), "application/json").await?;
        Ok(response.json().await.unwrap_or(Value::Null))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        accept: &str,
    ) -> Result<reqwest::Response, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).header("accept", accept);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|e| {
            let why =
                if e.is_connect() { "nothing answers there; is lem up running?".to_owned() } else { e.to_string() };
            unreachable(format!("{}: {why}", self.base))
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await)
    }
}

/// The server's problem text as our message; 4xx is the caller's business, 5xx is not.
async fn refusal(response: reqwest::Response) -> Failure {
    let status = response.status();
    let problem: Value = response.json().await.unwrap_or(Value::Null);
    let detail = ["detail", "error", "title"].iter().find_map(|k| problem.get(*k)).and_then(Value::as_str);
    let mut message = detail.map_or_else(|| format!("the server answered {status}"), str::to_owned);
    if let Some(hint) = problem.get("hint").and_then(Value::as_str) {
        message += &format!("\n  help: {hint}");
    }
    match status {
        StatusCode::UNAUTHORIZED => usage(format!("{message}\n  help: pass --token or set LEM_TOKEN")),
        s if s.is_client_error() => usage(message),
        _ => unreachable(message),
    }
}

/// A value as part of a query string.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte as char),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_token_from_disk_goes_to_its_own_server_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = ServerFile { url: "http://127.0.0.1:1".into(), token: "t".into(), pid: 1 };
        file.write(dir.path()).unwrap();
        assert_eq!(Api::find(None, None, dir.path()).unwrap().token.as_deref(), Some("t"));
        let other = Api::find(Some("http://example.com/".into()), None, dir.path()).unwrap();
        assert_eq!((other.base.as_str(), other.token), ("http://example.com", None));
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(ServerFile::path(dir.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn without_a_server_the_message_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let failure = Api::find(None, None, dir.path()).unwrap_err();
        assert_eq!(failure.code, 2);
        assert!(failure.to_string().contains("lem up"));
    }

    #[test]
    fn queries_are_escaped() {
        assert_eq!(escape("sum(rate(x[5m])) > 0"), "sum%28rate%28x%5B5m%5D%29%29%20%3E%200");
    }
}
