//! The task that writes tiles behind the writer's back: they are rebuildable, so no append waits for them.

use crate::db::{Db, Value};
use crate::leaf::Stored;
use crate::tiles::{self, Tiles};
use crate::tree::{Hash, TILE, Tree};
use crate::{LedgerError, SignedCheckpoint, sql};
use lem_model::Seq;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Rows read at once while catching up.
const PAGE: u64 = 4096;

enum Message {
    Leaves(Vec<(Seq, String, Hash)>),
    Checkpoint(SignedCheckpoint),
    Settle(oneshot::Sender<()>),
}

/// Handle of the task.
pub(crate) struct Tiler {
    messages: mpsc::UnboundedSender<Message>,
}

impl Tiler {
    /// Starts at the last tile the checkpoint on disk vouches for, or anew when there is none.
    pub(crate) fn start(db: Arc<dyn Db>, tree: &Tree, dir: PathBuf, may_write: bool) -> Self {
        let (messages, inbox) = mpsc::unbounded_channel();
        let written = tiles::checkpoint(&dir).ok().flatten().map_or(0, |c| c.size.min(tree.size()) / TILE);
        let tiles = Tiles::resume(dir, &tree.nodes()[..written as usize]);
        if may_write {
            tokio::spawn(run(db, tiles, inbox));
        }
        Self { messages }
    }

    pub(crate) fn leaves(&self, leaves: Vec<(Seq, String, Hash)>) {
        let _ = self.messages.send(Message::Leaves(leaves));
    }

    pub(crate) fn checkpoint(&self, checkpoint: SignedCheckpoint) {
        let _ = self.messages.send(Message::Checkpoint(checkpoint));
    }

    /// Waits until all so far is written.
    pub(crate) async fn settle(&self) {
        let (done, settled) = oneshot::channel();
        if self.messages.send(Message::Settle(done)).is_ok() {
            let _ = settled.await;
        }
    }
}

async fn run(db: Arc<dyn Db>, mut tiles: Tiles, mut inbox: mpsc::UnboundedReceiver<Message>) {
    while let Some(message) = inbox.recv().await {
        let result = match message {
            Message::Settle(done) => {
                let _ = done.send(());
                continue;
            }
            Message::Leaves(leaves) => take(db.as_ref(), &mut tiles, leaves).await,
            Message::Checkpoint(checkpoint) => publish(db.as_ref(), &mut tiles, &checkpoint).await,
        };
        if let Err(error) = result {
            tracing::error!(%error, "tiles are behind; they are written again later");
        }
    }
}

async fn take(db: &dyn Db, tiles: &mut Tiles, leaves: Vec<(Seq, String, Hash)>) -> Result<(), LedgerError> {
    if let Some((first, _, _)) = leaves.first() {
        catch_up(db, tiles, *first).await?;
    }
    for (seq, leaf, hash) in leaves {
        if seq >= tiles.size() {
            catch_up(db, tiles, seq).await?;
            tiles.push(leaf.as_bytes(), hash)?;
        }
    }
    Ok(())
}

async fn publish(db: &dyn Db, tiles: &mut Tiles, checkpoint: &SignedCheckpoint) -> Result<(), LedgerError> {
    catch_up(db, tiles, checkpoint.size).await?;
    tiles.publish(checkpoint)
}

/// Reads from the rows what was not handed over: after a start, and what another process appended.
async fn catch_up(db: &dyn Db, tiles: &mut Tiles, to: Seq) -> Result<(), LedgerError> {
    while tiles.size() < to {
        let from = tiles.size();
        let text = format!("SELECT {} FROM events WHERE seq >= $1 AND seq < $2 ORDER BY seq", sql::COLUMNS);
        let args = vec![Value::Int(from as i64), Value::Int((from + PAGE).min(to) as i64)];
        let rows = db
            .fetch(&text, args)
            .await
            .map_err(|e| LedgerError::Database { doing: "reading rows for tiles", source: Arc::new(e) })?;
        if rows.is_empty() {
            return Err(LedgerError::malformed(format!("event {from}"), "missing"));
        }
        for row in rows {
            let row = Stored::of(row);
            let leaf = row.leaf();
            tiles.push(leaf.as_bytes(), crate::tree::leaf_hash(leaf.as_bytes()))?;
        }
    }
    Ok(())
}
