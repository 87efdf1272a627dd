//! From a socket to handlers: accepts, limits, and ends gracefully.

use crate::app::{App, ServerParts, Settings};
use crate::error::ServerError;
use crate::router::router;
use crate::subscriptions::Subscriptions;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections at a time; more wait until one ends.
pub const CONNECTIONS_MAX: usize = 1024;
/// How long a client may take to send the head of a request, and may keep a connection open without one.
pub const HEADERS_WITHIN: Duration = Duration::from_secs(30);
/// How long requests under way may take to end once the server is told to stop.
pub const SHUTDOWN_WITHIN: Duration = Duration::from_secs(5);
/// Wait after the system could not accept, out of file descriptors for example.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// Takes an address, so that whoever wires the loop can say early that it is taken.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| ServerError::Listen { address, source })
}

/// A server that listens and is ready to serve.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: App,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Takes an address and puts a server on it.
    pub async fn bind(address: SocketAddr, parts: ServerParts, settings: Settings) -> Result<Self, ServerError> {
        Self::on(listen(address).await?, parts, settings)
    }

    /// Puts a server on a listener; webhooks begin again where they stood.
    pub fn on(listener: TcpListener, parts: ServerParts, settings: Settings) -> Result<Self, ServerError> {
        let address = listener.local_addr().map_err(ServerError::Accept)?;
        let subscriptions = Subscriptions::open(Arc::clone(&parts.log), settings.subscriptions.clone())?;
        Ok(Self { listener, address, app: App::new(parts, settings, subscriptions) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop: then live streams end, and requests under way have [`SHUTDOWN_WITHIN`].
    pub async fn serve(self, cancel: CancellationToken) -> Result<(), ServerError> {
        // So that the first page knows it.
        let _not_yet = self.app.costs();
        let service = TowerToHyperService::new(router(self.app.clone()));
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
        builder.http2().timer(TokioTimer::new());
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let place = tokio::select! {
                () = cancel.cancelled() => break,
                place = Arc::clone(&places).acquire_owned() => place.expect("the semaphore is never closed"),
            };
            let stream = tokio::select! {
                () = cancel.cancelled() => break,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        give_way(&error).await?;
                        continue;
                    }
                },
            };
            self.app.counters.connections.fetch_add(1, Relaxed);
            let connection = builder.serve_connection_with_upgrades(io_of(stream), service.clone()).into_owned();
            let connection = graceful.watch(connection);
            tokio::spawn(async move {
                let _place = place;
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended early");
                }
            });
        }
        drop(self.listener);
        self.app.closing.cancel();
        if tokio::time::timeout(SHUTDOWN_WITHIN, graceful.shutdown()).await.is_err() {
            tracing::warn!("requests under way did not end within {} s", SHUTDOWN_WITHIN.as_secs());
        }
        Ok(())
    }
}

fn io_of(stream: TcpStream) -> TokioIo<TcpStream> {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps small answers back");
    }
    TokioIo::new(stream)
}

/// What one client did is no reason to stop; what the system cannot do now it may do later.
async fn give_way(error: &io::Error) -> Result<(), ServerError> {
    match error.kind() {
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => {}
        io::ErrorKind::InvalidInput | io::ErrorKind::NotConnected => {
            return Err(ServerError::Accept(io::Error::new(error.kind(), error.to_string())));
        }
        _ => {
            tracing::warn!(%error, "cannot accept a connection now");
            tokio::time::sleep(ACCEPT_AGAIN).await;
        }
    }
    Ok(())
}
