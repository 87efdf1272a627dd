//! Keys and certificates, read by the tools that people use: openssl and ssh-keygen, where they are installed.

use crate::apply::{apply, plan, problems, write};
use lem_engine_hcl::value::json::to_json;
use lem_provision::config::Config;
use lem_provision::plan::Options;
use lem_provision::{planjson, render};
use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// Attributes of an object of the state, in clear.
fn stored(folder: &Path, address: &str) -> Value {
    let target = Config::default().target(folder, folder, &folder.join(".lem"), None).unwrap();
    let text = std::fs::read_to_string(target.state).unwrap();
    let state: Value = serde_json::from_str(&text).unwrap();
    let (kind, name) = address.rsplit_once('.').unwrap();
    let resources = state["resources"].as_array().unwrap();
    let found = resources.iter().find(|r| r["type"] == kind.rsplit('.').next().unwrap() && r["name"] == name);
    found.unwrap_or_else(|| panic!("no {address} in {text}"))["instances"][0]["attributes"].clone()
}

fn text(attributes: &Value, name: &str) -> String {
    attributes[name].as_str().unwrap_or_else(|| panic!("no {name} in {attributes}")).to_owned()
}

/// What a program says of an input; `None` where it is not installed.
fn said(program: &str, arguments: &[&str], input: &str) -> Option<String> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: {program} is not installed");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}\n{input}\n{out}{err}");
    Some(out.into_owned())
}

const KEYS: &str = r#"
resource "tls_private_key" "rsa" { algorithm = "RSA" }
resource "tls_private_key" "p256" {
  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}
resource "tls_private_key" "p384" {
  algorithm   = "ECDSA"
  ecdsa_curve = "P384"
}
resource "tls_private_key" "p521" {
  algorithm   = "ECDSA"
  ecdsa_curve = "P521"
}
resource "tls_private_key" "ed" { algorithm = "ED25519" }
"#;

#[tokio::test]
async fn openssl_and_ssh_keygen_read_every_key_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = KEYS.to_owned();
    for name in ["rsa", "p256", "p384", "p521", "ed"] {
        files += &format!(
            "data \"tls_public_key\" \"{name}\" {{ private_key_pem = tls_private_key.{name}.private_key_pem }}\n\
             data \"tls_public_key\" \"ssh_{name}\" {{ private_key_openssh = tls_private_key.{name}.private_key_openssh }}\n"
        );
        for of in [name.to_owned(), format!("ssh_{name}")] {
            files += &format!("output \"{of}\" {{\n  value = data.tls_public_key.{of}\n  sensitive = true\n}}\n");
        }
    }
    write(folder.path(), &files);
    assert_eq!(apply(folder.path()).await.failed, []);
    let again = plan(folder.path(), &Options::default()).await.unwrap();
    assert!(again.plan().is_empty(), "{}", render::plan(again.plan()));
    for (name, label, bits) in [
        ("rsa", "RSA PRIVATE KEY", "2048"),
        ("p256", "EC PRIVATE KEY", "256"),
        ("p384", "EC PRIVATE KEY", "384"),
        ("p521", "EC PRIVATE KEY", "521"),
        ("ed", "PRIVATE KEY", "256"),
    ] {
        let key = stored(folder.path(), &format!("tls_private_key.{name}"));
        let pem = text(&key, "private_key_pem");
        assert!(pem.starts_with(&format!("-----BEGIN {label}-----\n")), "{name}");
        for form in [&pem, &text(&key, "private_key_pem_pkcs8")] {
            if let Some(public) = said("openssl", &["pkey", "-pubout"], form) {
                assert_eq!(public, text(&key, "public_key_pem"), "{name}");
            }
        }
        let file = folder.path().join("key");
        std::fs::write(&file, text(&key, "private_key_openssh")).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let path = file.display().to_string();
        if let Some(public) = said("ssh-keygen", &["-y", "-f", &path], "") {
            assert_eq!(public.trim(), text(&key, "public_key_openssh").trim(), "{name}");
            let print = said("ssh-keygen", &["-l", "-f", &path], "").unwrap();
            let sha256 = text(&key, "public_key_fingerprint_sha256");
            assert!(print.starts_with(&format!("{bits} {sha256} ")), "{print} {sha256}");
            let print = said("ssh-keygen", &["-l", "-E", "md5", "-f", &path], "").unwrap();
            assert!(print.contains(&text(&key, "public_key_fingerprint_md5")), "{print}");
        }
        for of in [name.to_owned(), format!("ssh_{name}")] {
            let public = to_json(again.plan().outputs[&of].after.as_ref().unwrap());
            for attribute in ["id", "public_key_pem", "public_key_openssh", "public_key_fingerprint_md5"] {
                assert_eq!(public[attribute], key[attribute], "{of} {attribute}");
            }
        }
    }
}

