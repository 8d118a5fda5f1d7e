//! A proxy for a TCP server that imitates faults of a network.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use crate::gate::Cut;
use crate::gate::{CutSignal, Gate};

/// Forwards bytes to a server and back, until a test makes it fail.
pub struct TcpProxy {
    gate: Gate,
    wire: Arc<Wire>,
}

/// The state that all connections share.
struct Wire {
    target: String,
    delay: Mutex<Duration>,
    swallows: AtomicBool,
    sent: AtomicU64,
    received: AtomicU64,
}

impl TcpProxy {
    /// Starts one before `target`, such as `127.0.0.1:6379`, on a free port.
    ///
    /// # Panics
    /// When it gets no port.
    pub async fn start(target: impl Into<String>) -> Self {
        let wire = Arc::new(Wire {
            target: target.into(),
            delay: Mutex::default(),
            swallows: AtomicBool::default(),
            sent: AtomicU64::default(),
            received: AtomicU64::default(),
        });
        let shared = Arc::clone(&wire);
        let gate = Gate::open(move |client, cut| serve(client, cut, Arc::clone(&shared))).await;
        Self { gate, wire }
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.gate.address()
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// Delays every chunk in both directions, so that a round trip takes twice this time longer.
    /// Zero ends the delay.
    pub fn delay(&self, delay: Duration) {
        *self.wire.delay() = delay;
    }

    /// Cuts all connections, and returns afterwards. New ones are accepted.
    pub fn cut(&self, how: Cut) {
        self.gate.cut(how);
    }

    /// Refuses new connections; open ones stay open.
    pub fn refuse(&self) {
        self.gate.close();
    }

    /// Drops all bytes: connections are accepted and stay open, but nothing arrives at either end.
    /// A connection that lost bytes stays dead after [`normal`](Self::normal), as behind a firewall
    /// that lost its state; only a cut ends it.
    pub fn swallow(&self) {
        self.wire.swallows.store(true, Ordering::SeqCst);
    }

    /// Ends [`delay`](Self::delay), [`refuse`](Self::refuse) and [`swallow`](Self::swallow).
    pub fn normal(&self) {
        self.delay(Duration::ZERO);
        self.wire.swallows.store(false, Ordering::SeqCst);
        self.gate.reopen();
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.gate.accepted()
    }

    /// The number of open connections.
    pub fn open_connections(&self) -> usize {
        self.gate.open_connections()
    }

    /// The number of bytes that clients sent, dropped ones included.
    pub fn bytes_sent(&self) -> u64 {
        self.wire.sent.load(Ordering::SeqCst)
    }

    /// The number of bytes that the server sent, dropped ones included.
    pub fn bytes_received(&self) -> u64 {
        self.wire.received.load(Ordering::SeqCst)
    }
}

impl Wire {
    fn delay(&self) -> std::sync::MutexGuard<'_, Duration> {
        self.delay.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn swallows(&self) -> bool {
        self.swallows.load(Ordering::SeqCst)
    }
}

async fn serve(mut client: TcpStream, cut: CutSignal, wire: Arc<Wire>) {
    // Without Nagle's algorithm the test alone decides about delays.
    let _ = client.set_nodelay(true);
    let cut = tokio::select! {
        ended = pass(&mut client, &wire) => {
            if ended.is_err() {
                let _ = client.set_zero_linger();
            }
            return;
        }
        cut = cut => cut,
    };
    let Ok((how, waiter)) = cut else { return };
    let _ = match how {
        Cut::Reset => client.set_zero_linger(),
        Cut::Fin => client.shutdown().await,
    };
    drop(client);
    drop(waiter);
}

/// Connects to the target and forwards bytes both ways, until both ends are done or one fails.
async fn pass(client: &mut TcpStream, wire: &Wire) -> io::Result<()> {
    let dead = AtomicBool::new(wire.swallows());
    if dead.load(Ordering::SeqCst) {
        return sink(client, &wire.sent).await;
    }
    let mut server = TcpStream::connect(&wire.target).await?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::try_join!(
        pump(&mut from_client, &mut to_server, &wire.sent, &dead, wire),
        pump(&mut from_server, &mut to_client, &wire.received, &dead, wire),
    )?;
    Ok(())
}

/// Forwards the bytes of one direction.
async fn pump(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    count: &AtomicU64,
    dead: &AtomicBool,
    wire: &Wire,
) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut chunk).await;
        if wire.swallows() || dead.load(Ordering::SeqCst) {
            dead.store(true, Ordering::SeqCst);
            if let Ok(length) = length {
                count.fetch_add(length as u64, Ordering::SeqCst);
            }
            return match length {
                Ok(1..) => sink(from, count).await,
                // Neither end notices that the other one has ended.
                _ => std::future::pending().await,
            };
        }
        let length = length?;
        count.fetch_add(length as u64, Ordering::SeqCst);
        let delay = *wire.delay();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
            if wire.swallows() {
                dead.store(true, Ordering::SeqCst);
                return sink(from, count).await;
            }
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..length]).await?;
    }
}

/// Reads to the end and then waits for ever: the other end of a dead connection gets no answer.
async fn sink(from: &mut (impl AsyncReadExt + Unpin), count: &AtomicU64) -> io::Result<()> {
    let mut chunk = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut chunk).await {
        count.fetch_add(length as u64, Ordering::SeqCst);
    }
    std::future::pending().await
}
