//! A small service of one file with its pipeline, for tests that do not need the whole shop.

use crate::repository::{Repository, free_port};
use crate::up::Up;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

/// It says its password in every way a careless program does, and answers with how long it is.
const SERVER: &str = r##"
import base64, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
password = os.environ.get("PASSWORD", "")
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = ("# nothing\n" if self.path == "/metrics" else f"{len(password)} letters").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
print(f"the password is {password}.", flush=True)
print("encoded " + base64.b64encode(password.encode()).decode(), file=sys.stderr, flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"##;

const WORKFLOW: &str = "
name: ci
on: {push: {branches: [main]}}
permissions: {contents: read}
jobs:
  package:
    runs-on: ubuntu-latest
    steps:
    - uses: actions/checkout@v4
    - name: careless
      env: {TOKEN: '${{ secrets.TOKEN }}'}
      run: |
        echo \"token is $TOKEN.\"
        mkdir dist && cp server.py dist/
    - uses: actions/upload-artifact@v4
      with: {name: mail, path: dist/}
";

/// The repository and the port of the service. `process` and `rest` go into `lem.yaml`.
pub(crate) fn mail(process: &str, rest: &str) -> (Repository, u16) {
    let repository = Repository::empty();
    let port = free_port();
    repository.write("server.py", SERVER);
    repository.write(".github/workflows/ci.yml", WORKFLOW);
    repository.write("rollout.yaml", "strategy: {type: Recreate}\n");
    let config = format!(
        "branch: main\npipeline: {{workflows: [.github/workflows/ci.yml]}}\ndeploy:\n  mail:\n    strategy: rollout.yaml\n    \
         environments:\n    - name: production\n      listen: 127.0.0.1:{port}\n      target:\n        process: {{command: \
         [python3, server.py], health: /up, metrics: /metrics{process}}}\n{rest}"
    );
    repository.write("lem.yaml", &config);
    repository.write(".gitignore", ".lem/\n");
    repository.commit("feat: mail");
    (repository, port)
}

/// What the service answers; nothing while it does not.
pub(crate) fn answer(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: mail\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.starts_with("HTTP/1.1 200").then(|| text.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned())
}

/// Facts of one type, in order, as soon as there are so many.
pub(crate) fn facts(up: &Up, kind: &str, at_least: usize) -> Vec<Value> {
    let path = format!("/api/v1/events?type={kind}&limit=500");
    let page = up.until(&path, |page| page["events"].as_array().is_some_and(|e| e.len() >= at_least));
    page["events"].as_array().unwrap().iter().map(fact).collect()
}

/// What an event says, whether it stands in the subject or in the custom data.
pub(crate) fn fact(event: &Value) -> Value {
    let payload = &event["payload"];
    let mut all = serde_json::Map::new();
    for part in [&payload["subject"]["content"], &payload["customData"]] {
        all.extend(part.as_object().cloned().unwrap_or_default());
    }
    all.into()
}
