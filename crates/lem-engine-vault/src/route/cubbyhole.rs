//! Private storage of each token; it goes with the token.

use super::{Ask, folder, names};
use crate::core::Open;
use crate::{Method, Response};
use serde_json::{Map, Value};

pub(crate) fn answer(open: &mut Open, ask: &Ask<'_>) -> Result<Response, Response> {
    let home = format!("cubbyhole/{}/", ask.caller.fingerprint);
    let record = format!("{home}{}", ask.rest);
    match ask.method() {
        Method::List => Ok(names(open.store.list(&format!("{home}{}", folder(ask.rest))))),
        Method::Read => {
            let data: Map<String, Value> = open.store.get(&record)?.ok_or_else(Response::missing)?;
            Ok(Response::data(Value::Object(data)))
        }
        Method::Write if ask.request.body.is_empty() => Err(Response::bad("missing data fields")),
        Method::Write => {
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
