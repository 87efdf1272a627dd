//! kill -9 in the middle of an apply, again and again: nothing that was finished is lost.

use crate::apply::{environment, settings};
use lem_model::resource::ResourceAction;
use lem_provision::apply::Progress;
use lem_provision::plan::Options;
use lem_provision::project::Given;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const FOLDER: &str = "LEM_TEST_KILL_FOLDER";
const RESOURCES: usize = 1_000;
const KILLS: usize = 20;
const LEASE: Duration = Duration::from_millis(1_200);

struct Say;

impl Progress for Say {
    fn saved(&self, address: &str) {
        let mut out = std::io::stdout().lock();
        let _told = writeln!(out, "saved {address}").and_then(|()| out.flush());
    }
    fn started(&self, _address: &str, _action: ResourceAction) {}
}

/// What the killed process does; without its environment variable it is the parent's business alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    apply(&folder).await;
}

async fn apply(folder: &Path) {
    let environment = environment(folder, LEASE);
    let mut session = environment.session("apply", Duration::from_secs(30), &|_| {}).await.unwrap();
    let sealed = environment.plan_in(&session, &Given::default(), &Options::default()).await.unwrap();
    let applied = environment.apply(&sealed, &mut session, &settings(Arc::new(Say))).await.unwrap();
    assert_eq!(applied.failed, []);
}

fn ids(folder: &Path) -> BTreeMap<String, String> {
    let state = environment(folder, LEASE).store().load().unwrap().state;
    let id = |o: &lem_provision::state::Object| o.current.as_ref().unwrap().attributes["id"].to_string();
    state.objects.iter().map(|(address, object)| (address.clone(), id(object))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_finished_is_lost_by_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "resource \"terraform_data\" \"a\" {{\n  count = {RESOURCES}\n  input = count.index\n}}\nresource \"local_file\" \"f\" {{\n  count    = 20\n  filename = \"f${{count.index}}\"\n  content  = terraform_data.a[count.index].id\n}}\n"
    );
    std::fs::write(folder.path().join("main.tf"), text).unwrap();
    let mut known = BTreeMap::new();
    let mut points = vec![];
    for kill in 0..KILLS {
        // A different number of results each time, spread over the whole apply.
        let after = 1 + rand::random_range(0..RESOURCES / KILLS);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_that_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut saved = vec![];
        for line in lines.map_while(Result::ok) {
            // The harness shares the stream, so the word may stand behind its own.
            saved.extend(line.split_once("saved ").map(|(_, address)| address.to_owned()));
            if saved.len() == after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        points.push(saved.len());
        let now = ids(folder.path());
        for address in &saved {
            assert!(now.contains_key(address), "kill {kill} after {after}: {address} was finished and is lost");
        }
        for (address, id) in &known {
            assert_eq!(now.get(address), Some(id), "kill {kill}: {address} is another object now");
        }
        known = now;
    }
    apply(folder.path()).await;
    let last = ids(folder.path());
    assert_eq!(last.len(), RESOURCES + 20, "killed after {points:?}");
    assert!(known.iter().all(|(address, id)| last.get(address) == Some(id)));
    let again = environment(folder.path(), LEASE).plan(&Given::default(), &Options::default()).await.unwrap();
    assert!(again.plan().is_empty(), "{}", lem_provision::render::plan(again.plan()));
}
