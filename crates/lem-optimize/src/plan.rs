//! Every decision of the stage, purely: time and ids are arguments.

pub mod allocate;
pub mod bottleneck;
pub mod budget;
pub mod estimate;
pub mod lifecycle;
pub mod mapping;
pub mod observe;
pub mod ownership;
pub mod quantity;
pub mod recommend;
pub mod rightsize;

#[cfg(test)]
pub(crate) mod tests {
    use indexmap::IndexMap;
    use lem_model::Place;
    use lem_model::resource::{Attribute, Language, Resource, ResourceGraph};

    pub(crate) fn text(value: &str) -> Attribute {
        Attribute::String(value.to_owned())
    }

    /// Resources of one file by address, type and attributes, in us-east-1.
    pub(crate) fn graph(resources: &[(&str, &str, &[(&str, Attribute)])]) -> ResourceGraph {
        let resources = resources.iter().map(|(address, kind, attributes)| resource(address, kind, attributes));
        ResourceGraph { root: "infra".into(), resources: resources.collect(), ..ResourceGraph::default() }
    }

    pub(crate) fn resource(address: &str, kind: &str, attributes: &[(&str, Attribute)]) -> Resource {
        Resource {
            address: address.to_owned(),
            kind: kind.to_owned(),
            language: Language::Terraform,
            data: false,
            provider: "aws".into(),
            region: Some(text("us-east-1")),
            attributes: attributes.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            places: IndexMap::new(),
            place: Place::new("infra/main.tf", 1, 1),
            end_line: 3,
            calls: vec![],
            depends_on: vec![],
            action: None,
            before: None,
        }
    }
}
