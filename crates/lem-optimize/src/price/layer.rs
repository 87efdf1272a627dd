//! A layer of prices written as CSV: `provider,service,sku,region,unit,price,currency,valid_from,source`.
//!
//! A layer with an error is refused whole, so that a typing mistake never leaves half a price list in force.

use super::{PriceKey, PriceRow, UNITS};
use jiff::civil::Date;
use lem_model::diagnostic::nearest;
use lem_model::{Diagnostic, Place};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Columns, in any order.
pub const COLUMNS: [&str; 9] =
    ["provider", "service", "sku", "region", "unit", "price", "currency", "valid_from", "source"];
/// Rows of one layer.
pub const MAX_ROWS: usize = 1_000_000;

/// Rows under one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// File it was read from.
    pub name: String,
    rows: BTreeMap<PriceKey, BTreeMap<Date, PriceRow>>,
}

impl Layer {
    /// Reads a layer; every wrong row is an error with its line.
    pub fn read(name: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut layer = Self { name: name.to_owned(), rows: BTreeMap::new() };
        let mut found = vec![];
        let mut lines: BTreeMap<(PriceKey, Date), u64> = BTreeMap::new();
        let mut reader = csv::ReaderBuilder::new().comment(Some(b'#')).flexible(true).from_reader(text.as_bytes());
        let columns = match columns(name, &mut reader) {
            Ok(columns) => columns,
            Err(diagnostic) => return Err(vec![diagnostic]),
        };
        for record in reader.records().take(MAX_ROWS + 1) {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(0, csv::Position::line);
                    found.push(Diagnostic::error("price-row", error.to_string(), place(name, line)));
                    break;
                }
            };
            let line = record.position().map_or(0, csv::Position::line);
            match row(name, line, &columns, &record) {
                Ok(row) => match lines.entry((row.key.clone(), row.valid_from)) {
                    Entry::Vacant(entry) => {
                        entry.insert(line);
                        layer.rows.entry(row.key.clone()).or_default().insert(row.valid_from, row);
                    }
                    Entry::Occupied(first) => found.push(twice(name, line, *first.get(), &row)),
                },
                Err(diagnostic) => found.push(diagnostic),
            }
        }
        if lines.len() > MAX_ROWS {
            found.push(Diagnostic::error("too-many-rows", format!("more than {MAX_ROWS} rows"), Place::file(name)));
        }
        if found.is_empty() { Ok(layer) } else { Err(found) }
    }

    /// A layer made of rows; the last of two with the same key and day stands.
    pub fn of(name: &str, rows: impl IntoIterator<Item = PriceRow>) -> Self {
        let mut layer = Self { name: name.to_owned(), rows: BTreeMap::new() };
        for row in rows {
            layer.rows.entry(row.key.clone()).or_default().insert(row.valid_from, row);
        }
        layer
    }

    /// The newest row of a key that is valid on a day.
    pub fn find(&self, key: &PriceKey, on: Date) -> Option<&PriceRow> {
        self.rows.get(key)?.range(..=on).next_back().map(|(_, row)| row)
    }

    /// Every row, in order of key and day.
    pub fn rows(&self) -> impl Iterator<Item = &PriceRow> {
        self.rows.values().flat_map(BTreeMap::values)
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.values().map(BTreeMap::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The layer as CSV, readable again.
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(vec![]);
        writer.write_record(COLUMNS).expect("writing to memory does not fail");
        for row in self.rows() {
            let (k, price, day) = (&row.key, row.price.to_string(), row.valid_from.to_string());
            let cells: [&str; 9] =
                [&k.provider, &k.service, &k.sku, &k.region, &k.unit, &price, &row.currency, &day, &row.source];
            writer.write_record(cells).expect("writing to memory does not fail");
        }
        String::from_utf8(writer.into_inner().expect("a flush to memory does not fail")).expect("only text was written")
    }
}

fn place(name: &str, line: u64) -> Place {
    Place::new(name, u32::try_from(line).unwrap_or(u32::MAX), 0)
}

fn columns(name: &str, reader: &mut csv::Reader<&[u8]>) -> Result<[usize; 9], Diagnostic> {
    let headers =
        reader.headers().map_err(|e| Diagnostic::error("price-columns", e.to_string(), Place::file(name)))?.clone();
    let line = headers.position().map_or(1, csv::Position::line);
    let mut found = [0; 9];
    for (slot, column) in found.iter_mut().zip(COLUMNS) {
        *slot = headers.iter().position(|h| h.trim() == column).ok_or_else(|| {
            Diagnostic::error("price-columns", format!("column \"{column}\" is missing"), place(name, line))
                .with_hint(format!("the first line names {}", COLUMNS.join(",")))
        })?;
    }
    Ok(found)
}

