//! The instructions of a Dockerfile with their lines, as the reference of its builder describes the format.

/// One instruction, continuation lines joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Upper case: `FROM`, `RUN`.
    pub name: String,
    /// What follows, with comments and line continuations removed.
    pub value: String,
    /// First line.
    pub line: u32,
    /// Last line.
    pub end_line: u32,
}

/// The instructions of a text, in order.
pub fn instructions(text: &str) -> Vec<Instruction> {
    let escape = escape(text);
    let mut lines = text.lines().enumerate().peekable();
    let mut found = vec![];
    while let Some((index, first)) = lines.next() {
        let trimmed = first.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (mut whole, mut end, mut open) = (String::new(), index, trimmed);
        while let Some(head) = open.strip_suffix(escape) {
            whole.push_str(head.trim_end());
            whole.push(' ');
            // Comment and empty lines between continuations belong to none of them.
            let next = lines.by_ref().find(|(_, line)| {
                let line = line.trim();
                !line.is_empty() && !line.starts_with('#')
            });
            let Some((at, line)) = next else {
                open = "";
                break;
            };
            end = at;
            open = line.trim();
        }
        whole.push_str(open);
        for mark in heredocs(&whole) {
            for (at, line) in lines.by_ref() {
                end = at;
                if line.trim_start_matches('\t') == mark {
                    break;
                }
                whole.push('\n');
                whole.push_str(line);
            }
        }
        found.push(instruction(&whole, index, end));
    }
    found
}

fn instruction(whole: &str, start: usize, end: usize) -> Instruction {
    let (name, value) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
    let (name, value) = if name.eq_ignore_ascii_case("ONBUILD") {
        value.trim_start().split_once(char::is_whitespace).unwrap_or((value, ""))
    } else {
        (name, value)
    };
    Instruction {
        name: name.to_ascii_uppercase(),
        value: value.trim().to_owned(),
        line: start as u32 + 1,
        end_line: end as u32 + 1,
    }
}

/// The escape character: a backslash unless a directive at the top says otherwise.
fn escape(text: &str) -> char {
    let directives = text.lines().map(str::trim).take_while(|line| line.starts_with('#'));
    let named = directives.filter_map(|line| {
        let (key, value) = line.trim_start_matches('#').split_once('=')?;
        key.trim().eq_ignore_ascii_case("escape").then(|| value.trim().chars().next())?
    });
    named.last().unwrap_or('\\')
}

/// The end marks of the here-documents an instruction begins.
fn heredocs(line: &str) -> Vec<String> {
    let name = line.split_whitespace().next().unwrap_or_default();
    if !["RUN", "COPY", "ADD"].iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return vec![];
    }
    let marks = line.split("<<").skip(1).filter(|rest| !rest.starts_with('<')).map(|rest| {
        let mark = rest.trim_start_matches('-').trim_matches(|c| matches!(c, '"' | '\''));
        mark.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default().to_owned()
    });
    marks.filter(|mark| mark.starts_with(|c: char| c.is_alphabetic() || c == '_')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continuations_comments_and_here_documents() {
        let text = "# syntax=x\nFROM a AS b\nRUN one \\\n  # note\n  && two\n\nRUN <<EOF\nthree\nEOF\nuser root\n";
        let found: Vec<_> = instructions(text).into_iter().map(|i| (i.name, i.value, i.line, i.end_line)).collect();
        let expect = [
            ("FROM", "a AS b", 2, 2),
            ("RUN", "one && two", 3, 5),
            ("RUN", "<<EOF\nthree", 7, 9),
            ("USER", "root", 10, 10),
        ];
        assert_eq!(found, expect.map(|(n, v, a, b)| (n.to_owned(), v.to_owned(), a, b)));
        assert_eq!(instructions("# escape=`\nRUN a `\nb")[0].value, "a b");
        assert_eq!(instructions("RUN a \\").len(), 1, "an open end is the end");
    }
}
