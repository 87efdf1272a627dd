//! What a running loop measures, logs and alerts, asked on the command line and with amtool.

use crate::clients::client;
use crate::repository::{Answer, Repository, lem};
use crate::up::{Up, token};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// A repository with two alerts that fire, one of them told to nobody while the other fires.
fn watched() -> (Repository, Up) {
    let repository = Repository::empty();
    repository.write("observe/prometheus.yml", "global:\n  evaluation_interval: 1s\nrule_files: [rules.yml]\n");
    let rules = "groups:\n- name: answers\n  rules:\n  - record: answer\n    expr: vector(42)\n    labels: {team: shop}\n  \
                 - alert: Always\n    expr: answer == 42\n    labels: {severity: page}\n    annotations: {summary: it is 42}\n  \
                 - alert: Quiet\n    expr: answer > 1\n    labels: {severity: ticket}\n";
    repository.write("observe/rules.yml", rules);
    let routes = "route:\n  receiver: all\n  group_by: [alertname]\n  group_wait: 0s\n  routes:\n  - matchers: [severity=\"page\"]\n    \
                  receiver: pager\nreceivers:\n- name: all\n- name: pager\ninhibit_rules:\n- source_matchers: [severity=\"page\"]\n  \
                  target_matchers: [severity=\"ticket\"]\n  equal: [team]\n";
    repository.write("observe/alertmanager.yml", routes);
    let config = "observe:\n  prometheus: observe/prometheus.yml\n  alertmanager: observe/alertmanager.yml\n";
    repository.write("lem.yaml", config);
    let up = Up::start(&repository);
    up.until("/api/v2/alerts", |alerts| alerts.as_array().is_some_and(|all| all.len() == 2));
    (repository, up)
}

#[test]
fn metrics_alerts_and_silences() {
    let (repository, up) = watched();
    let said = |arguments: &[&str]| repository.lem(arguments).code(0).out.clone();
    let now = said(&["query", "answer"]);
    assert!(now.contains("answer{team=\"shop\"}  42"), "{now}");
    assert_eq!(said(&["query", "1 + 1"]).trim(), "2");
    let range = said(&["query", "sum(answer)", "--since", "1m", "--step", "1s"]);
    assert!(range.lines().any(|line| line.ends_with("Z  42")), "{range}");
    let wrong = repository.lem(&["query", "answer answer"]);
    assert!(wrong.code(2).err.contains("parse error"), "{}", wrong.err);
    let wrong = repository.lem(&["query", "answer", "--since", "soon"]);
    assert!(wrong.code(2).err.contains("\"soon\" is no duration"), "{}", wrong.err);

    let alerts = said(&["alerts"]);
    let row = |name: &str| alerts.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(row("Always").contains("firing") && row("Always").contains("pager"), "{alerts}");
    assert!(row("Quiet").contains("silenced or inhibited"), "{alerts}");

    let add =
        ["silence", "add", "alertname=Always", "severity=~\"page|ticket\"", "--comment", "at work", "--author", "ann"];
    let id = said(&[&add[..], &["--for", "30m"]].concat()).trim().to_owned();
    let listed = said(&["silence", "list"]);
    let row = listed.lines().find(|line| line.starts_with(&id)).unwrap_or_default();
    assert!(row.contains("active") && row.contains("ann") && row.contains("severity=~\"page|ticket\""), "{listed}");
    let told = up.json("/api/v2/alerts?active=false&inhibited=false");
    assert_eq!(told[0]["status"]["silencedBy"][0], id.as_str(), "{told}");
    let events = said(&["ledger", "list", "--type", "silence.created"]);
    assert!(events.contains(&id), "{events}");
    assert_eq!(said(&["silence", "expire", &id]), "");
    assert_eq!(said(&["silence", "list"]).trim(), "nothing yet");
    assert!(said(&["silence", "list", "--expired"]).contains(&id));
    let over = repository.lem(&["silence", "expire", &id]);
    assert!(over.code(2).err.contains("is over already"), "{}", over.err);
    let all = repository.lem(&["silence", "add", "team=~\".*\"", "--comment", "x"]);
    assert!(all.code(2).err.contains("must not match the empty string"), "{}", all.err);
    up.stop();
    let gone = repository.lem(&["alerts"]);
    assert!(gone.code(3).err.contains("does not answer"), "{}", gone.err);
}

#[test]
fn lines_of_the_past_and_of_now() {
    let (repository, up) = watched();
    let push = |line: &str| {
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos().to_string();
        let streams = serde_json::json!({"streams": [{"stream": {"service_name": "shop"}, "values": [[at, line]]}]});
        let (status, body) = up.post("/loki/api/v1/push", Some(&token(&repository)), "application/json", &streams);
        assert_eq!(status, 204, "{body}");
    };
    push("first line");
    let past = Answer::of(&lem().current_dir(&repository.root).args(["logs", "--since", "5m"]).output().unwrap());
    assert!(past.code(0).out.contains("shop  first line"), "{}", past.out);
    let mut follow = lem()
        .current_dir(&repository.root)
        .args(["logs", "{service_name=\"shop\"}", "--follow", "-o", "ndjson"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("first line"));
    // What was said before it followed is not told twice, so lines are sent until one is seen.
    let seen = std::thread::spawn(move || lines.next().unwrap().unwrap());
    while !seen.is_finished() {
        push("second line");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert!(seen.join().unwrap().contains("second line"));
    follow.kill().unwrap();
    follow.wait().unwrap();
}

#[test]
fn a_reader_that_stops_is_no_bug() {
    let repository = Repository::empty();
    repository.write(
        ".github/workflows/ci.yml",
        "on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n    - run: echo\n",
    );
    let mut command = lem();
    let mut child = command.args(["reference"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.is_empty() && matches!(output.status.code(), Some(0 | 141)), "{:?} {said}", output.status);
}

#[test]
fn amtool_works_unchanged() {
    let Some(amtool) = client("amtool") else { return };
    let (repository, up) = watched();
    let http = format!("authorization:\n  type: Bearer\n  credentials: {}\n", token(&repository));
    repository.write("http.yml", &http);
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(&amtool);
        let file = repository.root.join("http.yml");
        command.arg(format!("--alertmanager.url={}", up.url())).arg(format!("--http.config.file={}", file.display()));
        Answer::of(&command.args(arguments).output().unwrap())
    };
    let alerts = ask(&["alert", "query", "-o", "json", "--inhibited"]);
    assert!(alerts.code(0).out.contains("\"Quiet\"") && !alerts.out.contains("\"Always\""), "{}", alerts.out);
    let added = ask(&["silence", "add", "alertname=Always", "--comment=at work", "--author=ann", "--duration=1h"]);
    let id = added.code(0).out.trim().to_owned();
    let listed = ask(&["silence", "query", "alertname=Always"]);
    assert!(listed.code(0).out.contains("at work"), "{}", listed.out);
    let silenced = ask(&["alert", "query", "--silenced", "-o", "json"]);
    assert!(silenced.code(0).out.contains("\"Always\""), "{}", silenced.out);
    ask(&["silence", "expire", &id]).code(0);
    assert_eq!(ask(&["silence", "query", "-q"]).code(0).out.trim(), "");
    let route = ask(&["config", "routes", "test", "severity=page"]);
    assert_eq!(route.code(0).out.trim(), "pager", "{}", route.out);
    let refused = ask(&["alert", "add", "x"]);
    assert!(refused.err.contains("take") || refused.err.contains("501"), "{}", refused.err);
}
