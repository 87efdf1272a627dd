//! `sys/leases/`: looking up, renewing and revoking leases.

use super::{Ask, folder, names};
use crate::core::Open;
use crate::{Method, Response};
use serde_json::json;

/// The answer, when the path below `sys/` is about leases.
pub(crate) fn answer(open: &mut Open, ask: &Ask<'_>) -> Result<Option<Response>, Response> {
    let now = ask.second();
    let rest = ask.rest.strip_prefix("leases/").unwrap_or(ask.rest);
    let (part, tail) = rest.split_once('/').unwrap_or((rest, ""));
    let id = || {
        ask.request
            .text("lease_id")
            .or((!tail.is_empty()).then_some(tail))
            .ok_or_else(|| Response::bad("lease_id must be specified"))
    };
    let unknown = || Response::bad("invalid lease");
    Ok(Some(match (part, ask.method()) {
        ("lookup", Method::List) => names(open.lease_names(&folder(tail))),
        ("lookup", Method::Write) => Response::data(open.lease(id()?, now)?.ok_or_else(unknown)?.lookup(now)),
        ("renew", Method::Write) => {
            let increment = ask.request.seconds("increment")?.unwrap_or(0);
            let lease = open.renew_lease(id()?, increment, now)?.ok_or_else(unknown)?;
            let mut answer = Response::data(serde_json::Value::Null);
            if let Some(body) = &mut answer.body {
                body["lease_id"] = json!(lease.id);
                body["renewable"] = json!(true);
                body["lease_duration"] = json!((lease.expires - now).max(0));
            }
            answer
        }
        ("revoke", Method::Write) => {
            let id = id()?.to_owned();
            open.lease(&id, now)?.ok_or_else(unknown)?;
            open.revoke_lease(&id)?;
            Response::nothing()
        }
        ("revoke-prefix" | "revoke-force", Method::Write) => {
            for id in open.leases(tail) {
                open.revoke_lease(&id)?;
            }
            Response::nothing()
        }
        ("count", Method::Read) => {
            let count = open.leases("").len();
            Response::data(json!({ "lease_count": count, "count": count, "counts": {} }))
        }
        ("tidy", Method::Write) => {
            open.tidy_leases(now)?;
            Response::nothing()
        }
        _ => return Ok(None),
    }))
}
