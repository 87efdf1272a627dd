//! A request and its answer, as Vault's API writes them, without the wire.

use serde_json::{Map, Value, json};

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET and HEAD.
    Read,
    /// LIST, and GET with `list=true`.
    List,
    /// POST and PUT.
    Write,
    /// PATCH with a JSON merge patch (RFC 7396).
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// Vault's word for it in audit records.
    pub fn operation(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it does.
    pub method: Method,
    /// Path below `/v1/`, decoded.
    pub path: String,
    /// `X-Vault-Token`, or the bearer token.
    pub token: Option<String>,
    /// `X-Vault-Namespace`; only the root namespace is served.
    pub namespace: Option<String>,
    /// `X-Vault-Wrap-TTL` in seconds.
    pub wrap_ttl: Option<u64>,
    /// Query parameters.
    pub query: Vec<(String, String)>,
    /// Body; an empty object when there was none.
    pub body: Map<String, Value>,
    /// Address it came from, for audit.
    pub remote: String,
}

impl Request {
    /// A request without token and body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            token: None,
            namespace: None,
            wrap_ttl: None,
            query: vec![],
            body: Map::new(),
            remote: String::new(),
        }
    }

    /// The same with a token.
    #[must_use]
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The same with a body; anything but an object is none.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = match body {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        self
    }

    /// A query parameter.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A text of the body.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    /// A flag of the body; text `true` counts.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.body.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A whole number of the body; text counts.
    pub(crate) fn whole(&self, name: &str) -> Option<u64> {
        match self.body.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A list of texts of the body; a text with commas counts.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        match self.body.get(name)? {
            Value::Array(list) => Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            Value::String(text) if text.is_empty() => Some(vec![]),
            Value::String(text) => Some(text.split(',').map(|part| part.trim().to_owned()).collect()),
            _ => None,
        }
    }

    /// Seconds of the body: a number, or a duration such as `90s`, `1h30m`, `7d`.
    pub(crate) fn seconds(&self, name: &str) -> Result<Option<u64>, Response> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_u64()),
            Some(Value::String(text)) => match seconds(text) {
                Some(seconds) => Ok(Some(seconds)),
                None => Err(Response::bad(format!("{name}: {text:?} is no duration such as 90s or 1h30m"))),
            },
            Some(_) => Err(Response::bad(format!("{name} is no duration"))),
        }
    }
}

/// Seconds of a Go duration, a number of seconds, or days. `None` when it is neither.
pub fn seconds(text: &str) -> Option<u64> {
    if text.is_empty() {
        return Some(0);
    }
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let mut total: u64 = 0;
    let mut digits = String::new();
    let mut units = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let number: u64 = digits.parse().ok()?;
        digits.clear();
        units += 1;
        let seconds = match c {
            'd' => number.checked_mul(86_400)?,
            'h' => number.checked_mul(3600)?,
            'm' if rest.peek() == Some(&'s') => {
                rest.next();
                number / 1000
            }
            'm' => number.checked_mul(60)?,
            's' => number,
            _ => return None,
        };
        total = total.checked_add(seconds)?;
    }
    (digits.is_empty() && units > 0).then_some(total)
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Body; none with 204.
    pub body: Option<Value>,
    /// What a wrapped answer may not be: already an answer of wrapping.
    pub(crate) wrappable: bool,
}

impl Response {
    /// 204.
    pub(crate) fn nothing() -> Self {
        Self { status: 204, body: None, wrappable: false }
    }

    /// 200 with `data`.
    pub(crate) fn data(data: Value) -> Self {
        Self { status: 200, body: Some(frame(data, Value::Null)), wrappable: true }
    }

    /// 200 with `auth`.
    pub(crate) fn auth(auth: Value) -> Self {
        Self { status: 200, body: Some(frame(Value::Null, auth)), wrappable: true }
    }

    /// A body that is not framed, as a few `sys/` paths answer.
    pub(crate) fn plain(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), wrappable: false }
    }

    /// An error with its sentences.
    pub(crate) fn errors(status: u16, errors: &[&str]) -> Self {
        Self { status, body: Some(json!({ "errors": errors })), wrappable: false }
    }

    /// 400.
    pub(crate) fn bad(why: impl Into<String>) -> Self {
        Self::errors(400, &[why.into().as_str()])
    }

    /// 403.
    pub(crate) fn denied() -> Self {
        Self::errors(403, &["permission denied"])
    }

    /// 404 with nothing to say, as a path that never held anything.
    pub(crate) fn missing() -> Self {
        Self::errors(404, &[])
    }

    /// 404 for a path no part of the store answers.
    pub(crate) fn unsupported(path: &str) -> Self {
        Self::errors(404, &[format!("unsupported path {path:?}").as_str()])
    }

    /// 405.
    pub(crate) fn method() -> Self {
        Self::errors(405, &["unsupported operation"])
    }
}

fn frame(data: Value, auth: Value) -> Value {
    json!({
        "request_id": uuid::Uuid::new_v4().to_string(),
        "lease_id": "",
        "renewable": false,
        "lease_duration": 0,
        "data": data,
        "wrap_info": null,
        "warnings": null,
        "auth": auth,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expect) in [
            ("", Some(0)),
            ("90", Some(90)),
            ("90s", Some(90)),
            ("1h30m", Some(5400)),
            ("7d", Some(604_800)),
            ("1500ms", Some(1)),
            ("h", None),
            ("12x", None),
            ("1h3", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(seconds(text), expect, "{text}");
        }
    }
}
