//! From a tree and values to text.

use super::func;
use super::parse::{Node, Operand, Pipeline, parse};
use super::value::{Sample, Value};
use super::{MAX_OUTPUT_BYTES, MAX_STEPS, TemplateError};
use std::collections::BTreeMap;

/// What a template sees.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// `$labels`.
    pub labels: BTreeMap<String, String>,
    /// `$value`.
    pub value: f64,
    /// `$externalLabels`.
    pub external_labels: BTreeMap<String, String>,
    /// `$externalURL`.
    pub external_url: String,
    /// Time of the evaluation.
    pub now_ms: i64,
    /// Answers of queries asked so far.
    pub answers: BTreeMap<String, Vec<Sample>>,
}

/// Renders a template.
pub fn render(text: &str, context: &Context) -> Result<String, TemplateError> {
    // Most labels and annotations are plain texts.
    if !text.contains("{{") {
        return Ok(text.to_owned());
    }
    let nodes = parse(text)?;
    let root = vec![
        ("$labels".to_owned(), Value::Map(context.labels.clone())),
        ("$value".to_owned(), Value::Float(context.value)),
        ("$externalLabels".to_owned(), Value::Map(context.external_labels.clone())),
        ("$externalURL".to_owned(), Value::Text(context.external_url.clone())),
    ];
    let mut run = Run { context, variables: root, out: String::new(), steps: 0 };
    run.nodes(&nodes, &Value::Nil)?;
    Ok(run.out)
}

struct Run<'a> {
    context: &'a Context,
    variables: Vec<(String, Value)>,
    out: String,
    steps: usize,
}

fn failed<T>(message: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError::Run(message.into()))
}

impl Run<'_> {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<(), TemplateError> {
        for node in nodes {
            self.node(node, dot)?;
            self.steps += 1;
            if self.steps > MAX_STEPS || self.out.len() > MAX_OUTPUT_BYTES {
                return failed("the template renders too much");
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<(), TemplateError> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                self.out.push_str(&value.text());
            }
            Node::Assign(name, pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                match self.variables.iter_mut().rev().find(|(n, _)| n == name) {
                    Some((_, known)) => *known = value,
                    None => self.variables.push((name.clone(), value)),
                }
            }
            Node::If(condition, then, otherwise) => {
                let depth = self.variables.len();
                let taken = self.declared(condition, dot)?.is_true();
                self.nodes(if taken { then } else { otherwise }, dot)?;
                self.variables.truncate(depth);
            }
            Node::With(condition, then, otherwise) => {
                let depth = self.variables.len();
                let value = self.declared(condition, dot)?;
                if value.is_true() {
                    self.nodes(then, &value)?;
                } else {
                    self.nodes(otherwise, dot)?;
                }
                self.variables.truncate(depth);
            }
            Node::Range { key, item, over, body, otherwise } => {
                let over = self.pipeline(over, dot)?;
                self.range(key.as_deref(), item.as_deref(), over, body, otherwise, dot)?;
            }
        }
        Ok(())
    }

    fn range(
        &mut self,
        key: Option<&str>,
        item: Option<&str>,
        over: Value,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<(), TemplateError> {
        let items: Vec<(Value, Value)> = match over {
            Value::List(list) => list.into_iter().enumerate().map(|(i, v)| (Value::Int(i as i64), v)).collect(),
            Value::Map(map) => map.into_iter().map(|(k, v)| (Value::Text(k), Value::Text(v))).collect(),
            Value::Nil => vec![],
            other => return failed(format!("range can't iterate over {}", other.text())),
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (number, value) in items {
            let depth = self.variables.len();
            self.variables.extend(key.map(|k| (k.to_owned(), number)));
            self.variables.extend(item.map(|i| (i.to_owned(), value.clone())));
            self.nodes(body, &value)?;
            self.variables.truncate(depth);
        }
        Ok(())
    }

    fn declared(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let value = self.pipeline(pipeline, dot)?;
        if let Some(name) = &pipeline.declares {
            self.variables.push((name.clone(), value.clone()));
        }
        Ok(value)
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let mut last: Option<Value> = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, last, dot)?);
        }
        Ok(last.unwrap_or(Value::Nil))
    }

    fn command(&mut self, command: &[Operand], fed: Option<Value>, dot: &Value) -> Result<Value, TemplateError> {
        let (first, rest) = command.split_first().expect("the parser refuses empty commands");
        let Operand::Function(name) = first else {
            if !rest.is_empty() || fed.is_some() {
                return failed("can't give argument to non-function");
            }
            return self.operand(first, dot);
        };
        // Go evaluates all arguments of and/or lazily; nothing here has side effects, so eager is the same.
        let mut args = rest.iter().map(|o| self.operand(o, dot)).collect::<Result<Vec<_>, _>>()?;
        args.extend(fed);
        func::call(name, args, self.context)
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        Ok(match operand {
            Operand::Text(t) => Value::Text(t.clone()),
            Operand::Int(i) => Value::Int(*i),
            Operand::Float(f) => Value::Float(*f),
            Operand::Bool(b) => Value::Bool(*b),
            Operand::Nil => Value::Nil,
            Operand::Dot => dot.clone(),
            Operand::Variable(name) if name == "$" => Value::Nil,
            Operand::Variable(name) => match self.variables.iter().rev().find(|(n, _)| n == name) {
                Some((_, value)) => value.clone(),
                None => return failed(format!("undefined variable {name:?}")),
            },
            Operand::Function(name) => func::call(name, vec![], self.context)?,
            Operand::Group(pipeline) => self.pipeline(pipeline, dot)?,
            Operand::Field(of, names) => {
                let at_root = **of == Operand::Dot && *dot == Value::Nil;
                let mut value = if at_root { Value::Nil } else { self.operand(of, dot)? };
                for name in names {
                    value = self.field(value, name)?;
                }
                value
            }
        })
    }

    fn field(&self, value: Value, name: &str) -> Result<Value, TemplateError> {
        match value {
            Value::Map(map) => Ok(Value::Text(map.get(name).cloned().unwrap_or_default())),
            Value::Sample(sample) => match name {
                "Labels" => Ok(Value::Map(sample.labels)),
                "Value" => Ok(Value::Float(sample.value)),
                other => failed(format!("can't evaluate field {other}")),
            },
            Value::Nil => match name {
                "Labels" => Ok(Value::Map(self.context.labels.clone())),
                "Value" => Ok(Value::Float(self.context.value)),
                "ExternalLabels" => Ok(Value::Map(self.context.external_labels.clone())),
                "ExternalURL" => Ok(Value::Text(self.context.external_url.clone())),
                other => failed(format!("can't evaluate field {other}")),
            },
            _ => failed(format!("can't evaluate field {name}")),
        }
    }
}
