//! A new price list against the one in force: what is added, what changed, what vanished.
//!
//! In: a price list of ours as JSON, Azure's retail prices, or AWS's offer file for EC2 as CSV. Out: rows for one dated
//! layer. A list that is broken or suspiciously short is refused; the old book stays in force.

use super::book::Book;
use super::layer::Layer;
use super::{PriceKey, PriceRow, UNITS};
use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use thiserror::Error;

/// Bytes of one price list.
pub const MAX_FEED_BYTES: usize = 64 * 1024 * 1024;
/// Rows a download must have to be believed.
pub const MIN_ROWS: usize = 1;

/// Why a list was refused.
#[derive(Debug, Error)]
pub enum FeedError {
    /// It cannot be reached.
    #[error("{what} is unreachable: {why}")]
    Unreachable {
        /// What.
        what: String,
        /// Cause.
        why: String,
    },
    /// It is not what it should be.
    #[error("{what} does not read: {why}")]
    Malformed {
        /// What.
        what: String,
        /// Cause.
        why: String,
    },
    /// More than we are ready to read.
    #[error("{what} is larger than {MAX_FEED_BYTES} bytes")]
    TooLarge {
        /// What.
        what: String,
    },
}

/// What a new list would change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RefreshReport {
    /// Keys that had no price.
    pub added: usize,
    /// Keys whose price differs.
    pub changed: usize,
    /// Keys whose price is the same.
    pub same: usize,
    /// Keys of the layer before this one that the list no longer has.
    pub vanished: usize,
}

/// Compares rows with the book in force and the layer they replace.
pub fn compare(rows: &[PriceRow], book: &Book, replaced: Option<&Layer>, on: Date) -> RefreshReport {
    let mut report = RefreshReport::default();
    for row in rows {
        match book.in_force(&row.key, on) {
            None => report.added += 1,
            Some(price) if price == row.price => report.same += 1,
            Some(_) => report.changed += 1,
        }
    }
    let fresh: std::collections::HashSet<&PriceKey> = rows.iter().map(|r| &r.key).collect();
    report.vanished = replaced.map_or(0, |layer| layer.rows().filter(|r| !fresh.contains(&r.key)).count());
    report
}

#[derive(Deserialize)]
struct OwnRow {
    provider: String,
    service: String,
    sku: String,
    region: String,
    unit: String,
    price: Decimal,
    currency: String,
    valid_from: Date,
    source: String,
}

