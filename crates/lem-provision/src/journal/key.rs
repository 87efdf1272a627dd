//! The key of an environment's journal: 32 random bytes in a file only its owner reads.

use crate::ProvisionError;
use crate::error::io;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const NONCE: usize = 12;

/// A key; it never shows itself.
#[derive(Clone)]
pub struct Key(Aes256Gcm);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// The key in a file, made when there is none.
    pub fn load_or_create(path: &Path) -> Result<Self, ProvisionError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).ok_or_else(|| ProvisionError::Document {
                what: path.display().to_string(),
                why: "not a key of 64 hexadecimal digits".to_owned(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::create(path),
            Err(error) => Err(io("read", path)(error)),
        }
    }

    fn create(path: &Path) -> Result<Self, ProvisionError> {
        let bytes: [u8; 32] = rand::random();
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(path);
        match made {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Self::load_or_create(path),
            other => {
                let mut file = other.map_err(io("create", path))?;
                let text = hex::encode(bytes);
                file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io("write", path))?;
                Ok(Self(Aes256Gcm::new(&bytes.into())))
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 32] = hex::decode(text.trim()).ok()?.try_into().ok()?;
        Some(Self(Aes256Gcm::new(&bytes.into())))
    }

    pub(super) fn seal(&self, sequence: u64, text: &[u8]) -> Result<Vec<u8>, String> {
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload { msg: text, aad: &sequence.to_le_bytes() };
        let sealed =
            self.0.encrypt(&Nonce::from(nonce), payload).map_err(|_| "a record does not encrypt".to_owned())?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    pub(super) fn open(&self, sequence: u64, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let Some((nonce, sealed)) = bytes.split_at_checked(NONCE) else { return Err("a record without text".into()) };
        let nonce: [u8; NONCE] = nonce.try_into().expect("split at its length");
        let payload = Payload { msg: sealed, aad: &sequence.to_le_bytes() };
        self.0
            .decrypt(&Nonce::from(nonce), payload)
            .map_err(|_| "a record does not decrypt: it was changed, or the key beside it is another one".to_owned())
    }
}
