//! Closes what is open when the process is told to end.
//!
//! Lambda kills a process without a word unless an extension is registered; with one it sends
//! `SIGTERM` and waits for half a second. So an internal extension is registered that subscribes to
//! no events. Emulators may not know extensions: the start waits for the registration, but not for
//! long, and signals are heeded with or without it.

use std::{env, future::Future, io, time::Duration};

use lambda_extension::Extension;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::timeout,
};

/// Unique among the extensions of a function, as Lambda demands.
const EXTENSION_NAME: &str = "millrace-graceful-shutdown";
/// How long the start waits for the registration. Lambda answers in milliseconds.
const REGISTRATION_TIME: Duration = Duration::from_secs(1);
/// How long closing may take. Lambda kills the process after 500 ms.
const CLOSING_TIME: Duration = Duration::from_millis(450);

/// On `SIGTERM` or `SIGINT` runs `close`, then ends the process with exit code 0. To be called once,
/// before [`run`](super::run): an extension can only be registered while the function starts.
///
/// # Errors
/// [`io::Error`] where the system does not let the signals be heeded.
pub async fn close_on_signal<C, F>(close: C) -> io::Result<()>
where
    C: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        match timeout(CLOSING_TIME, close()).await {
            Ok(()) => tracing::info!(signal = name, "closed"),
            Err(_) => tracing::warn!(signal = name, "closing took too long and was cut short"),
        }
        std::process::exit(0);
    });
    register_extension().await;
    Ok(())
}

/// Registers the extension and keeps it running beside the function.
async fn register_extension() {
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        return;
    }
    let (done, registered) = oneshot::channel();
    // A task of its own, never aborted: an extension that was registered and does not ask for its
    // next event keeps Lambda from ending the start.
    tokio::spawn(async move {
        let extension = Extension::new().with_events(&[]).with_extension_name(EXTENSION_NAME);
        match extension.register().await {
            Ok(extension) => {
                // Nobody waits any more where the time was up.
                let _ = done.send(());
                if let Err(error) = extension.run().await {
                    tracing::debug!(%error, "the extension for graceful shutdown ended");
                }
            }
            Err(error) => tracing::debug!(%error, "no extension for graceful shutdown; signals are heeded where sent"),
        }
    });
    // Without an answer in time, or with a refusal, the start goes on with the signals alone.
    let _ = timeout(REGISTRATION_TIME, registered).await;
}
