//! A listening socket that can be closed and opened again, and its connections.
//!
//! It has a separate thread and runtime. So a test that pauses the clock of its runtime does not
//! stop a proxy.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// With a reset: the other side sees an error.
    Reset,
    /// With a regular end: the other side sees the end of the stream.
    Fin,
}

/// Tells a connection to end, and how.
pub(crate) type CutSignal = oneshot::Receiver<(Cut, Waiter)>;
/// The receiver of this channel waits until all senders are dropped.
pub(crate) type Waiter = std::sync::mpsc::Sender<()>;

enum Command {
    Open(Waiter),
    Close(Waiter),
}

/// The socket. Dropping it closes the socket and all connections.
pub(crate) struct Gate {
    address: SocketAddr,
    commands: Option<mpsc::UnboundedSender<Command>>,
    connections: Arc<Connections>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Connections {
    accepted: AtomicU64,
    open: Mutex<HashMap<u64, oneshot::Sender<(Cut, Waiter)>>>,
}

impl Gate {
    /// Listens on a free port of 127.0.0.1, and hands every connection to `serve`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub(crate) async fn open<F>(serve: impl Fn(TcpStream, CutSignal) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (commands, orders) = mpsc::unbounded_channel();
        let connections = Arc::new(Connections::default());
        let (ready, listening) = oneshot::channel();
        let theirs = Arc::clone(&connections);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a proxy gets a runtime");
            runtime.block_on(async {
                let socket = listen((Ipv4Addr::LOCALHOST, 0).into()).await;
                let socket = socket.expect("a proxy gets a port");
                let address = socket.local_addr().expect("the port is bound");
                if ready.send(address).is_ok() {
                    accept(socket, address, orders, &theirs, serve).await;
                }
            });
        });
        Self {
            address: listening.await.expect("the proxy listens"),
            commands: Some(commands),
            connections,
            thread: Some(thread),
        }
    }

    /// The address of the socket.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the socket: after the return new connections are refused.
    pub(crate) fn close(&self) {
        self.order(Command::Close);
    }

    /// Listens again on the same port.
    pub(crate) fn reopen(&self) {
        self.order(Command::Open);
    }

    /// Cuts every connection, and returns afterwards.
    pub(crate) fn cut(&self, how: Cut) {
        let (waiter, done) = std::sync::mpsc::channel();
        for (_, cut) in self.connections.open().drain() {
            // The send fails for a connection that has just ended.
            let _ = cut.send((how, waiter.clone()));
        }
        drop(waiter);
        let _ = done.recv();
    }

    /// How many connections were accepted so far.
    pub(crate) fn accepted(&self) -> u64 {
        self.connections.accepted.load(Ordering::SeqCst)
    }

    /// How many of them are open.
    pub(crate) fn open_connections(&self) -> usize {
        let mut open = self.connections.open();
        open.retain(|_, cut| !cut.is_closed());
        open.len()
    }

    fn order(&self, command: impl FnOnce(Waiter) -> Command) {
        let (waiter, done) = std::sync::mpsc::channel();
        if let Some(commands) = &self.commands {
            let _ = commands.send(command(waiter));
        }
        let _ = done.recv();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Connections {
    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<(Cut, Waiter)>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept<F>(
    socket: TcpListener,
    address: SocketAddr,
    mut orders: mpsc::UnboundedReceiver<Command>,
    connections: &Connections,
    serve: impl Fn(TcpStream, CutSignal) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut socket = Some(socket);
    loop {
        let next = async {
            match &socket {
                Some(socket) => socket.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = orders.recv() => match order {
                Some(Command::Close(_waiter)) => socket = None,
                Some(Command::Open(_waiter)) => {
                    if socket.is_none() {
                        socket = Some(listen(address).await.expect("the port is still free"));
                    }
                }
                None => return,
            },
            Ok((stream, _)) = next => {
                let number = connections.accepted.fetch_add(1, Ordering::SeqCst);
                let (cut, signal) = oneshot::channel();
                {
                    let mut open = connections.open();
                    open.retain(|_, cut| !cut.is_closed());
                    open.insert(number, cut);
                }
                tokio::spawn(serve(stream, signal));
            }
        }
    }
}

/// Tokio sets `SO_REUSEADDR`, so that connections in the state TIME_WAIT do not block the port.
async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}
