//! `lem demo`: the whole loop on a copy of the example, told as it happens.
//!
//! Nothing here is a shortcut: a git repository is made, commits are put on it, load is sent to the router, and the same
//! loop that `lem up` runs does the rest. This module only waits, tells and sums up.

mod load;
mod outer;
mod repository;
mod story;
mod summary;
mod tell;

use crate::cli::{Cli, Demo, Output};
use crate::exit::{Failure, negative, usage};
use crate::wiring::{Loop, LoopOptions};
use anyhow::{Context, Result};
use lem_feedback::LoopState;
use lem_ledger::View;
use repository::DemoRepository;
use std::io::IsTerminal;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tell::Teller;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything; the story breaks off with a message rather than hang.
const PATIENCE: Duration = Duration::from_mins(3);

/// Runs the demo.
pub(crate) async fn demo(cli: &Cli, arguments: &Demo) -> Result<(), Failure> {
    let kept = directory(arguments)?;
    let stage = Stage::set(&kept).await.map_err(Failure::from)?;
    let teller = Teller::start(stage.the_loop.log(), cli.output);
    let told = story::tell(&stage, &teller, arguments.rate).await;
    stage.cancel_load.cancel();
    let summary = summary::sum_up(&stage.the_loop, &stage.counts).await;
    teller.end();
    let summary = match (told, summary) {
        (Ok(told), Ok(mut summary)) => {
            summary["provision"] = told.outer.provision;
            summary["secure"] = told.outer.secure;
            summary["optimize"] = told.outer.optimize;
            summary["reports"] = told.reports.into();
            summary
        }
        (Err(error), _) | (Ok(_), Err(error)) => {
            stage.the_loop.stop().await;
            return Err(negative(format!("the demo broke off: {error:#}\nits state is in {}", kept.display())));
        }
    };
    match cli.output {
        Output::Text => print!("{}", summary::text(&summary)),
        Output::Json => println!("{summary:#}"),
        Output::Ndjson => println!("{summary}"),
    }
    stay(&stage, arguments, &kept).await;
    stage.the_loop.stop().await;
    Ok(())
}

/// On a terminal the loop stays up until interrupted; without one the command ends and says how to look at what it left.
async fn stay(stage: &Stage, arguments: &Demo, kept: &std::path::Path) {
    let shop = kept.join("shop");
    if std::io::stdout().is_terminal() && !arguments.exit {
        for line in stage.the_loop.introduction().iter().take(2) {
            eprintln!("{line}");
        }
        eprintln!("the shop is on {}, its repository is {}; Ctrl-C ends it", stage.router, shop.display());
        let _interrupted = tokio::signal::ctrl_c().await;
        return;
    }
    eprintln!("\nit was served on {}; lem up -C {} opens it again", stage.the_loop.url(), shop.display());
    eprintln!("look at it without: lem why -C {0}, lem ledger list -C {0}", shop.display());
}

fn directory(arguments: &Demo) -> Result<PathBuf, Failure> {
    match &arguments.into {
        Some(into) => {
            let absolute = std::path::absolute(into).map_err(|e| usage(e.to_string()))?;
            Ok(absolute)
        }
        None => Ok(tempfile::Builder::new()
            .prefix("lem-demo-")
            .tempdir()
            .map_err(|e| usage(format!("cannot make a temporary directory: {e}")))?
            .keep()),
    }
}

/// Everything the story needs.
struct Stage {
    repository: DemoRepository,
    the_loop: Loop,
    state: View<LoopState>,
    router: String,
    counts: Arc<load::Counts>,
    cancel_load: CancellationToken,
}

impl Stage {
    async fn set(kept: &std::path::Path) -> Result<Self> {
        let (router_port, pager_port) = (free_port()?, free_port()?);
        let adapt = |name: &str, text: String| match name {
            "lem.yaml" => text.replace("127.0.0.1:8080", &format!("127.0.0.1:{router_port}")),
            "observe/alertmanager.yml" => text.replace("127.0.0.1:9099", &format!("127.0.0.1:{pager_port}")),
            _ => text,
        };
        let repository = DemoRepository::create(&kept.join("shop"), adapt)?;
        tokio::spawn(tell::pager(pager_port));
        let mut options = LoopOptions::new(&repository.root);
        options.listen = Some(server_address()?);
        let the_loop =
            Loop::start(options).await.map_err(|f| anyhow::anyhow!("{f}")).context("the loop does not start")?;
        Ok(Self {
            state: the_loop.feedback(),
            repository,
            the_loop,
            router: format!("http://127.0.0.1:{router_port}"),
            counts: Arc::default(),
            cancel_load: CancellationToken::new(),
        })
    }

    /// Waits until the state shows it.
    async fn until<T>(&self, what: &str, look: impl Fn(&LoopState) -> Option<T>) -> Result<T> {
        let wait = async {
            loop {
                if let Some(found) = self.state.read(&look) {
                    return found;
                }
                // The state may change between the look and the wait; the tick bounds what that costs.
                let _either = tokio::time::timeout(Duration::from_millis(200), self.state.changed()).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .with_context(|| format!("{what} did not happen within {} s", PATIENCE.as_secs()))
    }
}

/// The usual address, or any other when another loop is on it.
fn server_address() -> Result<String> {
    let usual = crate::serve::DEFAULT_LISTEN;
    if TcpListener::bind(usual).is_ok() { Ok(usual.to_owned()) } else { Ok(format!("127.0.0.1:{}", free_port()?)) }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("no free port")?.local_addr()?.port())
}
