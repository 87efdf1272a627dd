//! A router in a process of its own: `route LISTEN ENDPOINT [caller|THREADS]`. Ends with the process.

use std::num::NonZeroUsize;

use lem_engine_router::{RoutePlan, Router, RouterOptions, VersionRoute, Workers};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [listen, endpoint, rest @ ..] = args.as_slice() else {
        return Err("usage: route LISTEN ENDPOINT [caller|THREADS]".into());
    };
    let mut options = RouterOptions::new(listen.parse()?);
    options.workers = match rest.first().map(String::as_str) {
        Some("caller") => Workers::Caller,
        Some(threads) => Workers::Threads(threads.parse::<NonZeroUsize>()?),
        None => options.workers,
    };
    let router = Router::start(options)?;
    let versions = vec![VersionRoute::new("v1", vec![endpoint.parse()?], 1)];
    router.apply("bench", RoutePlan::new("bench", versions))?;
    println!("routing {} to {endpoint}", router.addr());
    std::future::pending().await
}