const CHAIN: &str = r#"
resource "tls_private_key" "ca" {
  algorithm   = "ECDSA"
  ecdsa_curve = "P384"
}
resource "tls_self_signed_cert" "ca" {
  private_key_pem       = tls_private_key.ca.private_key_pem
  is_ca_certificate     = true
  validity_period_hours = 240
  max_path_length       = 0
  allowed_uses          = ["cert_signing", "crl_signing"]
  subject {
    common_name  = "Shop Root"
    organization = "Shop"
    country      = "DE"
  }
}
resource "tls_private_key" "web" { algorithm = "KIND" }
resource "tls_cert_request" "web" {
  private_key_pem = tls_private_key.web.private_key_pem
  dns_names       = ["shop.example", "*.shop.example"]
  ip_addresses    = ["10.0.0.1", "2001:db8::1"]
  uris            = ["spiffe://shop/web"]
  subject { common_name = "shop.example" }
}
resource "tls_locally_signed_cert" "web" {
  ca_cert_pem           = tls_self_signed_cert.ca.cert_pem
  ca_private_key_pem    = tls_private_key.ca.private_key_pem
  cert_request_pem      = tls_cert_request.web.cert_request_pem
  validity_period_hours = 24
  allowed_uses          = ["digital_signature", "server_auth", "client_auth"]
  set_subject_key_id    = true
}
"#;

#[tokio::test]
async fn openssl_verifies_a_chain() {
    for kind in ["RSA", "ED25519", "ECDSA\"\n  ecdsa_curve = \"P256", "ECDSA\"\n  ecdsa_curve = \"P384"] {
        let folder = tempfile::tempdir().unwrap();
        let files = CHAIN.replace("{ algorithm = \"KIND\" }", &format!("{{\n  algorithm = \"{kind}\"\n}}"));
        write(folder.path(), &files);
        assert_eq!(apply(folder.path()).await.failed, [], "{kind}");
        let (ca, web) =
            (stored(folder.path(), "tls_self_signed_cert.ca"), stored(folder.path(), "tls_locally_signed_cert.web"));
        let request = stored(folder.path(), "tls_cert_request.web");
        let (root, leaf) = (folder.path().join("ca.pem"), folder.path().join("web.pem"));
        std::fs::write(&root, text(&ca, "cert_pem")).unwrap();
        std::fs::write(&leaf, text(&web, "cert_pem")).unwrap();
        let (root, leaf) = (root.display().to_string(), leaf.display().to_string());
        let verify = [
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-verify_hostname",
            "a.shop.example",
            "-CAfile",
            &root,
            &leaf,
        ];
        let Some(verified) = said("openssl", &verify, "") else { return };
        assert!(verified.trim().ends_with(": OK"), "{verified}");
        assert!(
            said("openssl", &["req", "-verify", "-noout", "-text"], &text(&request, "cert_request_pem"))
                .unwrap()
                .contains("DNS:*.shop.example")
        );
        let shown = said("openssl", &["x509", "-noout", "-text"], &text(&web, "cert_pem")).unwrap();
        for expect in [
            "Issuer: C = DE, O = Shop, CN = Shop Root",
            "Subject: CN = shop.example",
            "CA:FALSE",
            "Digital Signature",
            "TLS Web Server Authentication, TLS Web Client Authentication",
            "DNS:shop.example, DNS:*.shop.example, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1, URI:spiffe://shop/web",
            "X509v3 Subject Key Identifier",
            "X509v3 Authority Key Identifier",
        ] {
            assert!(shown.contains(expect), "{kind}: {expect}\n{shown}");
        }
        let shown = said("openssl", &["x509", "-noout", "-text", "-serial"], &text(&ca, "cert_pem")).unwrap();
        assert!(shown.contains("CA:TRUE, pathlen:0") && shown.contains("Certificate Sign, CRL Sign"), "{shown}");
        let again = plan(folder.path(), &Options::default()).await.unwrap();
        assert!(again.plan().is_empty(), "{}", render::plan(again.plan()));
    }
}

#[tokio::test]
async fn no_secret_of_a_key_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), CHAIN.replace("\"KIND\"", "\"ED25519\"").as_str());
    apply(folder.path()).await;
    let sealed = plan(folder.path(), &Options { destroy: true, ..Options::default() }).await.unwrap();
    let key = text(&stored(folder.path(), "tls_private_key.web"), "private_key_pem");
    let secret = key.lines().nth(1).unwrap().to_owned();
    let environment = crate::apply::environment(folder.path(), std::time::Duration::from_mins(1));
    let state = environment.store().load().unwrap().state;
    let shown =
        [render::plan(sealed.plan()), planjson::plan(&sealed, &state).to_string(), planjson::state(&state).to_string()];
    for shown in shown {
        assert!(!shown.contains(&secret), "{shown}");
        assert!(shown.contains("(sensitive value)"));
    }
}

