//! `lem up`.

use crate::cli::Up;
use crate::exit::Failure;
use crate::wiring::{Loop, LoopOptions};
use std::path::Path;
use tokio::signal::unix::{SignalKind, signal};

/// Runs the loop until it is told to stop.
pub(crate) async fn up(directory: &Path, arguments: &Up) -> Result<(), Failure> {
    let mut options = LoopOptions::new(directory);
    options.data.clone_from(&arguments.data);
    options.listen.clone_from(&arguments.listen);
    let the_loop = Loop::start(options).await?;
    eprintln!("lem is up");
    for line in the_loop.introduction() {
        eprintln!("  {line}");
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| crate::exit::usage(e.to_string()))?;
    let ended = tokio::select! {
        _ = tokio::signal::ctrl_c() => Ok(()),
        _ = terminate.recv() => Ok(()),
        failure = the_loop.failed() => Err(failure),
    };
    eprintln!("stopping: what runs is handed over to the next start");
    the_loop.stop().await;
    ended
}
