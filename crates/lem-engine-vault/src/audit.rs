//! Audit: one record per request, on the disk before the answer leaves. Texts of requests are kept only as keyed
//! fingerprints, so that a record proves a value to who knows it and tells it to nobody else.

use crate::barrier::Keyring;
use crate::token::Token;
use crate::{Request, Response, VaultError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What a listener learns of a request, after it was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// read, list, update, patch, delete.
    pub operation: String,
    /// Path with its mount.
    pub path: String,
    /// Who: display name of the token; empty for none.
    pub who: String,
    /// HTTP status of the answer.
    pub status: u16,
    /// Version that was written, for key-value version 2.
    pub version: Option<u64>,
}

/// The audit file.
pub(crate) struct Audit {
    path: PathBuf,
    file: File,
}

impl Audit {
    pub(crate) fn open(path: &Path) -> Result<Self, VaultError> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        Ok(Self { path: path.to_owned(), file: file.map_err(|e| VaultError::file("open", path, e))? })
    }

    /// Writes a record; it is on the disk when this returns.
    pub(crate) fn write(
        &mut self,
        keyring: &Keyring,
        request: &Request,
        caller: Option<&Token>,
        answer: &Response,
        now: jiff::Timestamp,
    ) -> Result<(), VaultError> {
        let hash = |text: &str| fingerprint(keyring, text);
        let error = answer.body.as_ref().and_then(|b| b.get("errors")).cloned();
        let mut line = json!({
            "time": now.to_string(),
            "type": "response",
            "auth": caller.map(|token| json!({
                "accessor": hash(&token.accessor),
                "display_name": token.display_name,
                "policies": token.policies,
                "token_type": "service",
            })),
            "request": {
                "operation": request.method.operation(),
                "path": request.path,
                "client_token": request.token.as_deref().map(hash),
                "remote_address": request.remote,
                "data": hashed(keyring, &Value::Object(request.body.clone())),
            },
            "response": {
                "status": answer.status,
                "data": answer.body.as_ref().and_then(|b| b.get("data")).map(|d| hashed(keyring, d)),
            },
            "error": error,
        })
        .to_string();
        line.push('\n');
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|e| VaultError::file("write", &self.path, e))
    }
}

/// A text as audit records show it.
pub(crate) fn fingerprint(keyring: &Keyring, text: &str) -> String {
    format!("hmac-sha256:{}", keyring.fingerprint("audit", text))
}

/// The same value with every text replaced by its fingerprint; names, numbers and flags stay, as in Vault.
fn hashed(keyring: &Keyring, value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(fingerprint(keyring, text)),
        Value::Array(list) => Value::Array(list.iter().map(|v| hashed(keyring, v)).collect()),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(k, v)| (k.clone(), hashed(keyring, v))).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}
