//! The store as one: opening, sealing, and the way of a request through it.
//!
//! A request is normalised, its token looked up, the policies asked, the answer made, wrapped where asked, recorded in
//! the audit file, and only then given out.

use crate::acl::Acl;
use crate::audit::Audit;
use crate::barrier::{self, Key, Keyring};
use crate::lease::{Lease, Leased, values};
use crate::mount::{Kind, Mounts};
use crate::policy::{self, Rule};
use crate::store::{Store, write_durably};
use crate::token::{NewToken, Token};
use crate::{AuditRecord, Request, Response, VaultError, kv, limits, route};
use lem_model::Clock;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// How a store is opened.
pub struct Options {
    /// Folder of the store; made when it is not there.
    pub folder: PathBuf,
    /// File with the key of the seal, readable by the owner only; `seal.key` in the folder when not given.
    pub key_file: Option<PathBuf>,
    /// A token that is to be the root token; one is made and answered by [`Vault::open`] otherwise.
    pub root_token: Option<String>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Hears every recorded request.
    pub listener: Option<Listener>,
}

/// Hears what was recorded.
pub type Listener = Arc<dyn Fn(&AuditRecord) + Send + Sync>;

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// An unsealed store.
pub(crate) struct Open {
    pub(crate) store: Store,
    pub(crate) mounts: Mounts,
    pub(crate) audit: Audit,
}

/// A secret store.
pub struct Vault {
    options: Options,
    open: Mutex<Option<Open>>,
    /// Held while the store is in use: two programs over one folder would not see each other's writes.
    _lock: fs::File,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("folder", &self.options.folder).finish_non_exhaustive()
    }
}

impl Vault {
    /// Opens a store, or makes one.
    pub fn open(options: Options) -> Result<Self, VaultError> {
        fs::create_dir_all(&options.folder).map_err(|e| VaultError::file("create", &options.folder, e))?;
        let lock = lock(&options.folder)?;
        let vault = Self { options, open: Mutex::new(None), _lock: lock };
        vault.unseal()?;
        Ok(vault)
    }

    fn key_file(&self) -> PathBuf {
        self.options.key_file.clone().unwrap_or_else(|| self.options.folder.join("seal.key"))
    }

    /// Opens with the key of the seal.
    pub fn unseal(&self) -> Result<(), VaultError> {
        let mut open = self.open.lock();
        if open.is_none() {
            *open = Some(self.opened()?);
        }
        Ok(())
    }

    /// Forgets every key; nothing is readable until it is unsealed.
    pub fn seal(&self) {
        *self.open.lock() = None;
    }

    /// Whether it is sealed.
    pub fn is_sealed(&self) -> bool {
        self.open.lock().is_none()
    }

    /// Whether this is the key of the seal.
    pub(crate) fn is_seal_key(&self, given: &str) -> bool {
        read_key(&self.key_file()).is_ok_and(|key| hex::decode(given).is_ok_and(|given| given == key[..]))
    }

    fn opened(&self) -> Result<Open, VaultError> {
        let folder = &self.options.folder;
        let now = self.options.clock.now().as_second();
        let keyring = keyring(folder, &self.key_file(), now)?;
        let store = Store::open(&folder.join("records"), keyring)?;
        let audit = Audit::open(&folder.join("audit.log"))?;
        let mounts = store.get("core/mounts")?;
        let fresh = mounts.is_none();
        let mut open = Open { store, mounts: mounts.unwrap_or_else(Mounts::fresh), audit };
        if fresh {
            open.keep_mounts()?;
        }
        open.tidy_tokens(now)?;
        open.tidy_leases(now)?;
        if let Some(root) = &self.options.root_token {
            open.only_root(root, now)?;
        }
        Ok(open)
    }

    /// Makes a root token, for a store that was opened without one.
    pub fn new_root_token(&self) -> Result<String, VaultError> {
        let now = self.options.clock.now().as_second();
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or(VaultError::Sealed)?;
        Ok(open.create_token(root_token(), None, now)?.0)
    }

    /// Answers a request.
    pub fn handle(&self, request: &Request) -> Response {
        let now = self.options.clock.now();
        let path = match normalise(&request.path) {
            Ok(path) => path,
            Err(answer) => return answer,
        };
        let request = Request { path, ..request.clone() };
        if request.namespace.as_deref().is_some_and(|n| !n.trim_matches('/').is_empty() && n != "root") {
            return Response::bad("namespaces are not served; leave X-Vault-Namespace out");
        }
        if let Some(answer) = route::open::answer(self, &request) {
            return answer;
        }
        let (answer, heard) = {
            let mut open = self.open.lock();
            match open.as_mut() {
                Some(open) => open.handle(&request, now),
                None => return Response::errors(503, &["Vault is sealed"]),
            }
        };
        if request.path == "sys/seal" && answer.status == 204 {
            self.seal();
        }
        if let (Some(listener), Some(heard)) = (&self.options.listener, heard) {
            listener(&heard);
        }
        answer
    }

