//! Turns the expressions of the mapping table into numbers and texts, with a reason for whatever is missing.

use super::mapping::TypeRow;
use crate::infracost::usage::UsageFile;
use lem_model::resource::{Attribute, Resource};
use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use std::fmt;

/// How a lack of usage begins; it is told apart from a lack of knowledge.
pub(crate) const NO_USAGE: &str = "depends on usage";

/// Where a quantity comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The files alone.
    Attribute,
    /// The usage file, for this address.
    Declared,
    /// Our own metrics.
    Measured,
    /// The usage file, for the type.
    Default,
}

impl Origin {
    /// The word people read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Attribute => "configured",
            Self::Declared => "declared",
            Self::Measured => "measured",
            Self::Default => "default",
        }
    }
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Not known before an apply, or for the reason given.
    Unknown(String),
    /// Nothing is written at the path.
    Absent(String),
    /// Nobody declared or measured this usage.
    Usage(String),
    /// The value must not be shown, and a name or a price would show it.
    Sensitive(String),
    /// The value is none this conversion understands.
    Odd {
        /// Path.
        path: String,
        /// Value.
        value: String,
    },
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(why) => write!(f, "known after apply ({why})"),
            Self::Absent(path) => write!(f, "{path} is not written"),
            Self::Usage(key) => write!(f, "{NO_USAGE}: {key} is neither declared nor measured"),
            Self::Sensitive(path) => write!(f, "{path} is sensitive, and its price would tell it"),
            Self::Odd { path, value } => write!(f, "{path} is {value}, which is not understood"),
        }
    }
}

/// Items of a list at a path; none when nothing is written there.
pub(crate) fn items(root: &Attribute, path: &str) -> Vec<Attribute> {
    match walk(root, path) {
        Some(Attribute::List(items)) => items.clone(),
        Some(Attribute::Null) | None => vec![],
        Some(other) => vec![other.clone()],
    }
}

fn walk<'a>(root: &'a Attribute, path: &str) -> Option<&'a Attribute> {
    let found = path.split('.').try_fold(root, |at, step| match at.revealed() {
        Attribute::Unknown(_) => Some(at),
        _ => at.get(step),
    })?;
    Some(found.revealed())
}

/// Whether the value at a path, or anything on the way to it, is marked.
fn is_sensitive(root: &Attribute, path: &str) -> bool {
    let mut at = root;
    for step in path.split('.') {
        let Some(next) = at.get(step) else { return false };
        if matches!(next, Attribute::Sensitive(_)) {
            return true;
        }
        at = next;
    }
    false
}

/// Everything an expression may look at.
pub(crate) struct Context<'a> {
    pub(crate) root: &'a Attribute,
    pub(crate) item: &'a Attribute,
    pub(crate) row: &'a TypeRow,
    pub(crate) usage: &'a UsageFile,
    pub(crate) resource: &'a Resource,
}

