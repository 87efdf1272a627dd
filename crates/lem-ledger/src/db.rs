//! The two databases, reduced to what the ledger's one SQL text needs of them.

use async_trait::async_trait;
use std::time::Duration;
use thiserror::Error;

pub(crate) mod postgres;
pub(crate) mod sqlite;

/// What a database says when it refuses.
#[derive(Debug, Error)]
pub enum DbError {
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL.
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
    /// A value that no column of ours has.
    #[error("column {column} is {found}")]
    Column {
        /// Which.
        column: String,
        /// What it is instead.
        found: String,
    },
    /// Its connections are closed.
    #[error("the connection is closed")]
    Closed,
}

/// A column or argument.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Value {
    pub(crate) fn int(&self) -> i64 {
        if let Self::Int(i) = self { *i } else { 0 }
    }
    pub(crate) fn text(self) -> String {
        if let Self::Text(t) = self { t } else { String::new() }
    }
    pub(crate) fn maybe_text(self) -> Option<String> {
        if let Self::Text(t) = self { Some(t) } else { None }
    }
    pub(crate) fn blob(self) -> Vec<u8> {
        match self {
            Self::Blob(b) => b,
            Self::Text(t) => t.into_bytes(),
            _ => Vec::new(),
        }
    }
    pub(crate) fn maybe_blob(self) -> Option<Vec<u8>> {
        if let Self::Blob(b) = self { Some(b) } else { None }
    }
}

/// A row of an answer.
pub(crate) type Row = Vec<Value>;

/// A database: many readers, one writer.
#[async_trait]
pub(crate) trait Db: Send + Sync {
    /// Reads in no transaction.
    async fn fetch(&self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, DbError>;
    /// Starts a transaction that holds the ledger's one write lock.
    async fn begin(&self) -> Result<Box<dyn Transaction>, DbError>;
    /// Returns when another process may have appended.
    async fn elsewhere(&self);
    /// Whether this is an ordinary failure of the connection, which a new connection may cure.
    fn is_passing(&self, error: &DbError) -> bool;
    /// Whether there is no room left.
    fn is_full(&self, error: &DbError) -> bool;
    /// How this database writes the placeholders of [`crate::sql::SCHEMA`].
    fn words(&self) -> Words;
    /// Ends all connections once their work is done.
    async fn close(&self);
    /// Address without password.
    fn address(&self) -> &str;
}

/// A write transaction; dropping it rolls back.
#[async_trait]
pub(crate) trait Transaction: Send {
    async fn run(&mut self, sql: &str, args: Vec<Value>) -> Result<u64, DbError>;
    async fn fetch(&mut self, sql: &str, args: Vec<Value>) -> Result<Vec<Row>, DbError>;
    /// Inserts rows of [`crate::sql::COLUMNS`].
    async fn insert(&mut self, rows: Vec<Row>) -> Result<(), DbError>;
    /// Rows of [`crate::sql::EXISTING`] that have one of these pairs of id and source.
    async fn existing(&mut self, pairs: Vec<[Value; 2]>) -> Result<Vec<Row>, DbError>;
    async fn commit(self: Box<Self>) -> Result<(), DbError>;
}

/// The few words in which the schema differs.
pub(crate) struct Words {
    pub(crate) key: &'static str,
    pub(crate) text: &'static str,
    pub(crate) blob: &'static str,
    /// Names of all tables there are.
    pub(crate) tables: &'static str,
}

/// How often to look for what another process appended, where nothing tells us.
pub(crate) const LOOK: Duration = Duration::from_millis(500);
