//! Ports and address ranges of security groups.

use super::eval::Subject;
use super::truth::Truth;
use super::view::{Found, View, list};
use lem_model::resource::Attribute;

const ANYWHERE_V6: [&str; 2] = ["::/0", "0000:0000:0000:0000:0000:0000:0000:0000/0"];

fn port(value: Option<&toml::Value>) -> f64 {
    value.and_then(toml::Value::as_integer).map_or(-1.0, |port| port as f64)
}

/// No rule of a Terraform security group, or of a rule resource, lets everybody in to a port.
pub(crate) fn port_closed(subject: Subject<'_>, _at: &str, value: Option<&toml::Value>) -> Truth {
    let (view, port) = (subject.view, port(value));
    match view.at("ingress") {
        Found::Unknown(why) | Found::Hidden(why) => return Truth::Unknown(why.to_owned()),
        Found::Known(rules) => return rules_closed(&list(rules), port),
        Found::Absent => {}
    }
    match view.at("type") {
        Found::Known(kind) if kind.as_str() == Some("ingress") => match to_itself(view) {
            Truth::True => Truth::True,
            _ => rule_closed(view, port),
        },
        Found::Known(_) => Truth::True,
        Found::Unknown(why) | Found::Hidden(why) => Truth::Unknown(why.to_owned()),
        Found::Absent if written(view, "from_port") || written(view, "to_port") => rule_closed(view, port),
        Found::Absent => Truth::True,
    }
}

/// The first rule that speaks of the group itself ends the question, as in the reference rule.
fn rules_closed(rules: &[&Attribute], port: f64) -> Truth {
    let mut truths = vec![];
    for rule in rules {
        match rule.revealed() {
            Attribute::Unknown(why) => truths.push(Truth::Unknown(why.clone())),
            Attribute::Map(_) => {
                let view = View::Value(rule);
                if to_itself(view) == Truth::True {
                    break;
                }
                truths.push(rule_closed(view, port));
            }
            _ => {}
        }
    }
    Truth::all(truths)
}

fn written(view: View<'_>, name: &str) -> bool {
    view.at(name) != Found::Absent
}

fn to_itself(view: View<'_>) -> Truth {
    match view.at("self") {
        Found::Known(value) => Truth::of(value.as_bool() == Some(true)),
        Found::Absent => Truth::False,
        Found::Unknown(why) | Found::Hidden(why) => Truth::Unknown(why.to_owned()),
    }
}

fn rule_closed(view: View<'_>, port: f64) -> Truth {
    if written(view, "prefix_list_ids") {
        return Truth::True;
    }
    Truth::all([reaches(view, port), from_anywhere(view)]).not()
}

fn reaches(view: View<'_>, port: f64) -> Truth {
    let protocol = match view.at("protocol") {
        Found::Known(protocol) => protocol.as_str().map(str::to_owned),
        _ => None,
    };
    let (from, to) = match (number(view, "from_port"), number(view, "to_port")) {
        (Err(why), _) | (_, Err(why)) => return Truth::Unknown(why),
        (Ok(from), Ok(to)) => (from, to),
    };
    // 0 to 0 is how Terraform writes every port.
    let to = if from == Some(0.0) && to == Some(0.0) { Some(65_535.0) } else { to };
    let (Some(from), Some(to)) = (from, to) else { return Truth::False };
    Truth::of((from <= port && port <= to) || (protocol.as_deref() == Some("-1") && from == 0.0 && to == 65_535.0))
}

fn number(view: View<'_>, name: &str) -> Result<Option<f64>, String> {
    match view.at(name) {
        Found::Known(value) => Ok(value.as_f64()),
        Found::Absent => Ok(None),
        Found::Unknown(why) | Found::Hidden(why) => Err(why.to_owned()),
    }
}

fn from_anywhere(view: View<'_>) -> Truth {
    let v4 = ranges(view, "cidr_blocks", "cidr_ipv4");
    let v6 = ranges(view, "ipv6_cidr_blocks", "cidr_ipv6");
    let nobody = match (&v4, &v6) {
        (Ok(v4), Ok(v6)) => {
            v4.is_empty()
                && v6.is_empty()
                && !written(view, "security_groups")
                && !written(view, "source_security_group_id")
                && !written(view, "referenced_security_group_id")
        }
        _ => false,
    };
    Truth::any([has(v4, &["0.0.0.0/0"]), has(v6, &ANYWHERE_V6), Truth::of(nobody)])
}

fn ranges<'a>(view: View<'a>, list: &str, single: &str) -> Result<Vec<&'a Attribute>, String> {
    let name = if written(view, list) { list } else { single };
    view.items(name).map_err(str::to_owned)
}

fn has(ranges: Result<Vec<&Attribute>, String>, wanted: &[&str]) -> Truth {
    match ranges {
        Err(why) => Truth::Unknown(why),
        Ok(ranges) => Truth::any(ranges.into_iter().map(|range| match range.revealed() {
            Attribute::Unknown(why) => Truth::Unknown(why.clone()),
            known => Truth::of(known.as_str().is_some_and(|text| wanted.contains(&text))),
        })),
    }
}

/// The same for the properties of CloudFormation.
pub(crate) fn cloudformation_port_closed(subject: Subject<'_>, _at: &str, value: Option<&toml::Value>) -> Truth {
    let port = port(value);
    if !subject.resource.kind.ends_with("Ingress") {
        return match subject.view.items("SecurityGroupIngress") {
            Err(why) => Truth::Unknown(why.to_owned()),
            Ok(rules) => Truth::all(rules.into_iter().map(|rule| cloudformation_rule(View::Value(rule), port))),
        };
    }
    cloudformation_rule(subject.view, port)
}

fn cloudformation_rule(rule: View<'_>, port: f64) -> Truth {
    let reaches = match (number(rule, "FromPort"), number(rule, "ToPort")) {
        (Err(why), _) | (_, Err(why)) => Truth::Unknown(why),
        (Ok(from), Ok(to)) => Truth::of(from.zip(to).is_some_and(|(from, to)| from <= port && port <= to)),
    };
    let open = match rule.at("CidrIp") {
        Found::Known(cidr) => Truth::of(cidr.as_str() == Some("0.0.0.0/0")),
        Found::Unknown(why) | Found::Hidden(why) => Truth::Unknown(why.to_owned()),
        Found::Absent => has(rule.items("CidrIpv6").map_err(str::to_owned), &ANYWHERE_V6),
    };
    Truth::all([reaches, open]).not()
}
