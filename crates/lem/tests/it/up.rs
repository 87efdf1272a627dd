//! `lem up` as a process in a repository of its own: it serves, it survives, it says why it cannot start.

use crate::repository::{Answer, Repository, free_port, lem};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything here takes; reached only when something hangs.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running `lem up`; it is killed when the test forgets it.
pub(crate) struct Up {
    child: Child,
    pub(crate) address: SocketAddr,
    said: Vec<String>,
}

impl Drop for Up {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Up {
    /// Starts it on a free port, and returns once it says that it is up.
    pub(crate) fn start(repository: &Repository) -> Self {
        Self::on(repository, free_port())
    }

    pub(crate) fn on(repository: &Repository, port: u16) -> Self {
        let mut command = lem();
        command.current_dir(&repository.root).args(["up", "--listen", &format!("127.0.0.1:{port}")]);
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = vec![];
        let address = loop {
            let Some(line) = lines.next() else { panic!("it ended: {said:?}") };
            said.push(line.unwrap());
            let last = said.last().unwrap();
            if let Some(rest) = last.trim().strip_prefix("web UI and API on http://") {
                break rest.trim_end_matches('/').parse().unwrap();
            }
        };
        // What it says later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address, said }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, &[], "")
    }

    pub(crate) fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// A plain request over a connection of its own.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        request += &format!("content-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    pub(crate) fn post(&self, path: &str, token: Option<&str>, kind: &str, body: &Value) -> (u16, String) {
        let bearer = token.map(|token| format!("Bearer {token}")).unwrap_or_default();
        let mut headers = vec![("content-type", kind)];
        headers.extend(token.map(|_| ("authorization", bearer.as_str())));
        self.ask("POST", path, &headers, &body.to_string())
    }

    /// Asks again until the answer is as wanted.
    pub(crate) fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let answer = self.json(path);
            if wanted(&answer) {
                return answer;
            }
            assert!(started.elapsed() < PATIENCE, "{path} never was as wanted: {answer}");
            std::thread::yield_now();
        }
    }

    /// Stops it as a person would, and waits for its end.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

pub(crate) fn token(repository: &Repository) -> String {
    std::fs::read_to_string(repository.root.join(".lem/token")).unwrap().trim().to_owned()
}

fn event(id: &str) -> Value {
    json!({
        "context": {
            "specversion": "0.5.1", "id": id, "source": "/ci", "type": "dev.cdevents.pipelinerun.started.0.3.0",
            "timestamp": "2026-11-20T09:30:00Z",
        },
        "subject": {"id": "run-1", "content": {"pipelineName": "ci", "uri": "https://ci.example.com/1"}},
    })
}

