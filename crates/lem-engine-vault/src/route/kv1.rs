//! Key-value version 1: one value per path.

use super::{Ask, folder, names};
use crate::core::Open;
use crate::limits::SECRET_BYTES;
use crate::mount::Mount;
use crate::{Method, Response};
use serde_json::{Map, Value};

pub(crate) fn answer(open: &mut Open, mount: &Mount, ask: &Ask<'_>) -> Result<Response, Response> {
    let record = format!("kv/{}/{}", mount.uuid, ask.rest);
    match ask.method() {
        Method::List => Ok(names(open.store.list(&format!("kv/{}/{}", mount.uuid, folder(ask.rest))))),
        _ if ask.rest.is_empty() || ask.rest.ends_with('/') => Err(Response::bad("missing path of the secret")),
        Method::Read => {
            let data: Map<String, Value> = open.store.get(&record)?.ok_or_else(Response::missing)?;
            let mut answer = Response::data(Value::Object(data));
            if let Some(body) = &mut answer.body {
                // Clients take it as advice how soon to look again.
                body["lease_duration"] = 2_764_800.into();
            }
            Ok(answer)
        }
        Method::Write if ask.request.body.is_empty() => Err(Response::bad("missing data fields")),
        Method::Write => {
            let bytes = serde_json::to_vec(&ask.request.body).map_or(usize::MAX, |b| b.len());
            if bytes > SECRET_BYTES {
                return Err(Response::bad(format!("the secret has {bytes} bytes, the limit is {SECRET_BYTES}")));
            }
            open.store.put(&record, &ask.request.body)?;
            Ok(Response::nothing())
        }
        Method::Delete => {
            open.store.remove(&record)?;
            Ok(Response::nothing())
        }
        Method::Patch => Err(Response::method()),
    }
}
