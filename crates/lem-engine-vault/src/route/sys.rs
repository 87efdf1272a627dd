//! `sys/`: mounts, login methods, policies, capabilities, audit, wrapping.

use super::{Ask, lease, names};
use crate::audit::fingerprint;
use crate::core::Open;
use crate::mount::{Kind, Mount, Mounts};
use crate::{Method, Response, policy};
use serde_json::{Map, Value, json};

pub(crate) fn answer(open: &mut Open, ask: &Ask<'_>) -> Result<Response, Response> {
    let (part, tail) = ask.rest.split_once('/').unwrap_or((ask.rest, ""));
    match part {
        "mounts" => mounts(open, ask, tail),
        "auth" => logins(open, ask, tail),
        "policy" => policies(open, ask, tail, ""),
        "policies" => match tail.split_once('/').unwrap_or((tail, "")) {
            ("acl", name) => policies(open, ask, name, "acl"),
            _ => Err(Response::unsupported(&ask.request.path)),
        },
        "capabilities-self" => capabilities(open, ask, Some(ask.caller.fingerprint.clone())),
        "capabilities" => {
            let token = ask.request.text("token").ok_or_else(|| Response::bad("missing token"))?;
            let found = open.token(token, ask.second())?.map(|t| t.fingerprint);
            capabilities(open, ask, found)
        }
        "capabilities-accessor" => {
            let accessor = ask.request.text("accessor").ok_or_else(|| Response::bad("missing accessor"))?;
            let found = open.token_by_accessor(accessor, ask.second())?.map(|t| t.fingerprint);
            capabilities(open, ask, found)
        }
        "internal" => internal(open, ask, tail),
        "leases" | "renew" | "revoke" => {
            lease::answer(open, ask)?.ok_or_else(|| Response::unsupported(&ask.request.path))
        }
        "wrapping" if tail == "wrap" && ask.method() == Method::Write => {
            Ok(Response::data(Value::Object(ask.request.body.clone())))
        }
        "audit" if ask.method() == Method::Read => Ok(Response::data(json!({
            "file/": { "type": "file", "description": "every request, before its answer", "options": {}, "local": true, "path": "file/" }
        }))),
        "audit-hash" if ask.method() == Method::Write => {
            let input = ask.request.text("input").ok_or_else(|| Response::bad("the \"input\" parameter is empty"))?;
            Ok(Response::data(json!({ "hash": fingerprint(&open.store.keyring, input) })))
        }
        "key-status" if ask.method() == Method::Read => {
            let since =
                jiff::Timestamp::from_second(open.store.keyring.since).map(|t| t.to_string()).unwrap_or_default();
            Ok(Response::data(json!({ "term": open.store.keyring.term(), "install_time": since })))
        }
        "seal" if ask.method() == Method::Write => Ok(Response::nothing()),
        _ => Err(Response::unsupported(&ask.request.path)),
    }
}

fn slashed(path: &str) -> String {
    format!("{}/", path.trim_matches('/'))
}

/// Shown both at the top and in `data`, as clients of different age look for them.
fn listing(mounts: &[Mount]) -> Response {
    let all: Map<String, Value> = mounts.iter().map(|m| (m.path.clone(), m.shown())).collect();
    let mut answer = Response::data(Value::Object(all.clone()));
    if let Some(Value::Object(body)) = &mut answer.body {
        body.extend(all);
    }
    answer
}

fn mounts(open: &mut Open, ask: &Ask<'_>, tail: &str) -> Result<Response, Response> {
    if let Some(path) = tail.strip_suffix("/tune") {
        return tune(open, ask, path, false);
    }
    match ask.method() {
        Method::Read if tail.is_empty() => Ok(listing(&open.mounts.secrets)),
        Method::Read => {
            let path = slashed(tail);
            let found = open.mounts.secrets.iter().find(|m| m.path == path);
            found
                .map(|m| Response::data(m.shown()))
                .ok_or_else(|| Response::bad("No secret engine mount at ".to_owned() + &path))
        }
        Method::Write => mount(open, ask, &slashed(tail)),
        Method::Delete => unmount(open, &slashed(tail)),
        _ => Err(Response::method()),
    }
}

