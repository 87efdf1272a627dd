//! From files to an applied environment and back.

use lem_ledger::SystemClock;
use lem_model::resource::ResourceAction;
use lem_provision::apply::{Applied, Progress, Settings, Silent};
use lem_provision::config::Config;
use lem_provision::execute::Environment;
use lem_provision::lock::LeaseTimes;
use lem_provision::plan::{Options, SealedPlan};
use lem_provision::project::Given;
use lem_provision::{ProvisionError, planjson, render};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const SECRET: &str = "correct-horse-battery";

pub(crate) fn environment(folder: &Path, lease: Duration) -> Environment {
    let target = Config::default().target(folder, folder, &folder.join(".lem"), None).unwrap();
    let times = LeaseTimes { length: lease, renew_every: lease / 4 };
    Environment::with_lease(target, Arc::new(SystemClock), times)
}

pub(crate) fn settings(progress: Arc<dyn Progress>) -> Settings {
    Settings { parallelism: 10, clock: Arc::new(SystemClock), progress, stop: CancellationToken::new() }
}

pub(crate) fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join("main.tf"), text).unwrap();
}

pub(crate) async fn plan(folder: &Path, options: &Options) -> Result<SealedPlan, ProvisionError> {
    environment(folder, Duration::from_mins(1)).plan(&Given::default(), options).await
}

async fn apply_with(folder: &Path, options: &Options, progress: Arc<dyn Progress>) -> Applied {
    let environment = environment(folder, Duration::from_mins(1));
    let mut session = environment.session("apply", Duration::ZERO, &|_| {}).await.unwrap();
    let sealed = environment.plan_in(&session, &Given::default(), options).await.unwrap();
    environment.apply(&sealed, &mut session, &settings(progress)).await.unwrap()
}

pub(crate) async fn apply(folder: &Path) -> Applied {
    apply_with(folder, &Options::default(), Arc::new(Silent)).await
}

fn actions(sealed: &SealedPlan) -> Vec<String> {
    let changed = sealed.plan().changes.iter().filter(|c| c.is_change());
    changed.map(|c| format!("{} {}", c.action.word(), c.address)).collect()
}

pub(crate) fn problems(result: Result<SealedPlan, ProvisionError>) -> Vec<String> {
    match result {
        Err(ProvisionError::Files(found)) => found.iter().map(ToString::to_string).collect(),
        Err(other) => panic!("{other}"),
        Ok(sealed) => panic!("planned {:?}", actions(&sealed)),
    }
}

const TWO: &str = r#"
resource "terraform_data" "a" {
  input = "one"
}
resource "terraform_data" "b" {
  for_each         = toset(["x", "y"])
  input            = "${terraform_data.a.output}-${each.key}"
  triggers_replace = terraform_data.a.id
}
resource "random_pet" "p" {}
resource "local_file" "f" {
  filename = "out/${random_pet.p.id}.txt"
  content  = terraform_data.b["x"].output
}
output "pet" { value = random_pet.p.id }
"#;

#[tokio::test]
async fn what_only_an_apply_will_tell_says_so_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let text = "resource \"random_pet\" \"p\" {}\nresource \"terraform_data\" \"d\" {\n  input = [\"a\", random_pet.p.id, \
                { b = random_pet.p.id, c = sensitive(1) }, null]\n}\noutput \"o\" { value = [random_pet.p.id] }\n";
    write(folder.path(), text);
    let sealed = plan(folder.path(), &Options::default()).await.unwrap();
    let text = render::plan(sealed.plan());
    let input = "= [\"a\", (known after apply), { \"b\" = (known after apply), \"c\" = (sensitive value) }, null]";
    assert!(text.contains(input), "{text}");
    assert!(text.contains("+ o = [(known after apply)]"), "{text}");
    let graph = lem_provision::graph_of(&sealed);
    let planned = graph.resource("terraform_data.d").unwrap();
    assert_eq!((planned.end_line, planned.place_of("input").to_string().as_str()), (4, "main.tf:3:3"));
    assert_eq!(planned.depends_on, ["random_pet.p"]);
}

#[tokio::test]
async fn what_was_applied_plans_as_nothing_and_destroys_whole() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), TWO);
    let sealed = plan(folder.path(), &Options::default()).await.unwrap();
    assert_eq!(sealed.plan().counts().create, 5);
    let text = render::plan(sealed.plan());
    assert!(text.contains("  + resource \"local_file\" \"f\" {"), "{text}");
    assert!(text.ends_with("Plan: 5 to add, 0 to change, 0 to destroy.\n"), "{text}");

    let applied = apply(folder.path()).await;
    assert_eq!((applied.counts.create, applied.failed.as_slice()), (5, [].as_slice()));
    let again = plan(folder.path(), &Options::default()).await.unwrap();
    assert!(again.plan().is_empty(), "{:?}", actions(&again));
    let written: Vec<_> = std::fs::read_dir(folder.path().join("out")).unwrap().collect();
    assert_eq!(std::fs::read_to_string(written[0].as_ref().unwrap().path()).unwrap(), "one-x");

    write(folder.path(), &TWO.replace("\"one\"", "\"two\""));
    let changed = plan(folder.path(), &Options::default()).await.unwrap();
    let expected = [
        "update terraform_data.a",
        "update terraform_data.b[\"x\"]",
        "update terraform_data.b[\"y\"]",
        "replace local_file.f",
    ];
    assert_eq!(actions(&changed), expected);
    assert_eq!(apply(folder.path()).await.failed, []);

    let gone = apply_with(folder.path(), &Options { destroy: true, ..Options::default() }, Arc::new(Silent)).await;
    assert_eq!((gone.counts.delete, gone.failed.as_slice()), (5, [].as_slice()));
    let loaded = environment(folder.path(), Duration::from_mins(1)).store().load().unwrap();
    assert!(loaded.state.objects.is_empty() && loaded.state.outputs.is_empty());
}

