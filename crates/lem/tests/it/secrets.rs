//! Secrets of jobs and services as people use them: lent, hidden, given back, nowhere in the clear.

use crate::mail::{answer, facts, mail};
use crate::repository::{Repository, free_port};
use crate::up::Up;
use serde_json::Value;
use std::path::{Path, PathBuf};

const TOKEN: &str = "tok-5f1c9a77e2b04d";
const PASSWORD: &str = "pw-93ab17cc40e65f";
/// `printf PASSWORD | base64`.
const PASSWORD_64: &str = "cHctOTNhYjE3Y2M0MGU2NWY=";

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// No file of the data directory holds one of these, and there are files to look at.
#[track_caller]
fn nowhere(repository: &Repository, values: &[&str]) {
    let files = walk(&repository.root.join(".lem"));
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        for value in values {
            let found = bytes.windows(value.len()).any(|w| w == value.as_bytes());
            assert!(!found, "{value} stands in {}", file.display());
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Lines of the service, by stream.
fn lines(up: &Up, stream: &str) -> String {
    let query = format!("/loki/api/v1/query_range?query=%7Bservice_name%3D%22mail%22%2Cstream%3D%22{stream}%22%7D");
    up.until(&query, |found| !found["data"]["result"].as_array().unwrap().is_empty()).to_string()
}

#[test]
fn a_service_is_lent_its_secret_until_it_ends_and_never_says_it() {
    let (repository, port) = mail(", secrets: {PASSWORD: team/mail#password}", "");
    repository.lem(&["secret", "set", "team/mail", &format!("password={PASSWORD}")]).code(0);
    let listen = free_port();
    let up = Up::on(&repository, listen);
    facts(&up, "service.deployed", 1);
    assert_eq!(answer(port).as_deref(), Some("17 letters"), "it has the value");
    let said = lines(&up, "stdout");
    assert!(said.contains("the password is ***.") && lines(&up, "stderr").contains("encoded ***"), "{said}");

    let issued = facts(&up, "lease.issued", 1).pop().unwrap();
    let holder = text(&issued["to"]).to_owned();
    assert!(holder.starts_with("instance:mail-production-"), "{issued}");
    assert!(text(&issued["secret"]).starts_with("secret/data/team/mail"), "{issued}");
    let held = repository.lem(&["secret", "leases"]).code(0).out.clone();
    assert!(held.contains("secret/data/team/mail/"), "{held}");

    // Killed: the child ends with the next start, and what it was lent too; the new one is lent it anew.
    up.signal("KILL");
    drop(up);
    let up = Up::on(&repository, listen);
    let revoked = facts(&up, "lease.revoked", 1);
    assert_eq!((&revoked[0]["lease"], text(&revoked[0]["why"])), (&issued["lease"], "lem ended while it ran"));
    let again = facts(&up, "lease.issued", 2).pop().unwrap();
    assert_ne!(text(&again["to"]), holder);
    while answer(port).is_none() {
        std::thread::yield_now();
    }
    let gone = facts(&up, "instance.exited", 1);
    assert_eq!(gone[0]["status"], "ended with the program that ran it");
    let targets = up.until("/api/v1/targets", |t| !t["data"]["activeTargets"].as_array().unwrap().is_empty());
    let targets = targets["data"]["activeTargets"].as_array().unwrap();
    assert!(targets.iter().all(|t| !t.to_string().contains(holder.trim_start_matches("instance:"))), "{targets:?}");

    // Stopped in order it gives everything back.
    up.stop();
    let told = repository.lem(&["ledger", "list", "--type", "lease.revoked", "--output", "json"]);
    let told = told.code(0).json();
    assert_eq!(told.as_array().map(Vec::len), Some(2), "{told}");
    assert!(!repository.lem(&["secret", "leases"]).code(0).out.contains("team/mail"));
    nowhere(&repository, &[PASSWORD, PASSWORD_64]);
}

#[test]
fn a_secret_that_is_missing_stops_the_release_and_is_named() {
    let (repository, port) = mail(", secrets: {PASSWORD: team/mail#password}", "");
    repository.lem(&["secret", "set", "team/mail", "user=postmaster"]).code(0);
    let up = Up::start(&repository);
    let finished = facts(&up, "rollout.finished", 1).pop().unwrap();
    let why = text(&finished["why"]);
    let expect = "service mail in production needs PASSWORD, and there is no secret team/mail#password; lem secret set \
                  team/mail password=- writes it";
    assert!(finished["outcome"] == "failed" && why.contains(expect), "{finished}");
    assert!(repository.lem(&["status"]).code(0).out.contains(expect));
    for asked in ["pause", "resume", "promote", "abort"] {
        let said = repository.lem(&[asked, "--reason", "a try"]);
        assert!(said.code(1).err.contains("no rollout is under way"), "{asked}: {}", said.err);
    }
    let id = text(&finished["deployment"]);
    let said = repository.lem(&["pause", id, "--reason", "a try"]);
    assert!(said.code(1).err.contains(&format!("rollout {id} has ended")), "{}", said.err);
    assert_eq!(answer(port), None);
    assert_eq!(up.json("/api/v1/events?type=instance.started")["events"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_job_is_lent_its_secret_for_the_run_and_never_says_it() {
    let (repository, _port) = mail("", "");
    repository.lem(&["secret", "set", "pipeline", &format!("TOKEN={TOKEN}")]).code(0);
    let up = Up::start(&repository);
    let run = up.until("/api/v1/runs", |page| page["runs"][0]["outcome"] == "success")["runs"][0].clone();
    let id = text(&run["run"]);
    let log = up.json(&format!("/api/v1/runs/{id}/jobs/package/log")).to_string();
    assert!(log.contains("token is ***.") && !log.contains(TOKEN), "{log}");
    let issued = facts(&up, "lease.issued", 1).remove(0);
    assert_eq!(text(&issued["to"]), format!("run:{id}"));
    let revoked = facts(&up, "lease.revoked", 1).remove(0);
    assert_eq!((&revoked["lease"], text(&revoked["why"])), (&issued["lease"], format!("run:{id} ended").as_str()));
    assert!(!repository.lem(&["secret", "leases"]).code(0).out.contains("secret/data/pipeline"));
    up.stop();
    nowhere(&repository, &[TOKEN]);
}