#[tokio::test]
async fn a_certificate_near_its_end_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let files = CHAIN.replace("\"KIND\"", "\"ED25519\"");
    write(folder.path(), &files);
    apply(folder.path()).await;
    write(
        folder.path(),
        &files.replace("  set_subject_key_id    = true", "  set_subject_key_id    = true\n  early_renewal_hours = 30"),
    );
    let changed = apply(folder.path()).await;
    assert_eq!((changed.counts.update, changed.counts.replace), (1, 0), "only when it is renewed changes");
    let sealed = plan(folder.path(), &Options::default()).await.unwrap();
    let text = render::plan(sealed.plan());
    assert!(text.contains("-/+ resource \"tls_locally_signed_cert\" \"web\""), "{text}");
    assert!(text.contains("ready_for_renewal") && text.contains("# forces replacement"), "{text}");
}

#[tokio::test]
async fn what_cannot_be_made_is_named_with_its_place() {
    let key = "resource \"tls_private_key\" \"k\" {\n  algorithm = \"ED25519\"\n}\n";
    let certificate = |lines: &str| {
        format!(
            "{key}resource \"tls_self_signed_cert\" \"c\" {{\n  private_key_pem = tls_private_key.k.private_key_pem\n  \
             validity_period_hours = 1\n  allowed_uses = []\n{lines}}}\n"
        )
    };
    let table = [
        (
            "resource \"tls_private_key\" \"k\" {\n  algorithm = \"RSA\"\n  rsa_bits = 1024\n}\n".to_owned(),
            "main.tf:3:3: an RSA key of 1024 bits cannot be drawn [out-of-range]\n  help: 2048, 3072 and 4096 can",
        ),
        (
            "resource \"tls_private_key\" \"k\" {\n  algorithm = \"ECDSA\"\n}\n".to_owned(),
            "main.tf:1:1: a key on the curve P224 cannot be drawn",
        ),
        (
            "resource \"tls_private_key\" \"k\" {\n  algorithm = \"DSA\"\n}\n".to_owned(),
            "main.tf:2:3: there is no algorithm \"DSA\"",
        ),
        (
            certificate("").replace("allowed_uses = []", "allowed_uses = [\"server_aut\"]"),
            "main.tf:7:3: there is no use \"server_aut\" of a certificate [out-of-range]\n  help: did you mean \"server_auth\"?",
        ),
        (certificate("  subject {}\n  subject {}\n"), "main.tf:8:3: a certificate has one subject"),
        (
            "data \"tls_public_key\" \"p\" {}\n".to_owned(),
            "main.tf:1:1: tls_public_key needs exactly one of private_key_pem and private_key_openssh",
        ),
        (
            "data \"tls_public_key\" \"p\" {\n  private_key_pem = \"nothing\"\n}\n".to_owned(),
            "private_key_pem: no PEM block",
        ),
    ];
    for (file, expect) in table {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &file);
        let found = problems(plan(folder.path(), &Options::default()).await);
        assert!(found.iter().any(|f| f.contains(expect)), "{expect}\n{found:?}");
    }
    // What only the apply can find stops what depends on it.
    for (files, expect) in [
        (certificate("  is_ca_certificate = true\n"), "the certificate of an authority needs a subject"),
        (certificate("  ip_addresses = [\"10.0.0\"]\n"), "ip_addresses: \"10.0.0\" is no address"),
        (
            CHAIN
                .replace("\"KIND\"", "\"ED25519\"")
                .replace("ca_private_key_pem    = tls_private_key.ca", "ca_private_key_pem    = tls_private_key.web"),
            "ca_private_key_pem is not the key of ca_cert_pem",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &files);
        let applied = apply(folder.path()).await;
        assert!(applied.failed.iter().any(|(_, why)| why.contains(expect)), "{expect}: {:?}", applied.failed);
    }
}

#[tokio::test]
async fn keys_that_openssl_wrote_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let made = [
        ("pkcs8", vec!["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], "ECDSA"),
        ("sec1", vec!["ecparam", "-name", "secp521r1", "-genkey", "-noout"], "ECDSA"),
        ("pkcs1", vec!["genrsa", "-traditional", "3072"], "RSA"),
        ("ed", vec!["genpkey", "-algorithm", "ed25519"], "ED25519"),
    ];
    let mut files = String::new();
    for (name, arguments, _) in &made {
        let Some(key) = said("openssl", arguments, "") else { return };
        std::fs::write(folder.path().join(name), key).unwrap();
        files += &format!(
            "data \"tls_public_key\" \"{name}\" {{ private_key_pem = file(\"{name}\") }}\noutput \"{name}\" {{ value = data.tls_public_key.{name}.algorithm }}\n"
        );
    }
    write(folder.path(), &files);
    let sealed = plan(folder.path(), &Options::default()).await.unwrap();
    for (name, _, algorithm) in made {
        assert_eq!(sealed.plan().outputs[name].after.as_ref().unwrap().as_str(), Some(algorithm), "{name}");
    }
    let Some(encrypted) = said("openssl", &["genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x"], "")
    else {
        return;
    };
    std::fs::write(folder.path().join("ed"), encrypted).unwrap();
    let found = problems(plan(folder.path(), &Options::default()).await);
    assert!(found[0].contains("is encrypted; a key without a passphrase is needed"), "{found:?}");
}
