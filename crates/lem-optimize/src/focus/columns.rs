//! The columns of FOCUS 1.3 and their rules, as data, and a validator over them.

use lem_model::{Diagnostic, Place};
use rust_decimal::Decimal;

/// Kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A decimal without sign for positives and without separators.
    Decimal,
    /// `YYYY-MM-DDTHH:mm:ssZ`.
    Time,
    /// A flat JSON object.
    Map,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// Whether a column must be there, and whether its cells may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// There, and never empty.
    Required,
    /// There; a cell may be empty.
    Nullable,
    /// May be missing; a cell may be empty.
    Optional,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Name.
    pub name: &'static str,
    /// Level.
    pub level: Level,
    /// Kind.
    pub kind: Kind,
}

const CHARGE_CATEGORY: &[&str] = &["Usage", "Purchase", "Tax", "Credit", "Adjustment"];
const CHARGE_CLASS: &[&str] = &["Correction"];
const CHARGE_FREQUENCY: &[&str] = &["One-Time", "Recurring", "Usage-Based"];
const PRICING_CATEGORY: &[&str] = &["Standard", "Dynamic", "Committed", "Other"];
const SERVICE_CATEGORY: &[&str] = &[
    "AI and Machine Learning",
    "Analytics",
    "Business Applications",
    "Compute",
    "Databases",
    "Developer Tools",
    "Multicloud",
    "Identity",
    "Integration",
    "Internet of Things",
    "Management and Governance",
    "Media",
    "Migration",
    "Mobile",
    "Networking",
    "Security",
    "Storage",
    "Web",
    "Other",
];

const fn column(name: &'static str, level: Level, kind: Kind) -> Column {
    Column { name, level, kind }
}

/// Columns in the order in which they are written; our own, prefixed `x_`, come last.
pub const COLUMNS: [Column; 49] = {
    use Kind::{Decimal as Number, Map, Text, Time, Word};
    use Level::{Nullable, Optional, Required};
    [
        column("BilledCost", Required, Number),
        column("BillingAccountId", Required, Text),
        column("BillingAccountName", Nullable, Text),
        column("BillingCurrency", Required, Text),
        column("BillingPeriodStart", Required, Time),
        column("BillingPeriodEnd", Required, Time),
        column("ChargeCategory", Required, Word(CHARGE_CATEGORY)),
        column("ChargeClass", Nullable, Word(CHARGE_CLASS)),
        column("ChargeDescription", Nullable, Text),
        column("ChargeFrequency", Optional, Word(CHARGE_FREQUENCY)),
        column("ChargePeriodStart", Required, Time),
        column("ChargePeriodEnd", Required, Time),
        column("ConsumedQuantity", Optional, Number),
        column("ConsumedUnit", Optional, Text),
        column("ContractedCost", Required, Number),
        column("ContractedUnitPrice", Optional, Number),
        column("EffectiveCost", Required, Number),
        column("HostProviderName", Required, Text),
        column("InvoiceId", Optional, Text),
        column("InvoiceIssuerName", Required, Text),
        column("ListCost", Required, Number),
        column("ListUnitPrice", Optional, Number),
        column("PricingCategory", Optional, Word(PRICING_CATEGORY)),
        column("PricingCurrency", Optional, Text),
        column("PricingQuantity", Nullable, Number),
        column("PricingUnit", Nullable, Text),
        column("ProviderName", Required, Text),
        column("PublisherName", Required, Text),
        column("RegionId", Optional, Text),
        column("RegionName", Optional, Text),
        column("ResourceId", Optional, Text),
        column("ResourceName", Optional, Text),
        column("ResourceType", Optional, Text),
        column("ServiceCategory", Required, Word(SERVICE_CATEGORY)),
        column("ServiceName", Required, Text),
        column("ServiceProviderName", Required, Text),
        column("ServiceSubcategory", Optional, Text),
        column("SkuId", Optional, Text),
        column("SkuMeter", Optional, Text),
        column("SkuPriceId", Optional, Text),
        column("SubAccountId", Optional, Text),
        column("SubAccountName", Optional, Text),
        column("Tags", Optional, Map),
        column("AllocatedMethodId", Optional, Text),
        column("AllocatedMethodDetails", Optional, Text),
        column("x_Estimated", Optional, Word(&["true", "false"])),
        column("x_PriceSource", Optional, Text),
        column("x_PriceAge", Optional, Number),
        column("x_Team", Optional, Text),
    ]
};

/// A column by its name.
pub fn by_name(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|c| c.name == name)
}

