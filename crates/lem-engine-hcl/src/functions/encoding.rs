//! Encodings.

use super::string::text;
use super::{Context, Fault, Outcome, yaml};
use crate::value::{Entries, Number, Type, Value, json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{Read as _, Write as _};
use std::sync::Arc;

/// Largest text that decompression makes.
const MAX_UNPACKED_BYTES: u64 = 64 << 20;

/// Text of bytes that must be UTF-8.
pub(super) fn utf8(bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|_| "the result is not UTF-8 text".into())
}

fn decoded(args: &[Value]) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(text(args, 0)).map_err(|_| Fault::from("this is not base64").at(0))
}

pub(super) fn base64decode(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(utf8(decoded(args)?)?))
}

pub(super) fn base64encode(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(STANDARD.encode(text(args, 0))))
}

/// The bytes differ from those of other implementations of gzip; what they unpack to does not.
pub(super) fn base64gzip(args: &[Value], _: &Context) -> Outcome {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
    let packed = encoder.write_all(text(args, 0).as_bytes()).and_then(|()| encoder.finish());
    packed.map(|bytes| Value::string(STANDARD.encode(bytes))).map_err(|e| e.to_string().into())
}

pub(super) fn base64gunzip(args: &[Value], _: &Context) -> Outcome {
    let bytes = decoded(args)?;
    let mut unpacked = vec![];
    let read = flate2::read::GzDecoder::new(bytes.as_slice()).take(MAX_UNPACKED_BYTES + 1).read_to_end(&mut unpacked);
    read.map_err(|_| Fault::from("this is not gzip").at(0))?;
    if unpacked.len() as u64 > MAX_UNPACKED_BYTES {
        return Err(format!("the text has more than {MAX_UNPACKED_BYTES} bytes").into());
    }
    Ok(Value::string(utf8(unpacked)?))
}

/// Rows as objects by the names of the first.
pub(super) fn csvdecode(args: &[Value], _: &Context) -> Outcome {
    let fault = |e: &csv::Error| Fault::from(format!("this is not CSV: {e}")).at(0);
    let mut reader = csv::ReaderBuilder::new().from_reader(text(args, 0).as_bytes());
    let names: Vec<Arc<str>> = reader.headers().map_err(|e| fault(&e))?.iter().map(Arc::from).collect();
    let mut sorted = names.clone();
    sorted.sort();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Fault::from("two columns have the same name").at(0));
    }
    let mut rows = vec![];
    for row in reader.records() {
        let row = row.map_err(|e| fault(&e))?;
        let entries: Entries = names.iter().cloned().zip(row.iter().map(Value::string)).collect();
        rows.push(Value::object(entries));
    }
    let element = Type::object(names.into_iter().map(|n| (n, Type::String)).collect());
    Ok(Value::list(element, rows))
}

pub(super) fn jsonencode(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(json::encode_text(&args[0])))
}

pub(super) fn jsondecode(args: &[Value], _: &Context) -> Outcome {
    let parsed: serde_json::Value =
        serde_json::from_str(text(args, 0)).map_err(|e| Fault::from(format!("this is not JSON: {e}")).at(0))?;
    Ok(json::implied(&parsed))
}

pub(super) fn yamldecode(args: &[Value], _: &Context) -> Outcome {
    yaml::decode(text(args, 0)).map_err(|e| e.at(0))
}

pub(super) fn yamlencode(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(yaml::encode(&args[0])))
}

pub(super) fn urlencode(args: &[Value], _: &Context) -> Outcome {
    let mut out = String::new();
    for byte in text(args, 0).bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte as char),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(Value::string(out))
}

pub(super) fn urldecode(args: &[Value], _: &Context) -> Outcome {
    let mut bytes = text(args, 0).bytes();
    let mut out = vec![];
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |b: Option<u8>| b.and_then(|b| (b as char).to_digit(16));
                match (digit(bytes.next()), digit(bytes.next())) {
                    (Some(high), Some(low)) => out.push((high * 16 + low) as u8),
                    _ => return Err(Fault::from("% needs two hexadecimal digits").at(0)),
                }
            }
            byte => out.push(byte),
        }
    }
    Ok(Value::string(utf8(out)?))
}

/// Character sets by their IANA names; others are refused by name.
#[derive(Clone, Copy)]
enum Charset {
    Utf8,
    Utf16 { little: bool },
    Latin1,
    Ascii,
}

fn charset(name: &str) -> Result<Charset, Fault> {
    match name.to_uppercase().as_str() {
        "UTF-8" => Ok(Charset::Utf8),
        "UTF-16LE" => Ok(Charset::Utf16 { little: true }),
        "UTF-16BE" | "UTF-16" => Ok(Charset::Utf16 { little: false }),
        "ISO-8859-1" | "LATIN1" => Ok(Charset::Latin1),
        "US-ASCII" | "ASCII" => Ok(Charset::Ascii),
        other => {
            let message = format!(
                "the encoding \"{other}\" is not supported; UTF-8, UTF-16LE, UTF-16BE, ISO-8859-1, US-ASCII are"
            );
            Err(Fault { code: "unsupported", message, argument: Some(1) })
        }
    }
}

pub(super) fn textencodebase64(args: &[Value], _: &Context) -> Outcome {
    let (text, charset) = (text(args, 0), charset(text(args, 1))?);
    let narrow = |limit: u32| {
        let byte = |c: char| {
            if (c as u32) < limit { Ok(c as u8) } else { Err(Fault::from("a character is not in this encoding").at(0)) }
        };
        text.chars().map(byte).collect::<Result<Vec<u8>, Fault>>()
    };
    let bytes = match charset {
        Charset::Utf8 => text.as_bytes().to_vec(),
        Charset::Utf16 { little: true } => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Charset::Utf16 { little: false } => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Charset::Latin1 => narrow(256)?,
        Charset::Ascii => narrow(128)?,
    };
    Ok(Value::string(STANDARD.encode(bytes)))
}

pub(super) fn textdecodebase64(args: &[Value], _: &Context) -> Outcome {
    let (bytes, charset) = (decoded(args)?, charset(text(args, 1))?);
    let wrong = || Fault::from("the bytes are not of this encoding").at(0);
    let text = match charset {
        Charset::Utf8 => utf8(bytes)?,
        Charset::Utf16 { little } => {
            if bytes.len() % 2 != 0 {
                return Err(wrong());
            }
            let unit = |pair: &[u8]| {
                let pair = [pair[0], pair[1]];
                if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
            };
            let units: Vec<u16> = bytes.chunks_exact(2).map(unit).collect();
            String::from_utf16(&units).map_err(|_| wrong())?
        }
        Charset::Latin1 => bytes.into_iter().map(char::from).collect(),
        Charset::Ascii if bytes.is_ascii() => bytes.into_iter().map(char::from).collect(),
        Charset::Ascii => return Err(wrong()),
    };
    Ok(Value::string(text))
}

/// A number as its text says, for formats whose trees hold fewer digits.
pub(super) fn number(text: &str) -> Option<Value> {
    Number::parse(text).ok().map(Value::Number)
}
