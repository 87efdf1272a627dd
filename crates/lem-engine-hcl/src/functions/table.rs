//! The table of functions.

use super::Param::{self, Any, Known, Nullable, Number, Raw, Text, Texts, Whole};
use super::{Context, Outcome, collection, date, encoding, filesystem, hash, network, number, string, types};
use crate::value::{Type, Value};

/// A function.
pub(crate) struct Function {
    pub(super) name: &'static str,
    pub(super) params: &'static [Param],
    /// How many of the last parameters may be left out.
    pub(super) optional: usize,
    /// What all further arguments are.
    pub(super) rest: Option<Param>,
    /// Whether marks inside arguments mark the result too.
    pub(super) deep_marks: bool,
    pub(super) returns: fn(&[Value]) -> Type,
    pub(super) run: fn(&[Value], &Context) -> Outcome,
}

const fn function(
    name: &'static str,
    params: &'static [Param],
    returns: fn(&[Value]) -> Type,
    run: fn(&[Value], &Context) -> Outcome,
) -> Function {
    Function { name, params, optional: 0, rest: None, deep_marks: true, returns, run }
}

impl Function {
    const fn optional(mut self, count: usize) -> Self {
        self.optional = count;
        self
    }

    const fn rest(mut self, param: Param) -> Self {
        self.rest = Some(param);
        self
    }

    /// Marks inside arguments stay where they are: the function only moves values about.
    const fn keeps_marks(mut self) -> Self {
        self.deep_marks = false;
        self
    }
}

fn any(_: &[Value]) -> Type {
    Type::Any
}

fn bool(_: &[Value]) -> Type {
    Type::Bool
}

fn num(_: &[Value]) -> Type {
    Type::Number
}

fn text(_: &[Value]) -> Type {
    Type::String
}

fn texts(_: &[Value]) -> Type {
    Type::list(Type::String)
}

