//! PostgreSQL: an advisory lock makes one writer of many processes, NOTIFY wakes the readers of the others.

use super::{Db, LOOK, Marks, Row, Transaction, Value, Words, bind};
use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Column as _, Postgres, Row as _, TypeInfo as _, ValueRef as _};
use std::str::FromStr as _;
use std::time::Duration;
use tokio::sync::Mutex;

/// Connections at once, the writing one among them.
const CONNECTIONS: u32 = 6;
/// How long to wait for a connection before the caller's retry takes over.
const ACQUIRE: Duration = Duration::from_secs(3);
/// Channel of NOTIFY.
const CHANNEL: &str = "lem_ledger";
/// Key of the advisory lock: the letters `lem1`.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtext(current_schema())::bigint + 1818586417)";

pub(crate) struct PostgresDb {
    address: String,
    pool: PgPool,
    listener: Mutex<Option<PgListener>>,
}

impl PostgresDb {
    pub(crate) async fn open(url: &str) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_str(url)?;
        let address = format!("postgres://{}/{}", options.get_host(), options.get_database().unwrap_or(""));
        let pool =
            PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE).connect_with(options).await?;
        Ok(Self { address, pool, listener: Mutex::new(None) })
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

#[async_trait]
impl Db for PostgresDb {
    async fn fetch(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, sqlx::Error> {
        let rows = bind!(sqlx::query(AssertSqlSafe(sql)), args).fetch_all(&self.pool).await?;
        rows.iter().map(row).collect()
    }

    async fn begin(&self) -> Result<Box<dyn Transaction>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(LOCK).execute(&mut *transaction).await?;
        Ok(Box::new(PostgresTransaction(transaction)))
    }

    async fn elsewhere(&self) {
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

    async fn close(&self) {
        self.pool.close().await;
    }

    // Class 08 connection exception, 57P0x shutdown and start-up, 40 rollback, 53300 too many connections.
    fn is_passing(&self, error: &sqlx::Error) -> bool {
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

    fn is_full(&self, error: &sqlx::Error) -> bool {
        error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "53100")
    }

    fn words(&self) -> Words {
        Words {
            key: "BIGINT PRIMARY KEY",
            text: "TEXT COLLATE \"C\"",
            blob: "BYTEA",
            tables: "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()",
            marks: Marks::Numbered,
        }
    }

    fn address(&self) -> &str {
        &self.address
    }
}

struct PostgresTransaction(sqlx::Transaction<'static, Postgres>);

#[async_trait]
impl Transaction for PostgresTransaction {
    async fn run(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, sqlx::Error> {
        Ok(bind!(sqlx::query(AssertSqlSafe(sql)), args).execute(&mut *self.0).await?.rows_affected())
    }

    async fn fetch(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, sqlx::Error> {
        let rows = bind!(sqlx::query(AssertSqlSafe(sql)), args).fetch_all(&mut *self.0).await?;
        rows.iter().map(row).collect()
    }

    async fn commit(mut self: Box<Self>) -> Result<(), sqlx::Error> {
        sqlx::query("NOTIFY lem_ledger").execute(&mut *self.0).await?;
        self.0.commit().await
    }
}
