//! `tls_cert_request`, `tls_self_signed_cert` and `tls_locally_signed_cert`.

use super::key::Key;
use super::{PROVIDER, number, pem, sha1_hex, wrong};
use crate::builtin::{Kind, Made, Registered, Surroundings, put, text};
use crate::schema::{Attribute, Schema, Wrong};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use lem_engine_hcl::value::{Entries, ObjectType, Value};
use lem_engine_hcl::{Mode, Number, Type};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CustomExtension, DistinguishedName, DnType,
    DnValue, ExtendedKeyUsagePurpose as Extended, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose as Usage, SanType,
    SubjectPublicKeyInfo,
};
use sha1::Digest as _;
use std::sync::Arc;
use x509_parser::prelude::FromDer;

/// Longest validity, in hours: beyond it a year has five digits somewhere.
const MAX_HOURS: i64 = 1_000_000;
/// Names of one certificate.
const MAX_NAMES: usize = 1_000;
/// When every computed attribute is made anew.
const COMPUTED: [&str; 3] = ["cert_pem", "validity_start_time", "validity_end_time"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Request,
    SelfSigned,
    LocallySigned,
}

struct Certificate {
    what: What,
    schema: Schema,
}

pub(super) fn kinds() -> Vec<Registered> {
    let kind =
        |name, what| -> Registered { (Mode::Managed, name, Box::new(Certificate { what, schema: schema(what) })) };
    vec![
        kind("tls_cert_request", What::Request),
        kind("tls_self_signed_cert", What::SelfSigned),
        kind("tls_locally_signed_cert", What::LocallySigned),
    ]
}

const SUBJECT: [&str; 8] = [
    "common_name",
    "country",
    "locality",
    "organization",
    "organizational_unit",
    "postal_code",
    "province",
    "serial_number",
];

fn subject_type() -> Type {
    let mut object = ObjectType::default();
    let fields = SUBJECT.iter().map(|name| (*name, Type::String));
    for (name, ty) in fields.chain([("street_address", Type::list(Type::String))]) {
        object.attributes.insert(Arc::from(name), ty.clone());
        object.optional.insert(Arc::from(name), Value::Null(ty));
    }
    Type::Object(Arc::new(object))
}

fn schema(what: What) -> Schema {
    let words = |name| Attribute::optional(name, Type::list(Type::String)).replacing();
    let flag = |name| Attribute::optional(name, Type::Bool).replacing().or(Value::Bool(false));
    let mut all = vec![Attribute::computed("id", Type::String)];
    if what == What::LocallySigned {
        all.extend([
            Attribute::required("ca_cert_pem", Type::String).replacing(),
            Attribute::required("ca_private_key_pem", Type::String).replacing().hidden(),
            Attribute::required("cert_request_pem", Type::String).replacing(),
            Attribute::computed("ca_key_algorithm", Type::String),
        ]);
    } else {
        let subject = Attribute::optional("subject", Type::list(subject_type())).replacing();
        all.extend([
            Attribute::required("private_key_pem", Type::String).replacing().hidden(),
            subject.or(Value::list(subject_type(), vec![])),
            words("dns_names"),
            words("ip_addresses"),
            words("uris"),
            Attribute::computed("key_algorithm", Type::String),
        ]);
    }
    if what == What::Request {
        all.push(Attribute::computed("cert_request_pem", Type::String));
        return Schema::new(all);
    }
    all.extend([
        Attribute::required("validity_period_hours", Type::Number).replacing(),
        Attribute::required("allowed_uses", Type::list(Type::String)).replacing(),
        Attribute::optional("early_renewal_hours", Type::Number).or(Value::int(0)),
        flag("is_ca_certificate"),
        flag("set_subject_key_id"),
        Attribute::optional("max_path_length", Type::Number).replacing(),
        Attribute::computed("ready_for_renewal", Type::Bool).replacing(),
    ]);
    if what == What::SelfSigned {
        all.push(flag("set_authority_key_id"));
    }
    all.extend(COMPUTED.map(|name| Attribute::computed(name, Type::String)));
    Schema::new(all)
}

const USAGES: [(&str, Usage); 9] = [
    ("digital_signature", Usage::DigitalSignature),
    ("content_commitment", Usage::ContentCommitment),
    ("key_encipherment", Usage::KeyEncipherment),
    ("data_encipherment", Usage::DataEncipherment),
    ("key_agreement", Usage::KeyAgreement),
    ("cert_signing", Usage::KeyCertSign),
    ("crl_signing", Usage::CrlSign),
    ("encipher_only", Usage::EncipherOnly),
    ("decipher_only", Usage::DecipherOnly),
];

