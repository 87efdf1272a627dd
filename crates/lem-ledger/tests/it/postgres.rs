//! A real PostgreSQL for tests: the one of `LEM_TEST_POSTGRES_URL`, or a throw-away one of `scripts/postgres.sh`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// A running server; stopped and deleted when the last test of this process is done with it.
pub(crate) struct Server {
    url: String,
    dir: Option<PathBuf>,
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scripts/postgres.sh")
}

/// A server, or a line saying why there is none.
pub(crate) fn server() -> Option<Server> {
    if let Ok(url) = std::env::var("LEM_TEST_POSTGRES_URL") {
        return Some(Server { url, dir: None });
    }
    let out = Command::new("bash").arg(script()).arg("start").output().unwrap();
    if !out.status.success() {
        println!("skipped: no PostgreSQL: {}", String::from_utf8_lossy(&out.stderr).trim());
        return None;
    }
    let text = String::from_utf8(out.stdout).unwrap();
    let value = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)).unwrap().to_owned();
    Some(Server { url: value("url="), dir: Some(value("dir=").into()) })
}

static SCHEMAS: Mutex<u32> = Mutex::new(0);

impl Server {
    /// URL of a schema of its own.
    pub(crate) async fn schema(&self) -> String {
        use sqlx::Connection as _;
        let n = {
            let mut n = SCHEMAS.lock().unwrap();
            *n += 1;
            *n
        };
        let name = format!("t{}_{n}", std::process::id());
        let mut db = sqlx::PgConnection::connect(&self.url).await.unwrap();
        let make = format!("CREATE SCHEMA {name}");
        sqlx::query(sqlx::AssertSqlSafe(make)).execute(&mut db).await.unwrap();
        let joint = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{joint}options=-c%20search_path%3D{name}", self.url)
    }

    /// Stops or starts it without mercy; only for a server of our own.
    pub(crate) fn control(&self, what: &str) -> bool {
        let Some(dir) = &self.dir else { return false };
        Command::new("bash").arg(script()).arg(what).arg(dir).status().unwrap().success()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control("stop");
    }
}
