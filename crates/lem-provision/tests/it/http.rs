//! The data source `http` against a server of this test.

use crate::apply::{apply, plan, problems, write};
use lem_engine_hcl::value::json::to_json;
use lem_provision::plan::Options;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server that answers every request by what it is asked; the count says how often it was.
fn serve() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            answer(&mut stream.unwrap(), number);
        }
    });
    (address, count)
}

fn answer(stream: &mut TcpStream, number: usize) {
    let mut text = String::new();
    let mut part = [0; 4096];
    // The requests of this test end with their body's last letter.
    while !text.contains("\r\n\r\n") || (text.starts_with("POST") && !text.ends_with('!')) {
        let read = stream.read(&mut part).unwrap();
        text += &String::from_utf8_lossy(&part[..read]);
    }
    let path = text.split(' ').nth(1).unwrap().to_owned();
    let (status, body): (&str, Vec<u8>) = match path.as_str() {
        "/late" => {
            std::thread::sleep(std::time::Duration::from_millis(500));
            ("200 OK", vec![])
        }
        "/flaky" if number < 2 => ("503 Service Unavailable", vec![]),
        "/down" => ("500 Internal Server Error", b"down".to_vec()),
        "/binary" => ("200 OK", vec![0xff, 0x00]),
        "/large" => ("200 OK", vec![b'a'; 16 * 1024 * 1024 + 1]),
        _ => ("200 OK", text.clone().into_bytes()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nX-Part: a\r\nx-part: b\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _gone = stream.write_all(head.as_bytes());
    if !text.starts_with("HEAD") {
        let _gone = stream.write_all(&body);
    }
}

/// The data source as it is read while planning.
async fn read(arguments: &str) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &format!("data \"http\" \"h\" {{\n{arguments}\n}}\noutput \"o\" {{ value = data.http.h }}\n"));
    let sealed = plan(folder.path(), &Options::default()).await.unwrap();
    to_json(sealed.plan().outputs["o"].after.as_ref().unwrap())
}

#[tokio::test]
async fn a_request_goes_out_as_it_is_written_and_the_answer_comes_back_whole() {
    let (address, _) = serve();
    let found = read(&format!("url = \"{address}/a?b=c\"\nrequest_headers = {{ Accept = \"text/x\" }}")).await;
    let body = found["response_body"].as_str().unwrap();
    assert!(body.starts_with("GET /a?b=c HTTP/1.1\r\n") && body.contains("accept: text/x\r\n"), "{body}");
    assert_eq!((found["status_code"].as_i64(), &found["body"]), (Some(200), &found["response_body"]));
    assert_eq!((found["response_headers"]["X-Part"].as_str(), &found["id"]), (Some("a, b"), &found["url"]));

    let found = read(&format!("url = \"{address}/p\"\nmethod = \"POST\"\nrequest_body = \"asked!\"")).await;
    let body = found["response_body"].as_str().unwrap();
    assert!(body.starts_with("POST /p ") && body.ends_with("\r\n\r\nasked!"), "{body}");
    let found = read(&format!("url = \"{address}/h\"\nmethod = \"HEAD\"")).await;
    assert_eq!((found["status_code"].as_i64(), found["response_body"].as_str()), (Some(200), Some("")));
    let found = read(&format!("url = \"{address}/binary\"")).await;
    assert_eq!(found["response_body_base64"], "/wA=");
}

#[tokio::test]
async fn a_failing_server_is_asked_again_as_often_as_it_is_written() {
    let (address, count) = serve();
    let retry = "retry {\n  attempts = 3\n  min_delay_ms = 1\n  max_delay_ms = 2\n}";
    let found = read(&format!("url = \"{address}/flaky\"\n{retry}")).await;
    assert_eq!((found["status_code"].as_i64(), count.load(Ordering::SeqCst)), (Some(200), 3));
    assert_eq!(found["retry"]["attempts"], 3);
    let found = read(&format!("url = \"{address}/down\"\n{retry}")).await;
    assert_eq!((found["status_code"].as_i64(), count.load(Ordering::SeqCst)), (Some(500), 7));
    assert_eq!(found["response_body"], "down");
    // Without a retry the answer is what it is, and no error.
    read(&format!("url = \"{address}/down\"")).await;
    assert_eq!(count.load(Ordering::SeqCst), 8);
}

