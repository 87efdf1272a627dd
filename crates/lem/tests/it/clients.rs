//! Real clients of Prometheus against a real `lem up`: promtool, and the Python library. `scripts/setup.sh test` installs
//! both; where they are missing these tests say so, and fail in CI.

use crate::repository::Repository;
use crate::up::Up;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `scripts/setup.sh test` puts clients.
pub(crate) fn client(name: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let found = cache.map(|cache| cache.join("lemniscate/clients/bin").join(name)).filter(|path| path.exists());
    if found.is_none() {
        let missing = format!("{name} is not installed; scripts/setup.sh test installs it");
        assert!(std::env::var("CI").is_err(), "{missing}");
        eprintln!("SKIPPED: {missing}");
    }
    found
}

/// A repository whose rules record a series every second.
fn watched() -> (Repository, Up) {
    let repository = Repository::empty();
    repository.write("observe/prometheus.yml", "global:\n  evaluation_interval: 1s\nrule_files: [rules.yml]\n");
    let rules = "groups:\n- name: answers\n  rules:\n  - record: answer\n    expr: vector(42)\n    labels: {team: shop}\n  \
                 - alert: Always\n    expr: answer == 42\n    labels: {severity: page}\n";
    repository.write("observe/rules.yml", rules);
    repository.write("lem.yaml", "observe:\n  prometheus: observe/prometheus.yml\n");
    let up = Up::start(&repository);
    up.until("/api/v1/alerts", |alerts| alerts["data"]["alerts"][0]["state"] == "firing");
    (repository, up)
}

#[track_caller]
pub(crate) fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.into_owned()
}

#[test]
fn promtool_queries() {
    let Some(promtool) = client("promtool") else { return };
    let (_repository, up) = watched();
    let ask = |arguments: &[&str]| output(Command::new(&promtool).args(arguments));
    let instant = ask(&["query", "instant", &up.url(), "answer"]);
    assert!(instant.starts_with(r#"answer{team="shop"} => 42 @["#), "{instant}");
    let range = ask(&["query", "range", "--step=1s", &up.url(), "sum(answer)"]);
    assert!(range.contains("42 @["), "{range}");
    let series = ask(&["query", "series", "--match=answer", &up.url()]);
    assert!(series.contains(r#"{__name__="answer", team="shop"}"#), "{series}");
    assert_eq!(ask(&["query", "labels", &up.url(), "team"]).trim(), "shop");
    let wrong = Command::new(&promtool).args(["query", "instant", &up.url(), "answer answer"]).output().unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(!wrong.status.success() && said.contains("parse error"), "{said}");
}

const SCRIPT: &str = r#"
import sys, datetime
from prometheus_api_client import PrometheusConnect
prom = PrometheusConnect(url=sys.argv[1], disable_ssl=True)
assert prom.check_prometheus_connection()
assert "answer" in prom.all_metrics(), prom.all_metrics()
assert prom.get_label_values("team") == ["shop"]
assert "team" in prom.get_label_names()
now = prom.get_current_metric_value("answer", {"team": "shop"})
assert now[0]["metric"] == {"__name__": "answer", "team": "shop"} and now[0]["value"][1] == "42", now
assert prom.custom_query("sum(answer) / 2")[0]["value"][1] == "21"
# The client cuts times to whole seconds: an end a little ahead lies after the first sample however young it is.
end = datetime.datetime.now() + datetime.timedelta(seconds=5)
values = prom.custom_query_range("answer", end - datetime.timedelta(seconds=60), end, "1s")
assert values and all(value == "42" for _, value in values[0]["values"]), values
ranges = prom.get_metric_range_data("answer", start_time=end - datetime.timedelta(minutes=1), end_time=end)
assert ranges and {value for _, value in ranges[0]["values"]} == {"42"}, ranges
assert [t for t in prom.get_targets().get("activeTargets", [])] is not None
try:
    prom.custom_query("answer answer")
    raise SystemExit("a bad query was answered")
except Exception as error:
    assert "parse error" in str(error), error
print("fine")
"#;

#[test]
fn the_python_client_reads() {
    let Some(python) = client("python") else { return };
    let (repository, up) = watched();
    repository.write("ask.py", SCRIPT);
    let said = output(Command::new(python).arg(repository.root.join("ask.py")).arg(up.url()));
    assert_eq!(said.trim(), "fine");
}
