//! AppRole: a role id that may be known and a secret id that may not become a token.

use super::{TokenSettings, refuse_cidrs};
use crate::core::Open;
use crate::mount::Mount;
use crate::route::{Ask, names};
use crate::{Method, Request, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Role {
    role_id: String,
    bind_secret_id: bool,
    secret_id_ttl: u64,
    secret_id_num_uses: u64,
    token: TokenSettings,
}

/// A secret id, kept by its fingerprint.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SecretId {
    role: String,
    accessor: String,
    created: i64,
    expires: Option<i64>,
    uses_left: Option<u64>,
    /// What tokens of its logins carry.
    #[serde(default)]
    metadata: Map<String, Value>,
}

fn role_record(mount: &Mount, role: &str) -> String {
    format!("auth/{}/role/{}", mount.uuid, role.to_lowercase())
}

fn secret_record(mount: &Mount, fingerprint: &str) -> String {
    format!("auth/{}/secret/{fingerprint}", mount.uuid)
}

/// One answer for every way a login may fail: it must not tell which half was wrong.
fn refused() -> Response {
    Response::bad("invalid role or secret ID")
}

pub(crate) fn login(
    open: &mut Open,
    mount: &Mount,
    request: &Request,
    now: jiff::Timestamp,
) -> Result<Response, Response> {
    if request.method != Method::Write {
        return Err(Response::method());
    }
    let role_id = request.text("role_id").ok_or_else(|| Response::bad("missing role_id"))?;
    let (name, role) = role_by_id(open, mount, role_id)?.ok_or_else(refused)?;
    let mut meta = Map::new();
    if role.bind_secret_id {
        let secret = request.text("secret_id").ok_or_else(|| Response::bad("missing secret_id"))?;
        meta = use_secret(open, mount, &name, secret, now.as_second())?;
    }
    let mut new = role.token.token(&format!("auth/{}login", mount.path), mount.path.trim_end_matches('/').to_owned());
    new.meta = meta;
    new.meta.insert("role_name".into(), json!(name));
    let (clear, token) = open.create_token(new, None, now.as_second())?;
    Ok(Response::auth(token.auth(&clear, now.as_second())))
}

fn role_by_id(open: &Open, mount: &Mount, role_id: &str) -> Result<Option<(String, Role)>, Response> {
    let stem = role_record(mount, "");
    for path in open.store.below(&stem) {
        if let Some(role) = open.store.get::<Role>(path)?.filter(|r| r.role_id == role_id) {
            return Ok(Some((path[stem.len()..].to_owned(), role)));
        }
    }
    Ok(None)
}

/// Counts one use of a secret id and gives its metadata.
fn use_secret(
    open: &mut Open,
    mount: &Mount,
    role: &str,
    secret: &str,
    now: i64,
) -> Result<Map<String, Value>, Response> {
    let record = secret_record(mount, &open.store.keyring.fingerprint("secret-id", secret));
    let mut found: SecretId = open.store.get(&record)?.ok_or_else(refused)?;
    if found.role != role || found.expires.is_some_and(|end| end <= now) {
        return Err(refused());
    }
    match found.uses_left.as_mut() {
        Some(0) => return Err(refused()),
        Some(1) => open.store.remove(&record)?,
        Some(uses) => {
            *uses -= 1;
            open.store.put(&record, &found)?;
        }
        None => {}
    }
    Ok(found.metadata)
}

/// Metadata of a request: an object of texts, or one written as JSON, as clients send it.
fn metadata(request: &Request) -> Result<Map<String, Value>, Response> {
    let wrong = || Response::bad("failed to parse metadata: it is no JSON object of strings");
    let given = match request.body.get("metadata") {
        None | Some(Value::Null) => return Ok(Map::new()),
        Some(Value::String(text)) if text.is_empty() => return Ok(Map::new()),
        Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| wrong())?,
        Some(given) => given.clone(),
    };
    match given {
        Value::Object(map) if map.values().all(Value::is_string) => Ok(map),
        _ => Err(wrong()),
    }
}