#[test]
fn it_serves_the_ui_the_api_and_a_token() {
    let repository = Repository::empty();
    let mut up = Up::start(&repository);
    assert!(up.said.iter().any(|line| line == "lem is up"), "{:?}", up.said);
    let (status, page) = up.get("/");
    assert!(status == 200 && page.contains("Lemniscate"), "{page}");
    let home = up.json("/api/v1/loop");
    assert_eq!((&home["repository"], &home["branch"]), (&"repo".into(), &"main".into()));
    assert_eq!(up.json("/api/v1/query?query=1%2B1")["data"]["result"][1], "2");
    assert_eq!(up.json("/loki/api/v1/labels")["status"], "success");
    assert_eq!(up.get("/readyz").0, 200);
    assert!(
        up.json("/api/v1/doctor").as_array().unwrap().iter().any(|c| c["check"] == "repository" && c["state"] == "ok")
    );

    let mode = std::fs::metadata(repository.root.join(".lem/token")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let freeze = json!({"scope": "*", "reason": "the fair"});
    assert_eq!(up.post("/api/v1/freezes", None, "application/json", &freeze).0, 401);
    assert_eq!(up.post("/api/v1/freezes", Some("wrong"), "application/json", &freeze).0, 401);
    assert_eq!(up.post("/api/v1/freezes", Some(&token(&repository)), "application/json", &freeze).0, 202);
    let freezes = up.until("/api/v1/freezes", |freezes| freezes[0]["scope"] == "*");
    assert_eq!(freezes[0]["reason"], "the fair", "the stage that owns freezes heard the request");

    up.signal("TERM");
    assert_eq!(up.child.wait().unwrap().code(), Some(0));
}

#[test]
fn killed_at_any_moment_it_loses_nothing_that_was_acknowledged() {
    let repository = Repository::empty();
    let port = free_port();
    let up = Up::on(&repository, port);
    let secret = token(&repository);
    let mut sent = 0;
    for id in 0..20 {
        let (status, body) = up.post("/api/v1/events", Some(&secret), "application/json", &event(&id.to_string()));
        assert_eq!(status, 202, "{body}");
        sent += 1;
    }
    let now = jiff::Timestamp::now().as_nanosecond().to_string();
    let lines = json!({"streams": [{"stream": {"app": "shop"}, "values": [[now, "kept"]]}]});
    assert_eq!(up.post("/loki/api/v1/push", Some(&secret), "application/json", &lines).0, 204);
    up.signal("KILL");
    drop(up);

    let up = Up::on(&repository, port);
    assert_eq!(token(&repository), secret, "the token stays");
    let page = up.json("/api/v1/events?type=pipelinerun.started&limit=100");
    assert_eq!(page["events"].as_array().unwrap().len(), sent);
    let found = up.json("/loki/api/v1/query_range?query=%7Bapp%3D%22shop%22%7D");
    assert_eq!(found["data"]["result"][0]["values"][0][1], "kept");
    let (status, verdict) = up.post("/api/v1/ledger/verify", Some(&secret), "application/json", &json!({}));
    assert!(status == 200 && verdict.contains("\"verified\":true"), "{verdict}");
    assert_eq!(up.post("/api/v1/events", Some(&secret), "application/json", &event("0")).0, 200, "the same again");
}

#[test]
fn a_taken_port_is_said_before_anything_starts() {
    let repository = Repository::empty();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let answer = repository.lem(&["up", "--listen", &address]);
    let said = &answer.code(2).err;
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
    assert!(!repository.root.join(".lem/ledger.db").exists());
    assert!(repository.lem(&["up", "--listen", "somewhere"]).code(2).err.contains("127.0.0.1:4700"));
}

#[test]
fn lem_yaml_says_where_and_who() {
    let repository = Repository::empty();
    let port = free_port();
    repository.write("lem.yaml", &format!("server:\n  listen: 127.0.0.1:{port}\n  read: token\n"));
    let up = Up::start(&repository);
    assert_ne!(up.address.port(), port, "the command line wins");
    assert_eq!(up.get("/api/v1/loop").0, 401);
    let bearer = format!("Bearer {}", token(&repository));
    assert_eq!(up.ask("GET", "/api/v1/loop", &[("authorization", &bearer)], "").0, 200);
    assert_eq!(up.get("/").0, 200, "the page itself has no data");
    drop(up);
    for (text, expect) in [
        ("server:\n  listen: here\n", "lem.yaml:2:11: \"here\" is no address to listen on [bad-address]"),
        ("server:\n  read: all\n", "lem.yaml:2:9: read cannot be \"all\" [unknown-value]"),
        ("server:\n  port: 1\n", "lem.yaml:2:3: unknown key \"port\" in server [unknown-key]"),
    ] {
        repository.write("lem.yaml", text);
        let answer = repository.lem(&["up"]);
        assert!(answer.code(2).err.contains(expect), "{}", answer.err);
    }
    repository.write("lem.yaml", "");
    let weak = Answer::of(&lem().current_dir(&repository.root).env("LEM_TOKEN", "short").arg("up").output().unwrap());
    assert!(weak.code(2).err.contains("at least 16 characters"), "{}", weak.err);
}