/// Purposes by their object identifiers.
const PURPOSES: [(&str, &[u64]); 14] = [
    ("any_extended", &[2, 5, 29, 37, 0]),
    ("server_auth", &[1, 3, 6, 1, 5, 5, 7, 3, 1]),
    ("client_auth", &[1, 3, 6, 1, 5, 5, 7, 3, 2]),
    ("code_signing", &[1, 3, 6, 1, 5, 5, 7, 3, 3]),
    ("email_protection", &[1, 3, 6, 1, 5, 5, 7, 3, 4]),
    ("ipsec_end_system", &[1, 3, 6, 1, 5, 5, 7, 3, 5]),
    ("ipsec_tunnel", &[1, 3, 6, 1, 5, 5, 7, 3, 6]),
    ("ipsec_user", &[1, 3, 6, 1, 5, 5, 7, 3, 7]),
    ("timestamping", &[1, 3, 6, 1, 5, 5, 7, 3, 8]),
    ("ocsp_signing", &[1, 3, 6, 1, 5, 5, 7, 3, 9]),
    ("microsoft_server_gated_crypto", &[1, 3, 6, 1, 4, 1, 311, 10, 3, 3]),
    ("netscape_server_gated_crypto", &[2, 16, 840, 1, 113_730, 4, 1]),
    ("microsoft_commercial_code_signing", &[1, 3, 6, 1, 4, 1, 311, 2, 1, 22]),
    ("microsoft_kernel_code_signing", &[1, 3, 6, 1, 4, 1, 311, 61, 1, 1]),
];

fn words<'a>(object: &'a Entries, name: &str) -> impl Iterator<Item = &'a str> {
    object.get(name).and_then(Value::items).unwrap_or_default().iter().filter_map(Value::as_str)
}

fn flag(object: &Entries, name: &str) -> bool {
    object.get(name).and_then(Value::as_bool) == Some(true)
}

#[async_trait]
impl Kind for Certificate {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn check(&self, config: &Entries) -> Option<Wrong> {
        if config.get("subject").and_then(Value::items).is_some_and(|all| all.len() > 1) {
            return Some(wrong("subject", "a certificate has one subject", ""));
        }
        for name in ["validity_period_hours", "early_renewal_hours"] {
            if number(config, name).is_some_and(|hours| !(0..=MAX_HOURS).contains(&hours)) {
                return Some(wrong(name, format!("{name} must be between 0 and {MAX_HOURS}"), ""));
            }
        }
        let known = || USAGES.iter().map(|u| u.0).chain(PURPOSES.iter().map(|p| p.0));
        let unknown = words(config, "allowed_uses").find(|word| !known().any(|k| k == *word))?;
        let near = lem_model::diagnostic::nearest(unknown, known());
        let hint = near.map_or_else(String::new, |near| format!("did you mean \"{near}\"?"));
        Some(wrong("allowed_uses", format!("there is no use {unknown:?} of a certificate"), &hint))
    }

    /// A certificate that is to be renewed says so, and that replaces it.
    fn unsettle(&self, prior: &Entries, _planned: &Entries) -> Vec<&'static str> {
        if flag(prior, "ready_for_renewal") { vec!["ready_for_renewal"] } else { vec![] }
    }

    async fn create(&self, mut planned: Entries, around: &Surroundings) -> Made {
        let made = match self.what {
            What::Request => request(&mut planned),
            What::SelfSigned => self_signed(&mut planned, around.now),
            What::LocallySigned => locally_signed(&mut planned, around.now),
        };
        match made {
            Ok(()) => Made::done(planned),
            Err(why) => Made::failed(None, why),
        }
    }

    /// Only when it is renewed can change in place; the certificate stays.
    async fn update(&self, _prior: &Entries, planned: Entries, _around: &Surroundings) -> Made {
        Made::done(planned)
    }

    async fn read(&self, prior: &Entries, around: &Surroundings) -> Result<Option<Entries>, String> {
        let Some(end) = text(prior, "validity_end_time").and_then(|t| t.parse::<Timestamp>().ok()) else {
            return Ok(Some(prior.clone()));
        };
        let early = SignedDuration::from_hours(number(prior, "early_renewal_hours").unwrap_or(0));
        let mut object = prior.clone();
        if end.checked_sub(early).is_ok_and(|due| due <= around.now) {
            put(&mut object, "ready_for_renewal", Value::Bool(true));
        }
        Ok(Some(object))
    }
}

fn failed(what: &str) -> impl Fn(rcgen::Error) -> String + '_ {
    move |error| format!("{what} could not be made: {error}")
}

