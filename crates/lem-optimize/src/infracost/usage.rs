//! Infracost's usage file (`version: 0.1`), read as it is, with a place for whatever is not understood.
//!
//! Precedence per component: declared for the address, declared with an index wildcard, measured, default of the type,
//! unknown.

use crate::plan::mapping::Mapping;
use crate::plan::quantity::Origin;
use lem_engine_yaml::{MAX_BYTES, Node, Options, Reader, parse_one};
use lem_model::diagnostic::nearest;
use lem_model::resource::ResourceGraph;
use lem_model::{Diagnostic, Place};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

type Usages = BTreeMap<String, BTreeMap<String, Decimal>>;

/// Declared and measured usage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFile {
    declared: Usages,
    defaults: Usages,
    measured: Usages,
    places: BTreeMap<(String, String), Place>,
}

impl UsageFile {
    /// Reads the file. Numbers that do not read are left out with a warning; wrong YAML is an error.
    pub fn read(file: &str, text: &str) -> (Self, Vec<Diagnostic>) {
        let mut usage = Self::default();
        if text.len() > MAX_BYTES {
            let message = format!("file has {} bytes; at most {MAX_BYTES} are read", text.len());
            return (usage, vec![Diagnostic::error("file-too-large", message, Place::file(file))]);
        }
        let (tree, mut found) = parse_one(text, file, Options::default());
        if let Some(tree) = tree.filter(|t| !t.is_null()) {
            let reader = Reader::new(file);
            if let Some(mut fields) = reader.fields(&tree, "a usage file") {
                if let Some(version) = fields.take("version").filter(|v| v.text() != Some("0.1")) {
                    reader.warning(version, "usage-version", "only version 0.1 is known; it is read as that");
                }
                if let Some(node) = fields.take("resource_usage") {
                    usage.declared = usage.section(&reader, node);
                }
                if let Some(node) = fields.take("resource_type_default_usage") {
                    usage.defaults = usage.section(&reader, node);
                }
                fields.finish();
            }
            found.extend(reader.into_diagnostics());
        }
        (usage, found)
    }

    fn section(&mut self, reader: &Reader, node: &Node) -> Usages {
        let mut usages = Usages::new();
        for entry in node.entries().unwrap_or_default() {
            let Some(address) = entry.key.text() else { continue };
            self.places.insert((address.to_owned(), String::new()), entry.key.place(reader.file()));
            let mut keys = BTreeMap::new();
            self.keys(reader, address, "", &entry.value, &mut keys);
            usages.insert(address.to_owned(), keys);
        }
        usages
    }

    /// Nested keys are joined by dots: `standard.storage_gb`.
    fn keys(&mut self, reader: &Reader, address: &str, above: &str, node: &Node, into: &mut BTreeMap<String, Decimal>) {
        for entry in node.entries().unwrap_or_default() {
            let Some(key) = entry.key.text() else { continue };
            let key = if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") };
            if entry.value.entries().is_some() {
                self.keys(reader, address, &key, &entry.value, into);
                continue;
            }
            let number = entry.value.text().map(|t| t.replace('_', "")).and_then(|t| t.parse::<Decimal>().ok());
            match number {
                Some(number) => {
                    self.places.insert((address.to_owned(), key.clone()), entry.key.place(reader.file()));
                    into.insert(key, number);
                }
                None if entry.value.is_null() => {}
                None => reader.warning(&entry.value, "usage-number", format!("{key} must be a number; it is left out")),
            }
        }
    }

    /// Adds what our own metrics say about a resource.
    pub fn measure(&mut self, address: &str, key: &str, monthly: Decimal) {
        self.measured.entry(address.to_owned()).or_default().insert(key.to_owned(), monthly);
    }

    /// Usage of a resource, and where it comes from.
    pub fn find(&self, address: &str, kind: &str, key: &str) -> Option<(Decimal, Origin)> {
        let of = |usages: &Usages, name: &str| usages.get(name).and_then(|keys| keys.get(key)).copied();
        of(&self.declared, address)
            .or_else(|| of(&self.declared, &wildcard(address)))
            .map(|n| (n, Origin::Declared))
            .or_else(|| of(&self.measured, address).map(|n| (n, Origin::Measured)))
            .or_else(|| of(&self.defaults, kind).map(|n| (n, Origin::Default)))
    }

