//! Tokens: kept only by keyed fingerprint, with their policies, life, uses and parent.

use crate::VaultError;
use crate::core::Open;
use crate::limits::TTL_SECONDS;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Prefix of every token of ours, so that a scanner of leaks finds it.
pub(crate) const PREFIX: &str = "lems_";

/// Path of a token that whoever runs the store gave it or had made.
pub(crate) const ROOT_PATH: &str = "auth/token/root";

/// What is kept about a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    /// Keyed fingerprint of the token; the record's name.
    pub(crate) fingerprint: String,
    pub(crate) accessor: String,
    pub(crate) policies: Vec<String>,
    /// Path of the request that made it.
    pub(crate) path: String,
    pub(crate) meta: Map<String, Value>,
    pub(crate) display_name: String,
    /// Uses left; `None` is without limit.
    pub(crate) uses_left: Option<u64>,
    pub(crate) created: i64,
    /// Life it was made with; 0 does not end.
    pub(crate) creation_ttl: u64,
    pub(crate) explicit_max_ttl: u64,
    pub(crate) period: u64,
    pub(crate) renewable: bool,
    /// Second of Unix time it ends at.
    pub(crate) expires: Option<i64>,
    pub(crate) last_renewal: Option<i64>,
    /// Fingerprint of the parent; `None` for an orphan.
    pub(crate) parent: Option<String>,
}

/// What a new token shall be.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewToken {
    pub(crate) policies: Vec<String>,
    pub(crate) path: String,
    pub(crate) meta: Map<String, Value>,
    pub(crate) display_name: String,
    pub(crate) num_uses: u64,
    pub(crate) ttl: u64,
    pub(crate) explicit_max_ttl: u64,
    pub(crate) period: u64,
    pub(crate) renewable: bool,
    pub(crate) parent: Option<String>,
}

/// A token in the clear, with a checksum at its end as the field's newer tokens have one.
pub(crate) fn fresh() -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let bytes: [u8; 32] = rand::random();
    let digits = |number: u32| char::from(DIGITS[number as usize % 62]);
    // Two bytes a digit: what modulo favours is below one in a thousand, and 32 digits hold over 190 bits.
    let wide: [u8; 32] = rand::random();
    let body: String = bytes.iter().zip(wide).map(|(a, b)| digits(u32::from(*a) << 8 | u32::from(b))).collect();
    let mut sum = checksum(&body);
    let mut tail = String::new();
    for _ in 0..6 {
        tail.push(digits(sum));
        sum /= 62;
    }
    format!("{PREFIX}{body}{tail}")
}

