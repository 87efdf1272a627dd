//! Workflow commands: what steps say to the runner on their output.
//!
//! `::name key=value,key=value::data` and the older `##[name key=value;key=value]data`, as
//! <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions> describes them.

/// A command as it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Name in lower case.
    pub name: String,
    /// Properties in order.
    pub properties: Vec<(String, String)>,
    /// Data, unescaped.
    pub data: String,
}

impl Command {
    /// A property that is not empty.
    pub fn property(&self, name: &str) -> Option<&str> {
        let found = self.properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// Every command there is.
pub const COMMANDS: &[&str] = &[
    "debug",
    "notice",
    "warning",
    "error",
    "group",
    "endgroup",
    "echo",
    "add-mask",
    "add-matcher",
    "remove-matcher",
    "set-output",
    "save-state",
    "set-env",
    "add-path",
    "stop-commands",
];

/// Whether commands are listened to: `stop-commands` with a token silences all until `::token::`.
#[derive(Clone, Debug, Default)]
pub struct Listening {
    token: Option<String>,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Plain output.
    Line,
    /// A command.
    Command(Command),
    /// The end of silence.
    Resumed,
}

impl Listening {
    /// Stops listening until the token is said.
    pub fn stop(&mut self, token: &str) -> Result<(), String> {
        let token = token.trim();
        if token.is_empty() || COMMANDS.iter().any(|name| name.eq_ignore_ascii_case(token)) {
            return Err(format!("stop-commands needs a token that is no command; \"{token}\" is not one"));
        }
        self.token = Some(token.to_owned());
        Ok(())
    }

    /// What this line is.
    pub fn hear(&mut self, line: &str) -> Heard {
        // The cheap test first: nearly every line is plain.
        if !line.contains("::") && !line.contains("##[") {
            return Heard::Line;
        }
        if let Some(token) = &self.token {
            let said = new_form(line).or_else(|| old_form(line));
            if said.is_some_and(|command| command.name.eq_ignore_ascii_case(token)) {
                self.token = None;
                return Heard::Resumed;
            }
            return Heard::Line;
        }
        let command = new_form(line).or_else(|| old_form(line));
        match command.filter(|c| COMMANDS.contains(&c.name.as_str())) {
            Some(command) => Heard::Command(command),
            None => Heard::Line,
        }
    }
}

fn new_form(line: &str) -> Option<Command> {
    let rest = line.trim_start().strip_prefix("::")?;
    let (head, data) = rest.split_once("::")?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let pairs = properties.split(',').filter_map(|pair| pair.split_once('='));
    Some(Command {
        name: name.to_ascii_lowercase(),
        properties: pairs.map(|(k, v)| (k.trim().to_owned(), unescape(v, PROPERTY))).collect(),
        data: unescape(data, DATA),
    })
}

fn old_form(line: &str) -> Option<Command> {
    let rest = &line[line.find("##[")? + 3..];
    let (head, data) = rest.split_once(']')?;
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let pairs = properties.split(';').filter_map(|pair| pair.split_once('='));
    Some(Command {
        name: name.to_ascii_lowercase(),
        properties: pairs.map(|(k, v)| (k.trim().to_owned(), unescape(v, OLD))).collect(),
        data: unescape(data, OLD),
    })
}

type Escapes = &'static [(&'static str, &'static str)];
const DATA: Escapes = &[("%0D", "\r"), ("%0A", "\n"), ("%25", "%")];
const PROPERTY: Escapes = &[("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")];
const OLD: Escapes = &[("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%25", "%")];

/// One pass per escape, `%25` last, as the reference does it.
fn unescape(text: &str, escapes: Escapes) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    escapes.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn hear(line: &str) -> Heard {
        Listening::default().hear(line)
    }

    fn command(name: &str, properties: &[(&str, &str)], data: &str) -> Heard {
        let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Heard::Command(Command { name: name.into(), properties, data: data.into() })
    }

    #[test]
    fn commands_are_heard_in_both_forms() {
        assert_eq!(
            hear("::error file=a.rs,line=3::broken%0Atwice"),
            command("error", &[("file", "a.rs"), ("line", "3")], "broken\ntwice")
        );
        assert_eq!(hear("  ::GROUP::build"), command("group", &[], "build"));
        assert_eq!(hear("::notice title=a%3Ab%2Cc::100%25"), command("notice", &[("title", "a:b,c")], "100%"));
        assert_eq!(
            hear("text ##[warning code=1;file=x]mind"),
            command("warning", &[("code", "1"), ("file", "x")], "mind")
        );
        assert_eq!(hear("::set-output name=v::1"), command("set-output", &[("name", "v")], "1"));
        for plain in ["plain", "a::b", "::unknown::x", "::error no end", "std::error::Error", "##[nothing]x"] {
            assert_eq!(hear(plain), Heard::Line, "{plain}");
        }
    }

    #[test]
    fn stopped_commands_are_silent_until_the_token() {
        let mut listening = Listening::default();
        assert!(listening.stop("").is_err());
        assert!(listening.stop("error").is_err());
        listening.stop("tok3n").unwrap();
        assert_eq!(listening.hear("::error::not heard"), Heard::Line);
        assert_eq!(listening.hear("::tok3n::"), Heard::Resumed);
        assert!(matches!(listening.hear("::error::heard"), Heard::Command(_)));
    }
}
