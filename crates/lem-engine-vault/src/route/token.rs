//! `auth/token/`: making, looking up, renewing and revoking tokens.

use super::{Ask, names};
use crate::core::Open;
use crate::policy::Capability;
use crate::token::{NewToken, Token};
use crate::{Method, Response};
use serde_json::{Map, Value};

pub(crate) fn answer(open: &mut Open, ask: &Ask<'_>) -> Result<Response, Response> {
    let now = ask.second();
    let bad = || Response::bad("bad token");
    match (ask.rest.trim_end_matches('/'), ask.method()) {
        ("create", Method::Write) => create(open, ask, ask.request.flag("no_parent") == Some(true)),
        ("create-orphan", Method::Write) => create(open, ask, true),
        ("lookup-self", Method::Read | Method::Write) => {
            Ok(Response::data(ask.caller.lookup(ask.request.token.as_deref(), now)))
        }
        ("lookup", Method::Write) => {
            let clear = ask.request.text("token").ok_or_else(|| Response::bad("missing token"))?;
            let token = open.token(clear, now)?.ok_or_else(|| Response::errors(403, &["bad token"]))?;
            Ok(Response::data(token.lookup(Some(clear), now)))
        }
        ("lookup-accessor", Method::Write) => Ok(Response::data(by_accessor(open, ask)?.lookup(None, now))),
        ("accessors", Method::List) => Ok(names(open.accessors())),
        ("renew-self", Method::Write) => renew(open, ask, ask.caller.clone(), ask.request.token.as_deref()),
        ("renew", Method::Write) => {
            let clear = ask.request.text("token").ok_or_else(|| Response::bad("missing token"))?;
            let token = open.token(clear, now)?.ok_or_else(bad)?;
            renew(open, ask, token, Some(clear))
        }
        ("renew-accessor", Method::Write) => {
            let token = by_accessor(open, ask)?;
            renew(open, ask, token, None)
        }
        ("revoke-self", Method::Write) => revoke(open, ask.caller),
        ("revoke-accessor", Method::Write) => {
            let token = by_accessor(open, ask)?;
            revoke(open, &token)
        }
        ("revoke", Method::Write) => {
            let clear = ask.request.text("token").ok_or_else(|| Response::bad("missing token"))?;
            match open.token(clear, now)? {
                Some(token) => revoke(open, &token),
                None => Ok(Response::nothing()),
            }
        }
        ("revoke-orphan", Method::Write) => {
            let clear = ask.request.text("token").ok_or_else(|| Response::bad("missing token"))?;
            let token = open.token(clear, now)?.ok_or_else(bad)?;
            open.revoke_orphan(&token.fingerprint)?;
            Ok(Response::nothing())
        }
        _ => Err(Response::unsupported(&ask.request.path)),
    }
}

fn by_accessor(open: &Open, ask: &Ask<'_>) -> Result<Token, Response> {
    let accessor = ask.request.text("accessor").ok_or_else(|| Response::bad("missing accessor"))?;
    open.token_by_accessor(accessor, ask.second())?.ok_or_else(|| Response::errors(403, &["invalid accessor"]))
}

fn revoke(open: &mut Open, token: &Token) -> Result<Response, Response> {
    open.revoke_token(&token.fingerprint)?;
    Ok(Response::nothing())
}

fn renew(open: &mut Open, ask: &Ask<'_>, mut token: Token, clear: Option<&str>) -> Result<Response, Response> {
    if !token.renewable {
        return Err(Response::bad("lease is not renewable"));
    }
    let increment = ask.request.seconds("increment")?;
    open.renew_token(&mut token, increment, ask.second())?;
    Ok(Response::auth(token.auth(clear.unwrap_or_default(), ask.second())))
}

/// What is asked for, bounded by what the asking token may give.
fn create(open: &mut Open, ask: &Ask<'_>, orphan: bool) -> Result<Response, Response> {
    let (request, caller) = (ask.request, ask.caller);
    let sudo = ask.acl.allows(&request.path, Capability::Sudo, &request.body);
    if caller.uses_left.is_some() {
        return Err(Response::bad("restricted use token cannot generate child tokens"));
    }
    // The path of its own needs no sudo beyond its policy; the flag on the common path does.
    if orphan && ask.rest == "create" && !sudo {
        return Err(Response::bad("root or sudo privileges required to create orphan token"));
    }
    if request.text("type").is_some_and(|kind| kind == "batch") {
        return Err(Response::bad("batch tokens are not supported; leave type out or say service"));
    }
    if request.text("id").is_some() && !sudo {
        return Err(Response::bad("root or sudo privileges required to specify token id"));
    }
    let policies = policies(ask, sudo)?;
    let ttl = request.seconds("ttl")?.or(request.seconds("lease")?).unwrap_or(0);
    let period = request.seconds("period")?.unwrap_or(0);
    if period > 0 && !sudo {
        return Err(Response::bad("root or sudo privileges required to create periodic token"));
    }
    let meta = match request.body.get("meta").or_else(|| request.body.get("metadata")) {
        Some(Value::Object(meta)) => meta.clone(),
        None | Some(Value::Null) => Map::new(),
        Some(_) => return Err(Response::bad("meta is no object")),
    };
    let name = request.text("display_name").map(|n| format!("token-{n}")).unwrap_or_else(|| "token".into());
    let new = NewToken {
        policies,
        path: request.path.clone(),
        meta,
        display_name: name,
        num_uses: request.whole("num_uses").unwrap_or(0),
        ttl,
        explicit_max_ttl: request.seconds("explicit_max_ttl")?.unwrap_or(0),
        period,
        renewable: request.flag("renewable").unwrap_or(true),
        parent: (!orphan).then(|| caller.fingerprint.clone()),
    };
    let id = request.text("id").map(str::to_owned);
    let (clear, token) = open.create_token(new, id.as_deref(), ask.second())?;
    Ok(Response::auth(token.auth(&clear, ask.second())))
}

/// A child has no policy its parent lacks, unless the parent has sudo; only root makes root.
fn policies(ask: &Ask<'_>, sudo: bool) -> Result<Vec<String>, Response> {
    let mut wanted = match ask.request.texts("policies") {
        Some(list) if !list.is_empty() => list,
        _ => ask.caller.policies.clone(),
    };
    let is_root = wanted.iter().any(|p| p == "root");
    if is_root && !ask.acl.is_root() {
        return Err(Response::bad("root tokens may not be created without parent token being root"));
    }
    let stranger = wanted.iter().find(|p| *p != "default" && !ask.caller.policies.contains(p));
    if let (Some(stranger), false) = (stranger, sudo) {
        return Err(Response::bad(format!("child policies must be subset of parent: {stranger:?} is not among them")));
    }
    if !is_root && ask.request.flag("no_default_policy") != Some(true) {
        wanted.push("default".into());
    }
    wanted.sort_unstable();
    wanted.dedup();
    Ok(wanted)
}