/// CRC-32 (IEEE 802.3), as tokens with a checksum use it.
fn checksum(text: &str) -> u32 {
    !text.bytes().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

impl Token {
    pub(crate) fn is_root(&self) -> bool {
        self.policies.iter().any(|p| p == "root")
    }

    pub(crate) fn is_over(&self, now: i64) -> bool {
        self.expires.is_some_and(|end| end <= now) || self.uses_left == Some(0)
    }

    pub(crate) fn ttl(&self, now: i64) -> u64 {
        self.expires.map_or(0, |end| u64::try_from(end - now).unwrap_or(0))
    }

    /// The `auth` of an answer that gives the token out.
    pub(crate) fn auth(&self, clear: &str, now: i64) -> Value {
        json!({
            "client_token": clear,
            "accessor": self.accessor,
            "policies": self.policies,
            "token_policies": self.policies,
            "metadata": if self.meta.is_empty() { Value::Null } else { Value::Object(self.meta.clone()) },
            "lease_duration": self.ttl(now),
            "renewable": self.renewable,
            "entity_id": "",
            "token_type": "service",
            "orphan": self.parent.is_none(),
            "mfa_requirement": null,
            "num_uses": self.uses_left.unwrap_or(0),
        })
    }

    /// The `data` of a look-up.
    pub(crate) fn lookup(&self, clear: Option<&str>, now: i64) -> Value {
        let time = |s: i64| jiff::Timestamp::from_second(s).map_or(Value::Null, |t| json!(t.to_string()));
        let mut data = json!({
            "accessor": self.accessor,
            "creation_time": self.created,
            "creation_ttl": self.creation_ttl,
            "display_name": self.display_name,
            "entity_id": "",
            "expire_time": self.expires.map_or(Value::Null, time),
            "explicit_max_ttl": self.explicit_max_ttl,
            "id": clear.unwrap_or_default(),
            "issue_time": time(self.created),
            "meta": if self.meta.is_empty() { Value::Null } else { Value::Object(self.meta.clone()) },
            "num_uses": self.uses_left.unwrap_or(0),
            "orphan": self.parent.is_none(),
            "path": self.path,
            "policies": self.policies,
            "renewable": self.renewable,
            "ttl": self.ttl(now),
            "type": "service",
        });
        if self.period > 0 {
            data["period"] = json!(self.period);
        }
        if let Some(at) = self.last_renewal {
            data["last_renewal"] = time(at);
            data["last_renewal_time"] = json!(at);
        }
        data
    }
}

fn record(fingerprint: &str) -> String {
    format!("sys/token/{fingerprint}")
}

impl Open {
    /// The record of a token in the clear, if it lives.
    pub(crate) fn token(&self, clear: &str, now: i64) -> Result<Option<Token>, VaultError> {
        self.token_of(&self.store.keyring.fingerprint("token", clear), now)
    }

    pub(crate) fn token_of(&self, fingerprint: &str, now: i64) -> Result<Option<Token>, VaultError> {
        let token: Option<Token> = self.store.get(&record(fingerprint))?;
        Ok(token.filter(|t| !t.is_over(now)))
    }

    /// The record of the token with this accessor, if it lives.
    pub(crate) fn token_by_accessor(&self, accessor: &str, now: i64) -> Result<Option<Token>, VaultError> {
        match self.store.get::<String>(&format!("sys/accessor/{accessor}"))? {
            Some(fingerprint) => self.token_of(&fingerprint, now),
            None => Ok(None),
        }
    }

    pub(crate) fn accessors(&self) -> Vec<String> {
        self.store.list("sys/accessor/")
    }

    /// Makes a token; answers it in the clear, once.
    pub(crate) fn create_token(
        &mut self,
        new: NewToken,
        given: Option<&str>,
        now: i64,
    ) -> Result<(String, Token), VaultError> {
        let clear = given.map_or_else(fresh, str::to_owned);
        let life = if new.period > 0 { new.period } else { new.ttl };
        let root = new.policies.iter().any(|p| p == "root");
        let endless = root && life == 0;
        let life = match life {
            0 if endless => 0,
            0 => TTL_SECONDS,
            life => life.min(TTL_SECONDS),
        };
        let life = if new.explicit_max_ttl > 0 { life.min(new.explicit_max_ttl) } else { life };
        let token = Token {
            fingerprint: self.store.keyring.fingerprint("token", &clear),
            accessor: uuid::Uuid::new_v4().simple().to_string(),
            policies: new.policies,
            path: new.path,
            meta: new.meta,
            display_name: new.display_name,
            uses_left: (new.num_uses > 0).then_some(new.num_uses),
            created: now,
            creation_ttl: life,
            explicit_max_ttl: new.explicit_max_ttl,
            period: new.period,
            renewable: new.renewable && !endless,
            expires: (!endless).then_some(now + life as i64),
            last_renewal: None,
            parent: new.parent,
        };
        self.store.put(&format!("sys/accessor/{}", token.accessor), &token.fingerprint)?;
        self.store.put(&record(&token.fingerprint), &token)?;
        Ok((clear, token))
    }

    pub(crate) fn keep_token(&mut self, token: &Token) -> Result<(), VaultError> {
        self.store.put(&record(&token.fingerprint), token)
    }

    /// Makes a token live longer, within its bounds.
    pub(crate) fn renew_token(
        &mut self,
        token: &mut Token,
        increment: Option<u64>,
        now: i64,
    ) -> Result<(), VaultError> {
        let wish =
            if token.period > 0 { token.period } else { increment.filter(|i| *i > 0).unwrap_or(token.creation_ttl) };
        let mut end = now + wish.min(TTL_SECONDS) as i64;
        if token.period == 0 {
            end = end.min(token.created + TTL_SECONDS as i64);
        }
        if token.explicit_max_ttl > 0 {
            end = end.min(token.created + token.explicit_max_ttl as i64);
        }
        token.expires = token.expires.map(|_| end);
        token.last_renewal = Some(now);
        self.keep_token(token)
    }

    /// Revokes a token with its children, leases and cubbyhole. Children go first, so that a kill leaves none without
    /// the parent that a second try starts from.
    pub(crate) fn revoke_token(&mut self, fingerprint: &str) -> Result<(), VaultError> {
        for child in self.children(fingerprint)? {
            self.revoke_token(&child)?;
        }
        self.revoke_alone(fingerprint)
    }

    /// Revokes a token and lets its children live as orphans.
    pub(crate) fn revoke_orphan(&mut self, fingerprint: &str) -> Result<(), VaultError> {
        for child in self.children(fingerprint)? {
            if let Some(mut token) = self.store.get::<Token>(&record(&child))? {
                token.parent = None;
                self.keep_token(&token)?;
            }
        }
        self.revoke_alone(fingerprint)
    }

    fn children(&self, fingerprint: &str) -> Result<Vec<String>, VaultError> {
        let mut children = vec![];
        for path in self.store.below("sys/token/") {
            let token: Option<Token> = self.store.get(path)?;
            children.extend(token.filter(|t| t.parent.as_deref() == Some(fingerprint)).map(|t| t.fingerprint));
        }
        Ok(children)
    }

    fn revoke_alone(&mut self, fingerprint: &str) -> Result<(), VaultError> {
        self.revoke_leases_of_token(fingerprint)?;
        let cubbyhole: Vec<String> =
            self.store.below(&format!("cubbyhole/{fingerprint}/")).map(str::to_owned).collect();
        for path in cubbyhole {
            self.store.remove(&path)?;
        }
        if let Some(token) = self.store.get::<Token>(&record(fingerprint))? {
            self.store.remove(&format!("sys/accessor/{}", token.accessor))?;
        }
        self.store.remove(&record(fingerprint))
    }

    /// Makes this the root token that whoever runs the store gave it; one that was given before is revoked.
    pub(crate) fn only_root(&mut self, clear: &str, now: i64) -> Result<(), VaultError> {
        let given = self.store.keyring.fingerprint("token", clear);
        let mut replaced = vec![];
        for path in self.store.below("sys/token/") {
            let token: Option<Token> = self.store.get(path)?;
            replaced.extend(token.filter(|t| t.path == ROOT_PATH && t.fingerprint != given).map(|t| t.fingerprint));
        }
        replaced.iter().try_for_each(|fingerprint| self.revoke_orphan(fingerprint))?;
        if self.token(clear, now)?.is_none() {
            self.create_token(crate::core::root_token(), Some(clear), now)?;
        }
        Ok(())
    }

    /// Takes away tokens that are over, with what hangs on them.
    pub(crate) fn tidy_tokens(&mut self, now: i64) -> Result<(), VaultError> {
        let mut over = vec![];
        for path in self.store.below("sys/token/") {
            let token: Option<Token> = self.store.get(path)?;
            over.extend(token.filter(|t| t.is_over(now)).map(|t| t.fingerprint));
        }
        over.iter().try_for_each(|fingerprint| self.revoke_token(fingerprint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_in_its_checksum() {
        assert_eq!(checksum("123456789"), 0xCBF4_3926, "the check value of CRC-32");
        let (a, b) = (fresh(), fresh());
        assert_ne!(a, b);
        assert_eq!(a.len(), PREFIX.len() + 38);
    }
}