pub(crate) fn answer(open: &mut Open, mount: &Mount, ask: &Ask<'_>) -> Result<Response, Response> {
    let Some(rest) = ask.rest.strip_prefix("role") else { return Err(Response::unsupported(&ask.request.path)) };
    let rest = rest.trim_matches('/');
    if rest.is_empty() {
        return match ask.method() {
            Method::List => Ok(names(open.store.list(&role_record(mount, "")))),
            _ => Err(Response::method()),
        };
    }
    let (name, part) = rest.split_once('/').unwrap_or((rest, ""));
    let name = name.to_lowercase();
    match (part, ask.method()) {
        ("", Method::Write) => change(open, mount, ask, &name),
        ("", Method::Read) => {
            let role = role(open, mount, &name)?;
            let mut data = role.token.shown();
            data["bind_secret_id"] = json!(role.bind_secret_id);
            data["secret_id_ttl"] = json!(role.secret_id_ttl);
            data["secret_id_num_uses"] = json!(role.secret_id_num_uses);
            data["local_secret_ids"] = json!(false);
            Ok(Response::data(data))
        }
        ("", Method::Delete) => {
            open.store.remove(&role_record(mount, &name))?;
            remove_secrets(open, mount, |s| s.role == name)?;
            Ok(Response::nothing())
        }
        ("role-id", Method::Read) => Ok(Response::data(json!({ "role_id": role(open, mount, &name)?.role_id }))),
        ("role-id", Method::Write) => {
            let mut role = role(open, mount, &name)?;
            role.role_id = ask.request.text("role_id").ok_or_else(|| Response::bad("missing role_id"))?.to_owned();
            open.store.put(&role_record(mount, &name), &role)?;
            Ok(Response::nothing())
        }
        ("secret-id", Method::Write) => {
            let fresh = uuid::Uuid::new_v4().to_string();
            new_secret(open, mount, ask, &name, &fresh)
        }
        ("custom-secret-id", Method::Write) => {
            let given = ask.request.text("secret_id").ok_or_else(|| Response::bad("missing secret_id"))?.to_owned();
            new_secret(open, mount, ask, &name, &given)
        }
        ("secret-id", Method::List) => {
            let mut accessors = vec![];
            for path in open.store.below(&secret_record(mount, "")) {
                accessors.extend(open.store.get::<SecretId>(path)?.filter(|s| s.role == name).map(|s| s.accessor));
            }
            Ok(names(accessors))
        }
        ("secret-id/lookup", Method::Write) => {
            let secret = ask.request.text("secret_id").ok_or_else(|| Response::bad("missing secret_id"))?;
            let record = secret_record(mount, &open.store.keyring.fingerprint("secret-id", secret));
            let found: Option<SecretId> = open.store.get(&record)?;
            Ok(found.filter(|s| s.role == name).map_or_else(Response::nothing, |s| Response::data(shown(&s))))
        }
        ("secret-id/destroy", Method::Write) => {
            let secret = ask.request.text("secret_id").ok_or_else(|| Response::bad("missing secret_id"))?;
            let record = secret_record(mount, &open.store.keyring.fingerprint("secret-id", secret));
            if open.store.get::<SecretId>(&record)?.is_some_and(|s| s.role == name) {
                open.store.remove(&record)?;
            }
            Ok(Response::nothing())
        }
        ("secret-id-accessor/lookup", Method::Write) => {
            let accessor =
                ask.request.text("secret_id_accessor").ok_or_else(|| Response::bad("missing secret_id_accessor"))?;
            for path in open.store.below(&secret_record(mount, "")) {
                let found = open.store.get::<SecretId>(path)?;
                if let Some(secret) = found.filter(|s| s.accessor == accessor && s.role == name) {
                    return Ok(Response::data(shown(&secret)));
                }
            }
            Err(Response::errors(
                404,
                &[format!("failed to find accessor entry for secret_id_accessor: {accessor:?}").as_str()],
            ))
        }
        ("secret-id-accessor/destroy", Method::Write) => {
            let accessor =
                ask.request.text("secret_id_accessor").ok_or_else(|| Response::bad("missing secret_id_accessor"))?;
            remove_secrets(open, mount, |s| s.accessor == accessor && s.role == name)?;
            Ok(Response::nothing())
        }
        _ => Err(Response::unsupported(&ask.request.path)),
    }
}