    /// Gives a key-value secret out as a lease bound to a job attempt or an instance. `path` is as people write it:
    /// `secret/shop`.
    pub fn lease(&self, path: &str, to: &str, ttl_seconds: u64) -> Result<Leased, VaultError> {
        let now = self.options.clock.now();
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or(VaultError::Sealed)?;
        let (secret, data) = open.current(path, now)?.ok_or_else(|| VaultError::Missing(path.to_owned()))?;
        let lease = open.issue(&secret, to, ttl_seconds, now.as_second())?;
        let mut request = Request::new(crate::Method::Read, secret);
        request.remote = to.to_owned();
        let answer = Response::data(serde_json::Value::Object(data.clone()));
        open.audit.write(&open.store.keyring, &request, None, &answer, now)?;
        Ok(Leased { lease, values: values(&data) })
    }

    /// Ends every lease bound to a job attempt or an instance.
    pub fn revoke(&self, to: &str) -> Result<Vec<Lease>, VaultError> {
        self.open.lock().as_mut().ok_or(VaultError::Sealed)?.revoke_leases_to(to)
    }

    /// Who holds leases that are not over: job attempts, instances, tokens.
    pub fn holders(&self) -> Result<BTreeSet<String>, VaultError> {
        let now = self.options.clock.now().as_second();
        let open = self.open.lock();
        let held = open.as_ref().ok_or(VaultError::Sealed)?.leases_where(|lease| !lease.is_over(now))?;
        Ok(held.into_iter().map(|lease| lease.to).collect())
    }

    /// The leases of a job attempt or an instance that still lives end so many seconds from now.
    pub fn extend(&self, to: &str, ttl_seconds: u64) -> Result<(), VaultError> {
        let now = self.options.clock.now().as_second();
        self.open.lock().as_mut().ok_or(VaultError::Sealed)?.extend_leases_to(to, ttl_seconds, now)
    }

    /// Ends what is over: tokens, and the leases it answers.
    pub fn tidy(&self) -> Result<Vec<Lease>, VaultError> {
        let now = self.options.clock.now().as_second();
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or(VaultError::Sealed)?;
        open.tidy_tokens(now)?;
        open.tidy_leases(now)
    }

    /// Names of the keys of a key-value secret, as people write its path; never a value. None when there is no such secret.
    pub fn keys(&self, path: &str) -> Result<Vec<String>, VaultError> {
        let now = self.options.clock.now();
        let open = self.open.lock();
        let found = open.as_ref().ok_or(VaultError::Sealed)?.current(path, now)?;
        Ok(found.map_or_else(Vec::new, |(_, data)| data.keys().cloned().collect()))
    }

    /// Names and versions of every key-value secret, with the leases on it; never a value.
    pub fn inventory(&self) -> Result<Vec<(String, u64, Vec<Lease>)>, VaultError> {
        let now = self.options.clock.now().as_second();
        let open = self.open.lock();
        open.as_ref().ok_or(VaultError::Sealed)?.inventory(now)
    }
}

fn lock(folder: &Path) -> Result<fs::File, VaultError> {
    let path = folder.join("lock");
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|e| VaultError::file("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(VaultError::InUse { folder: folder.to_owned() }),
        Err(fs::TryLockError::Error(e)) => Err(VaultError::file("lock", &path, e)),
    }
}

/// What the root token is.
pub(crate) fn root_token() -> NewToken {
    NewToken {
        policies: vec!["root".into()],
        path: crate::token::ROOT_PATH.into(),
        display_name: "root".into(),
        ..NewToken::default()
    }
}

fn read_key(path: &Path) -> Result<Key, VaultError> {
    let text = Zeroizing::new(fs::read_to_string(path).map_err(|e| VaultError::file("read", path, e))?);
    let mode = fs::metadata(path).map_err(|e| VaultError::file("look at", path, e))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(VaultError::OpenKey { path: path.to_owned(), mode });
    }
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text.trim(), &mut key[..]).map_err(|_| VaultError::WrongKey { path: path.to_owned() })?;
    Ok(key)
}