/// Every function but `try`, `can`, `templatefile` and `templatestring`, which take expressions; by name.
static FUNCTIONS: [Function; 118] = [
    function("abs", &[Number], num, number::abs),
    function("abspath", &[Text], text, filesystem::abspath),
    function("alltrue", &[Any], bool, collection::alltrue),
    function("anytrue", &[Any], bool, collection::anytrue),
    function("base64decode", &[Text], text, encoding::base64decode),
    function("base64encode", &[Text], text, encoding::base64encode),
    function("base64gunzip", &[Text], text, encoding::base64gunzip),
    function("base64gzip", &[Text], text, encoding::base64gzip),
    function("base64sha256", &[Text], text, hash::base64sha256),
    function("base64sha512", &[Text], text, hash::base64sha512),
    function("basename", &[Text], text, filesystem::basename),
    function("bcrypt", &[Text, Number], text, hash::bcrypt).optional(1),
    function("ceil", &[Number], num, number::ceil),
    function("chomp", &[Text], text, string::chomp),
    function("chunklist", &[Any, Number], any, collection::chunklist).keeps_marks(),
    function("cidrcontains", &[Text, Text], bool, network::cidrcontains),
    function("cidrhost", &[Text, Number], text, network::cidrhost),
    function("cidrnetmask", &[Text], text, network::cidrnetmask),
    function("cidrsubnet", &[Text, Number, Number], text, network::cidrsubnet),
    function("cidrsubnets", &[Text], texts, network::cidrsubnets).rest(Number),
    function("coalesce", &[], any, collection::coalesce).rest(Raw),
    function("coalescelist", &[], any, collection::coalescelist).rest(Any).keeps_marks(),
    function("compact", &[Known], texts, collection::compact),
    function("concat", &[], any, collection::concat).rest(Any).keeps_marks(),
    function("contains", &[Any, Nullable], bool, collection::contains),
    function("csvdecode", &[Text], any, encoding::csvdecode),
    function("dirname", &[Text], text, filesystem::dirname),
    function("distinct", &[Known], any, collection::distinct),
    function("element", &[Any, Number], any, collection::element).keeps_marks(),
    function("endswith", &[Text, Text], bool, string::endswith),
    function("ephemeralasnull", &[Raw], any, types::ephemeralasnull),
    function("file", &[Text], text, filesystem::file),
    function("filebase64", &[Text], text, filesystem::filebase64),
    function("filebase64sha256", &[Text], text, filesystem::filebase64sha256),
    function("filebase64sha512", &[Text], text, filesystem::filebase64sha512),
    function("fileexists", &[Text], bool, filesystem::fileexists),
    function("filemd5", &[Text], text, filesystem::filemd5),
    function("fileset", &[Text, Text], |_| Type::set(Type::String), filesystem::fileset),
    function("filesha1", &[Text], text, filesystem::filesha1),
    function("filesha256", &[Text], text, filesystem::filesha256),
    function("filesha512", &[Text], text, filesystem::filesha512),
    function("flatten", &[Any], any, collection::flatten).keeps_marks(),
    function("floor", &[Number], num, number::floor),
    function("format", &[Text], text, string::format).rest(Nullable),
    function("formatdate", &[Text, Text], text, date::formatdate),
    function("formatlist", &[Text], texts, string::formatlist).rest(Nullable),
    function("indent", &[Number, Text], text, string::indent),
    function("index", &[Known, Nullable], num, collection::index),
    function("issensitive", &[Raw], bool, types::issensitive),
    function("join", &[Text, Texts], text, string::join).rest(Texts),
    function("jsondecode", &[Text], any, encoding::jsondecode),
    function("jsonencode", &[Whole], text, encoding::jsonencode),
    function("keys", &[Any], texts, collection::keys).keeps_marks(),
    function("length", &[Any], num, collection::length).keeps_marks(),
    function("log", &[Number, Number], num, number::log),
    function("lookup", &[Any, Text, Nullable], any, collection::lookup).optional(1).keeps_marks(),
    function("lower", &[Text], text, string::lower),
    function("matchkeys", &[Any, Known, Known], any, collection::matchkeys),
    function("max", &[Number], num, number::max).rest(Number),
    function("md5", &[Text], text, hash::md5),
    function("merge", &[], any, collection::merge).rest(Nullable).keeps_marks(),
    function("min", &[Number], num, number::min).rest(Number),
    function("nonsensitive", &[Raw], any, types::nonsensitive),
    function("one", &[Any], any, collection::one).keeps_marks(),
    function("parseint", &[Nullable, Number], num, number::parseint),
    function("pathexpand", &[Text], text, filesystem::pathexpand),
    function("plantimestamp", &[], text, date::plantimestamp),
    function("pow", &[Number, Number], num, number::pow),
    function("range", &[Number], |_| Type::list(Type::Number), collection::range).rest(Number),
    function("regex", &[Text, Text], any, string::regex),
    function("regexall", &[Text, Text], any, string::regexall),
    function("replace", &[Text, Text, Text], text, string::replace),
    function("reverse", &[Any], any, collection::reverse).keeps_marks(),
    function("rsadecrypt", &[Text, Text], text, hash::rsadecrypt),
    function("sensitive", &[Raw], any, types::sensitive),
    function("setintersection", &[Any], any, collection::setintersection).rest(Known),
    function("setproduct", &[], any, collection::setproduct).rest(Any).keeps_marks(),
    function("setsubtract", &[Known, Known], any, collection::setsubtract),
    function("setunion", &[Known], any, collection::setunion).rest(Known),
    function("sha1", &[Text], text, hash::sha1),
    function("sha256", &[Text], text, hash::sha256),
    function("sha512", &[Text], text, hash::sha512),
    function("signum", &[Number], num, number::signum),
    function("slice", &[Any, Number, Number], any, collection::slice).keeps_marks(),
    function("sort", &[Texts], texts, collection::sort),
    function("split", &[Text, Text], texts, string::split),
    function("startswith", &[Text, Text], bool, string::startswith),
    function("strcontains", &[Text, Text], bool, string::strcontains),
    function("strrev", &[Text], text, string::strrev),
    function("substr", &[Text, Number, Number], text, string::substr),
    function("sum", &[Known], num, number::sum),
    function("textdecodebase64", &[Text, Text], text, encoding::textdecodebase64),
    function("textencodebase64", &[Text, Text], text, encoding::textencodebase64),
    function("timeadd", &[Text, Text], text, date::timeadd),
    function("timecmp", &[Text, Text], num, date::timecmp),
    function("timestamp", &[], text, date::timestamp),
    function("title", &[Text], text, string::title),
    function("tobool", &[Nullable], bool, types::tobool),
    function("tolist", &[Nullable], types::list_of, types::tolist).keeps_marks(),
    function("tomap", &[Nullable], types::map_of, types::tomap).keeps_marks(),
    function("tonumber", &[Nullable], num, types::tonumber),
    function("toset", &[Nullable], types::set_of, types::toset),
    function("tostring", &[Nullable], text, types::tostring),
    function("transpose", &[Known], |_| Type::map(Type::list(Type::String)), collection::transpose),
    function("trim", &[Text, Text], text, string::trim),
    function("trimprefix", &[Text, Text], text, string::trimprefix),
    function("trimspace", &[Text], text, string::trimspace),
    function("trimsuffix", &[Text, Text], text, string::trimsuffix),
    function("type", &[Raw], text, types::type_of),
    function("upper", &[Text], text, string::upper),
    function("urldecode", &[Text], text, encoding::urldecode),
    function("urlencode", &[Text], text, encoding::urlencode),
    function("uuid", &[], text, hash::uuid),
    function("uuidv5", &[Text, Text], text, hash::uuidv5),
    function("values", &[Any], any, collection::values).keeps_marks(),
    function("yamldecode", &[Text], any, encoding::yamldecode),
    function("yamlencode", &[Whole], text, encoding::yamlencode),
    function("zipmap", &[Texts, Any], any, collection::zipmap).keeps_marks(),
];

/// A function by name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|i| &FUNCTIONS[i])
}

/// Names of all functions.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|f| f.name).chain(["can", "templatefile", "templatestring", "try"])
}
