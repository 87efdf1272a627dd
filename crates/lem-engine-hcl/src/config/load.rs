//! Reading a folder and every module it calls.

use super::{Configuration, Files, MAX_FILES, Module, ModuleCall, decode, names, overrides};
use crate::syntax::{Body, MAX_FILE_BYTES, parse_body, parse_json};
use lem_model::{Diagnostic, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Deepest chain of module calls.
pub const MAX_MODULE_DEPTH: usize = 32;

/// Modules of one configuration at most.
pub const MAX_MODULES: usize = 2000;

/// Reads the configuration of a folder. It is usable for evaluation only when no diagnostic is an error; for documents it
/// holds what could be read.
pub fn load(files: &dyn Files, folder: &str) -> (Configuration, Vec<Diagnostic>) {
    let mut loader = Loader {
        files,
        root: folder.trim_end_matches('/').to_owned(),
        installed: BTreeMap::new(),
        modules: BTreeMap::new(),
        folders: BTreeMap::new(),
        diagnostics: vec![],
    };
    loader.installed = loader.installed_modules();
    loader.module(&[], ".", None);
    let modules = loader.modules;
    let root = modules.get(&vec![]).cloned().unwrap_or_default();
    (Configuration { folder: folder.to_owned(), modules, root }, loader.diagnostics)
}

struct Loader<'f> {
    files: &'f dyn Files,
    root: String,
    /// Folders of modules from elsewhere, by the calls that lead to them joined by dots.
    installed: BTreeMap<String, String>,
    modules: BTreeMap<Vec<Arc<str>>, Arc<Module>>,
    /// Modules by folder, so that a folder called often is read once.
    folders: BTreeMap<String, Module>,
    diagnostics: Vec<Diagnostic>,
}

