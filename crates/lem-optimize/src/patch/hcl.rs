//! Values of a Terraform file by span.

use super::{Edit, NoPatch};
use hcl_edit::Span;
use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body};

/// Sets an attribute of a resource: `type` and `name` as in its address, a dotted path through nested blocks. A value that
/// is the default of a variable is changed there, when that is in the same file.
pub fn attribute(file: &str, text: &str, kind: &str, name: &str, path: &str, value: &str) -> Result<String, NoPatch> {
    let body: Body = text
        .parse()
        .map_err(|e: hcl_edit::parser::Error| NoPatch::Unreadable { file: file.into(), why: e.message().into() })?;
    let labelled = |b: &&Block| b.ident.as_str() == "resource" && labels(b) == [kind, name];
    let found: Vec<&Block> = body.blocks().filter(labelled).collect();
    let what = format!("{kind}.{name}");
    let block = match found[..] {
        [one] => one,
        [] => return Err(NoPatch::Missing { file: file.into(), what }),
        _ => return Err(NoPatch::Ambiguous { file: file.into(), what, count: found.len() }),
    };
    let steps: Vec<&str> = path.split('.').collect();
    let (last, through) = steps.split_last().expect("split gives at least one");
    let mut at = &block.body;
    for step in through {
        let nested: Vec<&Block> = at.blocks().filter(|b| b.ident.as_str() == *step).collect();
        at = match nested[..] {
            [one] => &one.body,
            [] => return Err(NoPatch::Missing { file: file.into(), what: format!("{what}.{path}") }),
            _ => {
                return Err(NoPatch::Ambiguous {
                    file: file.into(),
                    what: format!("{what}.{step}"),
                    count: nested.len(),
                });
            }
        };
    }
    let missing = || NoPatch::Missing { file: file.into(), what: format!("{what}.{path}") };
    let attribute = at.get_attribute(last).ok_or_else(missing)?;
    let edit = literal(file, &format!("{what}.{path}"), &body, &attribute.value, value)?;
    Ok(super::edited(text, vec![edit]))
}

fn labels(block: &Block) -> Vec<&str> {
    block.labels.iter().map(hcl_edit::structure::BlockLabel::as_str).collect()
}

fn literal(file: &str, what: &str, body: &Body, at: &Expression, value: &str) -> Result<Edit, NoPatch> {
    let elsewhere = |why: &str| NoPatch::Elsewhere { file: file.into(), what: what.into(), why: why.into() };
    let span = at.span().ok_or_else(|| elsewhere("not in the text"))?;
    match at {
        Expression::String(_) => Ok(Edit { span, text: format!("\"{value}\"") }),
        Expression::Number(_) => Ok(Edit { span, text: value.to_owned() }),
        other => match variable(other) {
            Some(name) => default(file, what, body, name, value),
            None => Err(elsewhere("an expression")),
        },
    }
}

/// The name in `var.name`.
fn variable(expression: &Expression) -> Option<&str> {
    let traversal = expression.as_traversal()?;
    let root = traversal.expr.as_variable()?.as_str();
    let [operator] = &traversal.operators[..] else { return None };
    let hcl_edit::expr::TraversalOperator::GetAttr(name) = operator.value() else { return None };
    (root == "var").then_some(name.as_str())
}

fn default(file: &str, what: &str, body: &Body, name: &str, value: &str) -> Result<Edit, NoPatch> {
    let elsewhere = |why: String| NoPatch::Elsewhere { file: file.into(), what: what.into(), why };
    let block = body.blocks().find(|b| b.ident.as_str() == "variable" && labels(b) == [name]);
    let at = block.and_then(|b| b.body.get_attribute("default")).map(|a| &a.value);
    match at {
        Some(at @ (Expression::String(_) | Expression::Number(_))) => literal(file, what, body, at, value),
        _ => Err(elsewhere(format!("var.{name}"))),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const FILE: &str = "variable \"size\" {\n  default = \"t3.small\" # cheap\n}\n\nresource \"aws_instance\" \"web\" {\n  instance_type = \"m5.large\"   # since March\n  count         = 2\n  root_block_device {\n    volume_size = 20 // GB\n  }\n}\n\nresource \"aws_instance\" \"job\" {\n  instance_type = var.size\n  ami           = local.image\n}\n";

    fn set(name: &str, path: &str, value: &str) -> Result<String, NoPatch> {
        attribute("main.tf", FILE, "aws_instance", name, path, value)
    }

    #[test]
    fn a_literal_changes_where_it_is_written() {
        let cases = [
            ("web", "instance_type", "m5.xlarge", "\"m5.large\"", "\"m5.xlarge\""),
            ("web", "root_block_device.volume_size", "40", "= 20 //", "= 40 //"),
            ("web", "count", "3", "= 2\n", "= 3\n"),
            ("job", "instance_type", "t3.large", "\"t3.small\"", "\"t3.large\""),
        ];
        for (name, path, value, from, to) in cases {
            assert_eq!(set(name, path, value).unwrap(), FILE.replace(from, to), "{name}.{path}");
        }
    }

    #[test]
    fn what_is_defined_elsewhere_is_said() {
        let cases = [
            ("job", "ami", "aws_instance.job.ami in main.tf is an expression; change it where it is defined"),
            ("db", "ami", "main.tf has no aws_instance.db"),
            ("web", "ami", "main.tf has no aws_instance.web.ami"),
        ];
        for (name, path, expect) in cases {
            assert_eq!(set(name, path, "x").unwrap_err().to_string(), expect);
        }
    }
}
