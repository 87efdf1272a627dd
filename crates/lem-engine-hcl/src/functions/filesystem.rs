//! Files and paths. Relative paths begin at the folder of the root module.

use super::encoding::utf8;
use super::hash::{md5_of, sha1_of, sha256_of, sha512_of};
use super::string::text;
use super::{Context, Fault, MAX_FILE_BYTES, Outcome};
use crate::value::{Type, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

/// Files that `fileset` looks at.
const MAX_FILES: usize = 200_000;

fn expand(path: &str) -> PathBuf {
    match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => match std::env::home_dir() {
            Some(home) => home.join(rest.trim_start_matches('/')),
            None => path.into(),
        },
        _ => path.into(),
    }
}

fn resolve(context: &Context, path: &str) -> PathBuf {
    context.root.join(expand(path))
}

fn read(context: &Context, path: &str) -> Result<Vec<u8>, Fault> {
    let fault = |why: String| Fault::from(format!("{path} cannot be read: {why}")).at(0);
    let mut bytes = vec![];
    let file = std::fs::File::open(resolve(context, path)).map_err(|e| fault(e.to_string()))?;
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| fault(e.to_string()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(fault(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

pub(super) fn read_text(context: &Context, path: &str) -> Result<String, String> {
    read(context, path).and_then(utf8).map_err(|f| f.message)
}

pub(super) fn file(args: &[Value], context: &Context) -> Outcome {
    Ok(Value::string(utf8(read(context, text(args, 0))?)?))
}

pub(super) fn filebase64(args: &[Value], context: &Context) -> Outcome {
    Ok(Value::string(STANDARD.encode(read(context, text(args, 0))?)))
}

pub(super) fn filebase64sha256(args: &[Value], context: &Context) -> Outcome {
    Ok(Value::string(STANDARD.encode(sha256_of(&read(context, text(args, 0))?))))
}

pub(super) fn filebase64sha512(args: &[Value], context: &Context) -> Outcome {
    Ok(Value::string(STANDARD.encode(sha512_of(&read(context, text(args, 0))?))))
}

pub(super) fn filemd5(args: &[Value], context: &Context) -> Outcome {
    Ok(Value::string(md5_of(&read(context, text(args, 0))?)))
}

pub(super) fn filesha1(args: &[Value], context: &Context) -> Outcome {
    Ok(Value::string(sha1_of(&read(context, text(args, 0))?)))
}

pub(super) fn filesha256(args: &[Value], context: &Context) -> Outcome {
    Ok(Value::string(hex::encode(sha256_of(&read(context, text(args, 0))?))))
}

pub(super) fn filesha512(args: &[Value], context: &Context) -> Outcome {
    Ok(Value::string(hex::encode(sha512_of(&read(context, text(args, 0))?))))
}

pub(super) fn fileexists(args: &[Value], context: &Context) -> Outcome {
    match std::fs::metadata(resolve(context, text(args, 0))) {
        Ok(found) if found.is_dir() => Err(Fault::from("this is a folder, not a file").at(0)),
        Ok(_) => Ok(Value::Bool(true)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Value::Bool(false)),
        Err(error) => Err(Fault::from(error.to_string()).at(0)),
    }
}

/// Files below a folder whose path matches a pattern with `*`, `**`, `?`, `[]` and `{}`.
pub(super) fn fileset(args: &[Value], context: &Context) -> Outcome {
    let folder = resolve(context, text(args, 0));
    let glob = globset::GlobBuilder::new(text(args, 1)).literal_separator(true).build();
    let matcher = glob.map_err(|e| Fault::from(format!("the pattern is not valid: {e}")).at(1))?.compile_matcher();
    let mut found = vec![];
    for (count, entry) in walkdir::WalkDir::new(&folder).follow_links(true).into_iter().enumerate() {
        if count > MAX_FILES {
            return Err(Fault::from(format!("the folder has more than {MAX_FILES} files")).at(0));
        }
        let Ok(entry) = entry else { continue };
        if let Ok(path) = entry.path().strip_prefix(&folder)
            && entry.file_type().is_file()
            && matcher.is_match(path)
        {
            found.push(Value::string(path.to_string_lossy()));
        }
    }
    Ok(Value::set(Type::String, found))
}

pub(super) fn abspath(args: &[Value], context: &Context) -> Outcome {
    let joined = context.root.join(text(args, 0));
    let absolute = std::path::absolute(&joined).map_err(|e| Fault::from(e.to_string()))?;
    Ok(Value::string(clean(&absolute)))
}

fn clean(path: &Path) -> String {
    let mut made = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if made.file_name().is_some() => {
                made.pop();
            }
            Component::ParentDir if made.has_root() => {}
            part => made.push(part),
        }
    }
    let text = made.to_string_lossy().into_owned();
    if text.is_empty() { ".".into() } else { text }
}

pub(super) fn basename(args: &[Value], _: &Context) -> Outcome {
    let path = text(args, 0);
    let trimmed = path.trim_end_matches('/');
    Ok(Value::string(match (path.is_empty(), trimmed.rsplit('/').next()) {
        (true, _) => ".",
        (_, Some("") | None) => "/",
        (_, Some(name)) => name,
    }))
}

pub(super) fn dirname(args: &[Value], _: &Context) -> Outcome {
    let path = text(args, 0);
    let folder = path.rfind('/').map_or("", |at| &path[..=at]);
    Ok(Value::string(clean(Path::new(folder))))
}

pub(super) fn pathexpand(args: &[Value], _: &Context) -> Outcome {
    Ok(Value::string(expand(text(args, 0)).to_string_lossy()))
}