/// Names of the subject and of what it answers for.
fn named(object: &Entries) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject(object);
    let text = |what: &str, name: &str| name.try_into().map_err(|_| format!("{what}: {name:?} is not ASCII"));
    for name in words(object, "dns_names") {
        params.subject_alt_names.push(SanType::DnsName(text("dns_names", name)?));
    }
    for name in words(object, "ip_addresses") {
        let address = name.parse().map_err(|_| format!("ip_addresses: {name:?} is no address"))?;
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    for name in words(object, "uris") {
        params.subject_alt_names.push(SanType::URI(text("uris", name)?));
    }
    if params.subject_alt_names.len() > MAX_NAMES {
        return Err(format!("{} names; a certificate has at most {MAX_NAMES}", params.subject_alt_names.len()));
    }
    Ok(params)
}

/// In the order of RFC 4519 that Terraform's provider writes them in.
fn subject(object: &Entries) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    let Some(given) = object.get("subject").and_then(Value::items).and_then(<[Value]>::first) else { return name };
    let mut put = |ty: DnType, field: &str| {
        let value = given.get(field).and_then(Value::as_str).filter(|v| !v.is_empty());
        let Some(value) = value else { return };
        let narrow = matches!(field, "country" | "serial_number");
        let printable = value.try_into().ok().filter(|_| narrow).map(DnValue::PrintableString);
        name.push(ty, printable.unwrap_or_else(|| DnValue::Utf8String(value.to_owned())));
    };
    put(DnType::CountryName, "country");
    put(DnType::OrganizationName, "organization");
    put(DnType::OrganizationalUnitName, "organizational_unit");
    put(DnType::LocalityName, "locality");
    put(DnType::StateOrProvinceName, "province");
    put(DnType::CustomDnType(vec![2, 5, 4, 17]), "postal_code");
    put(DnType::CommonName, "common_name");
    put(DnType::CustomDnType(vec![2, 5, 4, 5]), "serial_number");
    let street: Vec<&str> = given
        .get("street_address")
        .and_then(Value::items)
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    if !street.is_empty() {
        name.push(DnType::CustomDnType(vec![2, 5, 4, 9]), street.join(", "));
    }
    name
}

fn own_key(object: &Entries, name: &str) -> Result<Key, String> {
    Key::read(text(object, name).unwrap_or_default()).map_err(|why| format!("{name}: {why}"))
}

fn request(object: &mut Entries) -> Result<(), String> {
    let key = own_key(object, "private_key_pem")?;
    let made = named(object)?.serialize_request(&key.pair).map_err(failed("the request"))?;
    put(object, "key_algorithm", key.public.algorithm());
    put(object, "id", sha1_hex(made.der()).as_str());
    put(object, "cert_request_pem", pem::encode("CERTIFICATE REQUEST", made.der()).as_str());
    Ok(())
}

fn self_signed(object: &mut Entries, now: Timestamp) -> Result<(), String> {
    let key = own_key(object, "private_key_pem")?;
    let mut params = named(object)?;
    let info = key.public.info();
    let identifier = settle(object, &mut params, &info, now)?;
    if flag(object, "set_authority_key_id") {
        if !identifier {
            return Err("set_authority_key_id needs set_subject_key_id: the subject is its own authority".to_owned());
        }
        params.use_authority_key_identifier_extension = true;
    }
    let made = params.self_signed(&key.pair).map_err(failed("the certificate"))?;
    put(object, "key_algorithm", key.public.algorithm());
    put(object, "cert_pem", pem::encode("CERTIFICATE", made.der()).as_str());
    Ok(())
}

