//! Infrastructure as its users meet it: plan, apply, drift, destroy, state, documents, gates, and an installed program.

use crate::repository::{Answer, Repository, lem};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const FILES: &str = r#"
variable "greeting" {
  description = "What the file says."
  default     = "hello"
}
variable "token" {
  sensitive = true
  default   = "correct-horse"
}
resource "random_pet" "name" {}
resource "terraform_data" "each" {
  for_each = toset(["x", "y"])
  input    = [random_pet.name.id, each.key, var.token]
}
resource "local_file" "greeting" {
  filename = "out/greeting.txt"
  content  = "${var.greeting} from ${random_pet.name.id}\n"
}
output "pet" { value = random_pet.name.id }
"#;

#[test]
fn a_directory_is_planned_applied_changed_mended_and_destroyed() {
    let repository = Repository::empty();
    repository.write("main.tf", FILES);
    let planned = repository.lem(&["plan"]);
    let text = &planned.code(0).out;
    for expect in [
        "  # random_pet.name will be created (main.tf:10:1)\n",
        "= [(known after apply), \"x\", (sensitive value)]\n",
        "Plan: 4 to add, 0 to change, 0 to destroy.\n",
        "Cost: nothing in this plan is billed.\n",
        "Findings: none.\n",
    ] {
        assert!(text.contains(expect), "{expect}\n{text}");
    }
    repository.lem(&["plan", "--detailed-exitcode"]).code(2);
    assert!(repository.lem(&["apply"]).code(2).err.contains("--auto-approve"), "nobody is there to ask");
    assert!(!repository.root.join("terraform.tfstate").exists());

    let applied = repository.lem(&["apply", "--auto-approve"]);
    assert!(applied.code(0).err.ends_with("Applied: 4 added, 0 changed, 0 destroyed.\n"), "{}", applied.err);
    let again = repository.lem(&["plan", "--detailed-exitcode"]);
    assert!(again.code(0).out.starts_with("No changes. What exists matches the configuration.\n"), "{}", again.out);
    let read = || std::fs::read_to_string(repository.root.join("out/greeting.txt")).unwrap();
    assert!(read().starts_with("hello from "), "{}", read());

    assert!(repository.lem(&["drift"]).code(0).out.contains("No drift"));
    repository.write("out/greeting.txt", "by hand\n");
    let drift = repository.lem(&["drift"]);
    assert!(drift.code(1).out.starts_with("local_file.greeting (main.tf:15:1): "), "{}", drift.out);
    assert_eq!(repository.lem(&["drift", "-o", "json"]).code(1).json()[0]["address"], "local_file.greeting");
    repository.lem(&["apply", "--auto-approve", "--var", "greeting=good morning"]).code(0);
    assert!(read().starts_with("good morning from "), "{}", read());

    let list = repository.lem(&["state", "list"]);
    let all = "local_file.greeting\nrandom_pet.name\nterraform_data.each[\"x\"]\nterraform_data.each[\"y\"]\n";
    assert_eq!(list.code(0).out, all);
    let shown = repository.lem(&["state", "show", "terraform_data.each[\"x\"]"]);
    assert!(shown.code(0).out.contains("(sensitive value)") && !shown.out.contains("correct-horse"), "{}", shown.out);
    repository.lem(&["state", "mv", "terraform_data.each[\"y\"]", "terraform_data.other"]).code(0);
    repository.lem(&["state", "rm", "terraform_data.other"]).code(0);
    assert!(repository.lem(&["state", "show", "terraform_data.other"]).code(1).err.contains("has no"));
    let moved = repository.lem(&["plan", "--var", "greeting=good morning"]);
    assert!(moved.code(0).out.contains("Plan: 1 to add, 0 to change, 0 to destroy."), "{}", moved.out);

    let destroyed = repository.lem(&["destroy", "--auto-approve"]);
    assert!(destroyed.code(0).err.ends_with("Applied: 0 added, 0 changed, 3 destroyed.\n"), "{}", destroyed.err);
    assert_eq!(repository.lem(&["state", "list"]).code(0).out, "");
    assert!(!repository.root.join("out/greeting.txt").exists());
    for file in [".lem", "terraform.tfstate"] {
        let mut grep = std::process::Command::new("grep");
        let found = grep.args(["-rl", "correct-horse", file]).current_dir(&repository.root).output().unwrap();
        // The state itself is Terraform's, in clear; it is empty by now.
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "the secret is in {file}");
    }
}

