//! The cost of files and plans.

use crate::graph::{block, graph, number, resource, text};
use lem_model::port::GateAnswer;
use lem_model::resource::{Attribute, ResourceAction};
use lem_optimize::engine::PriceBook;
use lem_optimize::infracost::{json, usage::UsageFile};
use lem_optimize::plan::budget::Budget;
use lem_optimize::plan::estimate::{Estimate, Pricing};
use lem_optimize::price::book::Book;
use lem_optimize::text::{breakdown, change, total};

fn estimate(graph: &lem_model::resource::ResourceGraph, usage: &UsageFile) -> Estimate {
    let book = Book::embedded();
    let pricing = Pricing { book: &book, usage, currency: "USD", on: "2026-06-01".parse().unwrap() };
    Estimate::of(graph, &pricing)
}

/// One resource alone; its known monthly cost, and what is unknown.
fn check(kind: &str, attributes: &[(&str, Attribute)], known: Option<&str>, unknown: &[&str]) {
    let graph = graph([resource("x.y", kind, attributes)]);
    let found = estimate(&graph, &UsageFile::default());
    let line = &found.lines[0];
    let cost = line.after.as_ref().and_then(|s| s.known()).map(|m| m.to_string());
    assert_eq!(cost.as_deref(), known, "{kind}: {:?}", line.unknown());
    let reasons = line.unknown();
    assert_eq!(reasons.len(), unknown.len(), "{kind}: {reasons:?}");
    for (reason, expect) in reasons.iter().zip(unknown) {
        assert!(reason.contains(expect), "{kind}: {reason}");
    }
}

#[test]
fn types_cost_what_quantity_times_price_says() {
    let root = |gb: i64| block(&[("volume_size", number(gb)), ("volume_type", text("gp3"))]);
    check("aws_instance", &[("instance_type", text("t3.micro")), ("root_block_device", root(20))], Some("$9.19"), &[]);
    check(
        "aws_instance",
        &[("instance_type", text("t3.micro"))],
        Some("$7.59"),
        &["root_block_device.volume_size is not written"],
    );
    check(
        "aws_instance",
        &[("instance_type", text("x9.huge")), ("root_block_device", root(20))],
        Some("$1.60"),
        &["no price for aws ec2 linux/x9.huge"],
    );
    check(
        "aws_ebs_volume",
        &[("size", number(100)), ("type", text("gp3")), ("iops", number(4000))],
        Some("$13.00"),
        &[],
    );
    let db = |az: bool| {
        [
            ("engine", text("postgres")),
            ("instance_class", text("db.t3.medium")),
            ("allocated_storage", number(20)),
            ("multi_az", Attribute::Bool(az)),
        ]
    };
    check(
        "aws_db_instance",
        &db(false),
        Some("$54.86"),
        &["additional_backup_storage_gb is neither declared nor measured"],
    );
    check("aws_db_instance", &db(true), Some("$109.72"), &["additional_backup_storage_gb"]);
    let watched =
        [("instance_type", text("t3.micro")), ("monitoring", Attribute::Bool(true)), ("root_block_device", root(20))];
    check("aws_instance", &watched, Some("$11.29"), &[]);
    check("aws_nat_gateway", &[], Some("$32.85"), &["monthly_data_processed_gb"]);
    check("aws_s3_bucket", &[], None, &["standard.storage_gb", "tier_1", "tier_2"]);
    check("aws_eks_cluster", &[], Some("$73.00"), &[]);
    check("aws_quantum_thing", &[], None, &["nothing is known about the billing of aws_quantum_thing"]);
    check("aws_iam_role", &[], None, &[]);
    check(
        "aws_instance",
        &[("instance_type", Attribute::Unknown("var.size has no value".into()))],
        None,
        &["known after apply (var.size has no value)", "root"],
    );
    let hidden = [("instance_type", Attribute::Sensitive(Box::new(text("t3.micro")))), ("root_block_device", root(20))];
    check("aws_instance", &hidden, Some("$1.60"), &["instance_type is sensitive"]);
    let containers = Attribute::List(vec![Attribute::Map(
        [
            ("name".to_owned(), text("web")),
            ("resources".to_owned(), block(&[("requests", block(&[("cpu", text("500m")), ("memory", text("1Gi"))]))])),
        ]
        .into_iter()
        .collect(),
    )]);
    let spec =
        block(&[("replicas", number(3)), ("template", block(&[("spec", block(&[("containers", containers)]))]))]);
    // (0.5 × 0.031611 + 1 × 0.004237) × 3 × 730
    check("apps/v1/Deployment", &[("spec", spec)], Some("$43.89"), &[]);
    check(
        "v1/Service",
        &[("spec", block(&[("type", text("LoadBalancer"))]))],
        None,
        &["no price for kubernetes default load-balancer"],
    );
}

