//! Weight changes under load: `shift SECONDS RATE`. Starts two versions and a router, sends RATE requests
//! per second over 64 connections while the weights change ten times a second and the versions are
//! drained in turn, and fails when a request is lost, answered wrongly or seen twice.

use std::collections::HashSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lem_engine_router::{RoutePlan, Router, RouterHandle, RouterOptions, VersionRoute};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: u64 = 64;
const CHANGE_EVERY: Duration = Duration::from_millis(100);
const APP: &str = "shift";

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Seen = Arc<Mutex<Vec<String>>>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<u64> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    let (seconds, rate) = match *args {
        [] => (10, 2_000),
        [seconds, rate] if rate > 0 => (seconds, rate),
        _ => return Err("usage: shift [SECONDS RATE]".into()),
    };
    let seen = Seen::default();
    let endpoints = [origin("v1", seen.clone()).await?, origin("v2", seen.clone()).await?];
    let router = Router::start(RouterOptions::new(SocketAddr::from(([127, 0, 0, 1], 0))))?;
    router.apply(APP, plan(endpoints, 0))?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let pause = Duration::from_nanos(CONNECTIONS * 1_000_000_000 / rate);
    let clients: Vec<_> =
        (0..CONNECTIONS).map(|client| tokio::spawn(drive(router.addr(), client, pause, end))).collect();
    let changes = shift(&router, endpoints, end).await?;
    let (mut sent, mut failed, mut slowest) = (0, 0, Duration::ZERO);
    for client in clients {
        let report = client.await?;
        sent += report.sent;
        failed += report.failed;
        slowest = slowest.max(report.slowest);
    }
    let seen = std::mem::take(&mut *seen.lock());
    let unique = seen.iter().collect::<HashSet<_>>().len();
    let lost = sent - unique as u64;
    let doubled = seen.len() - unique;
    println!(
        "{changes} weight changes, {sent} requests, {:.0} rps, slowest {slowest:.1?}",
        sent as f64 / seconds as f64
    );
    for counts in router.counts(APP)? {
        println!("{}: {} requests, {} bad, {} retried", counts.version, counts.requests, counts.bad, counts.retried);
    }
    println!("failed {failed}, lost {lost}, doubled {doubled}");
    router.stop(Duration::from_secs(1)).await;
    if failed + lost + doubled as u64 > 0 {
        return Err("requests were lost or doubled".into());
    }
    Ok(())
}

fn plan(endpoints: [SocketAddr; 2], canary: u32) -> RoutePlan {
    let [stable, next] = endpoints;
    let versions =
        vec![VersionRoute::new("v1", vec![stable], 100 - canary), VersionRoute::new("v2", vec![next], canary)];
    RoutePlan::new("shift", versions)
}

/// Weights up and down; at both ends the version without weight is drained.
async fn shift(router: &RouterHandle, endpoints: [SocketAddr; 2], end: Instant) -> Result<u32, Failure> {
    let mut changes = 0;
    let mut tick = tokio::time::interval(CHANGE_EVERY);
    for step in [0, 10, 35, 60, 85, 100, 70, 40, 15].into_iter().cycle() {
        tick.tick().await;
        if Instant::now() >= end {
            break;
        }
        router.apply(APP, plan(endpoints, step))?;
        changes += 1;
        let idle = match step {
            0 => "v2",
            100 => "v1",
            _ => continue,
        };
        let drained = router.drain(APP, idle, Duration::from_secs(1)).await?;
        if drained.abandoned > 0 {
            return Err(format!("{idle} did not drain: {drained:?}").into());
        }
    }
    Ok(changes)
}

#[derive(Default)]
struct Report {
    sent: u64,
    failed: u64,
    slowest: Duration,
}

async fn drive(addr: SocketAddr, client: u64, pause: Duration, end: Instant) -> Report {
    let mut report = Report::default();
    let mut tick = tokio::time::interval(pause);
    let mut stream = None;
    while Instant::now() < end {
        tick.tick().await;
        let started = Instant::now();
        let path = format!("/{client}/{}", report.sent);
        report.sent += 1;
        if let Err(error) = ask(&mut stream, addr, &path).await {
            eprintln!("{path}: {error}");
            report.failed += 1;
            stream = None;
        }
        report.slowest = report.slowest.max(started.elapsed());
    }
    report
}

async fn ask(stream: &mut Option<TcpStream>, addr: SocketAddr, path: &str) -> Result<(), Failure> {
    let stream = match stream {
        Some(stream) => stream,
        None => stream.insert(TcpStream::connect(addr).await?),
    };
    stream.set_nodelay(true)?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: shift\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    // The body is the path, and nothing follows it.
    while !answer.ends_with(format!("\r\n\r\n{path}").as_bytes()) {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err("closed before the answer".into());
        }
        if answer.len() > 4096 {
            return Err("an answer to something else".into());
        }
    }
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(String::from_utf8_lossy(&answer).into());
    }
    Ok(())
}

async fn origin(name: &'static str, seen: Seen) -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = seen.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let path = request.uri().path().to_owned();
                seen.lock().push(path.clone());
                async move {
                    let mut response = Response::new(Full::new(Bytes::from(path)));
                    response.headers_mut().insert("x-origin", http::HeaderValue::from_static(name));
                    Ok::<_, Infallible>(response)
                }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Ok(addr)
}
