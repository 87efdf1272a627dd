//! Keys as OpenSSH writes them: public keys of RFC 4253 section 6.6, RFC 5656 and RFC 8709, private keys of its own
//! format `openssh-key-v1`.

use super::der;
use super::key::{Curve, Public};
use super::pem;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use md5::Digest as _;

const MAGIC: &[u8] = b"openssh-key-v1\0";
/// Private parts are padded to a multiple of this.
const BLOCK: usize = 8;

/// A string: its length and its bytes.
pub(super) fn text(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat()
}

fn name(public: &Public) -> String {
    match public {
        Public::Rsa { .. } => "ssh-rsa".to_owned(),
        Public::Ec { curve, .. } => format!("ecdsa-sha2-{}", curve.ssh()),
        Public::Ed25519(_) => "ssh-ed25519".to_owned(),
    }
}

/// The public key on the wire.
pub(super) fn blob(public: &Public) -> Vec<u8> {
    let mut out = text(name(public).as_bytes());
    match public {
        Public::Rsa { modulus, exponent } => {
            out.extend(text(&der::signed(exponent)));
            out.extend(text(&der::signed(modulus)));
        }
        Public::Ec { curve, point } => {
            out.extend(text(curve.ssh().as_bytes()));
            out.extend(text(point));
        }
        Public::Ed25519(bytes) => out.extend(text(bytes)),
    }
    out
}

/// A line of `authorized_keys`.
pub(super) fn line(public: &Public) -> String {
    format!("{} {}\n", name(public), STANDARD.encode(blob(public)))
}

/// `aa:bb:...`
pub(super) fn md5_print(public: &Public) -> String {
    let digits: Vec<String> = md5::Md5::digest(blob(public)).iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(":")
}

/// `SHA256:...`
pub(super) fn sha256_print(public: &Public) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(sha2::Sha256::digest(blob(public))))
}

/// The private key's file. `secret` are the fields behind the public ones; for RSA all of them.
pub(super) fn private(public: &Public, secret: &[u8]) -> String {
    let check: [u8; 4] = rand::random();
    let mut inner = [check, check].concat();
    match public {
        // RSA keys repeat modulus and exponent in another order.
        Public::Rsa { .. } => inner.extend(text(name(public).as_bytes())),
        Public::Ec { .. } | Public::Ed25519(_) => inner.extend(blob(public)),
    }
    inner.extend(secret);
    inner.extend(text(&[]));
    inner.extend((1..).take((BLOCK - inner.len() % BLOCK) % BLOCK));
    let parts =
        [MAGIC, &text(b"none"), &text(b"none"), &text(&[]), &1_u32.to_be_bytes(), &text(&blob(public)), &text(&inner)];
    pem::encode("OPENSSH PRIVATE KEY", &parts.concat())
}

/// The public key that a private key's file tells in clear, passphrase or not.
pub(super) fn public_of(file: &str) -> Result<Public, String> {
    let (label, bytes) = pem::decode(file)?;
    if label != "OPENSSH PRIVATE KEY" {
        return Err(format!("a PEM block {label} is no private key of OpenSSH"));
    }
    let wrong = "the private key of OpenSSH is damaged, or of no kind that is known";
    let mut rest = bytes.strip_prefix(MAGIC).ok_or(wrong)?;
    for _ in 0..3 {
        take(&mut rest).ok_or(wrong)?;
    }
    let (count, after) = rest.split_first_chunk::<4>().ok_or(wrong)?;
    if u32::from_be_bytes(*count) != 1 {
        return Err("the file holds several keys; one is needed".to_owned());
    }
    rest = after;
    take(&mut rest).and_then(public_of_blob).ok_or_else(|| wrong.to_owned())
}

fn public_of_blob(mut blob: &[u8]) -> Option<Public> {
    let name = take(&mut blob)?;
    match name {
        b"ssh-rsa" => {
            let exponent = der::plain(take(&mut blob)?).to_vec();
            Some(Public::Rsa { modulus: der::plain(take(&mut blob)?).to_vec(), exponent })
        }
        b"ssh-ed25519" => Some(Public::Ed25519(take(&mut blob)?.to_vec())),
        _ => {
            let named = take(&mut blob)?;
            let curve = Curve::ALL.into_iter().find(|c| c.ssh().as_bytes() == named)?;
            Some(Public::Ec { curve, point: take(&mut blob)?.to_vec() })
        }
    }
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (found, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
    *rest = after;
    Some(found)
}
