//! `tls_*`: keys, certificate requests and certificates, made here and kept in the state.
//!
//! The state holds private keys in clear, as Terraform's does. The curve P224 and RSA keys of odd lengths are refused: the
//! library that draws keys has none. A request signed with a key on P521 is not signed: nothing here can check it.

mod certificate;
mod der;
mod key;
mod pem;
mod ssh;

use super::{Kind, Made, Registered, Surroundings, put, text};
use crate::schema::{Attribute, Schema, Wrong};
use async_trait::async_trait;
use key::{Curve, Key, Public, Wanted};
use lem_engine_hcl::value::{Entries, Value};
use lem_engine_hcl::{Mode, Number, Type};
use sha1::Digest as _;

const PROVIDER: &str = "registry.terraform.io/hashicorp/tls";
const ALGORITHMS: [&str; 3] = ["RSA", "ECDSA", "ED25519"];
const BITS: [(i64, rcgen::RsaKeySize); 3] =
    [(2048, rcgen::RsaKeySize::_2048), (3072, rcgen::RsaKeySize::_3072), (4096, rcgen::RsaKeySize::_4096)];
/// Attributes that tell a public key.
const PUBLIC: [&str; 4] =
    ["public_key_pem", "public_key_openssh", "public_key_fingerprint_md5", "public_key_fingerprint_sha256"];

pub(super) fn kinds() -> Vec<Registered> {
    let mut all: Vec<Registered> = vec![
        (Mode::Managed, "tls_private_key", Box::new(PrivateKey(private_key_schema()))),
        (Mode::Data, "tls_public_key", Box::new(PublicKey(public_key_schema()))),
    ];
    all.extend(certificate::kinds());
    all
}

fn private_key_schema() -> Schema {
    let mut all = vec![
        Attribute::required("algorithm", Type::String).replacing(),
        Attribute::optional("rsa_bits", Type::Number).replacing().or(Value::int(2048)),
        Attribute::optional("ecdsa_curve", Type::String).replacing().or(Value::string("P224")),
        Attribute::computed("private_key_pem", Type::String).hidden(),
        Attribute::computed("private_key_openssh", Type::String).hidden(),
        Attribute::computed("private_key_pem_pkcs8", Type::String).hidden(),
        Attribute::computed("id", Type::String),
    ];
    all.extend(PUBLIC.map(|name| Attribute::computed(name, Type::String)));
    Schema { version: 1, attributes: all }
}

fn public_key_schema() -> Schema {
    let mut all = vec![
        Attribute::optional("private_key_pem", Type::String).hidden(),
        Attribute::optional("private_key_openssh", Type::String).hidden(),
        Attribute::computed("algorithm", Type::String),
        Attribute::computed("id", Type::String),
    ];
    all.extend(PUBLIC.map(|name| Attribute::computed(name, Type::String)));
    Schema::new(all)
}

fn put_public(object: &mut Entries, public: &Public) {
    let info = public.info();
    put(object, "public_key_pem", pem::encode("PUBLIC KEY", &info).as_str());
    put(object, "public_key_openssh", ssh::line(public).as_str());
    put(object, "public_key_fingerprint_md5", ssh::md5_print(public).as_str());
    put(object, "public_key_fingerprint_sha256", ssh::sha256_print(public).as_str());
    put(object, "id", sha1_hex(&info).as_str());
}

fn sha1_hex(bytes: &[u8]) -> String {
    hex::encode(sha1::Sha1::digest(bytes))
}

fn number(object: &Entries, name: &str) -> Option<i64> {
    object.get(name).and_then(Value::as_number).and_then(Number::as_i64)
}

fn wrong(argument: &str, message: impl Into<String>, hint: &str) -> Wrong {
    let hint = (!hint.is_empty()).then(|| hint.to_owned());
    Wrong { argument: Some(argument.to_owned()), code: "out-of-range", message: message.into(), hint }
}

struct PrivateKey(Schema);