/// The keyring of a folder. A new store writes the key of the seal first and the keyring last: a kill in between leaves
/// a folder that the next start finishes, because nothing was sealed yet.
fn keyring(folder: &Path, key_file: &Path, now: i64) -> Result<Keyring, VaultError> {
    let (root_file, ring_file) = (folder.join("root"), folder.join("keyring"));
    if !key_file.exists() {
        if ring_file.exists() {
            return Err(VaultError::file("read", key_file, std::io::ErrorKind::NotFound.into()));
        }
        let (parent, name) = (key_file.parent().unwrap_or(folder), key_file.file_name().unwrap_or_default());
        let text = Zeroizing::new(hex::encode(*barrier::fresh_key()));
        write_durably(parent, &name.to_string_lossy(), text.as_bytes())?;
    }
    let seal = read_key(key_file)?;
    if !ring_file.exists() {
        let records = folder.join("records");
        if fs::read_dir(&records).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(VaultError::Damaged { path: ring_file });
        }
        let root = barrier::fresh_key();
        write_durably(folder, "root", &barrier::seal(&seal, 0, "root", &*root))?;
        write_durably(folder, "keyring", &barrier::seal(&root, 0, "keyring", &Keyring::fresh(now).to_bytes()))?;
    }
    let root = fs::read(&root_file).map_err(|e| VaultError::file("read", &root_file, e))?;
    let root = barrier::open(&seal, "root", &root).ok_or_else(|| VaultError::WrongKey { path: key_file.to_owned() })?;
    let root: Key = Zeroizing::new(root[..].try_into().map_err(|_| VaultError::Damaged { path: root_file })?);
    let ring = fs::read(&ring_file).map_err(|e| VaultError::file("read", &ring_file, e))?;
    let ring = barrier::open(&root, "keyring", &ring).ok_or(VaultError::Damaged { path: ring_file })?;
    Keyring::from_bytes(&ring)
}

impl Vault {
    /// A new data key for what is written from now on.
    pub fn rotate(&self) -> Result<(), VaultError> {
        let now = self.options.clock.now().as_second();
        let mut open = self.open.lock();
        let open = open.as_mut().ok_or(VaultError::Sealed)?;
        let seal = read_key(&self.key_file())?;
        let root_file = self.options.folder.join("root");
        let root = fs::read(&root_file).map_err(|e| VaultError::file("read", &root_file, e))?;
        let root = barrier::open(&seal, "root", &root).ok_or_else(|| VaultError::WrongKey { path: self.key_file() })?;
        let root: Key = Zeroizing::new(root[..].try_into().map_err(|_| VaultError::Damaged { path: root_file })?);
        open.store.keyring.rotate(now);
        write_durably(
            &self.options.folder,
            "keyring",
            &barrier::seal(&root, 0, "keyring", &open.store.keyring.to_bytes()),
        )
    }
}

/// A path as policies see it: no empty, `.` or `..` segment can lead around a rule.
fn normalise(path: &str) -> Result<String, Response> {
    let bare = path.trim_start_matches('/');
    let bad = |segment: &str| segment == "." || segment == ".." || segment.contains(char::is_control);
    let inner = bare.strip_suffix('/').unwrap_or(bare);
    if bare.len() > limits::PATH_BYTES || inner.split('/').count() > limits::PATH_SEGMENTS {
        return Err(Response::bad(format!(
            "the path has more than {} bytes or {} parts",
            limits::PATH_BYTES,
            limits::PATH_SEGMENTS
        )));
    }
    if !inner.is_empty() && inner.split('/').any(|segment| segment.is_empty() || bad(segment)) {
        return Err(Response::bad("the path has an empty, . or .. part"));
    }
    Ok(bare.to_owned())
}

impl Open {
    fn handle(&mut self, request: &Request, now: jiff::Timestamp) -> (Response, Option<AuditRecord>) {
        let mut caller = None;
        let answer = self.answer(request, now, &mut caller).unwrap_or_else(|answer| answer);
        let answer = match (request.wrap_ttl, answer.wrappable) {
            (Some(ttl), true) if ttl > 0 => {
                let body = answer.body.clone().unwrap_or_default();
                self.wrap(body, &request.path, ttl, now).unwrap_or_else(Response::from)
            }
            _ => answer,
        };
        if let Err(error) = self.audit.write(&self.store.keyring, request, caller.as_ref(), &answer, now) {
            // No record, no answer: what was asked for must not leave unseen.
            return (Response::from(error), None);
        }
        let version = answer.body.as_ref().and_then(|b| b["data"]["version"].as_u64());
        let heard = AuditRecord {
            operation: request.method.operation().to_owned(),
            path: request.path.clone(),
            who: caller.as_ref().map(|t: &Token| t.display_name.clone()).unwrap_or_default(),
            status: answer.status,
            version,
        };
        if let Some(token) = caller.filter(|t| t.uses_left == Some(0))
            && let Err(error) = self.revoke_token(&token.fingerprint)
        {
            return (Response::from(error), Some(heard));
        }
        (answer, Some(heard))
    }

