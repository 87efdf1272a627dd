//! The forms of a report. Text in, text out; whatever a cell holds stays text in each of them.

use super::{Section, TeamReport, evidence_address};
use std::fmt::Write as _;

/// What stands in a table that has no rows and no note that says why.
const NOTHING: &str = "Nothing to report.";

pub(super) fn markdown(report: &TeamReport) -> String {
    let mut out = format!("# {}\n\nAs of {}.\n", markdown_text(&report.title), report.generated_at);
    for section in &report.sections {
        let _ = write!(out, "\n## {}\n", markdown_text(&section.title));
        if let Some(note) = note(section) {
            let _ = write!(out, "\n{}\n", markdown_text(note));
        }
        if section.rows.is_empty() {
            continue;
        }
        let headings = section.columns.iter().map(|c| markdown_text(c)).collect::<Vec<_>>().join(" | ");
        let _ = write!(out, "\n| {headings} | Evidence |\n|{}\n", "---|".repeat(section.columns.len() + 1));
        for row in &section.rows {
            let cells = row.cells.iter().map(|c| markdown_text(c)).collect::<Vec<_>>().join(" | ");
            let link = row.event.map_or_else(String::new, |e| format!("[{e}]({})", evidence_address(e)));
            let _ = writeln!(out, "| {cells} | {link} |");
        }
    }
    out
}

/// Every character with a meaning in a Markdown table or line is escaped; line breaks become spaces.
fn markdown_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

const STYLE: &str = ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%;display:block;overflow-x:auto}td,th{border-bottom:1px solid color-mix(in srgb,currentColor 25%,transparent);\
padding:.35rem .75rem .35rem 0;text-align:left;vertical-align:top}p.as-of,td.none{opacity:.7}";

pub(super) fn html(report: &TeamReport) -> String {
    let title = html_text(&report.title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body>\n<h1>{title}</h1>\n<p class=\"as-of\">As of <time>{}</time>.</p>\n",
        report.generated_at
    );
    for section in &report.sections {
        let _ = write!(out, "<section>\n<h2>{}</h2>\n", html_text(&section.title));
        if let Some(note) = note(section) {
            let _ = writeln!(out, "<p>{}</p>", html_text(note));
        }
        if !section.rows.is_empty() {
            html_table(&mut out, section);
        }
        out.push_str("</section>\n");
    }
    out + "</body></html>\n"
}

fn html_table(out: &mut String, section: &Section) {
    out.push_str("<table>\n<thead><tr>");
    for column in section.columns.iter().map(String::as_str).chain(["Evidence"]) {
        let _ = write!(out, "<th scope=\"col\">{}</th>", html_text(column));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &section.rows {
        out.push_str("<tr>");
        for cell in &row.cells {
            let _ = write!(out, "<td>{}</td>", html_text(cell));
        }
        match row.event {
            Some(event) => {
                let _ = write!(out, "<td><a href=\"{}\">event {event}</a></td>", evidence_address(event));
            }
            None => out.push_str("<td class=\"none\">none</td>"),
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

fn html_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// The note of a section; an empty table never stands without one.
fn note(section: &Section) -> Option<&str> {
    section.note.as_deref().or_else(|| section.rows.is_empty().then_some(NOTHING))
}

pub(super) fn csv(report: &TeamReport) -> String {
    report.sections.iter().map(csv_block).collect::<Vec<_>>().join("\r\n")
}

fn csv_block(section: &Section) -> String {
    let headings = ["Section"].into_iter().chain(section.columns.iter().map(String::as_str)).chain(["Event"]);
    let mut out = csv_line(headings);
    for row in &section.rows {
        let event = row.event.map_or_else(String::new, |e| e.to_string());
        let cells = row.cells.iter().map(String::as_str);
        out += &csv_line([section.title.as_str()].into_iter().chain(cells).chain([event.as_str()]));
    }
    out
}

fn csv_line<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    fields.map(csv_field).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A field a spreadsheet shows as text: what would begin a formula gets an apostrophe, unless it is a plain number.
fn csv_field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let number = text.chars().skip(1).all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '$' | '%' | ' '));
    let text = if formula && !(number && text.starts_with(['+', '-'])) { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use crate::report::{Form, Section, Team, TeamReport};
    use jiff::Timestamp;

    fn report() -> TeamReport {
        let mut table = Section::new("What is where", &["Service", "Why", "Cost"]);
        table.row(["shop", "a | b <script>x</script> [l](javascript:1)\n\"q\"", "-$3.20"], Some(7));
        table.row(["=cmd()"], None);
        let empty = Section::new("Incidents", &["Incident"]);
        let unknown = Section::new("Cost", &["Resource"]).noted("no price book: unknown, not zero");
        TeamReport::new(Team::Engineering, "Engineering & co", Timestamp::UNIX_EPOCH)
            .with(table)
            .with(empty)
            .with(unknown)
    }

    #[test]
    fn markdown_is_a_table_whose_cells_cannot_break_out() {
        assert_eq!(
            report().markdown(),
            "# Engineering \\& co\n\nAs of 1970-01-01T00:00:00Z.\n\n## What is where\n\n\
             | Service | Why | Cost | Evidence |\n|---|---|---|---|\n\
             | shop | a \\| b \\<script\\>x\\</script\\> \\[l\\](javascript:1) \"q\" | -$3.20 | [7](/ledger/7) |\n\
             | =cmd() |  |  |  |\n\n## Incidents\n\nNothing to report.\n\n## Cost\n\nno price book: unknown, not zero\n"
        );
    }

    #[test]
    fn html_runs_nothing() {
        let html = report().html();
        assert!(html.contains("<td>a | b &lt;script&gt;x&lt;/script&gt;"), "{html}");
        assert!(html.contains("<a href=\"/ledger/7\">event 7</a>"), "{html}");
        assert!(!html.contains("<script"), "{html}");
        assert_eq!(html.matches("<section>").count(), 3);
    }

    #[test]
    fn csv_is_quoted_and_holds_no_formula() {
        assert_eq!(
            report().csv(),
            "Section,Service,Why,Cost,Event\r\n\
             What is where,shop,\"a | b <script>x</script> [l](javascript:1)\n\"\"q\"\"\",-$3.20,7\r\n\
             What is where,'=cmd(),,,\r\n\r\nSection,Incident,Event\r\n\r\nSection,Resource,Event\r\n"
        );
        for (cell, shown) in [("+180 %", "+180 %"), ("-1+cmd()", "'-1+cmd()"), ("@x", "'@x"), ("a-b", "a-b")] {
            assert_eq!(super::csv_field(cell), shown);
        }
    }

    #[test]
    fn json_reads_back() {
        assert_eq!(serde_json::from_str::<TeamReport>(&report().json()).expect("reads"), report());
        assert_eq!(report().render(Form::Json), report().json());
        assert_eq!(Form::of("md").map(|f| report().render(f)), Some(report().markdown()));
    }

    #[test]
    fn a_table_is_never_ragged() {
        let mut table = Section::new("t", &["a", "b"]);
        table.row(["1", "2", "3"], None);
        table.row(["1"], None);
        assert!(table.rows.iter().all(|r| r.cells.len() == 2));
    }

    #[test]
    fn teams_read_by_name() {
        for team in Team::ALL {
            assert_eq!(team.name().parse(), Ok(team));
        }
        assert!("sales".parse::<Team>().is_err());
    }
}
