//! FOCUS out and in.

use crate::graph::{graph, resource, text};
use lem_optimize::focus::columns::{COLUMNS, validate};
use lem_optimize::focus::read::{Bill, read};
use lem_optimize::focus::write::{Account, export};
use lem_optimize::infracost::usage::UsageFile;
use lem_optimize::plan::allocate::Owner;
use lem_optimize::plan::estimate::{Estimate, Pricing};
use lem_optimize::price::book::Book;
use std::collections::BTreeMap;

fn exported() -> lem_optimize::focus::write::Export {
    let graph = graph([
        resource("aws_instance.web", "aws_instance", &[("instance_type", text("t3.micro"))]),
        resource("aws_nat_gateway.n", "aws_nat_gateway", &[]),
        resource("aws_quantum_thing.q", "aws_quantum_thing", &[]),
    ]);
    let (book, usage) = (Book::embedded(), UsageFile::default());
    let pricing = Pricing { book: &book, usage: &usage, currency: "USD", on: "2026-06-15".parse().unwrap() };
    let account = Account { id: "local", environment: "production", month: "2026-06-15".parse().unwrap() };
    export(&Estimate::of(&graph, &pricing), &account, &|_| Owner { name: "platform".into(), by: "label" })
}

#[test]
fn the_export_passes_the_column_rules_and_leaves_the_unknown_out() {
    let found = exported();
    assert_eq!(validate("cost.csv", &found.rows), []);
    assert_eq!((found.count, found.unknown), (2, 3));
    assert!(
        found.unpriced.contains("aws_quantum_thing.q,aws_quantum_thing,,nothing is known about the billing"),
        "{}",
        found.unpriced
    );
    let bill = read("cost.csv", found.rows.as_bytes()).unwrap();
    for charge in &bill.charges {
        let cells =
            ["BilledCost", "x_Estimated", "BillingPeriodStart", "BillingPeriodEnd", "x_Team"].map(|c| charge.cell(c));
        assert_eq!(cells, ["0", "true", "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z", "platform"]);
    }
    let costs: Vec<String> = bill.by("ServiceName").values().map(ToString::to_string).collect();
    assert_eq!(costs, ["$7.59", "$32.85"]);
}

#[test]
fn what_is_exported_reads_back_as_it_was_and_twice_is_once() {
    let text = exported().rows;
    let bill = read("cost.csv", text.as_bytes()).unwrap();
    let mut writer = csv::Writer::from_writer(vec![]);
    writer.write_record(COLUMNS.iter().map(|c| c.name)).unwrap();
    for charge in &bill.charges {
        writer.write_record(COLUMNS.iter().map(|c| charge.cell(c.name))).unwrap();
    }
    assert_eq!(String::from_utf8(writer.into_inner().unwrap()).unwrap(), text);
    let mut kept = BTreeMap::new();
    assert_eq!(bill.clone().merge_into(&mut kept), 2);
    assert_eq!(bill.merge_into(&mut kept), 0);
}

#[test]
fn a_broken_row_is_rejected_with_its_rule_and_the_rest_counts() {
    let text = exported().rows.replacen(",Usage,", ",Fee,", 1);
    let bill = read("cost.csv", text.as_bytes()).unwrap();
    assert_eq!((bill.charges.len(), bill.rejected.len()), (1, 1));
    assert!(bill.rejected[0].1.starts_with("ChargeCategory \"Fee\" is none of"), "{:?}", bill.rejected);
    assert!(bill.rejected_csv().starts_with("row,rule\n2,"));
    let lacking = read("cost.csv", "BilledCost\n1\n".as_bytes()).unwrap_err();
    assert!(lacking.iter().any(|d| d.message == "mandatory column ServiceName is missing"));
    assert_eq!(Bill::default().by("ServiceName").len(), 0);
}
