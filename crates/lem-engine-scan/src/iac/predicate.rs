//! Questions that no operator expresses, by the name a table calls them.

use super::eval::Subject;
use super::firewall;
use super::kubernetes;
use super::network;
use super::policy;
use super::truth::Truth;

/// True means the resource is in order. The path and the value are those of the table.
pub(crate) type Predicate = fn(Subject<'_>, &str, Option<&toml::Value>) -> Truth;

const NAMED: &[(&str, Predicate)] = &[
    ("port_closed", network::port_closed),
    ("google_port_closed", firewall::google_port_closed),
    ("azure_port_closed", firewall::azure_port_closed),
    ("cloudformation_port_closed", network::cloudformation_port_closed),
    ("document_not_admin", policy::document_not_admin),
    ("document_no_star_action", policy::document_no_star_action),
    ("policy_not_admin", policy::policy_not_admin),
    ("policy_no_star_action", policy::policy_no_star_action),
    ("role_not_for_anyone", policy::role_not_for_anyone),
    ("role_not_for_account", policy::role_not_for_account),
    ("key_not_for_anyone", policy::key_not_for_anyone),
    ("bucket_not_for_anyone", policy::bucket_not_for_anyone),
    ("not_public", policy::not_public),
    ("no_credentials", policy::no_credentials),
    ("image_tag_fixed", kubernetes::image_tag_fixed),
    ("not_root", kubernetes::not_root),
    ("high_user_id", kubernetes::high_user_id),
    ("seccomp_default", kubernetes::seccomp_default),
];

/// A predicate by its name.
pub(crate) fn named(name: &str) -> Option<Predicate> {
    NAMED.iter().find(|(known, _)| *known == name).map(|(_, predicate)| *predicate)
}