    /// Addresses and keys that mean nothing to this graph, each with the nearest that would.
    pub fn check(&self, graph: &ResourceGraph) -> Vec<Diagnostic> {
        let mut found = vec![];
        let addresses: Vec<&str> = graph.resources.iter().map(|r| r.address.as_str()).collect();
        for (address, keys) in &self.declared {
            let resource = graph.resources.iter().find(|r| r.address == *address || wildcard(&r.address) == *address);
            match resource {
                Some(resource) => self.check_keys(address, &resource.kind, keys, &mut found),
                None => found.push(self.warn(
                    address,
                    "",
                    format!("no resource has the address \"{address}\""),
                    nearest(address, addresses.iter().copied()),
                )),
            }
        }
        for (kind, keys) in &self.defaults {
            self.check_keys(kind, kind, keys, &mut found);
        }
        found
    }

    fn check_keys(&self, address: &str, kind: &str, keys: &BTreeMap<String, Decimal>, found: &mut Vec<Diagnostic>) {
        let known = Mapping::get().usage_keys(kind);
        for key in keys.keys().filter(|k| !known.contains(k)) {
            let near = nearest(key, known.iter().map(String::as_str));
            found.push(self.warn(address, key, format!("usage \"{key}\" of {kind} is not used"), near));
        }
    }

    fn warn(&self, address: &str, key: &str, message: String, near: Option<&str>) -> Diagnostic {
        let place = self.places.get(&(address.to_owned(), key.to_owned())).cloned().unwrap_or_default();
        let diagnostic = Diagnostic::warning("usage-unknown", message, place);
        match near {
            Some(near) => diagnostic.with_hint(format!("did you mean \"{near}\"?")),
            None => diagnostic,
        }
    }
}

/// Every index replaced: `aws_lambda_function.f["a"]` is covered by `aws_lambda_function.f[*]`.
fn wildcard(address: &str) -> String {
    let mut out = String::new();
    let mut rest = address;
    while let Some((before, after)) = rest.split_once('[') {
        out += before;
        out += "[*]";
        rest = after.split_once(']').map_or("", |(_, tail)| tail);
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r"version: 0.1
resource_usage:
  aws_lambda_function.api:
    monthly_requests: 1_000_000
    request_duration_ms: 250
  aws_lambda_function.job[*]:
    monthly_requests: 10
  aws_s3_bucket.logs:
    standard:
      storage_gb: 500
resource_type_default_usage:
  aws_lambda_function:
    monthly_requests: 5
    request_duration_ms: lots
";

    #[test]
    fn the_nearest_declaration_wins() {
        let (mut usage, found) = UsageFile::read("infracost-usage.yml", FILE);
        assert_eq!(
            found[0].to_string(),
            "infracost-usage.yml:14:26: request_duration_ms must be a number; it is left out [usage-number]"
        );
        let kind = "aws_lambda_function";
        let ask = |u: &UsageFile, address: &str| {
            u.find(address, kind, "monthly_requests").map(|(n, o)| format!("{n} {}", o.word())).unwrap_or_default()
        };
        assert_eq!(ask(&usage, "aws_lambda_function.api"), "1000000 declared");
        assert_eq!(ask(&usage, "aws_lambda_function.job[\"a\"]"), "10 declared");
        assert_eq!(ask(&usage, "aws_lambda_function.other"), "5 default");
        usage.measure("aws_lambda_function.other", "monthly_requests", Decimal::from(7));
        assert_eq!(ask(&usage, "aws_lambda_function.other"), "7 measured");
        assert_eq!(
            usage.find("aws_s3_bucket.logs", "aws_s3_bucket", "standard.storage_gb").map(|u| u.0),
            Some(Decimal::from(500))
        );
        assert_eq!(usage.find("aws_lambda_function.other", kind, "nothing"), None);
    }

    #[test]
    fn what_means_nothing_is_named_with_its_place() {
        let text = "resource_usage:\n  aws_lambda_function.ap:\n    monthly_requests: 1\n  aws_lambda_function.api:\n    monthly_request: 1\n";
        let (usage, _) = UsageFile::read("u.yml", text);
        let graph = crate::plan::tests::graph(&[("aws_lambda_function.api", "aws_lambda_function", &[])]);
        let said: Vec<String> = usage.check(&graph).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "u.yml:2:3: no resource has the address \"aws_lambda_function.ap\" [usage-unknown]\n  help: did you mean \"aws_lambda_function.api\"?",
                "u.yml:5:5: usage \"monthly_request\" of aws_lambda_function is not used [usage-unknown]\n  help: did you mean \"monthly_requests\"?",
            ]
        );
    }
}