fn row(name: &str, line: u64, columns: &[usize; 9], record: &csv::StringRecord) -> Result<PriceRow, Diagnostic> {
    let error = |code, message: String| Diagnostic::error(code, message, place(name, line));
    let cell = |index: usize| record.get(columns[index]).unwrap_or_default().trim().to_owned();
    for (index, column) in COLUMNS.iter().enumerate() {
        if cell(index).is_empty() {
            return Err(error("price-row", format!("{column} is empty")));
        }
    }
    let (unit, price, day) = (cell(4), cell(5), cell(7));
    if !UNITS.contains(&unit.as_str()) {
        let near = nearest(&unit, UNITS).map_or(String::new(), |n| format!("did you mean \"{n}\"? "));
        let hint = format!("{near}units are {}", UNITS.join(", "));
        return Err(error("price-unit", format!("unknown unit \"{unit}\"")).with_hint(hint));
    }
    let amount: Decimal = price.parse().map_err(|_| {
        let plain = error("price-decimal", format!("price \"{price}\" is not a decimal"));
        let dotted = price.replace(',', ".");
        if dotted.parse::<Decimal>().is_ok() { plain.with_hint(format!("use {dotted}")) } else { plain }
    })?;
    if amount.is_sign_negative() && !amount.is_zero() {
        return Err(error("price-negative", format!("price {amount} is negative"))
            .with_hint("a discount stands in lem.yaml under optimize.discounts"));
    }
    let valid_from: Date = day.parse().map_err(|_| {
        error("price-date", format!("valid_from \"{day}\" is no date")).with_hint("write it as 2025-03-31")
    })?;
    let key = PriceKey { provider: cell(0), service: cell(1), sku: cell(2), region: cell(3), unit };
    Ok(PriceRow { key, price: amount, currency: cell(6), valid_from, source: cell(8) })
}

fn twice(name: &str, line: u64, first: u64, row: &PriceRow) -> Diagnostic {
    let message = format!("{} has a second price from {}; the first is in line {first}", row.key, row.valid_from);
    Diagnostic::error("price-twice", message, place(name, line)).with_hint("delete one, or give it another date")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn complain(row: &str) -> String {
        let text = format!("{}\n{row}\n", COLUMNS.join(","));
        Layer::read("prices.d/eu.csv", &text).unwrap_err()[0].to_string()
    }

    #[test]
    fn a_wrong_row_is_named_with_its_line_and_refuses_the_layer() {
        let at = "prices.d/eu.csv:2: ";
        let cases = [
            (
                "aws,ebs,gp3,eu,gb-month,\"1,20\",USD,2025-01-01,x",
                "price \"1,20\" is not a decimal [price-decimal]\n  help: use 1.20",
            ),
            ("aws,ebs,gp3,eu,gb-month,-1,USD,2025-01-01,x", "price -1 is negative"),
            (
                "aws,ebs,gp3,eu,gb-moth,1,USD,2025-01-01,x",
                "unknown unit \"gb-moth\" [price-unit]\n  help: did you mean \"gb-month\"?",
            ),
            ("aws,ebs,gp3,eu,gb-month,1,USD,1.1.2025,x", "valid_from \"1.1.2025\" is no date"),
            ("aws,ebs,,eu,gb-month,1,USD,2025-01-01,x", "sku is empty"),
        ];
        for (row, expect) in cases {
            let said = complain(row);
            assert!(said.starts_with(&format!("{at}{expect}")), "{row}: {said}");
        }
        let said = complain("a,b,c,d,hour,1,USD,2025-01-01,x\na,b,c,d,hour,2,USD,2025-01-01,x");
        assert!(said.starts_with("prices.d/eu.csv:3: a b c in d per hour has a second price"), "{said}");
        assert!(said.contains("the first is in line 2"), "{said}");
        let said = Layer::read("x.csv", "provider,service\n").unwrap_err()[0].to_string();
        assert!(said.starts_with("x.csv:1: column \"sku\" is missing"), "{said}");
    }

    #[test]
    fn the_newest_row_that_is_valid_answers_and_the_layer_writes_back() {
        let text = format!("{}\na,b,c,d,hour,1,USD,2025-01-01,x\na,b,c,d,hour,2,USD,2026-01-01,x\n", COLUMNS.join(","));
        let layer = Layer::read("x", &text).unwrap();
        let key = layer.rows().next().unwrap().key.clone();
        let on = |day: &str| layer.find(&key, day.parse().unwrap()).map(|r| r.price.to_string());
        assert_eq!(on("2024-12-31"), None);
        assert_eq!(on("2025-12-31").as_deref(), Some("1"));
        assert_eq!(on("2026-01-01").as_deref(), Some("2"));
        assert_eq!(Layer::read("x", &layer.csv()).unwrap(), layer);
    }
}
