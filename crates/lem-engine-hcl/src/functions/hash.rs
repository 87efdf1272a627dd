//! Digests and identifiers. `uuid()` and `bcrypt()` differ at every call, so they are unknown until an apply.

use super::number::whole;
use super::string::text;
use super::{Context, Fault, Outcome};
use crate::value::{Type, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest as _;

pub(super) fn md5_of(bytes: &[u8]) -> String {
    hex::encode(md5::Md5::digest(bytes))
}

pub(super) fn sha1_of(bytes: &[u8]) -> String {
    hex::encode(sha1::Sha1::digest(bytes))
}

pub(super) fn sha256_of(bytes: &[u8]) -> Vec<u8> {
    sha2::Sha256::digest(bytes).to_vec()
}

pub(super) fn sha512_of(bytes: &[u8]) -> Vec<u8> {
    sha2::Sha512::digest(bytes).to_vec()
}

pub(super) fn md5(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(md5_of(text(args, 0).as_bytes())))
}

pub(super) fn sha1(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(sha1_of(text(args, 0).as_bytes())))
}

pub(super) fn sha256(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(hex::encode(sha256_of(text(args, 0).as_bytes()))))
}

pub(super) fn sha512(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(hex::encode(sha512_of(text(args, 0).as_bytes()))))
}

pub(super) fn base64sha256(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(STANDARD.encode(sha256_of(text(args, 0).as_bytes()))))
}

pub(super) fn base64sha512(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(STANDARD.encode(sha512_of(text(args, 0).as_bytes()))))
}

pub(super) fn uuid(_: &[Value], context: &Context) -> Outcome {
    if !context.applying {
        return Ok(Value::unknown(Type::String, "uuid() has a value when it is applied"));
    }
    Ok(Value::string(uuid::Uuid::new_v4().to_string()))
}

pub(super) fn uuidv5(args: &[Value], _: &Context) -> Outcome {
    let namespace = match text(args, 0) {
        "dns" => uuid::Uuid::NAMESPACE_DNS,
        "url" => uuid::Uuid::NAMESPACE_URL,
        "oid" => uuid::Uuid::NAMESPACE_OID,
        "x500" => uuid::Uuid::NAMESPACE_X500,
        other => uuid::Uuid::parse_str(other)
            .map_err(|_| Fault::from("a namespace is dns, url, oid, x500 or a UUID").at(0))?,
    };
    Ok(Value::string(uuid::Uuid::new_v5(&namespace, text(args, 1).as_bytes()).to_string()))
}

pub(super) fn bcrypt(args: &[Value], context: &Context) -> Outcome {
    let cost = if args.len() > 1 { whole(args, 1)? } else { 10 };
    if !(4..=31).contains(&cost) {
        return Err(Fault::from("a cost is from 4 to 31").at(1));
    }
    if !context.applying {
        return Ok(Value::unknown(Type::String, "bcrypt() has a value when it is applied"));
    }
    let hashed = bcrypt::hash(text(args, 0), cost as u32);
    hashed.map(Value::string).map_err(|e| Fault::from(format!("the text cannot be hashed: {e}")).at(0))
}

pub(super) fn rsadecrypt(_: &[Value], _: &Context) -> Outcome {
    Err(Fault { code: "unsupported", message: "this function is not supported yet".into(), argument: None })
}
