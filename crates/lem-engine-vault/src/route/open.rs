//! What needs neither token nor open store: health, seal, leader.

use crate::core::Vault;
use crate::{API_LEVEL, Method, Request, Response};
use serde_json::json;

/// The answer, when the path is one of these.
pub(crate) fn answer(vault: &Vault, request: &Request) -> Option<Response> {
    let sealed = vault.is_sealed();
    Some(match (request.path.as_str(), request.method) {
        ("sys/health", Method::Read) => health(sealed, request),
        ("sys/seal-status", Method::Read) => seal_status(sealed),
        ("sys/init", Method::Read) => Response::plain(200, json!({ "initialized": true })),
        ("sys/init", Method::Write) => Response::bad("Vault is already initialized"),
        ("sys/leader", Method::Read) => Response::plain(
            200,
            json!({ "ha_enabled": false, "is_self": false, "leader_address": "", "leader_cluster_address": "",
                    "performance_standby": false, "performance_standby_last_remote_wal": 0 }),
        ),
        ("sys/unseal", Method::Write) => unseal(vault, request),
        _ => return None,
    })
}

fn health(sealed: bool, request: &Request) -> Response {
    let asked = |name: &str, default| request.parameter(name).and_then(|c| c.parse().ok()).unwrap_or(default);
    let status = if sealed { asked("sealedcode", 503) } else { asked("activecode", 200) };
    let body = json!({
        "initialized": true,
        "sealed": sealed,
        "standby": false,
        "performance_standby": false,
        "replication_performance_mode": "disabled",
        "replication_dr_mode": "disabled",
        "server_time_utc": 0,
        "version": API_LEVEL,
        "cluster_name": "lem",
        "cluster_id": "",
    });
    Response::plain(status, body)
}

fn seal_status(sealed: bool) -> Response {
    let body = json!({
        "type": "shamir",
        "initialized": true,
        "sealed": sealed,
        "t": 1,
        "n": 1,
        "progress": 0,
        "nonce": "",
        "version": API_LEVEL,
        "build_date": "",
        "migration": false,
        "cluster_name": "lem",
        "cluster_id": "",
        "recovery_seal": false,
        "storage_type": "file",
    });
    Response::plain(200, body)
}

/// The key of the seal is one share of one; whoever has it unseals.
fn unseal(vault: &Vault, request: &Request) -> Response {
    if request.flag("reset") == Some(true) {
        return seal_status(vault.is_sealed());
    }
    match request.text("key") {
        None => Response::bad("'key' must be specified in request body as JSON, or 'reset' set to true"),
        Some(key) if !vault.is_seal_key(key) => Response::bad("unseal failed, invalid key"),
        Some(_) => match vault.unseal() {
            Ok(()) => seal_status(false),
            Err(error) => Response::from(error),
        },
    }
}