/// Columns every file must have that this header lacks. Files before 1.3 do not know the two provider names of 1.3.
pub fn missing(header: &csv::StringRecord) -> Vec<&'static str> {
    let has = |name: &str| header.iter().any(|h| h == name);
    let since_1_3 = |name: &str| name == "ServiceProviderName" || name == "HostProviderName";
    let old = !has("ServiceProviderName") && has("ProviderName");
    let needed = COLUMNS.iter().filter(|c| c.level != Level::Optional && !(old && since_1_3(c.name)));
    needed.map(|c| c.name).filter(|name| !has(name)).collect()
}

/// What is wrong with one cell.
pub fn wrong(column: &Column, cell: &str) -> Option<String> {
    if cell.is_empty() {
        return (column.level == Level::Required).then(|| format!("{} must not be empty", column.name));
    }
    match column.kind {
        Kind::Text => None,
        Kind::Decimal => {
            let plain = !cell.starts_with('+') && !cell.contains(',');
            let number = cell.parse::<Decimal>().is_ok() || Decimal::from_scientific(cell).is_ok();
            (!plain || !number).then(|| format!("{} \"{cell}\" is no decimal", column.name))
        }
        Kind::Time => {
            let whole = cell.len() == 20 && cell.ends_with('Z') && cell.parse::<jiff::Timestamp>().is_ok();
            (!whole).then(|| format!("{} \"{cell}\" is no time such as 2026-01-31T00:00:00Z", column.name))
        }
        Kind::Map => {
            let map = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(cell);
            let flat = map.is_ok_and(|m| m.values().all(|v| !v.is_object() && !v.is_array()));
            (!flat).then(|| format!("{} is no flat JSON object", column.name))
        }
        Kind::Word(words) => {
            (!words.contains(&cell)).then(|| format!("{} \"{cell}\" is none of {}", column.name, words.join(", ")))
        }
    }
}

/// Checks a whole file by the published column rules.
pub fn validate(file: &str, text: &str) -> Vec<Diagnostic> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let Ok(header) = reader.headers().cloned() else {
        return vec![Diagnostic::error("focus-csv", "no header", Place::file(file))];
    };
    let place = |line: u64| Place::new(file, u32::try_from(line).unwrap_or(u32::MAX), 0);
    let mut found: Vec<Diagnostic> = missing(&header)
        .into_iter()
        .map(|name| Diagnostic::error("focus-column", format!("mandatory column {name} is missing"), place(1)))
        .collect();
    let own_before = header.iter().skip_while(|h| !h.starts_with("x_")).find(|h| !h.starts_with("x_"));
    if let Some(late) = own_before {
        found.push(Diagnostic::error("focus-order", format!("{late} stands after columns of our own"), place(1)));
    }
    for record in reader.records() {
        let Ok(record) = record else {
            found.push(Diagnostic::error("focus-csv", "a row does not read", Place::file(file)));
            break;
        };
        let line = record.position().map_or(0, csv::Position::line);
        for (name, cell) in header.iter().zip(record.iter()) {
            if let Some(why) = by_name(name).and_then(|column| wrong(column, cell)) {
                found.push(Diagnostic::error("focus-value", why, place(line)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_judged_by_their_kind() {
        let cases = [
            ("BilledCost", "", Some("BilledCost must not be empty")),
            ("BilledCost", "+1", Some("BilledCost \"+1\" is no decimal")),
            ("BilledCost", "1,000.5", Some("BilledCost \"1,000.5\" is no decimal")),
            ("BilledCost", "1.5E-3", None),
            ("BilledCost", "-1.5", None),
            ("ChargePeriodStart", "2026-01-01T00:00:00Z", None),
            (
                "ChargePeriodStart",
                "2026-01-01",
                Some("ChargePeriodStart \"2026-01-01\" is no time such as 2026-01-31T00:00:00Z"),
            ),
            ("ChargeClass", "", None),
            ("Tags", "{\"a\":1}", None),
            ("Tags", "{\"a\":{}}", Some("Tags is no flat JSON object")),
        ];
        for (name, cell, expect) in cases {
            let column = by_name(name).expect("the column is in the table");
            assert_eq!(wrong(column, cell).as_deref(), expect, "{name} {cell}");
        }
        let column = by_name("ChargeCategory").expect("the column is in the table");
        assert!(wrong(column, "Fee").is_some_and(|w| w.contains("is none of Usage, Purchase")));
    }

    #[test]
    fn a_file_without_a_mandatory_column_is_refused_by_name() {
        let found = validate("f.csv", "BilledCost,x_Team,Tags\n1,a,{}\n");
        assert!(
            found.iter().any(|d| d.to_string() == "f.csv:1: mandatory column EffectiveCost is missing [focus-column]")
        );
        assert!(found.iter().any(|d| d.message == "Tags stands after columns of our own"));
    }
}
