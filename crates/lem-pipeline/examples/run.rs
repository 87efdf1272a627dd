//! Runs the workflows of a directory once: `run DIRECTORY [JOBS]`. Prints one line per run.

use lem_pipeline::{Pipeline, PipelineConfig, RunRequest};
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or("usage: run DIRECTORY [JOBS]")?);
    let jobs = arguments.next().map(|n| n.parse()).transpose()?;
    let config = PipelineConfig { jobs, ..PipelineConfig::default() };
    let pipeline = Pipeline::open(&directory, &directory.join(".lem"), config);
    let result = pipeline.run(&RunRequest::default(), None, CancellationToken::new()).await?;
    for run in &result.runs {
        println!(
            "{}: {:?}, {} jobs, {} ms",
            run.file,
            run.outcome.outcome,
            run.view.jobs.len(),
            run.outcome.duration_ms
        );
    }
    if result.is_success() { Ok(()) } else { Err("not a success".into()) }
}
