//! SQLite: write-ahead log, every commit synchronised to disk, one writing connection, several reading ones. The library
//! blocks, so its calls run on threads that may.

use super::{Db, DbError, LOOK, Row, Transaction, Value, Words};
use crate::sql;
use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement, ToSql, params_from_iter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Readers at once.
const READERS: u32 = 4;
/// How long to wait for another process that writes.
const BUSY: Duration = Duration::from_secs(10);
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 64;
/// Page cache of a connection, in KiB, as SQLite's `cache_size` counts it.
const CACHE: i64 = -16_000;

/// Whether a missing file is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    Create,
    ReadOnly,
}

/// How a connection of a pool is opened.
#[derive(Clone)]
struct How {
    path: PathBuf,
    flags: OpenFlags,
    /// For the writing one: pages the file may have, or no limit.
    writes: Option<Option<u32>>,
}

impl How {
    fn open(&self) -> Result<Connection, rusqlite::Error> {
        let connection = Connection::open_with_flags(&self.path, self.flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.pragma_update(None, "cache_size", CACHE)?;
        if let Some(max_pages) = self.writes {
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?;
            if let Some(pages) = max_pages {
                connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
            }
        }
        Ok(connection)
    }
}

/// Connections that are lent to one user each. One that was lost with its user is opened again.
struct Pool {
    how: How,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    size: u32,
}

impl Pool {
    /// With one connection open, so that what cannot be opened is known now.
    async fn open(how: How, size: u32) -> Result<Arc<Self>, DbError> {
        let first = how.clone();
        let first = blocking(move || first.open()).await??;
        let permits = Arc::new(Semaphore::new(size as usize));
        Ok(Arc::new(Self { how, idle: Mutex::new(vec![first]), permits, size }))
    }

    async fn take(self: &Arc<Self>) -> Result<Lent, DbError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| DbError::Closed)?;
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let how = self.how.clone();
                blocking(move || how.open()).await??
            }
        };
        Ok(Lent { connection: Some(connection), home: Arc::clone(self), _permit: permit })
    }

    /// Waits for those that are lent.
    async fn close(&self) {
        let all = self.permits.acquire_many(self.size).await;
        self.permits.close();
        drop(all);
        self.idle.lock().clear();
    }
}

/// A connection on loan: it goes home when dropped, before the permit does.
struct Lent {
    connection: Option<Connection>,
    home: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    /// Runs on a thread that may block. Whoever stops waiting loses the connection, not the work under way.
    async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let connection = self.connection.take().ok_or(DbError::Closed)?;
        let (connection, result) = blocking(move || {
            let result = work(&connection);
            (connection, result)
        })
        .await?;
        self.connection = Some(connection);
        result
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && (connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok())
        {
            self.home.idle.lock().push(connection);
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, DbError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        // The program ends, and whoever waits here is about to be dropped with it: there is nobody to tell.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(_) => Err(DbError::Closed),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(i) => ValueRef::Integer(*i),
            Self::Text(t) => ValueRef::Text(t.as_bytes()),
            Self::Blob(b) => ValueRef::Blob(b),
        }))
    }
}

fn read(statement: &mut Statement<'_>, args: &[Value], into: &mut Vec<Row>) -> Result<(), DbError> {
    let columns = statement.column_count();
    let mut rows = statement.query(params_from_iter(args))?;
    while let Some(row) = rows.next()? {
        let values = (0..columns).map(|i| {
            let named = |found: &str| DbError::Column {
                column: row.as_ref().column_name(i).unwrap_or_default().to_owned(),
                found: found.to_owned(),
            };
            // The type of the value, not of the column: SQLite keeps a type per value, and a flipped byte may change it.
            match row.get_ref(i)? {
                ValueRef::Null => Ok(Value::Null),
                ValueRef::Integer(v) => Ok(Value::Int(v)),
                ValueRef::Text(v) => match std::str::from_utf8(v) {
                    Ok(text) => Ok(Value::Text(text.to_owned())),
                    Err(_) => Err(named("text that is not UTF-8")),
                },
                ValueRef::Blob(v) => Ok(Value::Blob(v.to_vec())),
                ValueRef::Real(_) => Err(named("stored as a floating-point number")),
            }
        });
        into.push(values.collect::<Result<_, DbError>>()?);
    }
    Ok(())
}

