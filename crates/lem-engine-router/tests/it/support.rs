//! An origin, a client, and a router between them.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lem_engine_router::{RoutePlan, Router, RouterHandle, RouterOptions, VersionRoute};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub(crate) const APP: &str = "shop";
/// Long enough that only a hang reaches it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// One request as the origin saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A server with a name, which is its answer.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    /// Requests for `/gate` wait for a permit.
    pub(crate) gate: Arc<Semaphore>,
    /// A permit per request that has reached the gate.
    pub(crate) waiting: Arc<Semaphore>,
}

impl Origin {
    pub(crate) async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Self {
            addr: listener.local_addr().unwrap(),
            seen: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            waiting: Arc::new(Semaphore::new(0)),
        };
        let shared = origin.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let origin = shared.clone();
                let service = service_fn(move |request| origin.clone().answer(name, request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades(),
                );
            }
        });
        origin
    }

    async fn answer(
        self,
        name: &'static str,
        mut request: Request<Incoming>,
    ) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
        let path = request.uri().path().to_owned();
        let line = format!("{} {}", request.method(), request.uri());
        let headers = request.headers().clone();
        if path == "/ws" {
            self.seen.lock().push(Seen { line, headers, body: Bytes::new() });
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(TokioIo::new(upgrade.await.unwrap()));
                _ = tokio::io::copy(&mut read, &mut write).await;
            });
            let response = Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header("connection", "upgrade")
                .header("upgrade", "websocket");
            return Ok(response.body(whole("")).unwrap());
        }
        let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        self.seen.lock().push(Seen { line, headers, body: body.clone() });
        let response = Response::builder().header("keep-alive", "timeout=9").header("x-origin", name);
        Ok(match path.as_str() {
            "/gate" => {
                self.waiting.add_permits(1);
                self.gate.acquire().await.unwrap().forget();
                response.body(whole(name)).unwrap()
            }
            "/500" => response.status(500).body(whole(name)).unwrap(),
            "/echo" => response.body(whole(body)).unwrap(),
            "/chunks" => {
                let parts = (0..5).map(|n| Ok(Frame::data(Bytes::from(format!("part {n};")))));
                response.body(BodyExt::boxed(StreamBody::new(futures::stream::iter(parts)))).unwrap()
            }
            "/big" => {
                let parts = futures::stream::iter(0..64).map(|_| Ok(Frame::data(Bytes::from(vec![b'x'; 16 * 1024]))));
                response.body(BodyExt::boxed(StreamBody::new(parts))).unwrap()
            }
            _ => response.body(whole(name)).unwrap(),
        })
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen.lock().iter().map(|seen| seen.line.clone()).collect()
    }
}

fn whole(body: impl Into<Bytes>) -> BoxBody<Bytes, Infallible> {
    Full::new(body.into()).boxed()
}

/// A server that answers each connection's first request with these bytes and closes. Without bytes it
/// closes at once after the request.
pub(crate) async fn raw_origin(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buf = [0; 4096];
                _ = stream.read(&mut buf).await;
                _ = stream.write_all(answer).await;
            });
        }
    });
    addr
}

/// An address nobody listens on.
pub(crate) async fn dead() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

pub(crate) fn router() -> RouterHandle {
    Router::start(options()).unwrap()
}

pub(crate) fn options() -> RouterOptions {
    RouterOptions::new(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// A plan from (version, address, weight).
pub(crate) fn plan(versions: &[(&str, SocketAddr, u32)]) -> RoutePlan {
    let versions = versions.iter().map(|(id, addr, weight)| VersionRoute::new(*id, vec![*addr], *weight));
    RoutePlan::new("release-1", versions.collect())
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn release(&self) -> &str {
        self.headers.get("x-release").map_or("", String::as_str)
    }
}

/// A client connection that writes what it is told and reads one response at a time.
#[derive(Debug)]
pub(crate) struct Talk {
    stream: BufReader<TcpStream>,
}

impl Talk {
    pub(crate) async fn to(router: &RouterHandle) -> Self {
        Self::connect(router.addr()).await
    }

    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    /// Reads lines up to the empty one.
    pub(crate) async fn skip_head(&mut self) {
        let skip = async {
            // The first line may be the rest of one already read.
            self.line().await;
            while self.line().await.is_some_and(|line| !line.is_empty()) {}
        };
        tokio::time::timeout(PATIENCE, skip).await.unwrap();
    }

    /// Whether the other side closes, whatever it sends before.
    pub(crate) async fn ends(&mut self) -> bool {
        let mut rest = Vec::new();
        tokio::time::timeout(PATIENCE / 4, self.stream.read_to_end(&mut rest)).await.is_ok()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.get_with(path, "").await
    }

    /// Header lines end with CR LF.
    pub(crate) async fn get_with(&mut self, path: &str, headers: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: shop.test\r\n{headers}\r\n")).await;
        self.reply().await
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    pub(crate) async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("a whole response")
    }

    pub(crate) async fn try_reply(&mut self) -> Option<Reply> {
        tokio::time::timeout(PATIENCE, self.read_reply()).await.expect("an answer in time")
    }

    async fn read_reply(&mut self) -> Option<Reply> {
        let status = self.line().await?.split(' ').nth(1)?.parse().ok()?;
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.insert(name.to_owned(), value.to_owned());
        }
        let mut body = Vec::new();
        if headers.get("transfer-encoding").is_some_and(|te| te == "chunked") {
            loop {
                let size = usize::from_str_radix(&self.line().await?, 16).ok()?;
                let mut chunk = vec![0; size + 2];
                self.stream.read_exact(&mut chunk).await.ok()?;
                if size == 0 {
                    break;
                }
                body.extend_from_slice(&chunk[..size]);
            }
        } else if let Some(length) = headers.get("content-length") {
            body.resize(length.parse().ok()?, 0);
            self.stream.read_exact(&mut body).await.ok()?;
        }
        Some(Reply { status, headers, body: String::from_utf8(body).ok()? })
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let n = self.stream.read_line(&mut line).await.ok()?;
        (n > 0).then(|| line.trim_end().to_owned())
    }

    /// Reads exactly these bytes.
    pub(crate) async fn expect(&mut self, text: &str) {
        let mut bytes = vec![0; text.len()];
        tokio::time::timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await.unwrap().unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    /// Whether the other side closes without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut byte)).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    }
}

/// Waits until a condition that another task brings about holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "never happened: {what}");
}

/// The counts of a version.
pub(crate) fn counts(router: &RouterHandle, version: &str) -> lem_engine_router::VersionCounts {
    let all = router.counts(APP).unwrap();
    all.into_iter().find(|counts| counts.version == version).unwrap()
}
