//! Headers on their way through: hop-by-hop ones end here (RFC 9110 section 7.6.1), forwarding ones begin.

use http::{HeaderMap, HeaderName, HeaderValue, header};

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
/// Names the version that answered.
pub(crate) const X_RELEASE: HeaderName = HeaderName::from_static("x-release");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::UPGRADE,
    header::TRAILER,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
];

/// Removes the headers meant for this hop alone, those that Connection names included. Host and
/// Content-Length stay whatever Connection says: they decide where a message goes and where it ends.
pub(crate) fn strip(headers: &mut HeaderMap) {
    // Most messages carry at most `connection`; one walk finds out without hashing nine names.
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return;
    }
    let named: Vec<HeaderName> = tokens(headers)
        .filter_map(|token| HeaderName::from_bytes(token.as_bytes()).ok())
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim)
}

/// The protocol an HTTP/1.1 request wants to change to.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let wanted = headers.get(header::UPGRADE)?;
    tokens(headers).any(|token| token.eq_ignore_ascii_case("upgrade")).then(|| wanted.clone())
}

/// Whether forwarding headers of clients are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// We are the edge: what the client claims is replaced.
    Replace,
    /// A proxy we trust is in front: its chain is continued.
    Extend,
}

/// Sets the forwarding headers.
pub(crate) fn forward(headers: &mut HeaderMap, client: &HeaderValue, mode: Forwarded) {
    let host = headers.get(header::HOST).cloned();
    if mode == Forwarded::Extend {
        if let Some(chain) = headers.get(X_FORWARDED_FOR) {
            let chain = [chain.as_bytes(), b", ", client.as_bytes()].concat();
            if let Ok(chain) = HeaderValue::from_bytes(&chain) {
                headers.insert(X_FORWARDED_FOR, chain);
            }
        } else {
            headers.insert(X_FORWARDED_FOR, client.clone());
        }
        headers.entry(X_FORWARDED_PROTO).or_insert(HeaderValue::from_static("http"));
        if let Some(host) = host {
            headers.entry(X_FORWARDED_HOST).or_insert(host);
        }
        return;
    }
    headers.insert(X_FORWARDED_FOR, client.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    match host {
        Some(host) => headers.insert(X_FORWARDED_HOST, host),
        None => headers.remove(X_FORWARDED_HOST),
    };
    headers.remove(header::FORWARDED);
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let parsed = lines.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()));
        parsed.collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn hop_by_hop_headers_end_here() {
        let mut map = headers(&[
            ("host", "a"),
            ("connection", "close, X-Private, Host"),
            ("x-private", "1"),
            ("te", "trailers"),
            ("keep-alive", "5"),
            ("proxy-authorization", "x"),
            ("accept", "*/*"),
            ("content-length", "0"),
        ]);
        strip(&mut map);
        assert_eq!(names(&map), ["accept", "content-length", "host"]);
    }

    #[test]
    fn an_edge_replaces_and_an_inner_router_extends() {
        let client = HeaderValue::from_static("10.0.0.1");
        for (mode, expect) in [(Forwarded::Replace, "10.0.0.1"), (Forwarded::Extend, "1.2.3.4, 10.0.0.1")] {
            let mut map = headers(&[("host", "a.test"), ("x-forwarded-for", "1.2.3.4")]);
            forward(&mut map, &client, mode);
            assert_eq!(map[X_FORWARDED_FOR], expect);
            assert_eq!(map[X_FORWARDED_HOST], "a.test");
            assert_eq!(map[X_FORWARDED_PROTO], "http");
        }
    }

    #[test]
    fn an_upgrade_needs_both_headers() {
        assert!(upgrade(&headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")])).is_some());
        assert!(upgrade(&headers(&[("upgrade", "websocket")])).is_none());
        assert!(upgrade(&headers(&[("connection", "upgrade")])).is_none());
    }
}
