//! Printing: JSON as it is, tables for people.

use crate::cli::Output;
use serde_json::Value;

/// Prints a document in the chosen form; `text` renders it for people.
pub(crate) fn document(output: Output, value: &Value, text: impl FnOnce(&Value) -> String) {
    match output {
        Output::Text => print!("{}", text(value)),
        Output::Json => println!("{value:#}"),
        Output::Ndjson => match value.as_array() {
            Some(items) => items.iter().for_each(|item| println!("{item}")),
            None => println!("{value}"),
        },
    }
}

/// A field as text; `-` when there is none.
pub(crate) fn field(value: &Value, key: &str) -> String {
    let found = key.split('.').try_fold(value, |v, k| v.get(k));
    match found {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Rows under a heading, columns as wide as they need to be.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = headings.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &mut dyn Iterator<Item = &str>| -> String {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned() + "\n"
    };
    let mut out = line(&mut headings.iter().copied());
    for row in rows {
        out += &line(&mut row.iter().map(String::as_str));
    }
    out
}

/// One table row per item of an array: keys as in [`field`].
pub(crate) fn rows(value: &Value, headings: &[&str], keys: &[&str]) -> String {
    let items = value.as_array().cloned().unwrap_or_default();
    if items.is_empty() {
        return "nothing yet\n".to_owned();
    }
    let rows: Vec<Vec<String>> = items.iter().map(|item| keys.iter().map(|k| cell(item, k)).collect()).collect();
    table(headings, &rows)
}

/// A cell: long ids shortened, line breaks removed.
fn cell(item: &Value, key: &str) -> String {
    let text = field(item, key).replace('\n', " ");
    if key.ends_with("sha") && text.len() == 40 { text[..8].to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let value = json!([{"a": "x", "b": {"c": 1}}, {"a": "longer"}]);
        assert_eq!(rows(&value, &["A", "C"], &["a", "b.c"]), "A       C\nx       1\nlonger  -\n");
        assert_eq!(rows(&json!([]), &["A"], &["a"]), "nothing yet\n");
    }
}