#[test]
fn documents_are_written_and_checked() {
    let repository = Repository::empty();
    repository.write("main.tf", FILES);
    let printed = repository.lem(&["docs"]);
    assert!(printed.code(0).out.contains("What the file says."), "{}", printed.out);
    assert!(!printed.out.contains("correct-horse"), "{}", printed.out);
    repository.write("README.md", "# Before\n<!-- BEGIN_TF_DOCS -->\n<!-- END_TF_DOCS -->\nAfter\n");
    repository.lem(&["docs", "--into", "README.md", "--check"]).code(1);
    repository.lem(&["docs", "--into", "README.md"]).code(0);
    repository.lem(&["docs", "--into", "README.md", "--check"]).code(0);
    let text = std::fs::read_to_string(repository.root.join("README.md")).unwrap();
    assert!(text.starts_with("# Before\n") && text.ends_with("After\n") && text.contains("random_pet"), "{text}");
}

/// What is wrong in the files ends with 2 and its place, and nothing is made.
#[test]
fn a_broken_configuration_is_named_with_its_place() {
    let table = [
        ("locals {\n  a = [1,\n}\n", "main.tf:3:"),
        (
            "locals {\n  nobody_asks = uper(\"a\")\n}\n",
            "main.tf:2:17: there is no function \"uper\" [unknown-function]",
        ),
        ("output \"o\" {\n  value = var.nmae\n}\nvariable \"name\" { default = 1 }\n", "main.tf:2:"),
        ("resorce \"random_pet\" \"p\" {}\n", "main.tf:1:1: unknown block \"resorce\""),
        ("resource \"random_pet\" \"p\" {\n  lenght = 3\n}\n", "main.tf:2:3: random_pet has no argument \"lenght\""),
        (
            "resource \"random_pte\" \"p\" {}\n",
            "main.tf:1:1: resource random_pte is of a provider that is not built in",
        ),
        ("variable \"needed\" {}\n", "main.tf:1:1: variable \"needed\" has no value"),
        (
            "resource \"terraform_data\" \"a\" { input = terraform_data.b.id }\n\
             resource \"terraform_data\" \"b\" { input = terraform_data.a.id }\n",
            "main.tf:1:1: ",
        ),
        ("locals {\n  a = local.b\n  b = local.a\n}\noutput \"o\" { value = local.a }\n", "local.a (main.tf:2:3)"),
        (
            "terraform {\n  backend \"s3\" {\n    bucket = \"b\"\n  }\n}\n",
            "main.tf:2:3: the state is kept in backend \"s3\"",
        ),
    ];
    for (file, expect) in table {
        let repository = Repository::empty();
        repository.write("main.tf", file);
        for command in [&["plan"][..], &["apply", "--auto-approve"]] {
            let answer = repository.lem(command);
            assert!(answer.code(2).err.contains(expect), "{command:?} {file}\n{}", answer.err);
            assert_eq!(answer.out, "");
        }
        assert!(!repository.root.join("terraform.tfstate").exists(), "{file}");
    }
    let cycle = Repository::empty();
    cycle.write("main.tf", table[7].0);
    let said = cycle.lem(&["plan"]).err;
    assert!(
        said.contains("terraform_data.a") && said.contains("terraform_data.b") && said.contains("main.tf:2:1"),
        "{said}"
    );
}

