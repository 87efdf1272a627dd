//! A diagnostic with the line it is about, for people.

use lem_model::{Diagnostic, Severity};
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};

/// The diagnostic as text; with `source`, the lines around the place are shown. `color` chooses ANSI or plain.
pub fn render(diagnostic: &Diagnostic, source: Option<&str>, color: bool) -> String {
    let offset = source.and_then(|text| offset(text, diagnostic.place.line, diagnostic.place.column));
    let (Some(source), Some(offset)) = (source, offset) else {
        return format!("{}: {diagnostic}", word(diagnostic.severity));
    };
    let shown = MietteDiagnostic::new(diagnostic.to_string().lines().next().unwrap_or_default().to_owned())
        .with_severity(match diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
        .with_label(LabeledSpan::at(offset..token_end(source, offset), "here"));
    let shown = match &diagnostic.hint {
        Some(hint) => shown.with_help(hint),
        None => shown,
    };
    let report = Report::new(shown).with_source_code(NamedSource::new(&diagnostic.place.file, source.to_owned()));
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mut out = String::new();
    match GraphicalReportHandler::new_themed(theme).with_links(false).render_report(&mut out, report.as_ref()) {
        Ok(()) => out,
        Err(_) => format!("{}: {diagnostic}", word(diagnostic.severity)),
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn offset(text: &str, line: u32, column: u32) -> Option<usize> {
    let start = match line {
        0 => return None,
        1 => 0,
        n => text.match_indices('\n').nth(n as usize - 2)?.0 + 1,
    };
    let in_line = text[start..].char_indices().nth(column.saturating_sub(1) as usize).map_or(0, |(at, _)| at);
    Some((start + in_line).min(text.len()))
}

fn token_end(text: &str, start: usize) -> usize {
    let rest = &text[start..];
    let length = rest.find(|c: char| c.is_whitespace() || matches!(c, ':' | ',' | ']' | '}')).unwrap_or(rest.len());
    start + length.max(rest.chars().next().map_or(0, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lem_model::Place;

    #[test]
    fn the_line_and_the_help_are_shown() {
        let diagnostic = Diagnostic::error("unknown-key", "unknown key \"seps\"", Place::new("ci.yml", 2, 3))
            .with_hint("did you mean \"steps\"?");
        let text = render(&diagnostic, Some("jobs:\n  seps: []\n"), false);
        assert!(text.contains("ci.yml:2:3: unknown key \"seps\" [unknown-key]"), "{text}");
        assert!(text.contains("seps: []") && text.contains("did you mean"), "{text}");
    }

    #[test]
    fn a_place_outside_the_text_does_not_panic() {
        let diagnostic = Diagnostic::error("x", "gone", Place::new("ci.yml", 99, 3));
        assert!(render(&diagnostic, Some("a"), false).contains("gone"));
        let diagnostic = Diagnostic::error("x", "gone", Place::new("ci.yml", 1, 99));
        assert!(render(&diagnostic, Some("ä"), false).contains("gone"));
    }
}