#[test]
fn machines_of_other_clouds_are_priced_in_their_regions() {
    let at = |region: &str, kind: &str, attributes: &[(&str, Attribute)]| {
        let mut one = resource("x.y", kind, attributes);
        one.region = Some(text(region));
        estimate(&graph([one]), &UsageFile::default()).known_after().to_string()
    };
    // (0.02181159 + 4 × 0.00292353) × 730
    assert_eq!(at("us-central1", "google_compute_instance", &[("machine_type", text("e2-medium"))]), "$24.46");
    assert_eq!(at("eastus", "azurerm_linux_virtual_machine", &[("size", text("Standard_D2s_v3"))]), "$70.08");
    let tier = block(&[("tier", text("db-custom-2-7680")), ("disk_size", number(10))]);
    assert_eq!(at("us-central1", "google_sql_database_instance", &[("settings", tier)]), "$100.32");
}

fn planned(
    address: &str,
    kind: &str,
    action: ResourceAction,
    before: &[(&str, Attribute)],
    after: &[(&str, Attribute)],
) -> lem_model::resource::Resource {
    let mut one = resource(address, kind, after);
    one.action = Some(action);
    one.before = Some(before.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect());
    one
}

#[test]
fn a_plan_says_its_change_and_what_nobody_knows() {
    let size = |t: &str| {
        vec![
            ("instance_type", text(t)),
            ("root_block_device", block(&[("volume_size", number(8)), ("volume_type", text("gp3"))])),
        ]
    };
    let graph = graph([
        planned("aws_eks_cluster.main", "aws_eks_cluster", ResourceAction::Create, &[], &[]),
        planned("aws_instance.web", "aws_instance", ResourceAction::Update, &size("t3.micro"), &size("t3.small")),
        planned(
            "aws_instance.odd",
            "aws_instance",
            ResourceAction::Update,
            &[("instance_type", text("t3.small"))],
            &[("instance_type", text("x9.huge"))],
        ),
        planned("aws_quantum_thing.q", "aws_quantum_thing", ResourceAction::Create, &[], &[]),
        planned("aws_iam_role.r", "aws_iam_role", ResourceAction::Create, &[], &[]),
        planned("aws_nat_gateway.n", "aws_nat_gateway", ResourceAction::Delete, &[], &[]),
    ]);
    let found = estimate(&graph, &UsageFile::default());
    // + 73.00 + 7.592 − 32.85; the odd instance is known before and unknown after, so it counts on neither side.
    assert_eq!(
        change(&found),
        "+$47.74/month known (2 added, 2 changed, 1 removed); 2 resources unpriced: aws_instance.odd, aws_quantum_thing.q; \
         1 resource priced in part: aws_nat_gateway.n"
    );
    assert!(total(&found).starts_with("at least $88.82/month"), "{}", total(&found));
    let cost = found.plan_cost();
    assert_eq!(
        cost.after.amount - cost.before.amount,
        found.delta().amount,
        "the difference of the totals is the known change"
    );
    assert_eq!(cost.unknown.iter().filter(|u| u.address == "aws_quantum_thing.q").count(), 1);
    let odd = cost.resources.iter().find(|r| r.address == "aws_instance.odd").unwrap();
    assert_eq!((odd.after.clone(), odd.before.as_ref().map(ToString::to_string)), (None, Some("$15.18".into())));
    let shown = breakdown(&found, "2026-06-01".parse().unwrap());
    assert!(
        shown.contains("  Control plane: 730 hour × 0.1 USD = $73.00  (configured, aws.amazon.com/eks/pricing, "),
        "{shown}"
    );
    assert!(shown.contains("1 resource costs nothing of its own"), "{shown}");
}