#[test]
fn a_policy_that_refuses_is_passed_only_on_record() {
    let repository = Repository::empty();
    repository.write("main.tf", "resource \"random_password\" \"p\" {\n  length = 8\n}\n");
    let finding = "medium: the password is short enough to be guessed (LEM-RANDOM-0001, main.tf:1:1)";
    repository.write("lem.yaml", "secure: {gate: warn, severity: medium}\n");
    let planned = repository.lem(&["plan"]);
    assert!(planned.code(0).out.contains(finding), "{}", planned.out);
    assert!(planned.out.contains("lem apply will go on, against the policy: "), "{}", planned.out);

    repository.write("lem.yaml", "secure: {gate: required, severity: medium}\n");
    let document = repository.lem(&["plan", "-o", "json"]).code(0).json();
    assert_eq!(document["lem"]["gates"][0]["answer"], "deny");
    assert_eq!(document["resource_changes"][0]["lem"]["findings"][0]["rule"], "LEM-RANDOM-0001");
    let refused = repository.lem(&["apply", "--auto-approve"]);
    assert!(refused.code(1).err.contains("lem: refused by the policy: medium: LEM-RANDOM-0001 on random_password.p"));
    assert!(!repository.root.join("terraform.tfstate").exists());
    repository.lem(&["apply", "--auto-approve", "--override-policy", ""]).code(2);

    let mut command = lem();
    command.current_dir(&repository.root).env("USER", "ann");
    let passed =
        Answer::of(&command.args(["apply", "--auto-approve", "--override-policy", "an old device"]).output().unwrap());
    assert!(passed.code(0).err.contains("person:ann goes past it: an old device"), "{}", passed.err);
    let events = repository.lem(&["ledger", "list", "-o", "json"]).code(0).json();
    let content = |kind: &str| -> Vec<Value> {
        let all = events.as_array().unwrap().iter().filter(|e| e["type"].as_str().unwrap().contains(kind));
        all.map(|e| e["payload"]["subject"]["content"].clone()).collect()
    };
    let gates = content("gate.decided");
    assert_eq!((gates[0]["answer"].as_str(), gates[1]["answer"].as_str()), (Some("deny"), Some("allow")), "{gates:?}");
    assert_eq!(gates[1]["reasons"][0], "person:ann goes past it: an old device");
    let (plan, apply) = (content("plan.finished"), content("apply.finished"));
    assert_eq!((&gates[1]["subject"], apply.len()), (&plan[0]["plan"], 1), "the override is bound to the plan");

    // Set aside by the second person it needs, in the file, or no longer there: then it passes by itself.
    repository.replace("main.tf", "length = 8", "# checkov:skip=LEM-RANDOM-0001:an old device\n  length = 8");
    let planned = repository.lem(&["plan"]);
    assert!(planned.code(0).out.contains("Findings: none, 1 excepted."), "{}", planned.out);
}

/// A program of this name that answers as an installed one would, from what one once said.
fn installed(repository: &Repository, apply: &str) -> String {
    let folder = repository.root.join("bin");
    let shown = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/terraform-show.json");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {0}/log\ncase \"$1\" in\nshow) cat {1} ;;\napply) {apply} ;;\nesac\n",
        folder.display(),
        shown.display()
    );
    repository.write("bin/tofu", &script);
    std::fs::set_permissions(folder.join("tofu"), std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default())
}

fn run(repository: &Repository, path: &str, arguments: &[&str]) -> Answer {
    let mut command = lem();
    Answer::of(&command.current_dir(&repository.root).env("PATH", path).args(arguments).output().unwrap())
}

const CLOUD: &str = r#"
variable "region" { default = "eu-central-1" }
variable "db_password" { sensitive = true }
provider "aws" { region = var.region }
resource "aws_db_instance" "main" {
  engine              = "postgres"
  instance_class      = "db.t3.medium"
  allocated_storage   = 20
  password            = var.db_password
  publicly_accessible = true
}
resource "aws_instance" "web" {
  count         = 1
  ami           = "ami-0a1b2c3d"
  instance_type = "t3.large"
}
module "edge" { source = "./edge" }
"#;

