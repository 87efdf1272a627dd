//! `lem cost prices`: what the book is made of, and a new layer for it.

use super::Desk;
use crate::cli::{Cli, Prices};
use crate::exit::{Failure, unreachable, usage};
use crate::print::{document, table};
use lem_optimize::engine::PriceBook;
use lem_optimize::execute::download::{AZURE, aws_address, file, from_aws, from_azure};
use lem_optimize::price::feed::{FeedError, compare};
use lem_optimize::price::layer::Layer;
use serde_json::json;
use std::path::Path;

pub(super) async fn prices(cli: &Cli, desk: &Desk, command: Option<&Prices>) -> Result<(), Failure> {
    match command {
        None => {
            edition(cli, desk);
            Ok(())
        }
        Some(Prices::Update { from, region }) => update(cli, desk, from, region).await,
    }
}

fn edition(cli: &Cli, desk: &Desk) {
    let (book, found) = desk.pricer.book();
    super::warn(&found);
    let edition = book.edition();
    let today = desk.pricer.today();
    let age = |date: jiff::civil::Date| today.since(date).map_or(0, |s| i64::from(s.get_days()));
    let rows: Vec<Vec<String>> = edition
        .layers
        .iter()
        .map(|l| vec![l.name.clone(), l.date.to_string(), format!("{} days", age(l.date)), l.rows.to_string()])
        .collect();
    document(cli.output, &json!(edition), |_| table(&["LAYER", "DATE", "AGE", "ROWS"], &rows));
}

async fn update(cli: &Cli, desk: &Desk, from: &str, region: &str) -> Result<(), Failure> {
    let (name, rows) = match from {
        "aws" => (format!("aws-{region}"), from_aws(&aws_address(region)).await),
        "azure" => ("azure".to_owned(), from_azure(AZURE).await),
        path => {
            let path = Path::new(path);
            let stem = path.file_stem().map_or("file".to_owned(), |s| s.to_string_lossy().into_owned());
            (stem, file(path))
        }
    };
    let rows = rows.map_err(|error| match &error {
        FeedError::Unreachable { .. } => unreachable(format!("{error}; the old prices stay in force")),
        _ => usage(format!("{error}; the old prices stay in force")),
    })?;
    let today = desk.pricer.today();
    let folder = desk.root.join(&desk.pricer.config.prices);
    let (book, _) = desk.pricer.book();
    // The newest layer of the same list is the one this one stands for.
    let previous = previous(&folder, &name);
    let report = compare(&rows, &book, previous.as_ref(), today);
    let layer = Layer::of(&name, rows);
    std::fs::create_dir_all(&folder).map_err(|e| usage(format!("cannot create {}: {e}", folder.display())))?;
    let path = folder.join(format!("{name}-{today}.csv"));
    super::put(&path, &layer.csv())?;
    let value = json!({"layer": path.display().to_string(), "rows": layer.len(), "report": report});
    document(cli.output, &value, |_| {
        format!(
            "{} rows in {}: {} added, {} changed, {} the same, {} vanished\n",
            layer.len(),
            path.display(),
            report.added,
            report.changed,
            report.same,
            report.vanished
        )
    });
    Ok(())
}

fn previous(folder: &Path, name: &str) -> Option<Layer> {
    let entries = std::fs::read_dir(folder).ok()?;
    let own = |path: &std::path::PathBuf| {
        path.file_name().is_some_and(|f| f.to_string_lossy().starts_with(&format!("{name}-")))
    };
    let newest = entries.filter_map(|e| e.ok().map(|e| e.path())).filter(own).max()?;
    let text = std::fs::read_to_string(&newest).ok()?;
    Layer::read(&newest.display().to_string(), &text).ok()
}