#[tokio::test]
async fn a_file_that_was_changed_outside_is_drift() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "resource \"local_file\" \"f\" {\n  filename = \"x.txt\"\n  content = \"hello\"\n}\n");
    apply(folder.path()).await;
    let environment = environment(folder.path(), Duration::from_mins(1));
    assert_eq!(environment.drift(&Given::default()).await.unwrap().plan().drift.len(), 0);
    std::fs::write(folder.path().join("x.txt"), "changed").unwrap();
    let drift = environment.drift(&Given::default()).await.unwrap();
    assert_eq!(drift.plan().drift[0].address, "local_file.f");
    assert_eq!(drift.plan().drift[0].place.to_string(), "main.tf:1:1");
    assert_eq!(actions(&plan(folder.path(), &Options::default()).await.unwrap()), ["create local_file.f"]);
}

#[tokio::test]
async fn a_failure_stops_only_what_depends_on_it() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        r#"
resource "terraform_data" "good" {}
resource "terraform_data" "bad" {
  provisioner "local-exec" { command = "echo said; exit 3" }
}
resource "terraform_data" "behind" { input = terraform_data.bad.id }
"#,
    );
    let applied = apply(folder.path()).await;
    assert_eq!(applied.failed, [("terraform_data.bad".to_owned(), "local-exec ended with exit status: 3".to_owned())]);
    assert_eq!(applied.skipped, ["terraform_data.behind"]);
    assert_eq!(applied.counts.create, 1);
    let next = plan(folder.path(), &Options::default()).await.unwrap();
    assert_eq!(actions(&next), ["replace terraform_data.bad", "create terraform_data.behind"]);
    let bad = next.plan().changes.iter().find(|c| c.address == "terraform_data.bad").unwrap();
    assert_eq!(bad.reason, Some("replace_because_tainted"));
}

#[tokio::test]
async fn what_is_wrong_in_the_files_is_named_with_its_place() {
    let table = [
        (
            "resource \"terraform_data\" \"a\" {\n  imput = 1\n}\n",
            "main.tf:2:3: terraform_data has no argument \"imput\"",
        ),
        (
            "resource \"aws_instance\" \"a\" {}\n",
            "main.tf:1:1: resource aws_instance is of a provider that is not built in",
        ),
        ("resource \"random_pett\" \"a\" {}\n", "did you mean random_pet?"),
        (
            "resource \"terraform_data\" \"a\" {\n  input = terraform_data.b.id\n}\nresource \"terraform_data\" \"b\" {\n  input = terraform_data.a.id\n}\n",
            "cycle: terraform_data.a (main.tf:1:1) needs terraform_data.b (main.tf:4:1)",
        ),
        ("output \"x\" {\n  value = uper(\"x\")\n}\n", "main.tf:2:11"),
        ("variable \"v\" {}\n", "main.tf:1:1: variable \"v\" has no value"),
        ("resource \"random_string\" \"a\" {\n  length = 0\n}\n", "main.tf:2:3: length must be between 1 and 65536"),
        (
            "resource \"null_resource\" \"a\" {\n  provisioner \"remote-exec\" {\n    inline = [\"x\"]\n  }\n}\n",
            "main.tf:2:3: provisioner remote-exec is not supported",
        ),
    ];
    for (text, expected) in table {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), text);
        let found = problems(plan(folder.path(), &Options::default()).await);
        assert!(found.iter().any(|p| p.contains(expected)), "{expected}: {found:?}");
    }
}