fn cloud() -> Repository {
    let repository = Repository::empty();
    repository.write("main.tf", CLOUD);
    repository.write("edge/main.tf", "resource \"aws_lightsail_distribution\" \"cdn\" { name = \"cdn\" }\n");
    repository
}

#[test]
fn a_plan_of_an_installed_program_is_priced_and_judged() {
    let repository = cloud();
    let path = installed(&repository, "echo 'Apply complete!'");
    let planned = run(
        &repository,
        &path,
        &["plan", "--engine", "terraform", "--target", "module.edge", "--var", "region=eu-central-1"],
    );
    let text = &planned.code(0).out;
    for expect in [
        "  update aws_db_instance.main (main.tf:5:1)\n      cost: unknown\n",
        "      high: the database has a public address (LEM-AWS-0030, main.tf:5:1)\n        fix: ",
        "  create aws_instance.web[0] (main.tf:12:1)\n      cost: +$",
        "  create module.edge.aws_lightsail_distribution.cdn (edge/main.tf:1:1)\n      cost: unknown\n        unknown: nothing is known about the billing of aws_lightsail_distribution\n",
        "Plan: 2 to add, 1 to change, 0 to destroy.\nCost: +$",
        "/month known (2 added, 1 changed); 2 resources unpriced: aws_db_instance.main, module.edge.aws_lightsail_distribution.cdn\n",
    ] {
        assert!(text.contains(expect), "{expect}\n{text}");
    }
    let log = std::fs::read_to_string(repository.root.join("bin/log")).unwrap();
    assert!(log.contains("-target=module.edge -var=region=eu-central-1"), "{log}");
    assert_eq!(
        std::fs::read_dir(repository.root.join(".lem/provision").join("root").join("default")).unwrap().count(),
        0,
        "the plan file is gone"
    );

    let answer = run(&repository, &path, &["plan", "--engine", "terraform", "-o", "json"]);
    assert!(!answer.code(0).out.contains("correct-horse"), "{}", answer.out);
    let document = answer.json();
    assert_eq!(document["format_version"], "1.2");
    let change = &document["resource_changes"][1];
    assert_eq!((&change["address"], &change["change"]["actions"]), (&json!("aws_instance.web[0]"), &json!(["create"])));
    assert!(change["lem"]["cost"]["delta"]["amount"].as_str().unwrap().starts_with("74."), "{change}");
    assert_eq!(
        document["lem"]["cost"]["unpriced"],
        json!(["aws_db_instance.main", "module.edge.aws_lightsail_distribution.cdn"])
    );
    assert_eq!(document["planned_values"]["root_module"]["resources"][0]["values"]["password"], "(sensitive value)");
    run(&repository, &path, &["plan", "--engine", "terraform", "--detailed-exitcode"]).code(2);
}

#[test]
fn a_plan_over_its_budget_is_applied_only_on_record() {
    let repository = cloud();
    let path = installed(&repository, "echo 'Apply complete!'");
    repository.write(
        "lem.yaml",
        "provision: {engine: terraform}\noptimize:\n  budgets:\n  - {name: small, monthly: 50 USD}\n",
    );
    let sentence = "budget small (lem.yaml:4:5) allows $50.00/month; the plan costs at least $74.";
    assert!(run(&repository, &path, &["plan"]).code(0).out.contains("lem apply will be refused by a budget: "));
    let refused = run(&repository, &path, &["apply", "--auto-approve"]);
    assert!(refused.code(1).err.contains(sentence), "{}", refused.err);
    let log = || std::fs::read_to_string(repository.root.join("bin/log")).unwrap();
    assert!(!log().contains("apply "), "{}", log());
    let passed = run(&repository, &path, &["apply", "--auto-approve", "--override-budget", "launch week"]);
    assert!(passed.code(0).err.ends_with("Apply complete!\n"), "{}", passed.err);
    assert!(log().contains("apply -input=false -no-color "), "{}", log());
    let events = repository.lem(&["ledger", "list", "-o", "json"]).code(0).json();
    let kinds: Vec<&str> = events.as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    for kind in ["plan.finished", "gate.decided", "apply.started", "apply.finished"] {
        assert!(kinds.iter().any(|k| k.contains(kind)), "{kind}: {kinds:?}");
    }
    let text = events.to_string();
    assert!(text.contains("goes past it: launch week") && !text.contains("correct-horse"), "{text}");

    let broken = cloud();
    let path = installed(&broken, "echo 'no such subnet' >&2; exit 1");
    let failed = run(&broken, &path, &["apply", "--engine", "terraform", "--auto-approve"]);
    assert!(failed.code(1).err.contains("no such subnet"), "{}", failed.err);
    let none = run(&broken, "/nowhere", &["plan", "--engine", "terraform"]);
    assert!(none.code(3).err.contains("neither tofu nor terraform is on the search path"), "{}", none.err);
}

