//! `lem cost` before and after a change, without network or configuration.

use crate::repository::Repository;
use serde_json::Value;

const WEB: &str = "provider \"aws\" { region = \"us-east-1\" }\nresource \"aws_instance\" \"web\" {\n  \
                   instance_type = \"t3.micro\"\n  ami = \"ami-1\"\n  root_block_device {\n    volume_size = 8\n    \
                   volume_type = \"gp3\"\n  }\n}\n";

fn amount(value: &Value) -> f64 {
    value.as_str().unwrap_or_else(|| panic!("{value}")).parse().unwrap()
}

#[test]
fn a_change_of_the_files_changes_the_cost_by_what_it_adds() {
    let repository = Repository::empty();
    repository.write("main.tf", WEB);
    let total = || amount(&repository.lem(&["cost", "-o", "json"]).code(0).json()["totalMonthlyCost"]);
    let before = total();
    let text = repository.lem(&["cost"]).code(0).out.clone();
    assert!(text.contains("Instance (Linux, on demand, t3.micro): 730 hour × 0.0104 USD = $7.59"), "{text}");
    repository.replace("main.tf", "t3.micro", "t3.large");
    let after = total();
    assert!((after - before - 730.0 * (0.0832 - 0.0104)).abs() < 1e-6, "{before} {after}");
    let planned = repository.lem(&["cost", "plan"]).code(0).out.clone();
    assert!(planned.contains("/month known (1 added)"), "{planned}");

    repository.write("more.tf", "resource \"aws_lightsail_distribution\" \"cdn\" {}\n");
    let text = repository.lem(&["cost"]).code(0).out.clone();
    assert!(text.starts_with(".: at least $"), "{text}");
    assert!(text.contains("1 resource unpriced: aws_lightsail_distribution.cdn"), "{text}");
    assert!((total() - after).abs() < 1e-6, "what has no price is not counted, and is not nothing");
}

#[test]
fn a_budget_is_a_limit_with_a_place() {
    let repository = Repository::empty();
    repository.write("main.tf", WEB);
    repository.write("lem.yaml", "optimize:\n  budgets:\n  - {name: small, monthly: 5 USD}\n");
    for command in [["cost", "budget"], ["cost", "plan"]] {
        let answer = repository.lem(&command);
        let said = format!("{}{}", answer.code(1).out, answer.err);
        assert!(said.contains("budget small (lem.yaml:3:5) allows $5.00/month"), "{command:?} {said}");
    }
    repository.replace("lem.yaml", "5 USD", "500 USD");
    repository.lem(&["cost", "budget"]).code(0);
    repository.replace("lem.yaml", "500 USD", "lots");
    assert!(repository.lem(&["cost"]).code(2).err.contains("lem.yaml:3:28: \"lots\" is no amount of money"));
}

#[test]
fn a_plan_of_terraform_is_priced_from_its_document() {
    let repository = Repository::empty();
    let shown = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/terraform-show.json");
    let answer = repository.lem(&["cost", "plan", "--plan", &shown.display().to_string()]);
    assert!(answer.code(0).out.contains("2 added, 1 changed"), "{}", answer.out);
    assert!(!answer.out.contains("correct-horse"), "{}", answer.out);
    repository.write("plan.json", "{\n  \"format_version\": ");
    let broken = repository.lem(&["cost", "plan", "--plan", "plan.json"]);
    assert!(broken.code(2).err.contains("plan.json:2:"), "{}", broken.err);
}

#[test]
fn costs_leave_as_focus_with_what_has_no_price_beside_them() {
    let repository = Repository::empty();
    repository.write("main.tf", &format!("{WEB}resource \"aws_lightsail_distribution\" \"cdn\" {{}}\n"));
    repository.lem(&["cost", "export", "--focus", "focus.csv"]).code(0);
    let read = |name: &str| std::fs::read_to_string(repository.root.join(name)).unwrap();
    let rows = read("focus.csv");
    for column in ["BilledCost", "ChargeCategory", "ServiceProviderName", "x_Estimated"] {
        assert!(rows.lines().next().unwrap().contains(column), "{column}");
    }
    assert!(rows.lines().count() > 1 && !rows.contains("lightsail"), "{rows}");
    assert!(read("focus.unpriced.csv").contains("aws_lightsail_distribution.cdn"));
    // What it wrote it reads.
    repository.lem(&["cost", "import", "focus.csv"]).code(0);
}