fn mount(open: &mut Open, ask: &Ask<'_>, path: &str) -> Result<Response, Response> {
    let request = ask.request;
    let version = request
        .body
        .get("options")
        .and_then(|o| o.get("version"))
        .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    let (kind, version) = match (request.text("type"), version.as_deref()) {
        (Some("kv-v2"), _) | (Some("kv"), Some("2")) => (Kind::Kv, 2),
        (Some("kv" | "generic"), None | Some("1")) => (Kind::Kv, 1),
        (Some(other), _) => {
            return Err(Response::bad(format!(
                "secret engine {other:?} is not part of this store; there are kv and kv-v2"
            )));
        }
        (None, _) => return Err(Response::bad("backend type must be specified as a string")),
    };
    Mounts::free(&open.mounts.secrets, path).map_err(Response::bad)?;
    open.mounts.secrets.push(Mount::new(path, kind, version, request.text("description").unwrap_or_default()));
    open.keep_mounts()?;
    Ok(Response::nothing())
}

fn unmount(open: &mut Open, path: &str) -> Result<Response, Response> {
    let Some(at) = open.mounts.secrets.iter().position(|m| m.path == path) else { return Ok(Response::nothing()) };
    if open.mounts.secrets[at].kind != Kind::Kv {
        return Err(Response::bad(format!("cannot unmount {path:?}")));
    }
    // First out of sight, then gone: a kill in between leaves records nobody can name, and the next removal takes them.
    let gone = open.mounts.secrets.remove(at);
    open.keep_mounts()?;
    let records: Vec<String> = open.store.below(&format!("kv/{}/", gone.uuid)).map(str::to_owned).collect();
    for record in records {
        open.store.remove(&record)?;
    }
    open.store.remove(&format!("kvconfig/{}", gone.uuid))?;
    Ok(Response::nothing())
}

fn tune(open: &mut Open, ask: &Ask<'_>, path: &str, login: bool) -> Result<Response, Response> {
    let path = slashed(path);
    let default = ask.request.seconds("default_lease_ttl")?;
    let max = ask.request.seconds("max_lease_ttl")?;
    let list = if login { &mut open.mounts.auth } else { &mut open.mounts.secrets };
    let Some(mount) = list.iter_mut().find(|m| m.path == path) else {
        return Err(Response::bad(format!("no mount at {path:?}")));
    };
    if ask.method() == Method::Read {
        return Ok(Response::data(json!({
            "default_lease_ttl": mount.default_lease_ttl,
            "max_lease_ttl": mount.max_lease_ttl,
            "description": mount.description,
            "force_no_cache": false,
            "options": mount.shown()["options"],
        })));
    }
    if ask.method() != Method::Write {
        return Err(Response::method());
    }
    if let Some(text) = ask.request.text("description") {
        mount.description = text.to_owned();
    }
    mount.default_lease_ttl = default.unwrap_or(mount.default_lease_ttl);
    mount.max_lease_ttl = max.unwrap_or(mount.max_lease_ttl);
    let upgraded = ask.request.body.get("options").and_then(|o| o.get("version")).is_some_and(|v| v == "2" || *v == 2);
    if upgraded && mount.kind == Kind::Kv && mount.version == 1 {
        return Err(Response::bad("an engine of version 1 is not turned into version 2; mount a new one and copy"));
    }
    open.keep_mounts()?;
    Ok(Response::nothing())
}

fn logins(open: &mut Open, ask: &Ask<'_>, tail: &str) -> Result<Response, Response> {
    if let Some(path) = tail.strip_suffix("/tune") {
        return tune(open, ask, path, true);
    }
    let path = slashed(tail);
    match ask.method() {
        Method::Read if tail.is_empty() => Ok(listing(&open.mounts.auth)),
        Method::Read => {
            let found = open.mounts.auth.iter().find(|m| m.path == path);
            found.map(|m| Response::data(m.shown())).ok_or_else(|| Response::bad(format!("no auth engine at {path}")))
        }
        Method::Write => {
            let kind = match ask.request.text("type") {
                Some("approle") => Kind::Approle,
                Some("userpass") => Kind::Userpass,
                Some(other) => {
                    return Err(Response::bad(format!(
                        "login method {other:?} is not part of this store; there are approle and userpass"
                    )));
                }
                None => return Err(Response::bad("backend type must be specified as a string")),
            };
            Mounts::free(&open.mounts.auth, &path).map_err(Response::bad)?;
            let description = ask.request.text("description").unwrap_or_default();
            open.mounts.auth.push(Mount::new(&path, kind, 0, description));
            open.keep_mounts()?;
            Ok(Response::nothing())
        }
        Method::Delete => {
            if path == "token/" {
                return Err(Response::bad("token credential backend cannot be disabled"));
            }
            let Some(at) = open.mounts.auth.iter().position(|m| m.path == path) else { return Ok(Response::nothing()) };
            let gone = open.mounts.auth.remove(at);
            open.keep_mounts()?;
            let records: Vec<String> = open.store.below(&format!("auth/{}/", gone.uuid)).map(str::to_owned).collect();
            for record in records {
                open.store.remove(&record)?;
            }
            Ok(Response::nothing())
        }
        _ => Err(Response::method()),
    }
}

