//! The layered book.

use super::discount::{Discount, apply};
use super::layer::Layer;
use super::{Price, PriceAnswer, PriceKey, PriceQuery, PriceRow, Reason};
use crate::engine::embedded::{Cell, Edition};
use crate::engine::{BookEdition, LayerInfo, PriceBook};
use jiff::civil::Date;
use lem_model::Diagnostic;
use lem_model::money::Money;
use std::path::Path;

/// Files read from `prices.d`.
pub const MAX_LAYERS: usize = 64;

/// Every layer, lowest first: embedded, the user's files, discounts, effective rates.
#[derive(Debug)]
pub struct Book {
    edition: &'static Edition,
    layers: Vec<Layer>,
    discounts: Vec<Discount>,
    effective: Option<Layer>,
}

impl Book {
    /// The embedded edition alone.
    pub fn embedded() -> Self {
        Self { edition: Edition::get(), layers: vec![], discounts: vec![], effective: None }
    }

    /// The same under more layers, the last of which wins.
    #[must_use]
    pub fn with(mut self, layers: impl IntoIterator<Item = Layer>) -> Self {
        self.layers.extend(layers);
        self
    }

    /// The same with discounts.
    #[must_use]
    pub fn discounted(mut self, discounts: Vec<Discount>) -> Self {
        self.discounts = discounts;
        self
    }

    /// The same with the rates a bill really charged.
    #[must_use]
    pub fn effective(mut self, layer: Option<Layer>) -> Self {
        self.effective = layer;
        self
    }

    /// Reads `*.csv` of a folder in lexical order. A layer with an error is left out and its errors are given.
    pub fn read_layers(folder: &Path) -> (Vec<Layer>, Vec<Diagnostic>) {
        let (mut layers, mut found) = (vec![], vec![]);
        let Ok(entries) = std::fs::read_dir(folder) else { return (layers, found) };
        let mut files: Vec<_> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
        files.retain(|p| p.extension().is_some_and(|e| e == "csv"));
        files.sort();
        let name =
            |path: &Path| path.file_name().map_or_else(String::new, |n| format!("prices.d/{}", n.to_string_lossy()));
        for path in files.iter().skip(MAX_LAYERS) {
            let place = lem_model::Place::file(name(path));
            found.push(Diagnostic::error("too-many-layers", format!("at most {MAX_LAYERS} layers are read"), place));
        }
        for path in files.iter().take(MAX_LAYERS) {
            match std::fs::read_to_string(path) {
                Ok(text) => match Layer::read(&name(path), &text) {
                    Ok(layer) => layers.push(layer),
                    Err(errors) => found.extend(errors),
                },
                Err(error) => {
                    found.push(Diagnostic::error("unreadable", error.to_string(), lem_model::Place::file(name(path))));
                }
            }
        }
        (layers, found)
    }

    /// Rows that a new list would change, against what is in force on a day.
    pub fn in_force(&self, key: &PriceKey, on: Date) -> Option<rust_decimal::Decimal> {
        match self.list_price(key, on) {
            PriceAnswer::Known(price) => Some(price.amount),
            PriceAnswer::Unknown(_) => None,
        }
    }

    /// The same amount in another currency, when a rate row says how.
    pub fn convert(&self, money: Money, to: &str, on: Date) -> Result<Money, Reason> {
        if money.currency == to {
            return Ok(money);
        }
        let key = PriceKey {
            provider: "fx".into(),
            service: money.currency.clone(),
            sku: to.to_owned(),
            region: "*".into(),
            unit: "rate".into(),
        };
        let rate = self.layers.iter().rev().find_map(|layer| layer.find(&key, on));
        match rate {
            Some(row) => Ok(Money { amount: money.amount * row.price, currency: to.to_owned() }),
            None => Err(Reason::NoRate { from: money.currency, to: to.to_owned() }),
        }
    }

    fn list_price(&self, key: &PriceKey, on: Date) -> PriceAnswer {
        for layer in self.layers.iter().rev() {
            if let Some(row) = user_row(layer, key, on) {
                return known(row, &layer.name);
            }
        }
        self.edition.find(key, on)
    }
}

