//! `lem secret`: the secret store, whether a loop has it open or not.

use crate::cli::{Cli, Secret};
use crate::client::Client;
use crate::exit::{Failure, negative, unreachable, usage};
use crate::print::{document, rows};
use crate::secrets;
use crate::settings::Settings;
use lem_engine_vault::{Method, Request, Vault, VaultError};
use serde_json::{Map, Value, json};
use std::io::Read as _;
use std::path::Path;

/// Bytes that are read as one value.
const VALUE_BYTES: u64 = 1 << 20;

/// Status and body of an answer.
struct Answer {
    status: u16,
    body: Option<Value>,
}

/// The store itself, or the loop that has it open.
enum Store {
    Own(Box<Vault>, String),
    Server(Client),
}

impl Store {
    fn open(directory: &Path) -> Result<Self, Failure> {
        let settings = Settings::read(directory, None)?;
        std::fs::create_dir_all(&settings.data)
            .map_err(|e| usage(format!("cannot create {}: {e}", settings.data.display())))?;
        let token = crate::serve::token_text(&settings.data)?;
        match secrets::open(&settings.data, &token, None) {
            Ok(vault) => Ok(Self::Own(Box::new(vault), token)),
            Err(VaultError::InUse { .. }) => Ok(Self::Server(Client::of(&settings)?)),
            Err(error) => Err(usage(format!("the secret store does not open: {error}"))),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Result<Answer, Failure> {
        match self {
            Self::Own(vault, token) => {
                let answer = vault.handle(&Request::new(method, path).token(token).body(body));
                Ok(Answer { status: answer.status, body: answer.body })
            }
            Self::Server(client) => {
                let verb = match method {
                    Method::Read => "GET",
                    Method::List => "LIST",
                    Method::Write => "POST",
                    Method::Patch => "PATCH",
                    Method::Delete => "DELETE",
                };
                let (status, body) = client.vault(verb, path, &body).await?;
                Ok(Answer { status, body })
            }
        }
    }

    async fn answer(&self, method: Method, path: &str, body: Value) -> Result<Value, Failure> {
        let answer = self.ask(method, path, body).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body.unwrap_or(Value::Null));
        }
        let said = answer.body.as_ref().and_then(|b| b["errors"].as_array()).cloned().unwrap_or_default();
        let said: Vec<&str> = said.iter().filter_map(Value::as_str).collect();
        Err(match answer.status {
            404 => negative(format!("there is nothing at {path}")),
            503 => unreachable(said.join("; ")),
            _ => usage(said.join("; ")),
        })
    }
}

/// Runs one of the commands.
pub(crate) async fn secret(cli: &Cli, arguments: &Secret, directory: &Path) -> Result<(), Failure> {
    match arguments {
        Secret::List { path } => list(cli, &Store::open(directory)?, path.as_deref().unwrap_or_default()).await,
        Secret::Get { path, key } => get(cli, &Store::open(directory)?, path, key.as_deref()).await,
        Secret::Set { path, values, replace } => {
            // Values are read before the store is taken: nobody waits for somebody who types.
            let values = read_values(values)?;
            set(&Store::open(directory)?, path, values, *replace).await
        }
        Secret::Delete { path, destroy } => {
            let part = if *destroy { "metadata" } else { "data" };
            let store = Store::open(directory)?;
            store.answer(Method::Delete, &below(path, part), Value::Null).await?;
            eprintln!(
                "{}: {path}",
                if *destroy { "destroyed with all its versions" } else { "deleted; earlier versions stay" }
            );
            Ok(())
        }
        Secret::Leases => leases(cli, &Store::open(directory)?).await,
    }
}

/// `secret/data/shop/db` of `shop/db` or `secret/shop/db`.
fn below(path: &str, part: &str) -> String {
    let path = path.trim_matches('/');
    let inner = path.strip_prefix("secret/").unwrap_or(if path == "secret" { "" } else { path });
    format!("secret/{part}/{inner}")
}

async fn list(cli: &Cli, store: &Store, path: &str) -> Result<(), Failure> {
    let mut found = vec![];
    let mut folders = vec![path.trim_matches('/').to_owned()];
    while let Some(folder) = folders.pop() {
        let answer = store.ask(Method::List, &below(&folder, "metadata"), Value::Null).await?;
        let keys = answer.body.as_ref().and_then(|b| b["data"]["keys"].as_array()).cloned().unwrap_or_default();
        for key in keys.iter().filter_map(Value::as_str) {
            let whole = if folder.is_empty() { key.to_owned() } else { format!("{folder}/{key}") };
            match whole.strip_suffix('/') {
                Some(inner) => folders.push(inner.to_owned()),
                None => found.push(whole),
            }
        }
    }
    found.sort();
    let mut all = vec![];
    for path in found {
        let metadata = store.answer(Method::Read, &below(&path, "metadata"), Value::Null).await?;
        let data = &metadata["data"];
        all.push(json!({ "path": path, "version": data["current_version"], "updated": data["updated_time"] }));
    }
    document(cli.output, &json!(all), |value| {
        rows(value, &["PATH", "VERSION", "UPDATED"], &["path", "version", "updated"])
    });
    Ok(())
}

