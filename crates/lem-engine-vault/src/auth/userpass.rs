//! Userpass: a name and a password become a token. Passwords are kept only as Argon2id hashes.

use super::{TokenSettings, refuse_cidrs};
use crate::core::Open;
use crate::mount::Mount;
use crate::route::{Ask, names};
use crate::{Method, Request, Response};
use argon2::Argon2;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct User {
    salt: [u8; 16],
    hash: [u8; 32],
    token: TokenSettings,
}

/// Bytes of a password.
const PASSWORD_BYTES: usize = 1024;

fn record(mount: &Mount, name: &str) -> String {
    format!("auth/{}/user/{}", mount.uuid, name.to_lowercase())
}

fn hash(password: &str, salt: &[u8; 16]) -> Result<[u8; 32], Response> {
    if password.is_empty() || password.len() > PASSWORD_BYTES {
        return Err(Response::bad(format!("a password has 1 to {PASSWORD_BYTES} bytes")));
    }
    let mut hash = [0; 32];
    let hashed = Argon2::default().hash_password_into(password.as_bytes(), salt, &mut hash);
    hashed.map(|()| hash).map_err(|e| Response::errors(500, &[format!("cannot hash a password: {e}").as_str()]))
}

pub(crate) fn login(
    open: &mut Open,
    mount: &Mount,
    request: &Request,
    rest: &str,
    now: jiff::Timestamp,
) -> Result<Response, Response> {
    let refused = || Response::bad("invalid username or password");
    let name = rest.strip_prefix("login/").ok_or_else(|| Response::unsupported(&request.path))?.to_lowercase();
    if request.method != Method::Write {
        return Err(Response::method());
    }
    let password = request.text("password").ok_or_else(|| Response::bad("missing password"))?;
    let user: Option<User> = open.store.get(&record(mount, &name))?;
    // An unknown name costs as much time as a wrong password.
    let salt = user.as_ref().map_or([0; 16], |u| u.salt);
    let given = hash(password, &salt)?;
    let user = user.filter(|u| u.hash.iter().zip(given).fold(0, |d, (a, b)| d | (a ^ b)) == 0).ok_or_else(refused)?;
    let mut new = user
        .token
        .token(&format!("auth/{}login/{name}", mount.path), format!("{}-{name}", mount.path.trim_end_matches('/')));
    new.meta.insert("username".into(), json!(name));
    let (clear, token) = open.create_token(new, None, now.as_second())?;
    Ok(Response::auth(token.auth(&clear, now.as_second())))
}

pub(crate) fn answer(open: &mut Open, mount: &Mount, ask: &Ask<'_>) -> Result<Response, Response> {
    let Some(rest) = ask.rest.strip_prefix("users") else { return Err(Response::unsupported(&ask.request.path)) };
    let rest = rest.trim_matches('/');
    let (name, part) = rest.split_once('/').unwrap_or((rest, ""));
    let path = record(mount, name);
    match (name, part, ask.method()) {
        ("", _, Method::List) => Ok(names(open.store.list(&record(mount, "")))),
        ("", ..) => Err(Response::method()),
        (_, "", Method::Read) => {
            let user: User = open.store.get(&path)?.ok_or_else(Response::missing)?;
            Ok(Response::data(user.token.shown()))
        }
        (_, "", Method::Write) => {
            refuse_cidrs(ask.request)?;
            let found: Option<User> = open.store.get(&path)?;
            if found.is_none() && ask.request.text("password").is_none() {
                return Err(Response::bad("missing password"));
            }
            let mut user =
                found.unwrap_or_else(|| User { salt: rand::random(), hash: [0; 32], token: TokenSettings::default() });
            user.token.change(ask.request)?;
            if let Some(password) = ask.request.text("password") {
                user.hash = hash(password, &user.salt)?;
            }
            open.store.put(&path, &user)?;
            Ok(Response::nothing())
        }
        (_, "password", Method::Write) => {
            let mut user: User = open.store.get(&path)?.ok_or_else(|| Response::bad("username does not exist"))?;
            user.salt = rand::random();
            user.hash =
                hash(ask.request.text("password").ok_or_else(|| Response::bad("missing password"))?, &user.salt)?;
            open.store.put(&path, &user)?;
            Ok(Response::nothing())
        }
        (_, "policies", Method::Write) => {
            let mut user: User = open.store.get(&path)?.ok_or_else(|| Response::bad("username does not exist"))?;
            user.token.change(ask.request)?;
            open.store.put(&path, &user)?;
            Ok(Response::nothing())
        }
        (_, "", Method::Delete) => {
            open.store.remove(&path)?;
            Ok(Response::nothing())
        }
        _ => Err(Response::unsupported(&ask.request.path)),
    }
}