/// Removes what differs for a reason: what is hidden here, what is only here, what is only there.
fn comparable(mut document: Value) -> Value {
    for name in ["lem", "configuration", "relevant_attributes", "timestamp", "terraform_version", "prior_state"] {
        document.as_object_mut().unwrap().remove(name);
    }
    document
}

#[test]
fn an_installed_terraform_agrees_about_the_plan_and_applies_its_own() {
    let installed = |name: &&str| std::process::Command::new(name).arg("version").output().is_ok();
    let Some(program) = ["tofu", "terraform"].into_iter().find(|name| installed(name)) else {
        return eprintln!("SKIPPED: neither tofu nor terraform is installed");
    };
    let repository = Repository::empty();
    let files = r#"
resource "terraform_data" "a" {
  input = { list = ["a", null], n = 1.5 }
}
resource "terraform_data" "b" {
  for_each         = toset(["x", "y"])
  input            = "${terraform_data.a.id}-${each.key}"
  triggers_replace = [terraform_data.a.id]
}
module "m" {
  source = "./m"
  count  = 2
}
output "ids" { value = [for b in terraform_data.b : b.id] }
check "two" {
  assert {
    condition     = length(terraform_data.b) == 2
    error_message = "two"
  }
}
"#;
    repository.write("main.tf", files);
    repository.write("m/main.tf", "resource \"terraform_data\" \"inner\" { input = path.module }\n");
    let theirs = repository.lem(&["plan", "--engine", "terraform", "-o", "json"]);
    let ours = repository.lem(&["plan", "--engine", "native", "-o", "json"]);
    let (theirs, ours) = (comparable(theirs.code(0).json()), comparable(ours.code(0).json()));
    for name in ["format_version", "planned_values", "resource_changes", "output_changes", "checks", "applyable"] {
        let (mut theirs, mut ours) = (theirs[name].clone(), ours[name].clone());
        if name == "resource_changes" {
            let by_address = |v: &mut Value| v.as_array_mut().unwrap().sort_by_key(|c| c["address"].to_string());
            by_address(&mut theirs);
            by_address(&mut ours);
            // An unknown of any type: they say "nothing in it is sensitive", we say nothing.
            for change in theirs.as_array_mut().unwrap() {
                change["change"]["after_sensitive"].as_object_mut().unwrap().remove("output");
            }
        }
        assert_eq!(strip(theirs), strip(ours), "{program}: {name}");
    }
    repository.lem(&["apply", "--engine", "terraform", "--auto-approve"]).code(0);
    let again = repository.lem(&["plan", "--engine", "native", "--detailed-exitcode"]);
    assert!(again.code(0).out.starts_with("No changes."), "their state is ours: {}", again.out);
    repository.lem(&["destroy", "--engine", "native", "--auto-approve"]).code(0);
    repository.lem(&["plan", "--engine", "terraform", "--detailed-exitcode"]).code(2);
}

/// Without `sensitive_values` that say nothing.
fn strip(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(name, _)| name != "sensitive_values");
            Value::Object(kept.map(|(name, value)| (name, strip(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(strip).collect(),
        other => other,
    }
}