/// Exact region, then `global`, then `*`.
fn user_row<'a>(layer: &'a Layer, key: &PriceKey, on: Date) -> Option<&'a PriceRow> {
    let elsewhere = |region: &str| PriceKey { region: region.to_owned(), ..key.clone() };
    layer.find(key, on).or_else(|| layer.find(&elsewhere("global"), on)).or_else(|| layer.find(&elsewhere("*"), on))
}

fn known(row: &PriceRow, layer: &str) -> PriceAnswer {
    if row.price.is_zero() {
        return PriceAnswer::Unknown(Reason::Zero(Box::new(row.key.clone()), row.source.clone()));
    }
    PriceAnswer::Known(Price {
        amount: row.price,
        currency: row.currency.clone(),
        valid_from: row.valid_from,
        source: row.source.clone(),
        layer: layer.to_owned(),
    })
}

impl PriceBook for Book {
    fn edition(&self) -> BookEdition {
        let mut layers = self.edition.layers();
        let dated = |layer: &Layer| LayerInfo {
            name: layer.name.clone(),
            date: layer.rows().map(|r| r.valid_from).max().unwrap_or(Date::MIN),
            rows: layer.len(),
        };
        layers.extend(self.layers.iter().chain(&self.effective).map(dated));
        BookEdition { layers }
    }

    fn find(&self, query: &PriceQuery) -> PriceAnswer {
        if let Some(layer) = &self.effective
            && let Some(row) = user_row(layer, &query.key, query.on)
        {
            return known(row, &layer.name);
        }
        match self.list_price(&query.key, query.on) {
            PriceAnswer::Known(price) => {
                PriceAnswer::Known(apply(price, &query.key, query.environment.as_deref(), &self.discounts))
            }
            unknown @ PriceAnswer::Unknown(_) => unknown,
        }
    }
}

