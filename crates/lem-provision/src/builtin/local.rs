//! `local_file`, `local_sensitive_file` and the data source `local_file`: real files, so drift is real.

use super::{Kind, Made, Registered, Surroundings, put, text};
use crate::schema::{Attribute, Schema, Wrong};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lem_engine_hcl::value::{Entries, Value};
use lem_engine_hcl::{Mode, Type};
use sha2::Digest as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Largest file that is read back.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;
const SOURCES: [&str; 4] = ["content", "content_base64", "sensitive_content", "source"];

pub(super) fn kinds() -> Vec<Registered> {
    vec![
        (Mode::Managed, "local_file", Box::new(LocalFile { schema: schema(false), hidden: false })),
        (Mode::Managed, "local_sensitive_file", Box::new(LocalFile { schema: schema(true), hidden: true })),
        (Mode::Data, "local_file", Box::new(ReadFile { schema: read_schema(false), hidden: false })),
        (Mode::Data, "local_sensitive_file", Box::new(ReadFile { schema: read_schema(true), hidden: true })),
    ]
}

fn schema(hidden: bool) -> Schema {
    let content = |name| {
        let attribute = Attribute::optional(name, Type::String).replacing();
        if hidden || name == "sensitive_content" { attribute.hidden() } else { attribute }
    };
    let mode = if hidden { "0700" } else { "0777" };
    let permission = |name, mode: &str| Attribute::optional(name, Type::String).replacing().or(Value::string(mode));
    let mut all = vec![
        Attribute::required("filename", Type::String).replacing(),
        content("content"),
        content("content_base64"),
        Attribute::optional("source", Type::String).replacing(),
        permission("file_permission", mode),
        permission("directory_permission", mode),
    ];
    if !hidden {
        all.push(content("sensitive_content"));
    }
    all.extend(SUMS.map(|name| Attribute::computed(name, Type::String)));
    all.push(Attribute::computed("id", Type::String));
    Schema::new(all)
}

fn read_schema(hidden: bool) -> Schema {
    let content = |name| {
        let attribute = Attribute::computed(name, Type::String);
        if hidden { attribute.hidden() } else { attribute }
    };
    let mut all = vec![Attribute::required("filename", Type::String), content("content"), content("content_base64")];
    all.extend(SUMS.map(|name| Attribute::computed(name, Type::String)));
    all.push(Attribute::computed("id", Type::String));
    Schema::new(all)
}

/// Sums other than SHA-2 and SHA-1 are not computed: nothing here is identified by a broken digest but the id.
const SUMS: [&str; 4] = ["content_base64sha256", "content_base64sha512", "content_sha256", "content_sha512"];

fn sums(object: &mut Entries, bytes: &[u8]) {
    let (short, long) = (sha2::Sha256::digest(bytes), sha2::Sha512::digest(bytes));
    put(object, "content_base64sha256", STANDARD.encode(short).as_str());
    put(object, "content_base64sha512", STANDARD.encode(long).as_str());
    put(object, "content_sha256", hex::encode(short).as_str());
    put(object, "content_sha512", hex::encode(long).as_str());
    put(object, "id", hex::encode(short).as_str());
}

fn path(object: &Entries, around: &Surroundings) -> PathBuf {
    around.folder.join(text(object, "filename").unwrap_or_default())
}

fn octal(object: &Entries, name: &str) -> Option<u32> {
    u32::from_str_radix(text(object, name)?, 8).ok()
}

struct LocalFile {
    schema: Schema,
    hidden: bool,
}

impl LocalFile {
    fn bytes(object: &Entries, around: &Surroundings) -> Result<Vec<u8>, String> {
        if let Some(source) = text(object, "source") {
            return std::fs::read(around.folder.join(source)).map_err(|e| format!("cannot read {source}: {e}"));
        }
        if let Some(encoded) = text(object, "content_base64") {
            return STANDARD.decode(encoded).map_err(|_| "content_base64 is not base64".to_owned());
        }
        let content = text(object, "content").or_else(|| text(object, "sensitive_content"));
        Ok(content.unwrap_or_default().as_bytes().to_vec())
    }