/// A JSON array of rows with the columns of a layer.
pub fn own(what: &str, text: &str) -> Result<Vec<PriceRow>, FeedError> {
    let malformed = |why: String| FeedError::Malformed { what: what.to_owned(), why };
    let rows: Vec<OwnRow> = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
    if rows.len() < MIN_ROWS {
        return Err(malformed("it has no rows".into()));
    }
    let row = |(index, r): (usize, OwnRow)| {
        if !UNITS.contains(&r.unit.as_str()) {
            return Err(malformed(format!(
                "row {}: unknown unit \"{}\"; units are {}",
                index + 1,
                r.unit,
                UNITS.join(", ")
            )));
        }
        if r.price.is_sign_negative() {
            return Err(malformed(format!("row {}: price {} is negative", index + 1, r.price)));
        }
        let key = PriceKey { provider: r.provider, service: r.service, sku: r.sku, region: r.region, unit: r.unit };
        Ok(PriceRow { key, price: r.price, currency: r.currency, valid_from: r.valid_from, source: r.source })
    };
    rows.into_iter().enumerate().map(row).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AzurePage {
    items: Vec<AzureItem>,
    next_page_link: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AzureItem {
    #[serde(default)]
    arm_sku_name: String,
    #[serde(default)]
    arm_region_name: String,
    #[serde(default)]
    product_name: String,
    #[serde(default)]
    sku_name: String,
    retail_price: Decimal,
    currency_code: String,
    effective_start_date: String,
    #[serde(rename = "type")]
    kind: String,
}

/// Virtual machines of one page of Azure's retail prices, and the address of the next page.
pub fn azure(text: &str) -> Result<(Vec<PriceRow>, Option<String>), FeedError> {
    let malformed = |why: String| FeedError::Malformed { what: "Azure retail prices".into(), why };
    let page: AzurePage = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
    let rows = page.items.into_iter().filter_map(|item| {
        let discounted = ["Spot", "Low Priority"].iter().any(|word| item.sku_name.contains(word));
        if item.kind != "Consumption" || discounted || item.arm_sku_name.is_empty() {
            return None;
        }
        let system = if item.product_name.contains("Windows") { "windows" } else { "linux" };
        Some(PriceRow {
            key: PriceKey {
                provider: "azure".into(),
                service: "vm".into(),
                sku: format!("{system}/{}", item.arm_sku_name.to_lowercase().replace('_', "")),
                region: item.arm_region_name,
                unit: "hour".into(),
            },
            price: item.retail_price,
            currency: item.currency_code,
            valid_from: item.effective_start_date.get(..10)?.parse().ok()?,
            source: "Azure retail prices".into(),
        })
    });
    Ok((rows.collect(), page.next_page_link.filter(|l| !l.is_empty())))
}

/// Shared-tenancy on-demand Linux prices of AWS's EC2 offer file in its CSV form, whose first lines are not the table.
pub fn aws_ec2(text: &str) -> Result<Vec<PriceRow>, FeedError> {
    let malformed = |why: String| FeedError::Malformed { what: "the AWS EC2 offer file".into(), why };
    let start = text.find("\"SKU\"").ok_or_else(|| malformed("there is no line of column names".into()))?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&text.as_bytes()[start..]);
    let headers = reader.headers().map_err(|e| malformed(e.to_string()))?.clone();
    let index: HashMap<&str, usize> = headers.iter().enumerate().map(|(i, h)| (h, i)).collect();
    let needed = [
        "TermType",
        "Instance Type",
        "Operating System",
        "Tenancy",
        "Pre Installed S/W",
        "CapacityStatus",
        "Region Code",
        "PricePerUnit",
        "Currency",
        "EffectiveDate",
    ];
    if let Some(missing) = needed.iter().find(|n| !index.contains_key(**n)) {
        return Err(malformed(format!("column \"{missing}\" is missing")));
    }
    let mut rows = vec![];
    for record in reader.records() {
        let record = record.map_err(|e| malformed(e.to_string()))?;
        let cell = |name: &str| record.get(index[name]).unwrap_or_default();
        let wanted = [
            ("TermType", "OnDemand"),
            ("Operating System", "Linux"),
            ("Tenancy", "Shared"),
            ("Pre Installed S/W", "NA"),
            ("CapacityStatus", "Used"),
        ];
        if wanted.iter().any(|(column, value)| cell(column) != *value) {
            continue;
        }
        let (Ok(price), Ok(valid_from)) = (cell("PricePerUnit").parse(), cell("EffectiveDate").parse()) else {
            return Err(malformed(format!("row of {} has no price or date", cell("Instance Type"))));
        };
        rows.push(PriceRow {
            key: PriceKey {
                provider: "aws".into(),
                service: "ec2".into(),
                sku: format!("linux/{}", cell("Instance Type")),
                region: cell("Region Code").to_owned(),
                unit: "hour".into(),
            },
            price,
            currency: cell("Currency").to_owned(),
            valid_from,
            source: "AWS price list".into(),
        });
    }
    if rows.len() < MIN_ROWS { Err(malformed("it has no rows".into())) } else { Ok(rows) }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn shown(rows: &[PriceRow]) -> Vec<String> {
        rows.iter().map(|r| format!("{} = {} {} from {}", r.key, r.price, r.currency, r.valid_from)).collect()
    }

    #[test]
    fn azure_pages_keep_what_is_for_everybody() {
        let text = r#"{"Items":[
          {"armSkuName":"Standard_D2s_v3","armRegionName":"eastus","productName":"Virtual Machines DSv3 Series","skuName":"D2s v3","retailPrice":0.096,"currencyCode":"USD","effectiveStartDate":"2026-01-01T00:00:00Z","type":"Consumption"},
          {"armSkuName":"Standard_D2s_v3","armRegionName":"eastus","productName":"Virtual Machines DSv3 Series","skuName":"D2s v3 Spot","retailPrice":0.02,"currencyCode":"USD","effectiveStartDate":"2026-01-01T00:00:00Z","type":"Consumption"}],
          "NextPageLink":"https://example.org/2"}"#;
        let (rows, next) = azure(text).unwrap();
        assert_eq!(shown(&rows), ["azure vm linux/standardd2sv3 in eastus per hour = 0.096 USD from 2026-01-01"]);
        assert_eq!(next.as_deref(), Some("https://example.org/2"));
        assert!(azure("{\"Items\":").unwrap_err().to_string().contains("does not read"));
    }

    #[test]
    fn aws_offers_keep_shared_linux_on_demand() {
        let head = "\"FormatVersion\",\"v1.0\"\n\"SKU\",\"TermType\",\"EffectiveDate\",\"PricePerUnit\",\"Currency\",\"Region Code\",\"Instance Type\",\"Tenancy\",\"Operating System\",\"CapacityStatus\",\"Pre Installed S/W\"\n";
        let row = |tenancy: &str| {
            format!(
                "\"X\",\"OnDemand\",\"2026-02-01\",\"0.0960000000\",\"USD\",\"us-east-1\",\"m5.large\",\"{tenancy}\",\"Linux\",\"Used\",\"NA\"\n"
            )
        };
        let rows = aws_ec2(&format!("{head}{}{}", row("Shared"), row("Dedicated"))).unwrap();
        assert_eq!(shown(&rows), ["aws ec2 linux/m5.large in us-east-1 per hour = 0.0960000000 USD from 2026-02-01"]);
        assert!(aws_ec2(head).unwrap_err().to_string().contains("it has no rows"));
        assert!(aws_ec2("<html>").unwrap_err().to_string().contains("no line of column names"));
    }

    #[test]
    fn a_new_list_is_compared_with_the_one_in_force() {
        let text = r#"[{"provider":"aws","service":"ebs","sku":"gp3","region":"us-east-1","unit":"gb-month","price":"0.08","currency":"USD","valid_from":"2026-01-01","source":"x"},
          {"provider":"aws","service":"ebs","sku":"gp2","region":"us-east-1","unit":"gb-month","price":"0.09","currency":"USD","valid_from":"2026-01-01","source":"x"},
          {"provider":"aws","service":"ebs","sku":"gp9","region":"us-east-1","unit":"gb-month","price":"0.09","currency":"USD","valid_from":"2026-01-01","source":"x"}]"#;
        let rows = own("file.json", text).unwrap();
        let old = Layer::of("old", own("old", &text.replace("gp9", "gp8")).unwrap());
        let report = compare(&rows, &Book::embedded(), Some(&old), "2026-06-01".parse().unwrap());
        assert_eq!(report, RefreshReport { added: 1, changed: 1, same: 1, vanished: 1 });
        assert!(
            own("f", &text.replace("gb-month", "gb-moth")).unwrap_err().to_string().contains("row 1: unknown unit")
        );
        assert!(own("f", "[]").is_err());
    }
}