fn role(open: &Open, mount: &Mount, name: &str) -> Result<Role, Response> {
    open.store.get(&role_record(mount, name))?.ok_or_else(Response::missing)
}

fn change(open: &mut Open, mount: &Mount, ask: &Ask<'_>, name: &str) -> Result<Response, Response> {
    refuse_cidrs(ask.request)?;
    let found: Option<Role> = open.store.get(&role_record(mount, name))?;
    let mut role = found.unwrap_or_else(|| Role {
        role_id: uuid::Uuid::new_v4().to_string(),
        bind_secret_id: true,
        secret_id_ttl: 0,
        secret_id_num_uses: 0,
        token: TokenSettings::default(),
    });
    role.token.change(ask.request)?;
    if let Some(bind) = ask.request.flag("bind_secret_id") {
        role.bind_secret_id = bind;
    }
    if let Some(ttl) = ask.request.seconds("secret_id_ttl")? {
        role.secret_id_ttl = ttl;
    }
    if let Some(uses) = ask.request.whole("secret_id_num_uses") {
        role.secret_id_num_uses = uses;
    }
    if !role.bind_secret_id {
        return Err(Response::bad(
            "at least one constraint should be enabled on the role: bind_secret_id is the one there is",
        ));
    }
    open.store.put(&role_record(mount, name), &role)?;
    Ok(Response::nothing())
}

fn new_secret(open: &mut Open, mount: &Mount, ask: &Ask<'_>, name: &str, clear: &str) -> Result<Response, Response> {
    refuse_cidrs(ask.request)?;
    let role = role(open, mount, name)?;
    let now = ask.second();
    let uses = ask.request.whole("num_uses").unwrap_or(role.secret_id_num_uses);
    let ttl = ask.request.seconds("ttl")?.unwrap_or(role.secret_id_ttl);
    let secret = SecretId {
        role: name.to_owned(),
        accessor: uuid::Uuid::new_v4().to_string(),
        created: now,
        expires: (ttl > 0).then_some(now + ttl as i64),
        uses_left: (uses > 0).then_some(uses),
        metadata: metadata(ask.request)?,
    };
    open.store.put(&secret_record(mount, &open.store.keyring.fingerprint("secret-id", clear)), &secret)?;
    Ok(Response::data(json!({
        "secret_id": clear,
        "secret_id_accessor": secret.accessor,
        "secret_id_ttl": ttl,
        "secret_id_num_uses": uses,
    })))
}

fn shown(secret: &SecretId) -> Value {
    let time = |s: i64| jiff::Timestamp::from_second(s).map(|t| t.to_string()).unwrap_or_default();
    json!({
        "secret_id_accessor": secret.accessor,
        "creation_time": time(secret.created),
        "expiration_time": secret.expires.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), time),
        "secret_id_num_uses": secret.uses_left.unwrap_or(0),
        "metadata": secret.metadata,
        "cidr_list": [],
        "token_bound_cidrs": [],
    })
}

fn remove_secrets(open: &mut Open, mount: &Mount, which: impl Fn(&SecretId) -> bool) -> Result<(), Response> {
    let mut gone = vec![];
    for path in open.store.below(&secret_record(mount, "")) {
        if open.store.get::<SecretId>(path)?.is_some_and(|s| which(&s)) {
            gone.push(path.to_owned());
        }
    }
    for path in gone {
        open.store.remove(&path)?;
    }
    Ok(())
}
