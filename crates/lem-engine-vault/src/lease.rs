//! Leases: who holds which secret until when. A lease is bound to a job attempt, an instance of a service or a token,
//! and ends with it.

use crate::VaultError;
use crate::core::Open;
use crate::limits::TTL_SECONDS;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

/// A lease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// Id: path of the secret and a random part.
    pub id: String,
    /// Path of the secret with its mount, and the version given out: `secret/data/shop?version=3`.
    pub secret: String,
    /// Job attempt, instance or token it is bound to.
    pub to: String,
    /// Second of Unix time it was issued at.
    pub issued: i64,
    /// Second of Unix time it ends at.
    pub expires: i64,
    /// Second of Unix time it was renewed at last.
    pub renewed: Option<i64>,
}

/// A secret given out.
pub struct Leased {
    /// The lease.
    pub lease: Lease,
    /// The values, wiped when dropped.
    pub values: Vec<(String, Zeroizing<String>)>,
}

impl std::fmt::Debug for Leased {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leased").field("lease", &self.lease).finish_non_exhaustive()
    }
}

impl Lease {
    pub(crate) fn is_over(&self, now: i64) -> bool {
        self.expires <= now
    }

    /// The `data` of a look-up.
    pub(crate) fn lookup(&self, now: i64) -> Value {
        let time = |s: i64| jiff::Timestamp::from_second(s).map_or(Value::Null, |t| json!(t.to_string()));
        json!({
            "id": self.id,
            "issue_time": time(self.issued),
            "expire_time": time(self.expires),
            "last_renewal": self.renewed.map_or(Value::Null, time),
            "renewable": true,
            "ttl": (self.expires - now).max(0),
        })
    }
}

fn record(id: &str) -> String {
    format!("sys/lease/{id}")
}

impl Open {
    pub(crate) fn issue(&mut self, secret: &str, to: &str, ttl: u64, now: i64) -> Result<Lease, VaultError> {
        let path = secret.split('?').next().unwrap_or(secret);
        let lease = Lease {
            id: format!("{path}/{}", uuid::Uuid::new_v4().simple()),
            secret: secret.to_owned(),
            to: to.to_owned(),
            issued: now,
            expires: now + ttl.min(TTL_SECONDS) as i64,
            renewed: None,
        };
        self.store.put(&record(&lease.id), &lease)?;
        Ok(lease)
    }

    pub(crate) fn lease(&self, id: &str, now: i64) -> Result<Option<Lease>, VaultError> {
        Ok(self.store.get::<Lease>(&record(id))?.filter(|l| !l.is_over(now)))
    }

    pub(crate) fn renew_lease(&mut self, id: &str, increment: u64, now: i64) -> Result<Option<Lease>, VaultError> {
        let Some(mut lease) = self.lease(id, now)? else { return Ok(None) };
        let wish = if increment == 0 { (lease.expires - lease.issued).max(1) as u64 } else { increment };
        lease.expires = (now + wish.min(TTL_SECONDS) as i64).min(lease.issued + TTL_SECONDS as i64);
        lease.renewed = Some(now);
        self.store.put(&record(id), &lease)?;
        Ok(Some(lease))
    }

    pub(crate) fn revoke_lease(&mut self, id: &str) -> Result<(), VaultError> {
        self.store.remove(&record(id))
    }

    pub(crate) fn leases(&self, prefix: &str) -> Vec<String> {
        let stem = record(prefix);
        self.store.below(&stem).map(|p| p["sys/lease/".len()..].to_owned()).collect()
    }

    pub(crate) fn lease_names(&self, prefix: &str) -> Vec<String> {
        self.store.list(&record(prefix))
    }

    /// Leases that are so.
    pub(crate) fn leases_where(&self, so: impl Fn(&Lease) -> bool) -> Result<Vec<Lease>, VaultError> {
        let mut found = vec![];
        for path in self.store.below("sys/lease/") {
            found.extend(self.store.get::<Lease>(path)?.filter(&so));
        }
        Ok(found)
    }

    /// The leases of a holder that still lives end so much later than now, however old they are.
    pub(crate) fn extend_leases_to(&mut self, to: &str, ttl: u64, now: i64) -> Result<(), VaultError> {
        for mut lease in self.leases_where(|lease| lease.to == to && !lease.is_over(now))? {
            lease.expires = now + ttl.min(TTL_SECONDS) as i64;
            lease.renewed = Some(now);
            self.store.put(&record(&lease.id), &lease)?;
        }
        Ok(())
    }

    fn revoke_where(&mut self, over: impl Fn(&Lease) -> bool) -> Result<Vec<Lease>, VaultError> {
        let gone = self.leases_where(over)?;
        for lease in &gone {
            self.revoke_lease(&lease.id)?;
        }
        Ok(gone)
    }

    pub(crate) fn revoke_leases_to(&mut self, to: &str) -> Result<Vec<Lease>, VaultError> {
        self.revoke_where(|lease| lease.to == to)
    }

    pub(crate) fn revoke_leases_of_token(&mut self, fingerprint: &str) -> Result<(), VaultError> {
        self.revoke_leases_to(&format!("token:{fingerprint}")).map(drop)
    }

    /// Takes away leases that are over.
    pub(crate) fn tidy_leases(&mut self, now: i64) -> Result<Vec<Lease>, VaultError> {
        self.revoke_where(|lease| lease.is_over(now))
    }
}

/// The values of a secret as text: what is no text is given as JSON.
pub(crate) fn values(data: &Map<String, Value>) -> Vec<(String, Zeroizing<String>)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    data.iter().map(|(key, value)| (key.clone(), Zeroizing::new(text(value)))).collect()
}