fn fetch(connection: &Connection, sql: &str, args: &[Value]) -> Result<Vec<Row>, DbError> {
    let mut rows = Vec::new();
    read(&mut *connection.prepare_cached(sql)?, args, &mut rows)?;
    Ok(rows)
}

fn failure(error: &DbError) -> Option<rusqlite::ffi::Error> {
    if let DbError::Sqlite(error) = error { error.sqlite_error().copied() } else { None }
}

/// Whether the file is something else.
pub(crate) fn is_foreign(error: &DbError) -> bool {
    failure(error).is_some_and(|e| e.code == ErrorCode::NotADatabase)
}

pub(crate) struct SqliteDb {
    address: String,
    writer: Option<Arc<Pool>>,
    readers: Arc<Pool>,
}

impl SqliteDb {
    pub(crate) async fn open(path: &Path, open: Open, max_pages: Option<u32>) -> Result<Self, DbError> {
        let address = format!("sqlite:{}", path.display());
        let how = |flags, writes| How { path: path.to_owned(), flags, writes };
        let writer = match open {
            Open::ReadOnly => None,
            Open::Create => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
                Some(Pool::open(how(flags, Some(max_pages)), 1).await?)
            }
        };
        let readers = Pool::open(how(OpenFlags::SQLITE_OPEN_READ_ONLY, None), READERS).await?;
        Ok(Self { address, writer, readers })
    }
}

#[async_trait]
impl Db for SqliteDb {
    async fn fetch(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let sql = sql.to_owned();
        self.readers.take().await?.run(move |connection| fetch(connection, &sql, &args)).await
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, DbError> {
        let mut lent = self.writer.as_ref().ok_or(DbError::Closed)?.take().await?;
        lent.run(|connection| Ok(connection.execute_batch("BEGIN IMMEDIATE")?)).await?;
        Ok(Box::new(SqliteTransaction(lent)))
    }

    async fn elsewhere(&self) {
        tokio::time::sleep(LOOK).await;
    }

    async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }

    fn is_passing(&self, error: &DbError) -> bool {
        failure(error).is_some_and(|e| matches!(e.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    // IOERR_WRITE is what some file systems say when a quota is reached.
    fn is_full(&self, error: &DbError) -> bool {
        failure(error)
            .is_some_and(|e| e.code == ErrorCode::DiskFull || e.extended_code == rusqlite::ffi::SQLITE_IOERR_WRITE)
    }

    fn words(&self) -> Words {
        Words {
            key: "INTEGER PRIMARY KEY",
            text: "TEXT",
            blob: "BLOB",
            tables: "SELECT name FROM sqlite_master WHERE type = 'table'",
        }
    }

    fn address(&self) -> &str {
        &self.address
    }
}

struct SqliteTransaction(Lent);

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn run(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, DbError> {
        let sql = sql.to_owned();
        self.0
            .run(move |connection| Ok(connection.prepare_cached(&sql)?.execute(params_from_iter(&args))? as u64))
            .await
    }

    async fn fetch(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let sql = sql.to_owned();
        self.0.run(move |connection| fetch(connection, &sql, &args)).await
    }

    async fn insert(&mut self, rows: Vec<Row>) -> Result<(), DbError> {
        self.0
            .run(move |connection| {
                let sql = format!("INSERT INTO events ({}) VALUES {}", sql::COLUMNS, sql::tuples(1, sql::WIDTH));
                let mut statement = connection.prepare_cached(&sql)?;
                for row in &rows {
                    statement.execute(params_from_iter(row))?;
                }
                Ok(())
            })
            .await
    }

    async fn existing(&mut self, pairs: Vec<[Value; 2]>) -> Result<Vec<Row>, DbError> {
        self.0
            .run(move |connection| {
                let mut statement = connection.prepare_cached(&format!("{} = ($1, $2)", sql::EXISTING))?;
                let mut rows = Vec::new();
                for pair in &pairs {
                    read(&mut statement, pair, &mut rows)?;
                }
                Ok(rows)
            })
            .await
    }

    async fn commit(mut self: Box<Self>) -> Result<(), DbError> {
        self.0.run(|connection| Ok(connection.execute_batch("COMMIT")?)).await
    }
}