#[tokio::test]
async fn life_cycle_rules_hold() {
    let folder = tempfile::tempdir().unwrap();
    let text = |value: &str, rule: &str| {
        format!(
            "resource \"terraform_data\" \"a\" {{\n  input = \"{value}\"\n  triggers_replace = \"{value}\"\n  lifecycle {{\n    {rule}\n  }}\n}}\n"
        )
    };
    write(folder.path(), &text("one", "prevent_destroy = true"));
    apply(folder.path()).await;
    write(folder.path(), &text("two", "prevent_destroy = true"));
    let found = problems(plan(folder.path(), &Options::default()).await);
    assert!(
        found[0].contains("main.tf:1:1: terraform_data.a would be destroyed, which its lifecycle prevents"),
        "{found:?}"
    );

    write(folder.path(), &text("two", "ignore_changes = all"));
    assert!(plan(folder.path(), &Options::default()).await.unwrap().plan().is_empty());

    write(folder.path(), &text("two", "create_before_destroy = true"));
    let sealed = plan(folder.path(), &Options::default()).await.unwrap();
    assert_eq!(sealed.plan().changes[0].action, ResourceAction::CreateDelete);
    assert_eq!(apply(folder.path()).await.failed, []);
    let state = environment(folder.path(), Duration::from_mins(1)).store().load().unwrap().state;
    assert!(state.objects["terraform_data.a"].deposed.is_empty(), "the old object is gone");

    let moved = "moved {\n  from = terraform_data.a\n  to = terraform_data.c\n}\n".to_owned()
        + &text("two", "create_before_destroy = true").replace("\"a\"", "\"c\"");
    write(folder.path(), &moved);
    let sealed = plan(folder.path(), &Options::default()).await.unwrap();
    assert_eq!(sealed.plan().changes[0].previous.as_deref(), Some("terraform_data.a"));
    assert_eq!(apply(folder.path()).await.failed, []);
    assert!(plan(folder.path(), &Options::default()).await.unwrap().plan().is_empty());
}

#[tokio::test]
async fn a_plan_made_from_another_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "resource \"terraform_data\" \"a\" {}\n");
    apply(folder.path()).await;
    write(folder.path(), "resource \"terraform_data\" \"b\" {}\n");
    let old = plan(folder.path(), &Options::default()).await.unwrap();
    apply(folder.path()).await;
    let environment = environment(folder.path(), Duration::from_mins(1));
    let mut session = environment.session("apply", Duration::ZERO, &|_| {}).await.unwrap();
    let error = environment.apply(&old, &mut session, &settings(Arc::new(Silent))).await.unwrap_err().to_string();
    assert!(error.starts_with("the plan is out of date: it was made from serial 1"), "{error}");
}

#[derive(Default)]
struct Log(Mutex<String>);

impl Progress for Log {
    fn finished(&self, address: &str, _action: ResourceAction, error: Option<&str>) {
        *self.0.lock() += &format!("{address} {error:?}\n");
    }
    fn line(&self, _address: &str, line: &str) {
        *self.0.lock() += line;
    }
}

#[tokio::test]
async fn a_state_that_is_kept_elsewhere_is_refused_and_not_taken_for_empty() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path(),
        "terraform {\n  backend \"s3\" {\n    bucket = \"states\"\n  }\n}\nresource \"terraform_data\" \"a\" {}\n",
    );
    let environment = environment(folder.path(), Duration::from_mins(1));
    let error = environment.plan(&Given::default(), &Options::default()).await.expect_err("it is not ours to plan");
    let found = error.diagnostics();
    assert_eq!((found[0].code.as_str(), found[0].place.line), ("unsupported-backend", 2), "{found:?}");
}

#[tokio::test]
async fn a_secret_is_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        r#"
variable "token" {{
  sensitive = true
  default   = "{SECRET}"
}}
resource "terraform_data" "a" {{
  input = {{ token = var.token, plain = 1 }}
  provisioner "local-exec" {{ command = "echo ${{var.token}}" }}
}}
resource "terraform_data" "fails" {{
  input = terraform_data.a.output
  provisioner "local-exec" {{ command = "echo ${{var.token}}; exit 1" }}
}}
output "t" {{
  value     = var.token
  sensitive = true
}}
"#
    );
    write(folder.path(), &text);
    let log = Arc::new(Log::default());
    let memory = Arc::new(lem_testkit::MemoryLog::default());
    let recorder = lem_ledger::Recorder::new(memory.clone(), lem_provision::events::SOURCE);
    let environment = environment(folder.path(), Duration::from_mins(1)).recording(recorder, "person:ann".into(), None);
    let mut session = environment.session("apply", Duration::ZERO, &|_| {}).await.unwrap();
    let sealed = environment.plan_in(&session, &Given::default(), &Options::default()).await.unwrap();
    let applied = environment.apply(&sealed, &mut session, &settings(log.clone())).await.unwrap();
    assert_eq!(applied.failed.len(), 1);
    let facts = lem_ledger::EventLog::read(memory.as_ref(), 0, &lem_ledger::Filter::all(), 100).await.unwrap();
    assert_eq!(facts.len(), 3);
    let everything = [
        render::plan(sealed.plan()),
        planjson::plan(&sealed, session.state()).to_string(),
        planjson::state(session.state()).to_string(),
        format!("{sealed:?} {applied:?} {:?}", log.0.lock()),
        format!("{facts:?}"),
    ];
    for text in &everything {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert!(everything[1].contains("(sensitive value)"), "{}", everything[1]);
    assert!(log.0.lock().contains("output suppressed"));
    assert!(session.state().to_text().contains(SECRET), "the state file alone holds it, as Terraform's does");
}