    fn answer(
        &mut self,
        request: &Request,
        now: jiff::Timestamp,
        caller: &mut Option<Token>,
    ) -> Result<Response, Response> {
        if let Some(answer) = route::login::answer(self, request, now)? {
            return Ok(answer);
        }
        let clear = request.token.as_deref().ok_or_else(Response::denied)?;
        let mut token = self.token(clear, now.as_second())?.ok_or_else(Response::denied)?;
        if token.policies == [crate::wrap::POLICY] {
            return Err(Response::denied());
        }
        if let Some(uses) = &mut token.uses_left {
            *uses -= 1;
            self.keep_token(&token)?;
        }
        *caller = Some(token.clone());
        let acl = self.acl(&token)?;
        route::answer(self, request, &token, &acl, now)
    }

    /// The rules of a token.
    pub(crate) fn acl(&self, token: &Token) -> Result<Acl, VaultError> {
        if token.is_root() {
            return Ok(Acl::root());
        }
        let mut rules: Vec<Rule> = vec![];
        for name in &token.policies {
            if let Some(text) = self.policy(name)? {
                rules.extend(policy::parse(&text).map_err(VaultError::Invalid)?);
            }
        }
        Ok(Acl::new(rules))
    }

    /// Text of a policy.
    pub(crate) fn policy(&self, name: &str) -> Result<Option<String>, VaultError> {
        match self.store.get(&format!("sys/policy/{name}"))? {
            None if name == "default" => Ok(Some(policy::DEFAULT.to_owned())),
            found => Ok(found),
        }
    }

    /// The newest readable version of a secret by the path people write, with its full path.
    fn current(
        &self,
        path: &str,
        now: jiff::Timestamp,
    ) -> Result<Option<(String, serde_json::Map<String, serde_json::Value>)>, VaultError> {
        let Some((mount, rest)) = self.mounts.secret(path) else { return Ok(None) };
        match (mount.kind, mount.version) {
            (Kind::Kv, 2) => {
                let key: Option<kv::Key> = self.store.get(&format!("kv/{}/{rest}", mount.uuid))?;
                let found = key.as_ref().and_then(|k| k.version(0)).filter(|(_, v)| !v.is_deleted(&now.to_string()));
                Ok(found.and_then(|(n, v)| Some((format!("{}data/{rest}?version={n}", mount.path), v.data.clone()?))))
            }
            (Kind::Kv, _) => {
                let data = self.store.get(&format!("kv/{}/{rest}", mount.uuid))?;
                Ok(data.map(|data| (path.to_owned(), data)))
            }
            _ => Ok(None),
        }
    }

    fn inventory(&self, now: i64) -> Result<Vec<(String, u64, Vec<Lease>)>, VaultError> {
        let leases = self.leases_where(|lease| !lease.is_over(now))?;
        let mut all = vec![];
        for mount in self.mounts.secrets.iter().filter(|m| m.kind == Kind::Kv) {
            let stem = format!("kv/{}/", mount.uuid);
            for path in self.store.below(&stem) {
                let rest = &path[stem.len()..];
                let version = match mount.version {
                    2 => self.store.get::<kv::Key>(path)?.map_or(0, |k| k.current),
                    _ => 1,
                };
                let whole = if mount.version == 2 {
                    format!("{}data/{rest}", mount.path)
                } else {
                    format!("{}{rest}", mount.path)
                };
                let on = leases.iter().filter(|l| l.secret.split('?').next() == Some(&whole)).cloned().collect();
                all.push((format!("{}{rest}", mount.path), version, on));
            }
        }
        Ok(all)
    }
}

impl From<VaultError> for Response {
    /// The store itself failed: 500, with what and where, never with a value.
    fn from(error: VaultError) -> Self {
        let cause = std::error::Error::source(&error).map(|c| format!(": {c}")).unwrap_or_default();
        match error {
            VaultError::Sealed => Self::errors(503, &["Vault is sealed"]),
            VaultError::Invalid(why) => Self::bad(why),
            other => Self::errors(500, &[format!("{other}{cause}").as_str()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_lead_around_a_rule() {
        for (path, expect) in [
            ("/secret/data/a", Some("secret/data/a")),
            ("secret/metadata/", Some("secret/metadata/")),
            ("secret//a", None),
            ("secret/../sys/seal", None),
            ("secret/./a", None),
            ("secret/a\n", None),
            ("", Some("")),
        ] {
            assert_eq!(normalise(path).ok().as_deref(), expect, "{path:?}");
        }
        assert!(normalise(&"a/".repeat(limits::PATH_SEGMENTS + 1)).is_err());
        assert!(normalise(&"a".repeat(limits::PATH_BYTES + 1)).is_err());
    }
}