/// What a configuration asks for; `Ok(None)` while it is not known.
fn wanted(config: &Entries) -> Result<Option<Wanted>, Wrong> {
    match text(config, "algorithm") {
        None => Ok(None),
        Some("ED25519") => Ok(Some(Wanted::Ed25519)),
        Some("RSA") => match number(config, "rsa_bits") {
            None => Ok(None),
            Some(bits) => {
                let found = BITS.iter().find(|(known, _)| *known == bits).map(|(_, size)| Wanted::Rsa(*size));
                let message = format!("an RSA key of {bits} bits cannot be drawn");
                found.map(Some).ok_or_else(|| wrong("rsa_bits", message, "2048, 3072 and 4096 can"))
            }
        },
        Some("ECDSA") => match text(config, "ecdsa_curve") {
            None => Ok(None),
            Some(name) => {
                let found = Curve::ALL.into_iter().find(|c| c.name() == name).map(Wanted::Ecdsa);
                let message = format!("a key on the curve {name} cannot be drawn");
                let hint = "set ecdsa_curve to P256, P384 or P521; P224 is what Terraform takes when none is set";
                found.map(Some).ok_or_else(|| wrong("ecdsa_curve", message, hint))
            }
        },
        Some(other) => {
            let message = format!("there is no algorithm {other:?}");
            Err(wrong("algorithm", message, &format!("one of {}", ALGORITHMS.join(", "))))
        }
    }
}

#[async_trait]
impl Kind for PrivateKey {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn check(&self, config: &Entries) -> Option<Wrong> {
        wanted(config).err()
    }

    async fn create(&self, mut planned: Entries, _around: &Surroundings) -> Made {
        let wanted = match wanted(&planned) {
            Ok(Some(wanted)) => wanted,
            Ok(None) => return Made::failed(None, "algorithm is not known"),
            Err(wrong) => return Made::failed(None, wrong.message),
        };
        // Seconds for a long key: not on a thread that others wait for.
        let drawn = tokio::task::spawn_blocking(move || Key::draw(wanted)).await;
        let key = match drawn.map_err(|error| error.to_string()).and_then(|key| key) {
            Ok(key) => key,
            Err(why) => return Made::failed(None, why),
        };
        let secrets = [
            ("private_key_pem", key.pem()),
            ("private_key_openssh", key.openssh()),
            ("private_key_pem_pkcs8", key.pkcs8_pem()),
        ];
        for (name, secret) in secrets {
            put(&mut planned, name, Value::string(secret).sensitive());
        }
        put_public(&mut planned, &key.public);
        Made::done(planned)
    }
}

struct PublicKey(Schema);

#[async_trait]
impl Kind for PublicKey {
    fn schema(&self) -> &Schema {
        &self.0
    }

    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn check(&self, config: &Entries) -> Option<Wrong> {
        let given = |name: &str| config.get(name).is_some_and(|v| !v.revealed().is_null());
        if given("private_key_pem") != given("private_key_openssh") {
            return None;
        }
        let message = "tls_public_key needs exactly one of private_key_pem and private_key_openssh".to_owned();
        Some(Wrong { argument: None, code: "bad-arguments", message, hint: None })
    }

    async fn create(&self, _planned: Entries, _around: &Surroundings) -> Made {
        Made::failed(None, "a data source is only read")
    }

    async fn read(&self, config: &Entries, _around: &Surroundings) -> Result<Option<Entries>, String> {
        let public = match (text(config, "private_key_pem"), text(config, "private_key_openssh")) {
            (Some(pem), _) => Key::read(pem).map_err(|why| format!("private_key_pem: {why}"))?.public,
            (_, Some(file)) => ssh::public_of(file).map_err(|why| format!("private_key_openssh: {why}"))?,
            _ => return Err("no key is given".to_owned()),
        };
        let mut object = config.clone();
        put(&mut object, "algorithm", public.algorithm());
        put_public(&mut object, &public);
        Ok(Some(object))
    }
}
