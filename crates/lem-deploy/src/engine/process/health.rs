//! One health check: GET, 2xx or not.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of an answer that are looked at: the status line fits.
const HEAD_MAX: usize = 64;

/// Whether a GET of this path answers with a status from 200 to 299 in time.
pub(super) async fn passes(address: SocketAddr, path: &str, timeout: Duration) -> bool {
    matches!(tokio::time::timeout(timeout, status(address, path)).await, Ok(Ok(200..=299)))
}

async fn status(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: lem-health\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::with_capacity(HEAD_MAX);
    let mut chunk = [0; HEAD_MAX];
    while !head.contains(&b'\n') && head.len() < HEAD_MAX {
        match stream.read(&mut chunk).await? {
            0 => break,
            n => head.extend_from_slice(&chunk[..n]),
        }
    }
    let line = String::from_utf8_lossy(&head);
    let malformed = || std::io::Error::new(std::io::ErrorKind::InvalidData, "no HTTP status");
    let mut words = line.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1.")).ok_or_else(malformed)?;
    words.next().and_then(|code| code.trim().parse().ok()).ok_or_else(malformed)
}
