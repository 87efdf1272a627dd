//! Grafana's classic dashboard JSON. A panel we cannot draw becomes a labelled table, never nothing.

use lem_engine_yaml::{Node, Options, parse_one};
use lem_model::{Diagnostic, Place};
use serde::Serialize;

/// Panels of one dashboard.
pub const MAX_PANELS: usize = 500;
/// Panel types that are drawn as what they are; `graph` and `singlestat` are converted.
const DRAWN: [&str; 6] = ["timeseries", "stat", "table", "gauge", "text", "bargauge"];

/// A dashboard.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dashboard {
    /// Stable id.
    pub uid: String,
    /// Title.
    pub title: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Panels, rows flattened.
    pub panels: Vec<Panel>,
    /// Variables.
    pub variables: Vec<Variable>,
    /// How often it refreshes.
    pub refresh: Option<String>,
    /// `now-6h` and `now`.
    pub time: (String, String),
}

/// A panel.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Panel {
    /// Id.
    pub id: i64,
    /// timeseries, stat, table, gauge, text ...
    pub kind: String,
    /// Title.
    pub title: String,
    /// Height, width, x, y in grid units.
    pub grid: (i64, i64, i64, i64),
    /// Unit.
    pub unit: Option<String>,
    /// Decimals.
    pub decimals: Option<i64>,
    /// Queries: reference, expression, legend.
    pub targets: Vec<(String, String, String)>,
    /// Text, for text panels.
    pub content: Option<String>,
    /// Why it is drawn as a table.
    pub unsupported: Option<String>,
}

/// A variable.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    /// Name, as in `$name`.
    pub name: String,
    /// Label for people.
    pub label: String,
    /// Query, such as `label_values(up, job)`.
    pub query: String,
    /// Current value.
    pub current: String,
    /// Values that are fixed in the file.
    pub values: Vec<String>,
}

/// Reads a dashboard; JSON is read as the subset of YAML it is, so that every message has a place.
pub fn import(text: &str, file: &str) -> (Option<Dashboard>, Vec<Diagnostic>) {
    let (root, mut found) = parse_one(text, file, Options::default());
    if found.iter().any(Diagnostic::is_error) {
        return (None, found);
    }
    let Some(root) = root.filter(|r| r.entries().is_some()) else {
        found.push(Diagnostic::error("not-a-dashboard", "this is no Grafana dashboard", Place::file(file)));
        return (None, found);
    };
    // Exports for sharing wrap the dashboard.
    let root = root.get("dashboard").cloned().unwrap_or(root);
    let Some(title) = text_at(&root, "title") else {
        found.push(Diagnostic::error("missing-key", "a dashboard needs \"title\"", root.place(file)));
        return (None, found);
    };
    let uid = text_at(&root, "uid").filter(|u| !u.is_empty()).unwrap_or_else(|| slug(&title));
    let time = root.get("time");
    let edge = |key: &str, default: &str| time.and_then(|t| text_at(t, key)).unwrap_or_else(|| default.to_owned());
    let mut dashboard = Dashboard {
        uid,
        title,
        tags: items(&root, "tags").iter().filter_map(|n| n.text().map(str::to_owned)).collect(),
        refresh: text_at(&root, "refresh"),
        time: (edge("from", "now-6h"), edge("to", "now")),
        ..Dashboard::default()
    };
    let old_rows = items(&root, "rows");
    for panel in items(&root, "panels").iter().chain(old_rows.iter().flat_map(|row| items(row, "panels"))) {
        add(panel, file, &mut dashboard, &mut found);
    }
    if let Some(list) = root.get("templating") {
        dashboard.variables = items(list, "list").iter().filter_map(variable).collect();
    }
    (Some(dashboard), found)
}