async fn get(cli: &Cli, store: &Store, path: &str, key: Option<&str>) -> Result<(), Failure> {
    let answer = store.answer(Method::Read, &below(path, "data"), Value::Null).await?;
    let data = &answer["data"]["data"];
    match key {
        Some(key) => match data.get(key) {
            Some(Value::String(text)) => println!("{text}"),
            Some(other) => println!("{other}"),
            None => return Err(negative(format!("{path} has no key {key:?}"))),
        },
        None => document(cli.output, data, |value| {
            let pairs = value.as_object().cloned().unwrap_or_default();
            pairs
                .iter()
                .map(|(k, v)| format!("{k}={}\n", v.as_str().map_or_else(|| v.to_string(), str::to_owned)))
                .collect()
        }),
    }
    Ok(())
}

/// `KEY=VALUE`, `KEY=@FILE`, `KEY=-` for standard input.
fn read_values(values: &[String]) -> Result<Map<String, Value>, Failure> {
    let mut map = Map::new();
    for pair in values {
        let Some((key, value)) = pair.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(usage(format!("{pair:?} is no KEY=VALUE; write KEY=- to read the value from standard input")));
        };
        let text = match value {
            "-" => read(std::io::stdin(), "standard input")?,
            _ => match value.strip_prefix('@') {
                Some(file) => {
                    let opened = std::fs::File::open(file).map_err(|e| usage(format!("cannot read {file}: {e}")))?;
                    read(opened, file)?
                }
                None => value.to_owned(),
            },
        };
        map.insert(key.to_owned(), Value::String(text));
    }
    Ok(map)
}

fn read(from: impl std::io::Read, what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    from.take(VALUE_BYTES).read_to_string(&mut text).map_err(|e| usage(format!("cannot read {what}: {e}")))?;
    Ok(text.strip_suffix('\n').map(str::to_owned).unwrap_or(text))
}

async fn set(store: &Store, path: &str, values: Map<String, Value>, replace: bool) -> Result<(), Failure> {
    let place = below(path, "data");
    let names: Vec<String> = values.keys().cloned().collect();
    let body = json!({ "data": values });
    let answer = if replace {
        store.answer(Method::Write, &place, body).await?
    } else {
        // What is there stays, unless it is named: a patch, or a first version when there is none.
        let patched = store.ask(Method::Patch, &place, body.clone()).await?;
        match patched.status {
            404 => store.answer(Method::Write, &place, body).await?,
            _ => patched.body.unwrap_or(Value::Null),
        }
    };
    match answer["data"]["version"].as_u64() {
        Some(version) => eprintln!("{path} version {version}: {}", names.join(", ")),
        None => return Err(usage(format!("{path} was not written: {answer}"))),
    }
    Ok(())
}

async fn leases(cli: &Cli, store: &Store) -> Result<(), Failure> {
    let mut found = vec![];
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let answer = store.ask(Method::List, &format!("sys/leases/lookup/{folder}"), Value::Null).await?;
        let keys = answer.body.as_ref().and_then(|b| b["data"]["keys"].as_array()).cloned().unwrap_or_default();
        for key in keys.iter().filter_map(Value::as_str) {
            let whole = format!("{folder}{key}");
            if whole.ends_with('/') {
                folders.push(whole);
            } else {
                let one = store.answer(Method::Write, "sys/leases/lookup", json!({ "lease_id": whole })).await?;
                found.push(one["data"].clone());
            }
        }
    }
    document(cli.output, &json!(found), |value| {
        rows(value, &["LEASE", "ISSUED", "EXPIRES"], &["id", "issue_time", "expire_time"])
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_with_or_without_the_mount() {
        for (path, part, expect) in [
            ("shop/db", "data", "secret/data/shop/db"),
            ("secret/shop/db", "metadata", "secret/metadata/shop/db"),
            ("/shop/", "data", "secret/data/shop"),
            ("", "metadata", "secret/metadata/"),
        ] {
            assert_eq!(below(path, part), expect);
        }
    }

    #[test]
    fn a_pair_needs_a_key() {
        assert!(read_values(&["=x".into()]).is_err());
        assert!(read_values(&["x".into()]).is_err());
        assert_eq!(read_values(&["a=b=c".into()]).expect("a pair")["a"], "b=c");
    }
}