#[tokio::test]
async fn what_goes_wrong_is_named_with_its_place() {
    let (address, _) = serve();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (arguments, expect) in [
        (format!("url = \"http://{free}/\""), "main.tf:1:1: data.http.h: http://"),
        (format!("url = \"{address}/late\"\nrequest_timeout_ms = 50"), "main.tf:1:1: data.http.h: "),
        (format!("url = \"{address}/large\""), "the answer is larger than 16777216 bytes"),
        ("url = \"ftp://x\"".to_owned(), "main.tf:2:1: \"ftp://x\" is no address that begins with http:// or https://"),
        (
            format!("url = \"{address}\"\nmethod = \"PUT\""),
            "main.tf:3:1: the method is one of GET, HEAD, POST, not \"PUT\"",
        ),
        (
            format!("url = \"{address}\"\nretry {{\nattempts = 101\n}}"),
            "main.tf:3:1: attempts must be between 0 and 100",
        ),
        (format!("url = \"{address}\"\nca_cert_pem = \"x\""), "ca_cert_pem"),
        (
            format!("url = \"{address}\"\nrequest_headers = {{ \"a b\" = \"c\" }}"),
            "request_headers: \"a b\" is no header",
        ),
        (
            format!("url = \"{address}\"\ninsecure = true\nca_cert_pem = \"x\""),
            "insecure and ca_cert_pem exclude each other",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &format!("data \"http\" \"h\" {{\n{arguments}\n}}\n"));
        let found = problems(plan(folder.path(), &Options::default()).await);
        assert!(found[0].contains(expect), "{expect}\n{found:?}");
    }
}

#[tokio::test]
async fn a_certificate_is_verified_unless_it_is_written_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let files = r#"
resource "tls_private_key" "k" {
  algorithm   = "ECDSA"
  ecdsa_curve = "P256"
}
resource "tls_self_signed_cert" "c" {
  private_key_pem       = tls_private_key.k.private_key_pem
  validity_period_hours = 1
  allowed_uses          = ["server_auth", "digital_signature"]
  ip_addresses          = ["127.0.0.1"]
  subject { common_name = "here" }
}
resource "local_file" "c" {
  filename = "c.pem"
  content  = tls_self_signed_cert.c.cert_pem
}
resource "local_sensitive_file" "k" {
  filename = "k.pem"
  content  = tls_private_key.k.private_key_pem
}
"#;
    write(folder.path(), files);
    assert_eq!(apply(folder.path()).await.failed, []);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let arguments =
        ["s_server", "-quiet", "-www", "-cert", "c.pem", "-key", "k.pem", "-accept", &format!("127.0.0.1:{port}")];
    let child = Command::new("openssl").args(arguments).current_dir(folder.path()).stdout(Stdio::null()).spawn();
    let Ok(mut server) = child else { return eprintln!("SKIPPED: openssl is not installed") };
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(server.try_wait().unwrap().is_none(), "openssl ended");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let certificate = std::fs::read_to_string(folder.path().join("c.pem")).unwrap();
    let (url, trusted) = (format!("url = \"https://127.0.0.1:{port}/\""), format!("ca_cert_pem = <<E\n{certificate}E"));
    for more in ["insecure = true", &trusted] {
        assert_eq!(read(&format!("{url}\n{more}")).await["status_code"], 200, "{more}");
    }
    let refused = tempfile::tempdir().unwrap();
    write(refused.path(), &format!("data \"http\" \"h\" {{\n{url}\n}}\n"));
    let found = problems(plan(refused.path(), &Options::default()).await);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(found[0].contains("certificate"), "{found:?}");
}
