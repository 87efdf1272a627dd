//! Key-value version 2: `config`, `data/`, `delete/`, `undelete/`, `destroy/`, `metadata/`, `subkeys/`.

use super::{Ask, folder, names};
use crate::core::Open;
use crate::kv::{Config, Key, custom, duration, merge, subkeys};
use crate::limits::SECRET_BYTES;
use crate::mount::Mount;
use crate::{Method, Response};
use serde_json::{Map, Value, json};

pub(crate) fn answer(open: &mut Open, mount: &Mount, ask: &Ask<'_>) -> Result<Response, Response> {
    let (part, key) = ask.rest.split_once('/').unwrap_or((ask.rest, ""));
    let kv = Kv { mount, ask };
    match (part, ask.method()) {
        ("config", Method::Read) => Ok(Response::data(shown(&kv.config(open)?))),
        ("config", Method::Write) => kv.set_config(open),
        ("metadata", Method::List) => Ok(names(open.store.list(&format!("kv/{}/{}", mount.uuid, folder(key))))),
        ("config", _) => Err(Response::method()),
        (_, _) if key.is_empty() || key.ends_with('/') => Err(missing_key(part)),
        ("data", Method::Read) => kv.read(open, key),
        ("data", Method::Write) => kv.write(open, key),
        ("data", Method::Patch) => kv.patch(open, key),
        ("data", Method::Delete) => kv.change(open, key, |k, now| k.delete(&[k.current], now)),
        ("delete", Method::Write) => kv.versions(open, key, Key::delete),
        ("undelete", Method::Write) => kv.versions(open, key, Key::undelete),
        ("destroy", Method::Write) => kv.versions(open, key, Key::destroy),
        ("metadata", Method::Read) => Ok(Response::data(kv.key(open, key)?.ok_or_else(Response::missing)?.metadata())),
        ("metadata", Method::Write) => kv.set_metadata(open, key),
        ("metadata", Method::Patch) => kv.patch_metadata(open, key),
        ("metadata", Method::Delete) => {
            open.store.remove(&kv.record(key))?;
            Ok(Response::nothing())
        }
        ("subkeys", Method::Read) => kv.subkeys(open, key),
        ("data" | "delete" | "undelete" | "destroy" | "subkeys", _) => Err(Response::method()),
        _ => Err(Response::errors(
            404,
            &[
                "Invalid path for a versioned K/V secrets engine: paths begin with data/, metadata/, delete/, undelete/, destroy/, subkeys/ or are config",
            ],
        )),
    }
}

fn missing_key(part: &str) -> Response {
    match part {
        "data" | "delete" | "undelete" | "destroy" | "metadata" | "subkeys" => {
            Response::bad("missing path of the secret")
        }
        _ => Response::missing(),
    }
}

fn shown(config: &Config) -> Value {
    json!({
        "cas_required": config.cas_required,
        "delete_version_after": duration(config.delete_version_after),
        "max_versions": config.max_versions,
    })
}

struct Kv<'a> {
    mount: &'a Mount,
    ask: &'a Ask<'a>,
}

