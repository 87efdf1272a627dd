//! SQLite: write-ahead log, every commit synchronised to disk, one writing connection, several reading ones.

use super::{Db, LOOK, Marks, Row, Transaction, Value, Words, bind};
use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Column as _, Row as _, Sqlite, TypeInfo as _, ValueRef as _};
use std::path::Path;
use std::time::Duration;

/// Readers at once.
const READERS: u32 = 4;
/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(10);

pub(crate) struct SqliteDb {
    address: String,
    writer: SqlitePool,
    readers: SqlitePool,
}

/// Rows a connection reads ahead of who takes them: waking each other for every few rows costs more than reading them.
const ROWS_AHEAD: usize = 1024;

/// Whether a missing file is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    Create,
    ReadOnly,
}

impl SqliteDb {
    pub(crate) async fn open(path: &Path, open: Open, max_pages: Option<u32>) -> Result<Self, sqlx::Error> {
        let base = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY)
            .pragma("cache_size", "-16000")
            .row_buffer_size(ROWS_AHEAD);
        let readers = |options| SqlitePoolOptions::new().max_connections(READERS).connect_with(options);
        let address = format!("sqlite:{}", path.display());
        if open == Open::ReadOnly {
            let pool = readers(base.read_only(true)).await?;
            return Ok(Self { address, writer: pool.clone(), readers: pool });
        }
        let mut writing = base
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "ON");
        if let Some(pages) = max_pages {
            writing = writing.pragma("max_page_count", pages.to_string());
        }
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(writing).await?;
        let readers = readers(base).await?;
        Ok(Self { address, writer, readers })
    }
}

fn row(row: &SqliteRow) -> Result<Row, sqlx::Error> {
    (0..row.len()).map(|i| column(row, i)).collect()
}

fn column(row: &SqliteRow, i: usize) -> Result<Value, sqlx::Error> {
    let raw = row.try_get_raw(i)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    // The type of the value, not of the column: SQLite keeps a type per value, and a flipped byte may change it.
    let kind = match raw.type_info().name() {
        "INTEGER" | "BOOLEAN" => Kind::Int,
        "TEXT" | "DATETIME" | "DATE" | "TIME" => Kind::Text,
        "BLOB" => Kind::Blob,
        other => {
            return Err(sqlx::Error::ColumnDecode {
                index: row.column(i).name().to_owned(),
                source: format!("stored as {other}").into(),
            });
        }
    };
    drop(raw);
    match kind {
        Kind::Int => row.try_get_unchecked(i).map(Value::Int),
        Kind::Text => row.try_get_unchecked(i).map(Value::Text),
        Kind::Blob => row.try_get_unchecked(i).map(Value::Blob),
    }
}

/// What a value is stored as.
enum Kind {
    Int,
    Text,
    Blob,
}

fn code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse::<i32>().ok().map(|extended| extended & 0xff)
}

#[async_trait]
impl Db for SqliteDb {
    async fn fetch(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, sqlx::Error> {
        let rows = bind!(sqlx::query(AssertSqlSafe(sql)), args).fetch_all(&self.readers).await?;
        rows.iter().map(row).collect()
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, sqlx::Error> {
        Ok(Box::new(SqliteTransaction(self.writer.begin_with("BEGIN IMMEDIATE").await?)))
    }

    async fn elsewhere(&self) {
        tokio::time::sleep(LOOK).await;
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    // https://www.sqlite.org/rescode.html: BUSY 5, LOCKED 6.
    fn is_passing(&self, error: &sqlx::Error) -> bool {
        matches!(code(error), Some(5 | 6)) || matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed)
    }

    // FULL 13; IOERR_WRITE is what some file systems say when a quota is reached.
    fn is_full(&self, error: &sqlx::Error) -> bool {
        code(error) == Some(13) || error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "778")
    }

    fn words(&self) -> Words {
        Words {
            key: "INTEGER PRIMARY KEY",
            text: "TEXT",
            blob: "BLOB",
            tables: "SELECT name FROM sqlite_master WHERE type = 'table'",
            marks: Marks::Plain,
        }
    }

    fn address(&self) -> &str {
        &self.address
    }
}

struct SqliteTransaction(sqlx::Transaction<'static, Sqlite>);

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn run(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, sqlx::Error> {
        Ok(bind!(sqlx::query(AssertSqlSafe(sql)), args).execute(&mut *self.0).await?.rows_affected())
    }

    async fn fetch(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, sqlx::Error> {
        let rows = bind!(sqlx::query(AssertSqlSafe(sql)), args).fetch_all(&mut *self.0).await?;
        rows.iter().map(row).collect()
    }

    async fn commit(self: Box<Self>) -> Result<(), sqlx::Error> {
        self.0.commit().await
    }
}