impl Loader<'_> {
    fn real(&self, folder: &str) -> String {
        match (self.root.as_str(), folder) {
            ("" | ".", ".") => String::new(),
            (root, ".") => root.to_owned(),
            ("" | ".", folder) => folder.to_owned(),
            (root, folder) => clean(&format!("{root}/{folder}")),
        }
    }

    fn installed_modules(&self) -> BTreeMap<String, String> {
        let path = self.real(".terraform/modules/modules.json");
        let Ok(bytes) = self.files.read(&path, MAX_FILE_BYTES) else { return BTreeMap::new() };
        let Ok(json) = serde_json::from_slice::<serde_json::Value>(&bytes) else { return BTreeMap::new() };
        let entries = json["Modules"].as_array().cloned().unwrap_or_default();
        let entry = |e: &serde_json::Value| Some((e["Key"].as_str()?.to_owned(), e["Dir"].as_str()?.to_owned()));
        entries.iter().filter_map(entry).collect()
    }

    fn module(&mut self, path: &[Arc<str>], folder: &str, call: Option<&ModuleCall>) {
        let place = call.map_or_else(|| Place::file(self.root.clone()), |c| c.pos.place());
        if path.len() > MAX_MODULE_DEPTH || self.modules.len() >= MAX_MODULES {
            let message = format!("at most {MAX_MODULES} modules nested {MAX_MODULE_DEPTH} deep are read");
            self.diagnostics.push(Diagnostic::error("too-deep", message, place));
            return;
        }
        let mut module = match self.folders.get(folder) {
            Some(known) => known.clone(),
            None => {
                let read = self.folder(folder, &place);
                self.folders.insert(folder.to_owned(), read.clone());
                read
            }
        };
        module.path = path.to_vec();
        if let Some(call) = call {
            self.check_call(call, &module);
        }
        let calls: Vec<ModuleCall> = module.calls.values().cloned().collect();
        self.modules.insert(path.to_vec(), Arc::new(module));
        for call in calls {
            let mut inner = path.to_vec();
            inner.push(Arc::clone(&call.name));
            if let Some(folder) = self.source(&call, folder, &inner) {
                self.module(&inner, &folder, Some(&call));
            }
        }
    }

    /// Folder of a called module, relative to the root.
    fn source(&mut self, call: &ModuleCall, folder: &str, path: &[Arc<str>]) -> Option<String> {
        if call.source.starts_with("./") || call.source.starts_with("../") {
            return Some(clean(&format!("{folder}/{}", call.source)));
        }
        let key = path.iter().map(|p| &**p).collect::<Vec<_>>().join(".");
        if let Some(found) = self.installed.get(&key) {
            return Some(clean(found));
        }
        let message = format!("module \"{}\" comes from \"{}\" and is not installed", call.name, call.source);
        let hint = "run terraform init or tofu init, which puts it under .terraform/modules";
        self.diagnostics.push(Diagnostic::error("module-missing", message, call.pos.place()).with_hint(hint));
        None
    }

    fn check_call(&mut self, call: &ModuleCall, module: &Module) {
        for (name, expr) in &call.arguments {
            if !module.variables.contains_key(name) {
                let message = format!("module \"{}\" has no variable \"{name}\"", call.name);
                let diagnostic = Diagnostic::error("unknown-argument", message, expr.pos.place());
                let near = lem_model::diagnostic::nearest(name, module.variables.keys().map(|k| &**k));
                self.diagnostics.push(match near {
                    Some(near) => diagnostic.with_hint(format!("did you mean \"{near}\"?")),
                    None => diagnostic,
                });
            }
        }
        for variable in module.variables.values() {
            if variable.default.is_none() && !call.arguments.contains_key(&variable.name) {
                let message = format!("module \"{}\" needs the argument \"{}\"", call.name, variable.name);
                let hint = format!("it is declared at {}", variable.pos.place());
                let diagnostic = Diagnostic::error("missing-argument", message, call.pos.place());
                self.diagnostics.push(diagnostic.with_hint(hint));
            }
        }
    }

    fn folder(&mut self, folder: &str, place: &Place) -> Module {
        let real = self.real(folder);
        let before = self.diagnostics.len();
        let mut module = Module { folder: folder.into(), ..Module::default() };
        let names = match self.files.list(&real) {
            Ok(names) => chosen(names),
            Err(error) => {
                let message =
                    format!("the folder {} cannot be read: {error}", if real.is_empty() { "." } else { &real });
                self.diagnostics.push(Diagnostic::error("folder-unreadable", message, place.clone()));
                return module;
            }
        };
        if names.is_empty() {
            let message = format!("there are no .tf files in {}", if real.is_empty() { "." } else { &real });
            self.diagnostics.push(Diagnostic::error("no-configuration", message, place.clone()));
        }
        if names.len() > MAX_FILES {
            let message = format!("{} files; at most {MAX_FILES} are read of one folder", names.len());
            self.diagnostics.push(Diagnostic::error("too-many", message, place.clone()));
        }
        let (mut bodies, mut late) = (vec![], vec![]);
        for name in names.iter().take(MAX_FILES) {
            let path = if real.is_empty() { name.clone() } else { format!("{real}/{name}") };
            module.files.push(path.as_str().into());
            let body = self.file(&path);
            if overrides::is_override(name) { late.push(body) } else { bodies.push(body) }
        }
        for body in late {
            for alone in overrides::apply(&mut bodies, body) {
                let message = format!("an override file may only change what exists; there is no such {}", alone.kind);
                self.diagnostics.push(Diagnostic::error("nothing-to-override", message, alone.pos.place()));
            }
        }
        for body in &bodies {
            decode::decode(body, &mut module, &mut self.diagnostics);
        }
        for body in &bodies {
            names::functions(body, &mut self.diagnostics);
        }
        // What a broken file declares is not known: then nothing is said to be missing.
        if !self.diagnostics[before..].iter().any(Diagnostic::is_error) {
            for body in &bodies {
                names::references(body, &module, &mut self.diagnostics);
            }
        }
        module
    }

    fn file(&mut self, path: &str) -> Body {
        let bytes = match self.files.read(path, MAX_FILE_BYTES) {
            Ok(bytes) => bytes,
            Err(error) => {
                let (code, message) = match error.kind() {
                    std::io::ErrorKind::FileTooLarge => {
                        ("too-large", format!("the file is larger than {MAX_FILE_BYTES} bytes"))
                    }
                    _ => ("file-unreadable", format!("the file cannot be read: {error}")),
                };
                self.diagnostics.push(Diagnostic::error(code, message, Place::file(path)));
                return Body::default();
            }
        };
        let (body, diagnostics) =
            if path.ends_with(".json") { parse_json(&bytes, path, true) } else { parse_body(&bytes, path) };
        self.diagnostics.extend(diagnostics);
        body
    }
}

/// Configuration files in the order they are read: `.tofu` shadows `.tf`.
fn chosen(names: Vec<String>) -> Vec<String> {
    let ignored =
        |name: &String| name.starts_with('.') || name.ends_with('~') || (name.starts_with('#') && name.ends_with('#'));
    let all: BTreeSet<String> = names.into_iter().filter(|n| !ignored(n)).collect();
    let shadowed = |name: &String| {
        let tofu = name.strip_suffix(".tf.json").map(|base| format!("{base}.tofu.json"));
        let tofu = tofu.or_else(|| name.strip_suffix(".tf").map(|base| format!("{base}.tofu")));
        tofu.is_some_and(|t| all.contains(&t))
    };
    let suffixes = [".tf", ".tf.json", ".tofu", ".tofu.json"];
    all.iter().filter(|n| suffixes.iter().any(|s| n.ends_with(s)) && !shadowed(n)).cloned().collect()
}

/// A path without `.` and without `..` where that is possible.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = vec![];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (path.starts_with('/'), joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (_, true) => ".".into(),
        _ => joined,
    }
}