fn add(node: &Node, file: &str, dashboard: &mut Dashboard, found: &mut Vec<Diagnostic>) {
    let kind = text_at(node, "type").unwrap_or_default();
    if kind == "row" {
        for inner in items(node, "panels") {
            add(inner, file, dashboard, found);
        }
        return;
    }
    if dashboard.panels.len() >= MAX_PANELS {
        found.push(Diagnostic::error("too-many-panels", format!("more than {MAX_PANELS} panels"), node.place(file)));
        return;
    }
    let (kind, unsupported) = match kind.as_str() {
        "graph" => ("timeseries".to_owned(), None),
        "singlestat" => ("stat".to_owned(), None),
        known if DRAWN.contains(&known) => (kind, None),
        other => {
            let why = format!("panel type \"{other}\" is shown as a table");
            found.push(Diagnostic::warning("unsupported-panel", why.clone(), node.place(file)));
            ("table".to_owned(), Some(why))
        }
    };
    let grid = node.get("gridPos");
    let cell = |key: &str, default: i64| grid.and_then(|g| number_at(g, key)).unwrap_or(default);
    let defaults = node.get("fieldConfig").and_then(|f| f.get("defaults"));
    let target = |(at, t): (usize, &Node)| {
        let expr = text_at(t, "expr")?;
        let reference = text_at(t, "refId").unwrap_or_else(|| format!("{at}"));
        Some((reference, expr, text_at(t, "legendFormat").unwrap_or_default()))
    };
    dashboard.panels.push(Panel {
        id: number_at(node, "id").unwrap_or(dashboard.panels.len() as i64 + 1),
        kind,
        title: text_at(node, "title").unwrap_or_default(),
        grid: (cell("h", 8), cell("w", 12), cell("x", 0), cell("y", 0)),
        unit: defaults.and_then(|d| text_at(d, "unit")).or_else(|| text_at(node, "format")),
        decimals: defaults.and_then(|d| number_at(d, "decimals")),
        targets: items(node, "targets").iter().enumerate().filter_map(target).collect(),
        content: node.get("options").and_then(|o| text_at(o, "content")).or_else(|| text_at(node, "content")),
        unsupported,
    });
}

fn variable(node: &Node) -> Option<Variable> {
    let name = text_at(node, "name")?;
    let query = text_at(node, "query").or_else(|| text_at(node.get("query")?, "query")).unwrap_or_default();
    let current = node.get("current").and_then(|c| c.get("value")).and_then(|v| v.text().map(str::to_owned));
    let values = match text_at(node, "type").as_deref() {
        Some("custom" | "interval") => query.split(',').map(|v| v.trim().to_owned()).collect(),
        _ => vec![],
    };
    Some(Variable {
        label: text_at(node, "label").unwrap_or_else(|| name.clone()),
        name,
        query,
        current: current.unwrap_or_default(),
        values,
    })
}

fn text_at(node: &Node, key: &str) -> Option<String> {
    node.get(key).filter(|n| !n.is_null()).and_then(Node::text).map(str::to_owned)
}

fn number_at(node: &Node, key: &str) -> Option<i64> {
    node.get(key)?.text()?.parse().ok()
}

fn items<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    node.get(key).and_then(Node::items).unwrap_or_default()
}

fn slug(title: &str) -> String {
    let letters: String = title.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
    letters.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_example_imports_whole() {
        let text = include_str!("../../../examples/shop/observe/dashboards/shop.json");
        let (dashboard, found) = import(text, "shop.json");
        let dashboard = dashboard.unwrap();
        assert!(found.is_empty(), "{found:?}");
        assert_eq!((dashboard.panels.len(), dashboard.variables.len(), dashboard.uid.as_str()), (6, 1, "shop"));
        assert_eq!(dashboard.panels[0].unit.as_deref(), Some("reqps"));
    }

    #[test]
    fn an_unknown_panel_becomes_a_table_that_says_why() {
        let text = r#"{"title": "T", "panels": [{"type": "row", "panels": [{"type": "piechart", "title": "P"}]}, {"type": "graph"}]}"#;
        let (dashboard, found) = import(text, "t.json");
        let dashboard = dashboard.unwrap();
        assert_eq!(dashboard.panels[0].unsupported.as_deref(), Some("panel type \"piechart\" is shown as a table"));
        assert_eq!(dashboard.panels[1].kind, "timeseries");
        assert_eq!(found[0].place.to_string(), "t.json:1:54");
    }

    #[test]
    fn what_is_no_dashboard_is_named() {
        for text in ["[]", "{\"panels\": []}", "{"] {
            let (dashboard, found) = import(text, "t.json");
            assert!(dashboard.is_none() && !found.is_empty(), "{text}");
        }
    }
}
