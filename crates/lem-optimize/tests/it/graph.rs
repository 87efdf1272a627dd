//! Resource graphs by hand.

use lem_model::Place;
use lem_model::resource::{Attribute, Language, Resource, ResourceGraph};

pub(crate) fn text(value: &str) -> Attribute {
    Attribute::String(value.to_owned())
}

pub(crate) fn number(value: i64) -> Attribute {
    Attribute::Number(value.into())
}

pub(crate) fn block(pairs: &[(&str, Attribute)]) -> Attribute {
    Attribute::Map(pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect())
}

pub(crate) fn graph(resources: impl IntoIterator<Item = Resource>) -> ResourceGraph {
    ResourceGraph { root: "infra".into(), resources: resources.into_iter().collect(), ..ResourceGraph::default() }
}

/// A resource in us-east-1, written in `infra/main.tf`.
pub(crate) fn resource(address: &str, kind: &str, attributes: &[(&str, Attribute)]) -> Resource {
    Resource {
        address: address.to_owned(),
        kind: kind.to_owned(),
        language: if kind.contains('/') { Language::Kubernetes } else { Language::Terraform },
        data: false,
        provider: "aws".into(),
        region: Some(text("us-east-1")),
        attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
        places: indexmap::IndexMap::new(),
        place: Place::new("infra/main.tf", 1, 1),
        end_line: 3,
        calls: vec![],
        depends_on: vec![],
        action: None,
        before: None,
    }
}
