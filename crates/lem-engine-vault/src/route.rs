//! Which part answers which path.

pub(crate) mod cubbyhole;
pub(crate) mod kv1;
pub(crate) mod kv2;
pub(crate) mod lease;
pub(crate) mod login;
pub(crate) mod open;
pub(crate) mod sys;
pub(crate) mod token;

use crate::acl::Acl;
use crate::core::Open;
use crate::mount::Kind;
use crate::policy::Capability;
use crate::token::Token;
use crate::{Method, Request, Response, auth};

/// What answers a request of a known caller.
pub(crate) struct Ask<'a> {
    pub(crate) request: &'a Request,
    /// The rest of the path below its mount.
    pub(crate) rest: &'a str,
    pub(crate) caller: &'a Token,
    pub(crate) acl: &'a Acl,
    pub(crate) now: jiff::Timestamp,
}

impl Ask<'_> {
    pub(crate) fn method(&self) -> Method {
        self.request.method
    }

    pub(crate) fn second(&self) -> i64 {
        self.now.as_second()
    }
}

/// Paths that need the capability `sudo` besides the one of the operation.
const SUDO: [&str; 8] = [
    "sys/auth/",
    "sys/audit",
    "sys/rotate",
    "sys/seal",
    "sys/leases/revoke-prefix/",
    "sys/leases/revoke-force/",
    "sys/leases/lookup/",
    "auth/token/revoke-orphan",
];

/// Asks the policies, then the part that answers.
pub(crate) fn answer(
    open: &mut Open,
    request: &Request,
    caller: &Token,
    acl: &Acl,
    now: jiff::Timestamp,
) -> Result<Response, Response> {
    let path = request.path.as_str();
    let sudo = SUDO.iter().any(|p| path == p.trim_end_matches('/') || (p.ends_with('/') && path.starts_with(p)))
        || (path.trim_end_matches('/') == "auth/token/accessors" && request.method == Method::List);
    let needs = needs(open, request);
    // A write that may create may also be allowed as update where nothing can say whether the thing exists.
    let allowed = acl.allows(path, needs, &request.body)
        && (!sudo || acl.allows(path, Capability::Sudo, &request.body))
        && (request.wrap_ttl.is_none() || acl.wrapping_fits(path, request.wrap_ttl));
    if !allowed {
        return Err(Response::denied());
    }
    let ask = |rest| Ask { request, rest, caller, acl, now };
    if let Some(rest) = path.strip_prefix("auth/") {
        let Some((mount, rest)) = open.mounts.login(rest) else { return Err(Response::unsupported(path)) };
        let (kind, mount) = (mount.kind, mount.clone());
        return match kind {
            Kind::Token => token::answer(open, &ask(rest)),
            Kind::Approle => auth::approle::answer(open, &mount, &ask(rest)),
            Kind::Userpass => auth::userpass::answer(open, &mount, &ask(rest)),
            _ => Err(Response::unsupported(path)),
        };
    }
    let Some((mount, rest)) = open.mounts.secret(path) else {
        return Err(Response::errors(
            404,
            &[format!("no handler for route {path:?}. route entry not found.").as_str()],
        ));
    };
    let mount = mount.clone();
    match (mount.kind, mount.version) {
        (Kind::System, _) => sys::answer(open, &ask(rest)),
        (Kind::Cubbyhole, _) => cubbyhole::answer(open, &ask(rest)),
        (Kind::Kv, 2) => kv2::answer(open, &mount, &ask(rest)),
        (Kind::Kv, _) => kv1::answer(open, &mount, &ask(rest)),
        _ => Err(Response::unsupported(path)),
    }
}

fn needs(open: &Open, request: &Request) -> Capability {
    match request.method {
        Method::Read => Capability::Read,
        Method::List => Capability::List,
        Method::Delete => Capability::Delete,
        Method::Patch => Capability::Patch,
        Method::Write if exists(open, request) => Capability::Update,
        Method::Write => Capability::Create,
    }
}

/// Whether what a write is about exists; paths without such a notion count as existing.
fn exists(open: &Open, request: &Request) -> bool {
    let Some((mount, rest)) = open.mounts.secret(&request.path) else { return true };
    match (mount.kind, mount.version) {
        (Kind::Kv, 2) => match rest.split_once('/') {
            Some(("data" | "metadata", key)) => open.store.has(&format!("kv/{}/{key}", mount.uuid)),
            _ => true,
        },
        (Kind::Kv, _) => open.store.has(&format!("kv/{}/{rest}", mount.uuid)),
        _ => true,
    }
}

/// The names of a list, or 404 when there are none, as Vault does it.
pub(crate) fn names(names: Vec<String>) -> Response {
    if names.is_empty() { Response::missing() } else { Response::data(serde_json::json!({ "keys": names })) }
}

/// Prefix of a list: with its slash, unless it is everything.
pub(crate) fn folder(rest: &str) -> String {
    match rest.trim_end_matches('/') {
        "" => String::new(),
        rest => format!("{rest}/"),
    }
}
