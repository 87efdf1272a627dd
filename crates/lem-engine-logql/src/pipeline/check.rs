//! Checks the parser makes so that mistakes are found with their place.

use super::{filter, json, pattern, template::Template};

pub(crate) fn check_template(text: &str) -> Result<(), String> {
    Template::new(text).map(|_| ())
}

pub(crate) fn check_pattern(text: &str) -> Result<(), String> {
    pattern::Pattern::parser(text).map(|_| ())
}

pub(crate) fn check_line_pattern(text: &str) -> Result<(), String> {
    pattern::Pattern::filter(text).map(|_| ())
}

pub(crate) fn check_json_path(text: &str) -> Result<(), String> {
    json::parse_path(text).map(|_| ())
}

pub(crate) fn check_ip(text: &str) -> Result<(), String> {
    filter::IpRange::new(text).map(|_| ())
}