impl Edition {
    /// Answer of the embedded edition: the curated rows first, then the table.
    pub(crate) fn find(&self, key: &PriceKey, on: Date) -> PriceAnswer {
        if let Some(row) = user_row(self.curated(), key, on) {
            return known(row, &self.curated().name);
        }
        match self.cell(key) {
            None => PriceAnswer::Unknown(Reason::NoRow(Box::new(key.clone()))),
            Some(_) if self.date() > on => PriceAnswer::Unknown(Reason::NoRow(Box::new(key.clone()))),
            Some(Cell::Zero) => PriceAnswer::Unknown(Reason::Zero(Box::new(key.clone()), self.source().to_owned())),
            Some(Cell::Doubtful) => {
                PriceAnswer::Unknown(Reason::Doubtful(Box::new(key.clone()), self.source().to_owned()))
            }
            Some(Cell::Price(amount)) => PriceAnswer::Known(Price {
                amount,
                currency: "USD".into(),
                valid_from: self.date(),
                source: self.source().to_owned(),
                layer: self.name().to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::price::discount::Off;
    use rust_decimal::Decimal;

    fn key(provider: &str, service: &str, sku: &str, region: &str, unit: &str) -> PriceKey {
        let own = str::to_owned;
        PriceKey { provider: own(provider), service: own(service), sku: own(sku), region: own(region), unit: own(unit) }
    }

    fn ask(book: &Book, key: PriceKey) -> String {
        let query = PriceQuery { key, on: "2026-06-01".parse().unwrap(), environment: Some("production".into()) };
        match book.find(&query) {
            PriceAnswer::Known(price) => format!("{} {} ({})", price.amount.normalize(), price.currency, price.layer),
            PriceAnswer::Unknown(reason) => reason.to_string(),
        }
    }

    #[test]
    fn the_embedded_edition_answers_with_its_traps_marked() {
        let book = Book::embedded();
        let cases = [
            (key("aws", "ec2", "linux/t3.micro", "us-east-1", "hour"), "0.0104 USD (libcloud-3.9.1)"),
            (key("aws", "ec2", "linux/m5.24xlarge", "eu-west-1", "hour"), "5.136 USD (libcloud-3.9.1)"),
            (key("aws", "ebs", "gp3", "us-east-1", "gb-month"), "0.08 USD (curated)"),
            (key("aws", "route53", "hosted-zone", "eu-north-1", "month"), "0.5 USD (curated)"),
            (key("azure", "vm", "linux/standardd2sv3", "eastus", "hour"), "0.096 USD (libcloud-3.9.1)"),
            (key("gcp", "compute", "e2/cpu", "us-central1", "vcpu-hour"), "0.02181159 USD (libcloud-3.9.1)"),
            (
                key("aws", "ec2", "linux/m5.large", "ap-south-1", "hour"),
                "apache-libcloud 3.9.1 pricing.json says 0 for aws ec2 linux/m5.large in ap-south-1 per hour, which means unknown",
            ),
            (
                key("aws", "ec2", "linux/c5.24xlarge", "us-west-2", "hour"),
                "apache-libcloud 3.9.1 pricing.json contradicts itself about aws ec2 linux/c5.24xlarge in us-west-2 per hour",
            ),
            (
                key("aws", "ec2", "linux/x9.huge", "us-east-1", "hour"),
                "no price for aws ec2 linux/x9.huge in us-east-1 per hour",
            ),
        ];
        for (key, expect) in cases {
            assert_eq!(ask(&book, key), expect);
        }
    }

    #[test]
    fn higher_layers_win_and_discounts_lie_above_them() {
        let gp3 = || key("aws", "ebs", "gp3", "us-east-1", "gb-month");
        let row = |region: &str, price: &str, day: &str| PriceRow {
            key: key("aws", "ebs", "gp3", region, "gb-month"),
            price: price.parse().unwrap(),
            currency: "USD".into(),
            valid_from: day.parse().unwrap(),
            source: "contract".into(),
        };
        let one = || Layer::of("prices.d/1.csv", [row("*", "0.07", "2026-01-01")]);
        assert_eq!(ask(&Book::embedded().with([one()]), gp3()), "0.07 USD (prices.d/1.csv)");
        let exact =
            Layer::of("prices.d/1.csv", [row("*", "0.07", "2026-01-01"), row("us-east-1", "0.06", "2026-01-01")]);
        assert_eq!(ask(&Book::embedded().with([exact]), gp3()), "0.06 USD (prices.d/1.csv)", "exact beats any");
        let future = Layer::of("prices.d/2.csv", [row("us-east-1", "0.01", "2027-01-01")]);
        assert_eq!(ask(&Book::embedded().with([one(), future]), gp3()), "0.07 USD (prices.d/1.csv)", "not valid yet");
        let off = |environment: &str| Discount {
            environment: Some(environment.into()),
            provider: Some("aws".into()),
            service: None,
            sku: None,
            off: Off::Percent(Decimal::from(25)),
        };
        assert_eq!(ask(&Book::embedded().discounted(vec![off("production")]), gp3()), "0.06 USD (discount)");
        assert_eq!(ask(&Book::embedded().discounted(vec![off("dev")]), gp3()), "0.08 USD (curated)");
        let bill = Layer::of("bill", [row("us-east-1", "0.05", "2026-05-01")]);
        let book = Book::embedded().discounted(vec![off("production")]).effective(Some(bill));
        assert_eq!(ask(&book, gp3()), "0.05 USD (bill)", "what was really charged needs no discount");
    }

    #[test]
    fn there_is_no_silent_conversion() {
        let euro = Money { amount: Decimal::TEN, currency: "EUR".into() };
        let day = "2026-06-01".parse().unwrap();
        assert_eq!(
            Book::embedded().convert(euro.clone(), "USD", day).unwrap_err().to_string(),
            "priced in EUR and there is no rate to USD"
        );
        let rate = "provider,service,sku,region,unit,price,currency,valid_from,source\nfx,EUR,USD,*,rate,1.1,USD,2026-01-01,ecb\n";
        let book = Book::embedded().with([Layer::read("fx.csv", rate).unwrap()]);
        assert_eq!(book.convert(euro, "USD", day).unwrap().to_string(), "$11.00");
    }
}
