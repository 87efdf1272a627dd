//! The barrier: what is written to disk is sealed with AES-256-GCM under a data key of a keyring. The name of a record is
//! bound into it, so that a record moved to another name, altered or cut short does not open.
//!
//! Data keys live in a keyring that is itself sealed under the root key; the root key is sealed under the key of the seal.

use crate::VaultError;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::{Hmac, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::collections::BTreeMap;
use zeroize::{Zeroize, Zeroizing};

/// A key of 256 bits that is wiped when it goes.
pub(crate) type Key = Zeroizing<[u8; 32]>;

const FORMAT: u8 = 1;
const HEADER: usize = 5;
const NONCE: usize = 12;

/// A fresh key.
pub(crate) fn fresh_key() -> Key {
    Zeroizing::new(rand::random())
}

/// Seals bytes under a key; `name` is bound in.
pub(crate) fn seal(key: &Key, term: u32, name: &str, plain: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE] = rand::random();
    let bound = bound(term, name);
    let payload = Payload { msg: plain, aad: &bound };
    let cipher = Aes256Gcm::new(&(**key).into());
    let sealed =
        cipher.encrypt(&Nonce::from(nonce), payload).expect("a record is far below the cipher's limit of 64 GiB");
    let mut record = Vec::with_capacity(HEADER + NONCE + sealed.len());
    record.push(FORMAT);
    record.extend_from_slice(&term.to_be_bytes());
    record.extend_from_slice(&nonce);
    record.extend_from_slice(&sealed);
    record
}

/// Opens what [`seal`] made; `None` when key, name or bytes are not the ones of then.
pub(crate) fn open(key: &Key, name: &str, record: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let term = term_of(record)?;
    let nonce: [u8; NONCE] = record.get(HEADER..HEADER + NONCE)?.try_into().ok()?;
    let bound = bound(term, name);
    let payload = Payload { msg: &record[HEADER + NONCE..], aad: &bound };
    Aes256Gcm::new(&(**key).into()).decrypt(&Nonce::from(nonce), payload).ok().map(Zeroizing::new)
}

fn term_of(record: &[u8]) -> Option<u32> {
    (*record.first()? == FORMAT).then_some(())?;
    Some(u32::from_be_bytes(record.get(1..HEADER)?.try_into().ok()?))
}

fn bound(term: u32, name: &str) -> Vec<u8> {
    [&term.to_be_bytes(), name.as_bytes()].concat()
}

/// Data keys by term, and the key that makes file names and fingerprints.
#[derive(Serialize, Deserialize, Zeroize)]
pub(crate) struct Keyring {
    active: u32,
    #[zeroize(skip)] // wiped one by one in `drop`
    keys: BTreeMap<u32, [u8; 32]>,
    names: [u8; 32],
    /// Since when the active key is in use, in seconds of Unix time.
    pub(crate) since: i64,
}

impl Drop for Keyring {
    fn drop(&mut self) {
        self.keys.values_mut().for_each(Zeroize::zeroize);
        self.zeroize();
    }
}

impl Keyring {
    pub(crate) fn fresh(now: i64) -> Self {
        Self { active: 1, keys: [(1, rand::random())].into(), names: rand::random(), since: now }
    }

    /// A new data key for what is written from now on; what was written stays readable.
    pub(crate) fn rotate(&mut self, now: i64) {
        self.active += 1;
        self.keys.insert(self.active, rand::random());
        self.since = now;
    }

    pub(crate) fn term(&self) -> u32 {
        self.active
    }

    pub(crate) fn seal(&self, name: &str, plain: &[u8]) -> Vec<u8> {
        let key = self.keys.get(&self.active).expect("the active key is in the ring");
        seal(&Zeroizing::new(*key), self.active, name, plain)
    }

    pub(crate) fn open(&self, name: &str, record: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let key = self.keys.get(&term_of(record)?)?;
        open(&Zeroizing::new(*key), name, record)
    }

    /// A keyed fingerprint: of a path for its file name, of a token for its record.
    pub(crate) fn fingerprint(&self, what: &str, text: &str) -> String {
        let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&self.names).expect("HMAC takes any key length");
        mac.update(what.as_bytes());
        mac.update(&[0]);
        mac.update(text.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(self).expect("numbers and bytes serialise"))
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, VaultError> {
        serde_json::from_slice(bytes).map_err(|e| VaultError::Invalid(format!("the keyring does not read: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_opens_only_under_its_name_and_whole() {
        let ring = Keyring::fresh(0);
        let record = ring.seal("a", b"value");
        assert_eq!(ring.open("a", &record).as_deref().map(Vec::as_slice), Some(&b"value"[..]));
        assert!(ring.open("b", &record).is_none(), "moved");
        for at in 0..record.len() {
            let mut altered = record.clone();
            altered[at] ^= 1;
            assert!(ring.open("a", &altered).is_none(), "byte {at} altered");
            assert!(ring.open("a", &record[..at]).is_none(), "cut at {at}");
        }
    }

    #[test]
    fn after_a_rotation_old_records_open_and_new_ones_use_the_new_key() {
        let mut ring = Keyring::fresh(0);
        let old = ring.seal("a", b"old");
        ring.rotate(1);
        assert!(ring.open("a", &old).is_some());
        assert_eq!(term_of(&ring.seal("a", b"new")), Some(2));
        let read = Keyring::from_bytes(&ring.to_bytes()).expect("round trip");
        assert!(read.open("a", &old).is_some());
        assert_eq!(read.fingerprint("token", "x"), ring.fingerprint("token", "x"));
    }
}