impl Context<'_> {
    /// Provider of the price.
    pub(crate) fn provider(&self) -> &'static str {
        let kind = self.resource.kind.as_str();
        if kind.starts_with("aws_") || kind.starts_with("AWS::") {
            "aws"
        } else if kind.starts_with("google_") {
            "gcp"
        } else if kind.starts_with("azurerm_") {
            "azure"
        } else {
            "kubernetes"
        }
    }

    /// Region of the price: the resource's, or the one of its zone or location.
    pub(crate) fn region(&self) -> Result<String, Lack> {
        let own = ["region", "location", "zone", "availability_zone"].iter().find_map(|k| walk(self.root, k));
        let at = self.resource.region.as_ref().map(Attribute::revealed).or(own);
        match at {
            Some(Attribute::Unknown(why)) => Err(Lack::Unknown(why.clone())),
            Some(Attribute::String(text)) => Ok(region_of(text)),
            _ => Err(Lack::Absent("the region".into())),
        }
    }

    /// Whether `path=value` or `path!=value` holds.
    pub(crate) fn holds(&self, when: &str) -> Result<bool, Lack> {
        let (path, wanted, equal) = match when.split_once("!=") {
            Some((path, wanted)) => (path, wanted, false),
            None => when.split_once('=').map_or((when, "true", true), |(p, w)| (p, w, true)),
        };
        match self.value(path) {
            Ok(value) => Ok((value == wanted) == equal),
            Err(Lack::Absent(_)) => Ok(!equal),
            Err(lack) => Err(lack),
        }
    }

    /// A text with every `{...}` replaced.
    pub(crate) fn text(&self, template: &str) -> Result<String, Lack> {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (inner, tail) = after.split_once('}').unwrap_or((after, ""));
            out += before;
            out += &self.translated(inner)?;
            rest = tail;
        }
        Ok(out + rest)
    }

    /// A text for people: what is missing shows as `?`.
    pub(crate) fn shown(&self, template: &str) -> String {
        let mut out = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (inner, tail) = after.split_once('}').unwrap_or((after, ""));
            out += before;
            out += &self.translated(inner).unwrap_or_else(|_| "?".to_owned());
            rest = tail;
        }
        out + rest
    }

    /// A product of factors.
    pub(crate) fn quantity(&self, product: &str) -> Result<(Decimal, Origin), Lack> {
        let mut total = Decimal::ONE;
        let mut origin = Origin::Attribute;
        for factor in product.split('*').map(str::trim) {
            let value = match factor.strip_prefix('{').and_then(|f| f.strip_suffix('}')) {
                None => number(factor, factor)?,
                Some(inner) => match inner.strip_prefix("usage.") {
                    None => number(inner, &self.value(inner)?)?,
                    Some(key) => {
                        let found = self.usage.find(&self.resource.address, &self.resource.kind, key);
                        let (value, from) = found.ok_or_else(|| Lack::Usage(key.to_owned()))?;
                        origin = from;
                        value
                    }
                },
            };
            total *= value;
        }
        Ok((total, origin))
    }

    fn translated(&self, inner: &str) -> Result<String, Lack> {
        let value = self.value(inner)?;
        let path = inner.split('|').next().unwrap_or(inner);
        let Some(words) = self.row.words.get(path) else { return Ok(value) };
        words.get(&value).cloned().ok_or_else(|| Lack::Odd { path: path.to_owned(), value })
    }

    /// `conversion:path|when absent` as text.
    fn value(&self, inner: &str) -> Result<String, Lack> {
        let (expression, absent) = match inner.split_once('|') {
            Some((expression, absent)) => (expression, Some(absent)),
            None => (inner, None),
        };
        let (conversion, path) = match expression.split_once(':') {
            Some((conversion, path)) => (Some(conversion), path),
            None => (None, expression),
        };
        let (from, path) = path.strip_prefix('^').map_or((self.item, path), |p| (self.root, p));
        if is_sensitive(from, path) {
            return Err(Lack::Sensitive(path.to_owned()));
        }
        let found = walk(from, path);
        if conversion == Some("count") {
            return match found {
                Some(Attribute::List(list)) => Ok(list.len().to_string()),
                Some(Attribute::Unknown(why)) => Err(Lack::Unknown(why.clone())),
                _ => Err(Lack::Absent(path.to_owned())),
            };
        }
        let text = match found {
            Some(Attribute::Unknown(why)) => return Err(Lack::Unknown(why.clone())),
            Some(Attribute::String(text)) => text.clone(),
            Some(Attribute::Number(n)) => n.to_string(),
            Some(Attribute::Bool(b)) => b.to_string(),
            Some(Attribute::Null) | None => match absent {
                Some(text) => text.to_owned(),
                None => return Err(Lack::Absent(path.to_owned())),
            },
            Some(other) => return Err(Lack::Odd { path: path.to_owned(), value: other.shown().to_string() }),
        };
        match conversion {
            None => Ok(text),
            Some(conversion) => {
                convert(conversion, &text).ok_or_else(|| Lack::Odd { path: path.to_owned(), value: text })
            }
        }
    }
}

fn number(path: &str, text: &str) -> Result<Decimal, Lack> {
    text.parse().map_err(|_| Lack::Odd { path: path.to_owned(), value: text.to_owned() })
}

/// `us-east-1a` and `us-central1-b` are in `us-east-1` and `us-central1`; `East US` is `eastus`.
fn region_of(text: &str) -> String {
    if text.contains(' ') {
        return text.to_lowercase().replace(' ', "");
    }
    let gcp_zone = text.rsplit_once('-').filter(|(head, zone)| {
        zone.len() == 1 && zone.chars().all(|c| c.is_ascii_lowercase()) && head.ends_with(|c: char| c.is_ascii_digit())
    });
    if let Some((head, _)) = gcp_zone {
        return head.to_owned();
    }
    let aws_zone = text.ends_with(|c: char| c.is_ascii_lowercase())
        && text[..text.len() - 1].ends_with(|c: char| c.is_ascii_digit())
        && text.matches('-').count() >= 2;
    if aws_zone { text[..text.len() - 1].to_owned() } else { text.to_owned() }
}

fn convert(conversion: &str, text: &str) -> Option<String> {
    if let Some(above) = conversion.strip_prefix("above") {
        let (value, above): (Decimal, Decimal) = (text.parse().ok()?, above.parse().ok()?);
        return Some((value - above).max(Decimal::ZERO).to_string());
    }
    if let Some(mark) = conversion.strip_prefix("before") {
        return text.strip_suffix(mark).map(str::to_owned);
    }
    match conversion {
        "lower" => Some(text.to_lowercase()),
        "squash" => Some(text.to_lowercase().replace('_', "")),
        "cores" => cores(text).map(plain),
        "gib" => gib(text).map(plain),
        "gcp-family" => gcp_machine(text).map(|m| m.family),
        "gcp-cpu" => gcp_machine(text).map(|m| plain(m.vcpu)),
        "gcp-gib" => gcp_machine(text).map(|m| plain(m.gib)),
        "gcp-disk" => gcp_disk(text).map(str::to_owned),
        "gcp-sql-cpu" => gcp_sql(text).map(|(vcpu, _)| plain(vcpu)),
        "gcp-sql-gib" => gcp_sql(text).map(|(_, gib)| plain(gib)),
        _ => None,
    }
}

