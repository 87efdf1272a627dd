//! PostgreSQL: an advisory lock makes one writer of many processes, NOTIFY wakes the readers of the others.

use super::{Db, DbError, LOOK, Row, Transaction, Value, Words};
use crate::sql;
use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgListener, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column as _, Postgres, Row as _, TypeInfo as _, ValueRef as _};
use std::str::FromStr as _;
use std::time::Duration;
use tokio::sync::{Mutex, watch};

/// Connections at once, the writing one among them.
const CONNECTIONS: u32 = 6;
/// How long to wait for a connection before the caller's retry takes over.
const ACQUIRE: Duration = Duration::from_secs(3);
/// Channel of NOTIFY.
const CHANNEL: &str = "lem_ledger";
/// Key of the advisory lock: the letters `lem1`.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext(current_schema())::bigint + 1818586417)";

/// Rows per statement, so that few statements are prepared: the largest that fits is used again and again.
const STEPS: &[usize] = &[256, 32, 4, 1];

/// The steps in which `n` rows are sent.
fn steps(n: usize) -> impl Iterator<Item = usize> {
    let mut left = n;
    std::iter::from_fn(move || {
        let step = *STEPS.iter().find(|step| **step <= left)?;
        left -= step;
        Some(step)
    })
}

fn query(sql: &str, args: impl IntoIterator<Item = Value>) -> Query<'_, Postgres, PgArguments> {
    args.into_iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, value| match value {
        Value::Null => query.bind(None::<String>),
        Value::Int(i) => query.bind(i),
        Value::Text(t) => query.bind(t),
        Value::Blob(b) => query.bind(b),
    })
}

pub(crate) struct PostgresDb {
    address: String,
    pool: PgPool,
    listener: Mutex<Option<PgListener>>,
    closing: watch::Sender<bool>,
}

impl PostgresDb {
    pub(crate) async fn open(url: &str) -> Result<Self, DbError> {
        let options = PgConnectOptions::from_str(url)?;
        let address = format!("postgres://{}/{}", options.get_host(), options.get_database().unwrap_or(""));
        let pool =
            PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE).connect_with(options).await?;
        Ok(Self { address, pool, listener: Mutex::new(None), closing: watch::Sender::new(false) })
    }
}

fn row(row: &PgRow) -> Result<Row, sqlx::Error> {
    (0..row.len()).map(|i| column(row, i)).collect()
}

fn column(row: &PgRow, i: usize) -> Result<Value, sqlx::Error> {
    if row.try_get_raw(i)?.is_null() {
        return Ok(Value::Null);
    }
    match row.column(i).type_info().name() {
        "INT8" => row.try_get(i).map(Value::Int),
        "INT4" => row.try_get::<i32, _>(i).map(|v| Value::Int(v.into())),
        "BYTEA" => row.try_get(i).map(Value::Blob),
        _ => row.try_get(i).map(Value::Text),
    }
}

impl PostgresDb {
    async fn notified(&self) {
        let mut listener = self.listener.lock().await;
        if listener.is_none() {
            if let Ok(mut fresh) = PgListener::connect_with(&self.pool).await
                && fresh.listen(CHANNEL).await.is_ok()
            {
                *listener = Some(fresh);
            }
            // What came before we listened is seen by looking once now.
            if listener.is_none() {
                tokio::time::sleep(LOOK).await;
            }
            return;
        }
        if let Some(open) = listener.as_mut()
            && open.recv().await.is_err()
        {
            *listener = None;
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[async_trait]
impl Db for PostgresDb {
    async fn fetch(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let rows = query(sql, args).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, DbError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(LOCK).execute(&mut *transaction).await?;
        Ok(Box::new(PostgresTransaction(transaction)))
    }

    async fn elsewhere(&self) {
        let mut closing = self.closing.subscribe();
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => {}
            () = self.notified() => {}
        }
    }

    // The listener holds a connection and may be on its way to a new one: it lets go first, and nobody waits for ever.
    async fn close(&self) {
        self.closing.send_replace(true);
        if let Ok(mut listener) = tokio::time::timeout(ACQUIRE, self.listener.lock()).await {
            *listener = None;
        }
        if tokio::time::timeout(ACQUIRE, self.pool.close()).await.is_err() {
            tracing::warn!("a connection to the ledger's database did not end in time; it ends with the program");
        }
    }

    // Class 08 connection exception, 57P0x shutdown and start-up, 40 rollback, 53300 too many connections.
    fn is_passing(&self, error: &DbError) -> bool {
        let DbError::Postgres(error) = error else { return false };
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
                true
            }
            sqlx::Error::Database(error) => error.code().is_some_and(|code| {
                code.starts_with("08") || code.starts_with("57P0") || code.starts_with("40") || code == "53300"
            }),
            _ => false,
        }
    }

    fn is_full(&self, error: &DbError) -> bool {
        let DbError::Postgres(error) = error else { return false };
        error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "53100")
    }

    fn words(&self) -> Words {
        Words {
            key: "BIGINT PRIMARY KEY",
            text: "TEXT COLLATE \"C\"",
            blob: "BYTEA",
            tables: "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()",
        }
    }

    fn address(&self) -> &str {
        &self.address
    }
}

struct PostgresTransaction(sqlx::Transaction<'static, Postgres>);

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn run(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, DbError> {
        Ok(query(sql, args).execute(&mut *self.0).await?.rows_affected())
    }

    async fn fetch(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, DbError> {
        let rows = query(sql, args).fetch_all(&mut *self.0).await?;
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    async fn insert(&mut self, rows: Vec<Row>) -> Result<(), DbError> {
        let count = rows.len();
        let mut rest = rows.into_iter();
        for step in steps(count) {
            let sql = format!("INSERT INTO events ({}) VALUES {}", sql::COLUMNS, sql::tuples(step, sql::WIDTH));
            query(&sql, rest.by_ref().take(step).flatten()).execute(&mut *self.0).await?;
        }
        Ok(())
    }

    async fn existing(&mut self, pairs: Vec<[Value; 2]>) -> Result<Vec<Row>, DbError> {
        let (count, mut found) = (pairs.len(), Vec::new());
        let mut rest = pairs.into_iter();
        for step in steps(count) {
            let sql = format!("{} IN (VALUES {})", sql::EXISTING, sql::tuples(step, 2));
            found.extend(self.fetch(&sql, rest.by_ref().take(step).flatten().collect()).await?);
        }
        Ok(found)
    }

    async fn commit(mut self: Box<Self>) -> Result<(), DbError> {
        sqlx::query("NOTIFY lem_ledger").execute(&mut *self.0).await?;
        Ok(self.0.commit().await?)
    }
}