fn policies(open: &mut Open, ask: &Ask<'_>, name: &str, family: &str) -> Result<Response, Response> {
    let name = name.trim_end_matches('/').to_lowercase();
    let text_key = if family.is_empty() { "rules" } else { "policy" };
    match ask.method() {
        Method::List => Ok(all_policies(open)),
        Method::Read if name.is_empty() => Ok(all_policies(open)),
        Method::Read if name == "root" => Ok(Response::data(json!({ "name": name, text_key: "" }))),
        Method::Read => {
            let text = open.policy(&name)?.ok_or_else(Response::missing)?;
            let mut answer = Response::data(json!({ "name": name, text_key: text }));
            if let (Some(body), true) = (&mut answer.body, family.is_empty()) {
                body["name"] = json!(name);
                body["rules"] = json!(text);
            }
            Ok(answer)
        }
        Method::Write if name == "root" => Err(Response::bad("cannot update \"root\" policy")),
        Method::Write => {
            let text = ask.request.text("policy").or(ask.request.text("rules"));
            let text = text.ok_or_else(|| Response::bad("'policy' parameter not supplied or empty"))?;
            policy::parse(text).map_err(|why| Response::bad(format!("failed to parse policy: {why}")))?;
            open.store.put(&format!("sys/policy/{name}"), &text)?;
            Ok(Response::nothing())
        }
        Method::Delete if name == "root" || name == "default" => {
            Err(Response::bad(format!("cannot delete {name:?} policy")))
        }
        Method::Delete => {
            open.store.remove(&format!("sys/policy/{name}"))?;
            Ok(Response::nothing())
        }
        Method::Patch => Err(Response::method()),
    }
}

fn all_policies(open: &Open) -> Response {
    let mut all = open.store.list("sys/policy/");
    all.extend(["default".to_owned(), "root".to_owned()]);
    all.sort_unstable();
    all.dedup();
    let mut answer = names(all.clone());
    if let Some(body) = &mut answer.body {
        body["policies"] = json!(all);
        body["data"]["policies"] = json!(all);
    }
    answer
}

fn capabilities(open: &Open, ask: &Ask<'_>, fingerprint: Option<String>) -> Result<Response, Response> {
    let token = match fingerprint {
        Some(fingerprint) => open.token_of(&fingerprint, ask.second())?,
        None => None,
    };
    let token = token.ok_or_else(|| Response::bad("invalid token"))?;
    let paths = ask.request.texts("paths").or(ask.request.texts("path"));
    let paths = paths.filter(|p| !p.is_empty()).ok_or_else(|| Response::bad("paths must be supplied"))?;
    let acl = open.acl(&token)?;
    let mut data: Map<String, Value> = paths.iter().map(|p| (p.clone(), json!(acl.words(p)))).collect();
    if let Some(first) = paths.first() {
        data.insert("capabilities".into(), json!(acl.words(first)));
    }
    let mut answer = Response::data(Value::Object(data.clone()));
    if let Some(Value::Object(body)) = &mut answer.body {
        body.extend(data);
    }
    Ok(answer)
}

/// The look that clients take before they use a mount. A mount that is not there answers like one that is not allowed.
fn internal(open: &Open, ask: &Ask<'_>, tail: &str) -> Result<Response, Response> {
    let Some(path) = tail.strip_prefix("ui/mounts") else { return Err(Response::unsupported(&ask.request.path)) };
    let path = path.trim_matches('/');
    let may = |mount: &Mount| ask.acl.reaches(&mount.path);
    if path.is_empty() {
        let shown = |mounts: &[Mount]| -> Map<String, Value> {
            mounts.iter().filter(|m| may(m)).map(|m| (m.path.clone(), m.shown())).collect()
        };
        return Ok(Response::data(json!({ "secret": shown(&open.mounts.secrets), "auth": shown(&open.mounts.auth) })));
    }
    let found = open.mounts.secret(path).or_else(|| path.strip_prefix("auth/").and_then(|p| open.mounts.login(p)));
    let denied = || {
        let why = "preflight capability check returned 403, please ensure client's policies grant access to path";
        Response::errors(403, &[format!("{why} {path:?}").as_str()])
    };
    let (mount, _) = found.filter(|(mount, _)| may(mount)).ok_or_else(denied)?;
    let mut data = mount.shown();
    data["path"] = json!(mount.path);
    Ok(Response::data(data))
}
