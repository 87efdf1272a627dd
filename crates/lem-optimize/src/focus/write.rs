//! An estimate as FOCUS 1.3 rows.

use super::columns::COLUMNS;
use crate::plan::allocate::Owner;
use crate::plan::estimate::{Component, Estimate, Line};
use jiff::ToSpan;
use jiff::civil::Date;
use std::collections::HashMap;

/// Both files of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// FOCUS rows.
    pub rows: String,
    /// `address,kind,component,reason` of what has no price.
    pub unpriced: String,
    /// How many rows.
    pub count: usize,
    /// How many components are unpriced.
    pub unknown: usize,
}

/// What the rows need to know beside the estimate.
#[derive(Debug)]
pub struct Account<'a> {
    /// Billing account, as its owner calls it.
    pub id: &'a str,
    /// Name of the environment.
    pub environment: &'a str,
    /// Any day of the month that is estimated.
    pub month: Date,
}

/// One row per priced component of what will exist.
pub fn export(estimate: &Estimate, account: &Account<'_>, owner: &dyn Fn(&Line) -> Owner) -> Export {
    let mut rows = csv::Writer::from_writer(vec![]);
    let mut unpriced = csv::Writer::from_writer(vec![]);
    let header = COLUMNS.iter().map(|c| c.name);
    rows.write_record(header).expect("writing to memory does not fail");
    unpriced.write_record(["address", "kind", "component", "reason"]).expect("writing to memory does not fail");
    let (mut count, mut unknown) = (0, 0);
    for line in estimate.lines.iter().filter(|l| !l.free) {
        let Some(side) = &line.after else { continue };
        if let Some(why) = &side.unsupported {
            unknown += 1;
            unpriced.write_record([&line.address, &line.kind, "", why]).expect("writing to memory does not fail");
        }
        for component in &side.components {
            match row(line, component, account, &owner(line)) {
                Some(cells) => {
                    count += 1;
                    let record = COLUMNS.iter().map(|c| cells.get(c.name).map_or("", String::as_str));
                    rows.write_record(record).expect("writing to memory does not fail");
                }
                None => {
                    unknown += 1;
                    let why = component.unknown().unwrap_or_default();
                    let cells = [&line.address, &line.kind, &component.name, &why];
                    unpriced.write_record(cells).expect("writing to memory does not fail");
                }
            }
        }
    }
    let text = |writer: csv::Writer<Vec<u8>>| {
        String::from_utf8(writer.into_inner().expect("a flush to memory does not fail")).expect("only text was written")
    };
    Export { rows: text(rows), unpriced: text(unpriced), count, unknown }
}

fn row(
    line: &Line,
    component: &Component,
    account: &Account<'_>,
    owner: &Owner,
) -> Option<HashMap<&'static str, String>> {
    let monthly = component.monthly.as_ref()?;
    let (quantity, _) = component.quantity.as_ref().ok()?;
    let price = component.price.as_ref().ok()?;
    let (start, end) = month(account.month);
    let provider = provider(&line.kind);
    let cost = monthly.amount.normalize().to_string();
    let unit_price = price.amount.normalize().to_string();
    let quantity = quantity.normalize().to_string();
    let tags = serde_json::json!({"environment": account.environment}).to_string();
    let cells = [
        ("BilledCost", "0".to_owned()),
        ("BillingAccountId", account.id.to_owned()),
        ("BillingCurrency", monthly.currency.clone()),
        ("BillingPeriodStart", start.clone()),
        ("BillingPeriodEnd", end.clone()),
        ("ChargeCategory", "Usage".into()),
        ("ChargeDescription", component.name.clone()),
        ("ChargeFrequency", "Usage-Based".into()),
        ("ChargePeriodStart", start),
        ("ChargePeriodEnd", end),
        ("ConsumedQuantity", quantity.clone()),
        ("ConsumedUnit", component.unit.clone()),
        ("ContractedCost", cost.clone()),
        ("ContractedUnitPrice", unit_price.clone()),
        ("EffectiveCost", cost.clone()),
        ("HostProviderName", provider.to_owned()),
        ("InvoiceIssuerName", provider.to_owned()),
        ("ListCost", cost),
        ("ListUnitPrice", unit_price),
        ("PricingCategory", "Standard".into()),
        ("PricingCurrency", price.currency.clone()),
        ("PricingQuantity", quantity),
        ("PricingUnit", component.unit.clone()),
        ("ProviderName", provider.to_owned()),
        ("PublisherName", provider.to_owned()),
        ("ResourceId", line.address.clone()),
        ("ResourceName", line.address.clone()),
        ("ResourceType", line.kind.clone()),
        ("ServiceCategory", category(&line.kind).to_owned()),
        ("ServiceName", line.kind.clone()),
        ("ServiceProviderName", provider.to_owned()),
        ("SkuMeter", component.name.clone()),
        ("Tags", tags),
        ("x_Estimated", "true".into()),
        ("x_PriceSource", price.source.clone()),
        ("x_PriceAge", price.age_days(account.month).max(0).to_string()),
        ("x_Team", owner.name.clone()),
    ];
    Some(cells.into_iter().collect())
}

/// Start and exclusive end of a month.
fn month(day: Date) -> (String, String) {
    let first = day.first_of_month();
    let next = first.checked_add(1.month()).unwrap_or(first);
    let midnight = |day: Date| format!("{day}T00:00:00Z");
    (midnight(first), midnight(next))
}

fn provider(kind: &str) -> &'static str {
    if kind.starts_with("aws_") || kind.starts_with("AWS::") {
        "AWS"
    } else if kind.starts_with("google_") {
        "Google Cloud"
    } else if kind.starts_with("azurerm_") {
        "Microsoft"
    } else {
        "Kubernetes"
    }
}

fn category(kind: &str) -> &'static str {
    let kind = kind.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|w| kind.contains(w));
    if any(&["db_", "dbinstance", "rds", "dynamodb", "elasticache", "redshift", "sql"]) {
        "Databases"
    } else if any(&["ebs", "s3_", "s3::", "bucket", "volume", "disk", "efs", "ecr", "registry"]) {
        "Storage"
    } else if any(&["_lb", "elb", "alb", "nat", "eip", "vpc", "route53", "public_ip", "forwarding", "v1/service"]) {
        "Networking"
    } else if any(&["kms", "secret", "waf", "vault"]) {
        "Security"
    } else if any(&["cloudwatch", "log"]) {
        "Management and Governance"
    } else if any(&["instance", "lambda", "eks", "cluster", "machine", "deployment", "pod", "statefulset", "run"]) {
        "Compute"
    } else {
        "Other"
    }
}
