//! Which resources speak of which.

use lem_model::resource::{Resource, ResourceGraph};
use std::collections::HashMap;

/// Connections of a graph, in both directions, by address without instance keys.
#[derive(Debug)]
pub(crate) struct Links<'a> {
    graph: &'a ResourceGraph,
    near: HashMap<String, Vec<usize>>,
}

impl<'a> Links<'a> {
    pub(crate) fn of_graph(graph: &'a ResourceGraph) -> Self {
        let mut at: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, resource) in graph.resources.iter().enumerate() {
            at.entry(base(&resource.address)).or_default().push(index);
        }
        let mut near: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, resource) in graph.resources.iter().enumerate() {
            for address in &resource.depends_on {
                let other = base(address);
                near.entry(base(&resource.address)).or_default().extend(at.get(&other).into_iter().flatten());
                near.entry(other).or_default().push(index);
            }
        }
        Self { graph, near }
    }

    /// Resources of these types that refer to this one, or that it refers to. Instances of different keys do not.
    pub(crate) fn of<'s>(
        &'s self,
        resource: &'s Resource,
        kinds: &'s [String],
    ) -> impl Iterator<Item = &'s Resource> + 's {
        let near = self.near.get(&base(&resource.address)).map_or(&[][..], Vec::as_slice);
        near.iter()
            .map(|index| &self.graph.resources[*index])
            .filter(move |other| kinds.contains(&other.kind) && keys_agree(&resource.address, &other.address))
    }
}

/// An address without instance keys: `module.a["x"].aws_s3_bucket.b[0]` becomes `module.a.aws_s3_bucket.b`.
pub(crate) fn base(address: &str) -> String {
    let mut out = String::with_capacity(address.len());
    let (mut depth, mut quoted) = (0u32, false);
    for c in address.chars() {
        match c {
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

fn key(address: &str) -> Option<&str> {
    address.strip_suffix(']')?.rsplit_once('[').map(|(_, key)| key)
}

fn keys_agree(a: &str, b: &str) -> bool {
    match (key(a), key(b)) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_keys_are_left_out_of_a_base() {
        assert_eq!(base("module.a[\"x]y\"].aws_s3_bucket.b[0]"), "module.a.aws_s3_bucket.b");
        assert_eq!(base("default/Pod/a"), "default/Pod/a");
        assert!(keys_agree("a.b[0]", "c.d[0]") && !keys_agree("a.b[0]", "c.d[1]") && keys_agree("a.b[0]", "c.d"));
    }
}
