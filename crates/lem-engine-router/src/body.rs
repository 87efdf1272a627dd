//! Bodies in both directions: streamed, never collected, limited, and accounted for at their end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::flight::Flight;
use crate::limits::MIRROR_BODY_BYTES_MAX;
use crate::mirror::Copy;
use crate::observe::Upstream;
use crate::upstream::{Endpoint, Link};

/// How far a request body got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Progress {
    /// The upstream may ask for more.
    Streaming = 0,
    /// The upstream asked and the client has sent nothing yet.
    Waiting = 1,
    Complete = 2,
    TooLarge = 3,
    ClientFailed = 4,
}

/// Shared between a body and the request waiting for its answer.
#[derive(Debug, Default, Clone)]
pub(crate) struct Watch(Arc<Seen>);

#[derive(Debug, Default)]
struct Seen {
    progress: AtomicU8,
    frames: AtomicU32,
}

impl Watch {
    pub(crate) fn progress(&self) -> Progress {
        match self.0.progress.load(Relaxed) {
            0 => Progress::Streaming,
            1 => Progress::Waiting,
            2 => Progress::Complete,
            3 => Progress::TooLarge,
            _ => Progress::ClientFailed,
        }
    }

    /// Grows while the body moves.
    pub(crate) fn frames(&self) -> u32 {
        self.0.frames.load(Relaxed)
    }

    fn set(&self, progress: Progress) {
        self.0.progress.store(progress as u8, Relaxed);
    }
}

/// What is sent upstream.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Empty,
    Whole(Bytes),
    Stream(Box<Stream>),
}

/// A client's body on its way upstream.
#[derive(Debug)]
pub(crate) struct Stream {
    inner: Incoming,
    left: u64,
    watch: Watch,
    tee: Option<Tee>,
}

/// Collects a copy of the body for the mirror.
#[derive(Debug)]
struct Tee {
    copy: Copy,
    seen: BytesMut,
}

impl RequestBody {
    pub(crate) fn stream(inner: Incoming, bytes_max: u64, watch: Watch, copy: Option<Copy>) -> Self {
        let tee = copy.map(|copy| Tee { copy, seen: BytesMut::new() });
        Self::Stream(Box::new(Stream { inner, left: bytes_max, watch, tee }))
    }
}

/// Why a request body ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyFault {
    #[error("request body over the limit")]
    TooLarge,
    #[error("client did not finish the request body")]
    Client(#[source] hyper::Error),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Stream(stream) => stream.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Stream(stream) => stream.watch.progress() == Progress::Complete,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream(stream) => stream.inner.size_hint(),
        }
    }
}

impl Stream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let Poll::Ready(polled) = Pin::new(&mut self.inner).poll_frame(cx) else {
            self.watch.set(Progress::Waiting);
            return Poll::Pending;
        };
        let frame = match polled {
            None => {
                self.complete();
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                self.watch.set(Progress::ClientFailed);
                return Poll::Ready(Some(Err(BodyFault::Client(error))));
            }
            Some(Ok(frame)) => frame,
        };
        self.watch.set(Progress::Streaming);
        self.watch.0.frames.fetch_add(1, Relaxed);
        if let Some(data) = frame.data_ref() {
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                self.watch.set(Progress::TooLarge);
                return Poll::Ready(Some(Err(BodyFault::TooLarge)));
            };
            self.left = left;
            self.collect(data.clone());
        }
        if self.inner.is_end_stream() {
            self.complete();
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn collect(&mut self, data: Bytes) {
        if let Some(tee) = &mut self.tee {
            if tee.seen.len() + data.len() > MIRROR_BODY_BYTES_MAX {
                // Dropping the copy counts it as not mirrored.
                self.tee = None;
            } else {
                tee.seen.extend_from_slice(&data);
            }
        }
    }

    fn complete(&mut self) {
        self.watch.set(Progress::Complete);
        if let Some(tee) = self.tee.take() {
            tee.copy.send(tee.seen.freeze());
        }
    }
}

/// What is sent to the client. Dropping it ends the flight and returns the connection.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    source: Source,
    flight: Option<Box<Flight>>,
}

#[derive(Debug)]
enum Source {
    Text(&'static str),
    Linked(Linked),
    /// The connection is driven elsewhere.
    Loose(Incoming),
}

#[derive(Debug)]
struct Linked {
    incoming: Incoming,
    link: Option<Link>,
    endpoint: Arc<Endpoint>,
    worker: usize,
}

impl ResponseBody {
    pub(crate) fn text(text: &'static str, flight: Option<Box<Flight>>) -> Self {
        Self { source: Source::Text(text), flight }
    }

    pub(crate) fn linked(
        incoming: Incoming,
        link: Link,
        endpoint: Arc<Endpoint>,
        worker: usize,
        flight: Box<Flight>,
    ) -> Self {
        Self { source: Source::Linked(Linked { incoming, link: Some(link), endpoint, worker }), flight: Some(flight) }
    }

    pub(crate) fn loose(incoming: Incoming, flight: Box<Flight>) -> Self {
        Self { source: Source::Loose(incoming), flight: Some(flight) }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = match &mut self.source {
            Source::Text(text) => {
                let text = std::mem::take(text);
                return Poll::Ready((!text.is_empty()).then(|| Ok(Frame::data(Bytes::from_static(text.as_bytes())))));
            }
            Source::Linked(linked) => linked.poll(cx),
            Source::Loose(incoming) => Pin::new(incoming).poll_frame(cx),
        };
        if let Poll::Ready(Some(Err(_))) = &polled
            && let Some(flight) = &mut self.flight
        {
            flight.upstream = Upstream::Failed;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Text(text) => text.is_empty(),
            Source::Linked(linked) => linked.incoming.is_end_stream(),
            Source::Loose(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Text(text) => SizeHint::with_exact(text.len() as u64),
            Source::Linked(linked) => linked.incoming.size_hint(),
            Source::Loose(incoming) => incoming.size_hint(),
        }
    }
}

impl Linked {
    /// As in [`Link::exchange`], only the connection gets the task's waker.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut quiet = Context::from_waker(Waker::noop());
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(&mut quiet) {
            return Poll::Ready(frame);
        }
        if let Some(link) = &mut self.link {
            link.drive(cx);
        }
        Pin::new(&mut self.incoming).poll_frame(&mut quiet)
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        // A body left unread leaves its bytes on the connection, which must then not be used again:
        // `put` keeps only connections whose exchange is over on the wire.
        if let Some(link) = self.link.take() {
            self.endpoint.put(self.worker, link);
        }
    }
}