fn plain(number: Decimal) -> String {
    number.normalize().to_string()
}

/// A Kubernetes CPU quantity in cores.
pub fn cores(text: &str) -> Option<Decimal> {
    match text.strip_suffix('m') {
        Some(milli) => Some(milli.parse::<Decimal>().ok()? / Decimal::ONE_THOUSAND),
        None => text.parse().ok(),
    }
}

/// A Kubernetes quantity of bytes in GiB.
pub fn gib(text: &str) -> Option<Decimal> {
    const UNITS: [(&str, u64); 12] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("k", 1_000),
        ("K", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("", 1),
    ];
    let (number, scale) = UNITS.iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, *scale)))?;
    let bytes = number.parse::<Decimal>().ok()? * Decimal::from_u64(scale)?;
    Some(bytes / Decimal::from(1_u64 << 30))
}

struct GcpMachine {
    family: String,
    vcpu: Decimal,
    gib: Decimal,
}

/// `n1-standard-4`, `e2-medium`, `n2-custom-4-8192`. Shared-core and newer families are not here: unknown.
fn gcp_machine(text: &str) -> Option<GcpMachine> {
    let shared = match text {
        "e2-micro" => Some(("0.25", "1")),
        "e2-small" => Some(("0.5", "2")),
        "e2-medium" => Some(("1", "4")),
        _ => None,
    };
    if let Some((vcpu, gib)) = shared {
        return Some(GcpMachine { family: "e2".into(), vcpu: vcpu.parse().ok()?, gib: gib.parse().ok()? });
    }
    let parts: Vec<&str> = text.split('-').collect();
    match parts[..] {
        [family @ ("n2" | "n2d" | "e2"), "custom", vcpu, mib] => Some(GcpMachine {
            family: format!("{family}_custom"),
            vcpu: vcpu.parse().ok()?,
            gib: mib.parse::<Decimal>().ok()? / Decimal::from(1024),
        }),
        [family, class, vcpu] => {
            let per_cpu = match (family, class) {
                ("n1", "standard") => "3.75",
                ("n1", "highmem") => "6.5",
                ("n1", "highcpu") => "0.9",
                ("n2" | "n2d" | "e2" | "c2", "standard") => "4",
                ("n2" | "n2d" | "e2", "highmem") => "8",
                ("n2" | "n2d" | "e2", "highcpu") => "1",
                _ => return None,
            };
            let vcpu: Decimal = vcpu.parse().ok()?;
            Some(GcpMachine { family: family.into(), gib: vcpu * per_cpu.parse::<Decimal>().ok()?, vcpu })
        }
        _ => None,
    }
}

fn gcp_disk(text: &str) -> Option<&'static str> {
    match text {
        "pd-standard" => Some("standard"),
        "pd-ssd" => Some("ssd"),
        _ => None,
    }
}

/// `db-custom-2-7680`.
fn gcp_sql(text: &str) -> Option<(Decimal, Decimal)> {
    let (vcpu, mib) = text.strip_prefix("db-custom-")?.split_once('-')?;
    Some((vcpu.parse().ok()?, mib.parse::<Decimal>().ok()? / Decimal::from(1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_quantities_and_machines_are_understood_or_said_not_to_be() {
        for (text, expect) in [
            ("us-east-1a", "us-east-1"),
            ("us-central1-b", "us-central1"),
            ("East US", "eastus"),
            ("eu-west-1", "eu-west-1"),
        ] {
            assert_eq!(region_of(text), expect);
        }
        let cases = [
            ("cores", "250m", Some("0.25")),
            ("cores", "2", Some("2")),
            ("gib", "512Mi", Some("0.5")),
            ("gib", "1Gi", Some("1")),
            ("above3000", "4000", Some("1000")),
            ("above3000", "100", Some("0")),
            ("squash", "Standard_D2s_v3", Some("standardd2sv3")),
            ("before.search", "t3.small.search", Some("t3.small")),
            ("gcp-gib", "n1-standard-4", Some("15")),
            ("gcp-cpu", "e2-medium", Some("1")),
            ("gcp-family", "n2-custom-4-8192", Some("n2_custom")),
            ("gcp-cpu", "c4-standard-8", None),
            ("gcp-sql-gib", "db-custom-1-3840", Some("3.75")),
            ("cores", "lots", None),
        ];
        for (conversion, text, expect) in cases {
            assert_eq!(convert(conversion, text).as_deref(), expect, "{conversion} {text}");
        }
    }
}