#[test]
fn declared_usage_is_priced_and_the_document_has_infracosts_shape() {
    let (usage, warnings) = UsageFile::read(
        "infracost-usage.yml",
        "version: 0.1\nresource_usage:\n  x.fn:\n    monthly_requests: 1000000\n    request_duration_ms: 100\n",
    );
    assert_eq!(warnings, []);
    let graph = graph([
        resource("x.fn", "aws_lambda_function", &[("memory_size", number(1024))]),
        resource("x.q", "aws_quantum_thing", &[]),
    ]);
    let found = estimate(&graph, &usage);
    // 1 M × 0.0000002 + 100 000 GB-s × 0.0000166667
    assert_eq!(found.known_after().to_string(), "$1.87");
    let document = json::document(&found, "shop", "infra", jiff::Timestamp::UNIX_EPOCH);
    for key in [
        "version",
        "currency",
        "projects",
        "totalHourlyCost",
        "totalMonthlyCost",
        "pastTotalHourlyCost",
        "pastTotalMonthlyCost",
        "diffTotalHourlyCost",
        "diffTotalMonthlyCost",
        "timeGenerated",
        "summary",
    ] {
        assert!(document.get(key).is_some_and(|v| !v.is_null()), "{key} is required");
    }
    let resources = document["projects"][0]["breakdown"]["resources"].as_array().unwrap();
    assert_eq!(resources[0]["costComponents"][0]["monthlyCost"], "0.2");
    assert_eq!(resources[1]["monthlyCost"], serde_json::Value::Null, "unknown is null, never a number");
    assert_eq!(document["summary"]["totalUnsupportedResources"], 1);
    let numbers = ["totalMonthlyCost", "diffTotalHourlyCost"].map(|k| document[k].is_string());
    assert_eq!(numbers, [true, true], "every number is a string");
}

#[test]
fn a_budget_blocks_a_plan_and_names_its_rule() {
    let graph =
        graph([resource("aws_eks_cluster.main", "aws_eks_cluster", &[]), resource("x.q", "aws_quantum_thing", &[])]);
    let found = estimate(&graph, &UsageFile::default());
    let budget = |text: &str| {
        let node = lem_engine_yaml::parse_one(text, "lem.yaml", lem_engine_yaml::Options::default()).0.unwrap();
        Budget::read(&lem_engine_yaml::Reader::new("lem.yaml"), &node).unwrap()
    };
    let answer = |text: &str| budget(text).judge(&found);
    assert_eq!(
        answer("{name: small, monthly: 50 USD}").answer,
        GateAnswer::Deny(
            "budget small (lem.yaml:1:1) allows $50.00/month; the plan costs at least $73.00/month".into()
        )
    );
    assert_eq!(answer("{name: big, monthly: 80 USD}").answer, GateAnswer::Allow);
    assert_eq!(answer("{name: big, monthly: 80 USD}").warning(), Some(80));
    assert_eq!(answer("{name: big, monthly: 100 USD}").warning(), Some(50));
    assert!(
        matches!(answer("{name: eur, monthly: 500 EUR}").answer, GateAnswer::Deny(why) if why.contains("is in EUR"))
    );
    assert!(
        matches!(answer("{name: n, monthly: 500, unpriced: 0}").answer, GateAnswer::Deny(why) if why.contains("allows 0 resources without a price; there are 1"))
    );
    assert!(!budget("{name: p, environment: production, monthly: 1}").covers(Some(&"dev".into())));
}

#[test]
fn a_thousand_resources_are_priced_at_once() {
    let one =
        |i: usize| resource(&format!("aws_instance.i{i}"), "aws_instance", &[("instance_type", text("t3.micro"))]);
    let graph = graph((0..1000).map(one));
    let found = estimate(&graph, &UsageFile::default());
    assert_eq!(found.known_after().to_string(), "$7592.00");
    assert!(Book::embedded().edition().to_string().starts_with("libcloud-3.9.1 of 2025-03-02 + curated of "));
}
