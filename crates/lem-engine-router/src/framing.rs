//! Where one message ends and the next begins (RFC 9112 section 6), checked strictly on the way in.
//!
//! hyper drops Content-Length when Transfer-Encoding is present, which section 6.3 allows but which
//! hides a smuggling attempt from us. The [`Tracker`] reads along with hyper and remembers it; the
//! rest is visible in the parsed head.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::{io, mem};

use http::{Method, StatusCode, header, request};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::limits::HEAD_BYTES_MAX;

/// What the tracker of a connection tells the requests on it.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    ambiguous: AtomicBool,
    tunnel: AtomicBool,
}

impl Verdict {
    /// A message on this connection had two lengths; nothing on it can be trusted any more.
    pub(crate) fn is_ambiguous(&self) -> bool {
        self.ambiguous.load(Ordering::Relaxed)
    }

    /// From here on the bytes are no longer HTTP.
    pub(crate) fn becomes_tunnel(&self) {
        self.tunnel.store(true, Ordering::Relaxed);
    }
}

/// Why a request is answered by the framing rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    pub(crate) reason: &'static str,
}

const fn bad(reason: &'static str) -> Refused {
    Refused { status: StatusCode::BAD_REQUEST, reason }
}

/// Refuses what RFC 9112 forbids or leaves ambiguous. HTTP/1.0 with Transfer-Encoding and differing
/// Content-Lengths are already refused by hyper's parser with 400.
pub(crate) fn check(head: &request::Parts, verdict: &Verdict) -> Result<(), Refused> {
    if verdict.is_ambiguous() {
        return Err(bad("content-length and transfer-encoding together"));
    }
    if head.method == Method::CONNECT {
        return Err(Refused { status: StatusCode::METHOD_NOT_ALLOWED, reason: "CONNECT is not offered" });
    }
    let mut codings = head.headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(first) = codings.next() {
        if codings.next().is_some() {
            return Err(bad("transfer-encoding repeated"));
        }
        if !first.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(bad("transfer-encoding other than chunked"));
        }
    }
    // RFC 9112 section 3.2: exactly one Host in HTTP/1.1.
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let first = hosts.next();
    if hosts.next().is_some() {
        return Err(bad("host repeated"));
    }
    if first.is_none() && head.version == http::Version::HTTP_11 {
        return Err(bad("host missing"));
    }
    Ok(())
}

/// A client's stream with the tracker reading along.
#[derive(Debug)]
pub(crate) struct Tracked {
    inner: TcpStream,
    tracker: Tracker,
    verdict: Arc<Verdict>,
}

impl Tracked {
    pub(crate) fn new(inner: TcpStream, verdict: Arc<Verdict>) -> Self {
        Self { inner, tracker: Tracker::default(), verdict }
    }
}

impl AsyncRead for Tracked {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = &buf.filled()[before..];
        if !read.is_empty()
            && !self.verdict.tunnel.load(Ordering::Relaxed)
            && self.tracker.feed(read) == Seen::Ambiguous
        {
            self.verdict.ambiguous.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Tracked {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// What the bytes so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Clear,
    Ambiguous,
}

/// Follows the messages of one connection byte by byte, heads closely and bodies by length.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    state: State,
    head: Head,
    /// The beginning of a line whose end has not arrived.
    partial: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// Bytes left of a body with Content-Length.
    Body(u64),
    ChunkSize,
    /// Bytes left of a chunk and its line end.
    Chunk(u64),
    Trailers,
    /// Something did not parse; hyper refuses it too, and if not, nothing on here may pass.
    Lost,
}

#[derive(Debug, Default)]
struct Head {
    request_line: bool,
    length: Option<u64>,
    chunked: bool,
    bytes: usize,
}

impl Tracker {
    /// Takes the next bytes of the connection.
    pub(crate) fn feed(&mut self, mut data: &[u8]) -> Seen {
        while !data.is_empty() {
            match self.state {
                State::Lost => return Seen::Ambiguous,
                State::Body(left) => {
                    let (rest, left) = skip(data, left);
                    data = rest;
                    self.state = if left == 0 { State::Head } else { State::Body(left) };
                }
                State::Chunk(left) => {
                    let (rest, left) = skip(data, left);
                    data = rest;
                    self.state = if left == 0 { State::ChunkSize } else { State::Chunk(left) };
                }
                State::Head | State::ChunkSize | State::Trailers => data = self.feed_line(data),
            }
        }
        if self.state == State::Lost { Seen::Ambiguous } else { Seen::Clear }
    }