    fn write(object: &Entries, around: &Surroundings, bytes: &[u8]) -> Result<(), String> {
        let path = path(object, around);
        let wrap = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
        if let Some(folder) = path.parent().filter(|f| !f.exists()) {
            std::fs::create_dir_all(folder).map_err(wrap)?;
            set_mode(folder, octal(object, "directory_permission")).map_err(wrap)?;
        }
        // Made for its owner alone first, so that the content is never readable more widely than asked for.
        crate::store::replace(&path, bytes).map_err(|error| error.to_string())?;
        set_mode(&path, octal(object, "file_permission")).map_err(wrap)
    }
}

fn set_mode(path: &Path, mode: Option<u32>) -> std::io::Result<()> {
    mode.map_or(Ok(()), |mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)))
}

#[async_trait]
impl Kind for LocalFile {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn provider(&self) -> &'static str {
        "registry.terraform.io/hashicorp/local"
    }

    fn check(&self, config: &Entries) -> Option<Wrong> {
        let given: Vec<&str> =
            SOURCES.into_iter().filter(|name| config.get(*name).is_some_and(|v| !v.is_null())).collect();
        if given.len() == 1 {
            return None;
        }
        let kind = if self.hidden { "local_sensitive_file" } else { "local_file" };
        let message = format!("{kind} needs exactly one of content, content_base64 and source");
        Some(Wrong { argument: given.get(1).map(|s| (*s).to_owned()), code: "bad-arguments", message, hint: None })
    }

    async fn create(&self, mut planned: Entries, around: &Surroundings) -> Made {
        let written = Self::bytes(&planned, around).and_then(|bytes| {
            Self::write(&planned, around, &bytes)?;
            Ok(bytes)
        });
        match written {
            Ok(bytes) => {
                sums(&mut planned, &bytes);
                Made::done(planned)
            }
            Err(why) => Made::failed(None, why),
        }
    }

    async fn delete(&self, prior: &Entries, around: &Surroundings) -> Result<(), String> {
        let path = path(prior, around);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("cannot remove {}: {error}", path.display()))
            }
            _ => Ok(()),
        }
    }

    async fn read(&self, prior: &Entries, around: &Surroundings) -> Result<Option<Entries>, String> {
        let path = path(prior, around);
        match read_file(&path)? {
            None => Ok(None),
            Some(bytes) => {
                let sum = hex::encode(sha2::Sha256::digest(&bytes));
                // A file that was changed is no longer ours: it is planned anew.
                Ok((text(prior, "content_sha256").is_none_or(|known| known == sum)).then(|| prior.clone()))
            }
        }
    }

    fn has_outside_effect(&self) -> bool {
        true
    }
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(meta) if meta.len() > MAX_FILE_BYTES => {
            return Err(format!("{} has {} bytes; at most {MAX_FILE_BYTES} are read", path.display(), meta.len()));
        }
        _ => {}
    }
    std::fs::read(path).map(Some).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

struct ReadFile {
    schema: Schema,
    hidden: bool,
}

#[async_trait]
impl Kind for ReadFile {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn provider(&self) -> &'static str {
        "registry.terraform.io/hashicorp/local"
    }

    async fn create(&self, _planned: Entries, _around: &Surroundings) -> Made {
        Made::failed(None, "a data source is only read")
    }

    async fn read(&self, config: &Entries, around: &Surroundings) -> Result<Option<Entries>, String> {
        let path = path(config, around);
        let bytes = read_file(&path)?.ok_or_else(|| format!("{} does not exist", path.display()))?;
        let mut object = config.clone();
        put(&mut object, "content", Value::string(String::from_utf8_lossy(&bytes)).marked(self.hidden));
        put(&mut object, "content_base64", Value::string(STANDARD.encode(&bytes)).marked(self.hidden));
        sums(&mut object, &bytes);
        Ok(Some(object))
    }
}
