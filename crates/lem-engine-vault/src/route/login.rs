//! What needs an open store but no token: logging in, and taking a wrapped answer out.

use crate::core::Open;
use crate::mount::Kind;
use crate::{Method, Request, Response, auth};

/// The answer, when the path is one of these.
pub(crate) fn answer(open: &mut Open, request: &Request, now: jiff::Timestamp) -> Result<Option<Response>, Response> {
    if let Some(rest) = request.path.strip_prefix("auth/") {
        return logged_in(open, request, rest, now);
    }
    // The wrapping token stands in the body, beside another token, or alone as the token.
    let given = request.text("token").or(request.token.as_deref());
    match (request.path.as_str(), request.method, given) {
        ("sys/wrapping/unwrap", Method::Write, Some(token)) => open.unwrap(token, now.as_second()).map(Some),
        ("sys/wrapping/lookup", Method::Write | Method::Read, Some(token)) => {
            open.wrapping_lookup(token, now.as_second()).map(Some)
        }
        ("sys/wrapping/rewrap", Method::Write, Some(token)) => open.rewrap(token, now).map(Some),
        _ => Ok(None),
    }
}

fn logged_in(
    open: &mut Open,
    request: &Request,
    rest: &str,
    now: jiff::Timestamp,
) -> Result<Option<Response>, Response> {
    let Some((mount, rest)) = open.mounts.login(rest) else { return Ok(None) };
    let mount = mount.clone();
    let login = rest == "login" || rest.starts_with("login/");
    match mount.kind {
        Kind::Approle if login => auth::approle::login(open, &mount, request, now).map(Some),
        Kind::Userpass if login => auth::userpass::login(open, &mount, request, rest, now).map(Some),
        _ => Ok(None),
    }
}