    fn feed_line<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let Some(end) = data.iter().position(|byte| *byte == b'\n') else {
            self.partial.extend_from_slice(data);
            if self.partial.len() > HEAD_BYTES_MAX {
                self.state = State::Lost;
            }
            return &[];
        };
        let (line, rest) = (&data[..end], &data[end + 1..]);
        if self.partial.is_empty() {
            self.line(line);
        } else {
            let mut whole = mem::take(&mut self.partial);
            whole.extend_from_slice(line);
            self.line(&whole);
            whole.clear();
            self.partial = whole;
        }
        rest
    }

    fn line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.state = match self.state {
            State::Head => self.head.line(line),
            State::ChunkSize => chunk(line),
            State::Trailers if line.is_empty() => State::Head,
            state => state,
        };
    }
}

impl Head {
    fn line(&mut self, line: &[u8]) -> State {
        self.bytes += line.len() + 2;
        if self.bytes > HEAD_BYTES_MAX * 2 {
            return State::Lost;
        }
        if line.is_empty() {
            // Empty lines before a request line are allowed (RFC 9112 section 2.2).
            return if self.request_line { mem::take(self).end() } else { State::Head };
        }
        if !self.request_line {
            self.request_line = true;
            return State::Head;
        }
        // Both names are told apart by their length before any byte is compared.
        if named(line, b"content-length") {
            let text = line[b"content-length:".len()..].trim_ascii();
            match std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) {
                Some(length) if self.length.is_none_or(|known| known == length) => self.length = Some(length),
                _ => return State::Lost,
            }
        } else if named(line, b"transfer-encoding") {
            self.chunked = true;
        }
        State::Head
    }

    fn end(self) -> State {
        match (self.chunked, self.length) {
            (true, Some(_)) => State::Lost,
            (true, None) => State::ChunkSize,
            (false, Some(length)) if length > 0 => State::Body(length),
            (false, _) => State::Head,
        }
    }
}

fn named(line: &[u8], name: &[u8]) -> bool {
    line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
}

/// RFC 9112 section 7.1: hexadecimal size, optional extensions after a semicolon.
fn chunk(line: &[u8]) -> State {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or(line).trim_ascii();
    let size = std::str::from_utf8(digits)
        .ok()
        .filter(|text| !text.starts_with('+'))
        .and_then(|text| u64::from_str_radix(text, 16).ok());
    match size {
        Some(0) => State::Trailers,
        Some(size) => size.checked_add(2).map_or(State::Lost, State::Chunk),
        None => State::Lost,
    }
}

fn skip(data: &[u8], left: u64) -> (&[u8], u64) {
    let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
    (&data[skipped..], left - skipped as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    const SIZED: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nTE: x";
    const CHUNKED: &str =
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n";
    const BOTH: &str = "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
    const BOTH_TURNED: &str = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nCONTENT-LENGTH: 5\r\n\r\n";

    fn check(messages: &[&str], expect: Seen) {
        let bytes = messages.concat().into_bytes();
        for step in [1, 2, 3, 7, bytes.len()] {
            let mut tracker = Tracker::default();
            let seen = bytes.chunks(step).fold(Seen::Clear, |_, part| tracker.feed(part));
            assert_eq!(seen, expect, "{messages:?} in steps of {step}");
        }
    }

    #[test]
    fn two_lengths_are_seen_wherever_they_stand() {
        check(&[GET, SIZED, GET, CHUNKED, GET], Seen::Clear);
        check(&[BOTH], Seen::Ambiguous);
        check(&[BOTH_TURNED], Seen::Ambiguous);
        check(&[GET, BOTH], Seen::Ambiguous);
        check(&[SIZED, CHUNKED, BOTH_TURNED, GET], Seen::Ambiguous);
    }

    #[test]
    fn what_is_in_a_body_is_not_a_head() {
        let body = "POST / HTTP/1.1\r\nContent-Length: 62\r\n\r\nA: b\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0123456";
        check(&[body, GET], Seen::Clear);
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut tracker = Tracker::default();
        let seen = tracker.feed(&vec![b'a'; HEAD_BYTES_MAX + 1]);
        assert_eq!(seen, Seen::Ambiguous);
    }
}
