//! Override files: what they say replaces what other files said about the same thing.

use crate::syntax::{Block, Body};

/// Whether a file's name makes it an override.
pub(super) fn is_override(name: &str) -> bool {
    let base = name.split_once('.').map_or(name, |(base, _)| base);
    base == "override" || base.ends_with("_override")
}

/// Merges an override's blocks into those of the other files. What overrides nothing is given back: an error.
pub(super) fn apply(bodies: &mut [Body], overrides: Body) -> Vec<Block> {
    let mut alone = vec![];
    for block in overrides.blocks {
        match &*block.kind {
            "locals" => locals(bodies, block),
            _ => {
                let target = bodies
                    .iter_mut()
                    .flat_map(|b| b.blocks.iter_mut())
                    .find(|b| b.kind == block.kind && b.labels == block.labels && same_alias(b, &block));
                match target {
                    Some(target) => merge(target, block),
                    None => alone.push(block),
                }
            }
        }
    }
    alone
}

fn same_alias(a: &Block, b: &Block) -> bool {
    let alias = |block: &Block| block.body.attribute("alias").map(|x| x.expr.source.text().to_owned());
    &*a.kind != "provider" || alias(a) == alias(b)
}

fn locals(bodies: &mut [Body], block: Block) {
    for attribute in block.body.attributes {
        let known = bodies
            .iter_mut()
            .flat_map(|b| b.blocks.iter_mut())
            .filter(|b| &*b.kind == "locals")
            .find_map(|b| b.body.attributes.iter_mut().find(|a| a.name == attribute.name));
        if let Some(known) = known {
            *known = attribute;
        } else if let Some(first) = bodies.first_mut() {
            let body = Body { attributes: vec![attribute], blocks: vec![] };
            first.blocks.push(Block {
                body,
                kind: block.kind.clone(),
                labels: vec![],
                pos: block.pos.clone(),
                end_line: block.end_line,
            });
        }
    }
}

/// Arguments replace, nested blocks of a type replace all of that type, `lifecycle` and `required_providers` merge.
fn merge(target: &mut Block, block: Block) {
    for attribute in block.body.attributes {
        match target.body.attributes.iter_mut().find(|a| a.name == attribute.name) {
            Some(known) => *known = attribute,
            None => target.body.attributes.push(attribute),
        }
    }
    let backend = |kind: &str| matches!(kind, "backend" | "cloud");
    let replaced: Vec<_> = block.body.blocks.iter().map(|b| b.kind.clone()).collect();
    let merges = |kind: &str| matches!(kind, "lifecycle" | "required_providers");
    target
        .body
        .blocks
        .retain(|b| merges(&b.kind) || !replaced.iter().any(|r| *r == b.kind || (backend(r) && backend(&b.kind))));
    for inner in block.body.blocks {
        let same = target.body.blocks.iter_mut().find(|b| b.kind == inner.kind && merges(&inner.kind));
        match same {
            Some(known) => merge(known, inner),
            None => target.body.blocks.push(inner),
        }
    }
}