impl Kv<'_> {
    fn record(&self, key: &str) -> String {
        format!("kv/{}/{key}", self.mount.uuid)
    }

    fn key(&self, open: &Open, key: &str) -> Result<Option<Key>, Response> {
        Ok(open.store.get(&self.record(key))?)
    }

    fn config(&self, open: &Open) -> Result<Config, Response> {
        Ok(open.store.get(&format!("kvconfig/{}", self.mount.uuid))?.unwrap_or_default())
    }

    /// The configuration with what the body says.
    fn changed(&self, mut config: Config) -> Result<Config, Response> {
        let request = self.ask.request;
        if let Some(max) = request.whole("max_versions") {
            config.max_versions = max;
        }
        if let Some(required) = request.flag("cas_required") {
            config.cas_required = required;
        }
        if let Some(seconds) = request.seconds("delete_version_after")? {
            config.delete_version_after = seconds;
        }
        Ok(config)
    }

    fn set_config(&self, open: &mut Open) -> Result<Response, Response> {
        let config = self.changed(self.config(open)?)?;
        open.store.put(&format!("kvconfig/{}", self.mount.uuid), &config)?;
        Ok(Response::nothing())
    }

    fn number(&self) -> Result<u64, Response> {
        let text = self.ask.request.parameter("version").unwrap_or("0");
        text.parse().map_err(|_| Response::bad(format!("version {text:?} is no number")))
    }

    fn read(&self, open: &Open, key: &str) -> Result<Response, Response> {
        let (number, entry) = (self.number()?, self.key(open, key)?);
        let Some((number, version)) = entry.as_ref().and_then(|k| k.version(number)) else {
            return Err(Response::missing());
        };
        let metadata = entry.as_ref().map(|k| k.version_metadata(number, version));
        let readable = version.data.as_ref().filter(|_| !version.is_deleted(&self.ask.now.to_string()));
        let mut answer = Response::data(json!({ "data": readable, "metadata": metadata }));
        if readable.is_none() {
            // Clients read the body of this 404: it tells a deleted version from one that never was.
            answer.status = 404;
        }
        Ok(answer)
    }

    fn options(&self) -> Result<Option<u64>, Response> {
        match self.ask.request.body.get("options").and_then(|o| o.get("cas")) {
            None | Some(Value::Null) => Ok(None),
            Some(cas) => {
                let number = cas.as_u64().or_else(|| cas.as_str().and_then(|t| t.parse().ok()));
                number.map(Some).ok_or_else(|| Response::bad("error parsing check-and-set parameter"))
            }
        }
    }

    fn write(&self, open: &mut Open, key: &str) -> Result<Response, Response> {
        let data = match self.ask.request.body.get("data") {
            Some(Value::Object(data)) => data.clone(),
            Some(_) => return Err(Response::bad("data is no object")),
            None => return Err(Response::bad("no data provided")),
        };
        let entry = self.key(open, key)?.unwrap_or_else(|| Key::new(&self.ask.now.to_string()));
        self.put(open, key, entry, data)
    }

    fn put(&self, open: &mut Open, key: &str, mut entry: Key, data: Map<String, Value>) -> Result<Response, Response> {
        let bytes = serde_json::to_vec(&data).map_or(usize::MAX, |b| b.len());
        if bytes > SECRET_BYTES {
            return Err(Response::bad(format!("the secret has {bytes} bytes, the limit is {SECRET_BYTES}")));
        }
        let number = entry.put(data, self.options()?, &self.config(open)?, self.ask.now)?;
        open.store.put(&self.record(key), &entry)?;
        let metadata = entry.version(number).map(|(n, v)| entry.version_metadata(n, v));
        Ok(Response::data(metadata.unwrap_or_default()))
    }

    fn patch(&self, open: &mut Open, key: &str) -> Result<Response, Response> {
        let entry = self.key(open, key)?.ok_or_else(Response::missing)?;
        let now = self.ask.now.to_string();
        let current = entry.version(0).filter(|(_, v)| !v.is_deleted(&now)).and_then(|(_, v)| v.data.clone());
        let mut data = Value::Object(current.ok_or_else(Response::missing)?);
        merge(&mut data, self.ask.request.body.get("data").ok_or_else(|| Response::bad("no data provided"))?);
        let Value::Object(data) = data else { return Err(Response::bad("data is no object")) };
        self.put(open, key, entry, data)
    }

    /// Changes a key that exists; what does not is left so.
    fn change(&self, open: &mut Open, key: &str, change: impl FnOnce(&mut Key, &str)) -> Result<Response, Response> {
        if let Some(mut entry) = self.key(open, key)? {
            change(&mut entry, &self.ask.now.to_string());
            open.store.put(&self.record(key), &entry)?;
        }
        Ok(Response::nothing())
    }

    fn versions(&self, open: &mut Open, key: &str, change: fn(&mut Key, &[u64], &str)) -> Result<Response, Response> {
        let Some(Value::Array(list)) = self.ask.request.body.get("versions") else {
            return Err(Response::bad("no version number provided"));
        };
        let number = |v: &Value| v.as_u64().or_else(|| v.as_str().and_then(|t| t.parse().ok()));
        let numbers: Option<Vec<u64>> = list.iter().map(number).collect();
        let numbers = numbers.filter(|n| !n.is_empty()).ok_or_else(|| Response::bad("no version number provided"))?;
        self.change(open, key, |entry, now| change(entry, &numbers, now))
    }

    fn set_metadata(&self, open: &mut Open, key: &str) -> Result<Response, Response> {
        let mut entry = self.key(open, key)?.unwrap_or_else(|| Key::new(&self.ask.now.to_string()));
        entry.config = self.changed(entry.config)?;
        if let Some(given) = self.ask.request.body.get("custom_metadata") {
            entry.custom = custom(given)?;
        }
        entry.updated = self.ask.now.to_string();
        open.store.put(&self.record(key), &entry)?;
        Ok(Response::nothing())
    }

    fn patch_metadata(&self, open: &mut Open, key: &str) -> Result<Response, Response> {
        let mut entry = self.key(open, key)?.ok_or_else(Response::missing)?;
        entry.config = self.changed(entry.config)?;
        if let Some(patch) = self.ask.request.body.get("custom_metadata") {
            let mut whole = json!(entry.custom);
            merge(&mut whole, patch);
            entry.custom = custom(&whole)?;
        }
        entry.updated = self.ask.now.to_string();
        open.store.put(&self.record(key), &entry)?;
        Ok(Response::nothing())
    }

    fn subkeys(&self, open: &Open, key: &str) -> Result<Response, Response> {
        let (number, entry) = (self.number()?, self.key(open, key)?);
        let Some((number, version)) = entry.as_ref().and_then(|k| k.version(number)) else {
            return Err(Response::missing());
        };
        let depth = self.ask.request.parameter("depth").and_then(|d| d.parse().ok()).unwrap_or(0);
        let readable = version.data.as_ref().filter(|_| !version.is_deleted(&self.ask.now.to_string()));
        let metadata = entry.as_ref().map(|k| k.version_metadata(number, version));
        let shown = readable.map(|data| subkeys(data, depth));
        let mut answer = Response::data(json!({ "subkeys": shown, "metadata": metadata }));
        if readable.is_none() {
            answer.status = 404;
        }
        Ok(answer)
    }
}