fn locally_signed(object: &mut Entries, now: Timestamp) -> Result<(), String> {
    let key = own_key(object, "ca_private_key_pem")?;
    let (_, authority) =
        pem::decode(text(object, "ca_cert_pem").unwrap_or_default()).map_err(|why| format!("ca_cert_pem: {why}"))?;
    let (_, parsed) =
        x509_parser::parse_x509_certificate(&authority).map_err(|error| format!("ca_cert_pem: {error}"))?;
    if parsed.public_key().raw != key.public.info() {
        return Err("ca_private_key_pem is not the key of ca_cert_pem".to_owned());
    }
    let identified =
        parsed.iter_extensions().any(|e| e.oid == x509_parser::oid_registry::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER);
    let (_, asked) = pem::decode(text(object, "cert_request_pem").unwrap_or_default())
        .map_err(|why| format!("cert_request_pem: {why}"))?;
    let (_, request) = x509_parser::certification_request::X509CertificationRequest::from_der(&asked)
        .map_err(|error| format!("cert_request_pem: {error}"))?;
    // The key as the request has it: how it was signed says nothing of the curve it is on.
    let info = request.certification_request_info.subject_pki.raw.to_vec();
    let whose = SubjectPublicKeyInfo::from_der(&info).map_err(|error| format!("cert_request_pem: its key: {error}"))?;
    let asked = CertificateSigningRequestParams::from_der(&asked.as_slice().into()).map_err(|error| match error {
        rcgen::Error::InvalidCertificationRequestSignature => {
            "cert_request_pem: its signature does not hold, or is of a P521 key, which cannot be checked".to_owned()
        }
        other => format!("cert_request_pem: {other}"),
    })?;
    let mut params = CertificateParams::default();
    params.distinguished_name = asked.params.distinguished_name;
    params.subject_alt_names = asked.params.subject_alt_names;
    settle(object, &mut params, &info, now)?;
    params.use_authority_key_identifier_extension = identified;
    let issuer = Issuer::from_ca_cert_der(&authority.as_slice().into(), &key.pair)
        .map_err(|error| format!("ca_cert_pem: {error}"))?;
    let made = params.signed_by(&whose, &issuer).map_err(failed("the certificate"))?;
    put(object, "ca_key_algorithm", key.public.algorithm());
    put(object, "cert_pem", pem::encode("CERTIFICATE", made.der()).as_str());
    Ok(())
}

/// Serial number, validity, uses and basic constraints; whether the subject's key is identified.
fn settle(object: &mut Entries, params: &mut CertificateParams, info: &[u8], now: Timestamp) -> Result<bool, String> {
    let authority = flag(object, "is_ca_certificate");
    if authority && params.distinguished_name.iter().next().is_none() {
        return Err("the certificate of an authority needs a subject".to_owned());
    }
    let begin = now.as_second();
    let end = begin + number(object, "validity_period_hours").unwrap_or(0) * 3600;
    let time = |second: i64| {
        time::OffsetDateTime::from_unix_timestamp(second).map_err(|error| format!("validity_period_hours: {error}"))
    };
    (params.not_before, params.not_after) = (time(begin)?, time(end)?);
    let mut serial: [u8; 16] = rand::random();
    // Positive, and of one length.
    serial[0] = serial[0] & 0x7f | 0x40;
    params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial));

    let uses: Vec<&str> = words(object, "allowed_uses").collect();
    params.key_usages = USAGES.iter().filter(|(word, _)| uses.contains(word)).map(|(_, usage)| *usage).collect();
    let purposes = uses.iter().filter_map(|word| PURPOSES.iter().find(|(known, _)| known == word));
    params.extended_key_usages = purposes.map(|(_, oid)| Extended::Other(oid.to_vec())).collect();

    let identifier = sha1::Sha1::digest(subject_key(info)?).to_vec();
    params.key_identifier_method = KeyIdMethod::PreSpecified(identifier.clone());
    let identified = authority || flag(object, "set_subject_key_id");
    if authority {
        let depth = number(object, "max_path_length").and_then(|depth| u8::try_from(depth).ok());
        params.is_ca = IsCa::Ca(depth.map_or(BasicConstraints::Unconstrained, BasicConstraints::Constrained));
    } else {
        let mut none = CustomExtension::from_oid_content(&[2, 5, 29, 19], super::der::sequence(&[]));
        none.set_criticality(true);
        params.custom_extensions.push(none);
        if identified {
            let content = super::der::element(super::der::BYTES, &identifier);
            params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 14], content));
        }
    }
    let shown = |second: i64| Timestamp::from_second(second).map(|t| t.to_string()).unwrap_or_default();
    put(object, "validity_start_time", shown(begin).as_str());
    put(object, "validity_end_time", shown(end).as_str());
    put(object, "ready_for_renewal", Value::Bool(false));
    put(
        object,
        "id",
        Number::from_digits(&hex::encode(serial), 16).map(|n| n.to_string()).unwrap_or_default().as_str(),
    );
    Ok(identified)
}

/// The key's own bits of a SubjectPublicKeyInfo, as RFC 5280 section 4.2.1.2 hashes them.
fn subject_key(info: &[u8]) -> Result<&[u8], String> {
    let mut inner = super::der::Reader(info).sequence();
    let bits = inner.as_mut().and_then(|r| {
        r.sequence()?;
        r.take(super::der::BITS)
    });
    bits.and_then(|b| b.get(1..)).ok_or_else(|| "the public key is damaged".to_owned())
}
