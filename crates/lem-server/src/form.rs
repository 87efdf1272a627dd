//! Parameters of the query protocols: of the address, and of a form in the body, as clients with long queries send them.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;

/// All parameters, those of the body first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// The first of a name; an empty one counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let first = self.0.iter().find(|(n, _)| n == name);
        first.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// All of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (String, String)> {
    url::form_urlencoded::parse(text).map(|(name, value)| (name.into_owned(), value.into_owned()))
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// A body that cannot be read: too long, most of the time.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) status: StatusCode,
    pub(crate) why: String,
}

impl Form {
    /// Reads a request; limits of the route hold.
    pub(crate) async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Self, Unread> {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let mut all = vec![];
        if is_form(request.headers()) {
            let body = Bytes::from_request(request, state).await;
            let body = body.map_err(|e| Unread { status: e.status(), why: e.body_text() })?;
            all.extend(pairs(&body));
        }
        all.extend(pairs(query.as_bytes()));
        Ok(Self(all))
    }
}

/// Nanoseconds of a time as seconds with a fraction.
pub(crate) fn seconds_ns(text: &str) -> Option<i64> {
    let seconds: f64 = text.parse().ok()?;
    let ns = seconds * 1e9;
    // Through milliseconds, so that a decimal fraction comes out as it was written.
    let ms = (seconds * 1e3).round();
    ((ns.is_finite()) && ns.abs() < i64::MAX as f64).then(|| (ms as i64).checked_mul(1_000_000)).flatten()
}

/// Nanoseconds of an RFC 3339 time.
pub(crate) fn rfc3339_ns(text: &str) -> Option<i64> {
    i64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, ns) in [
            ("1435781451.781", Some(1_435_781_451_781_000_000)),
            ("0", Some(0)),
            ("-1.5", Some(-1_500_000_000)),
            ("NaN", None),
            ("1e300", None),
            ("x", None),
        ] {
            assert_eq!(seconds_ns(text), ns, "{text}");
        }
        assert_eq!(rfc3339_ns("2015-07-01T20:10:51.781Z"), Some(1_435_781_451_781_000_000));
        assert_eq!(rfc3339_ns("yesterday"), None);
    }

    #[test]
    fn the_body_comes_first_and_empty_is_absent() {
        let form = Form(pairs(b"a=1&b=&a=2").collect());
        assert_eq!((form.get("a"), form.get("b"), form.all("a").count()), (Some("1"), None, 2));
    }
}
