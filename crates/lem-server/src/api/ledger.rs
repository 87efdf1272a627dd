//! The ledger as evidence: single events, proofs, verification, checkpoints, audit packages.

use super::Params;
use crate::app::{App, Audit};
use crate::dto;
use crate::error::ApiError;
use crate::view::event::row;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{StatusCode, header};
use lem_ledger::verify::{Verdict, verify as recompute};
use lem_ledger::{Filter, LedgerError, SignedCheckpoint, audit};
use lem_model::Seq;
use serde::Deserialize;
use std::io::{BufWriter, Seek, SeekFrom};
use std::time::Instant;
use tokio::sync::SemaphorePermit;
use tokio_util::io::ReaderStream;

/// Verifications and exports at a time: each reads the whole ledger.
pub const WHOLE_READS_MAX: usize = 2;
/// Seconds after which a refused one may be tried again.
const RETRY_S: u64 = 10;

fn on_disk(app: &App) -> Result<&Audit, ApiError> {
    app.parts.audit.as_ref().ok_or_else(|| ApiError::absent("the ledger on disk"))
}

fn whole_read(app: &App) -> Result<SemaphorePermit<'_>, ApiError> {
    app.whole_reads.try_acquire().map_err(|_| {
        let detail = format!("{WHOLE_READS_MAX} verifications or exports are under way, which is the limit");
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail).retry_after_s(RETRY_S)
    })
}

pub(crate) async fn event(State(app): State<App>, Path(seq): Path<Seq>) -> Result<Json<dto::EventRow>, ApiError> {
    let found = app.parts.log.read(seq, &Filter::all(), 1).await?;
    let found = found.iter().find(|event| event.seq == seq).map(row);
    found.map(Json).ok_or_else(|| ApiError::missing("event", &seq.to_string()))
}

pub(crate) async fn proof(State(app): State<App>, Path(seq): Path<Seq>) -> Result<Json<dto::EventProof>, ApiError> {
    let file = on_disk(&app)?.ledger.proof_file(seq).await?;
    Ok(Json(dto::EventProof { proof: file.to_string(), checkpoint: file.checkpoint.note }))
}

pub(crate) async fn info(State(app): State<App>) -> Result<Json<dto::LedgerInfo>, ApiError> {
    let size = app.parts.log.size().await?;
    let Some(audit) = &app.parts.audit else {
        let database = "in memory".to_owned();
        return Ok(Json(dto::LedgerInfo { size, root: None, checkpoint: None, public_key: None, database }));
    };
    let checkpoint = last_checkpoint(audit).await?;
    Ok(Json(dto::LedgerInfo {
        size,
        root: checkpoint.as_ref().map(|c| BASE64_STANDARD.encode(c.root)),
        checkpoint: checkpoint.map(|c| c.note),
        public_key: Some(audit.ledger.public_key().to_string()),
        database: audit.database.clone(),
    }))
}

/// The last one that was signed; none before the first.
async fn last_checkpoint(audit: &Audit) -> Result<Option<SignedCheckpoint>, ApiError> {
    match tokio::fs::read_to_string(audit.ledger.tiles().join("checkpoint")).await {
        Ok(note) => Ok(Some(SignedCheckpoint::parse(&note)?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ApiError::internal("reading the last checkpoint", &error)),
    }
}

pub(crate) async fn verify(State(app): State<App>) -> Result<Json<dto::Verification>, ApiError> {
    let audit = on_disk(&app)?;
    let _reading = whole_read(&app)?;
    let started = Instant::now();
    let size = app.parts.log.size().await?;
    let verdict = recompute(&audit.options, &[]).await?;
    let (events, first_bad, why) = match verdict {
        Verdict::Intact { size, .. } => (size, None, None),
        Verdict::Tampered { first_bad, why } => (size, Some(first_bad), Some(why)),
        Verdict::Unreadable { from, to, why } => {
            (size, Some(from), Some(format!("events {from} to {to} cannot be read: {why}")))
        }
    };
    let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(Json(dto::Verification { verified: first_bad.is_none(), events, first_bad, why, took_ms }))
}

pub(crate) async fn checkpoint(State(app): State<App>) -> Result<Json<dto::Checkpoint>, ApiError> {
    let signed = app.parts.log.checkpoint().await?;
    Ok(Json(dto::Checkpoint { size: signed.size, root: BASE64_STANDARD.encode(signed.root), checkpoint: signed.note }))
}

#[derive(Deserialize)]
pub(crate) struct Package {
    chain: Option<String>,
}

pub(crate) async fn export(State(app): State<App>, Params(q): Params<Package>) -> Result<Response, ApiError> {
    let audit = on_disk(&app)?;
    let _reading = whole_read(&app)?;
    let failed = |e: std::io::Error| ApiError::internal("writing an audit package", &e);
    let file = tempfile::tempfile().map_err(failed)?;
    let out = BufWriter::new(file.try_clone().map_err(failed)?);
    let filter = Filter { chain: q.chain, ..Filter::all() };
    audit::export(&audit.ledger, &filter, out).await.map_err(|error| match error {
        LedgerError::TooMuch { .. } => ApiError::from(error).hint("export one commit with `chain`"),
        error => error.into(),
    })?;
    let mut file = file;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let body = Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file)));
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"ledger.tar\""),
    ];
    Ok((headers, body).into_response())
}
