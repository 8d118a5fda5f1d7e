//! Closes what is open when the process is told to end.
//!
//! Lambda kills a process without a signal unless an extension is registered. With one it sends
//! `SIGTERM` and waits for half a second. Therefore an internal extension is registered that
//! subscribes to no events. Emulators may not support extensions: the start waits only briefly for
//! the registration, and signals are handled with or without it.
//!
//! The crate `lambda-extension` is not used: it parses events and logs that are not subscribed to,
//! which would be 0.1 MB of each function.

use std::{env, future::Future, io, time::Duration};

use http::{Method, header::CONTENT_TYPE};
use lambda_runtime::Error;
use lambda_runtime_api_client::{PooledClient, body::Body, build_request};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::timeout,
};

/// The name of the extension. Lambda demands that it is unique in the function.
const EXTENSION_NAME: &str = "millrace-graceful-shutdown";
/// The header with the identifier that Lambda gives to an extension.
const EXTENSION_ID: &str = "lambda-extension-identifier";
/// How long the start waits for the registration. Lambda answers in milliseconds.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(1);
/// How long closing may take. Lambda kills the process after 500 ms.
const CLOSING_TIMEOUT: Duration = Duration::from_millis(450);

/// On `SIGTERM` or `SIGINT` runs `close`, then ends the process with exit code 0.
///
/// Call it once, before [`run`](super::run()): an extension can only be registered during the init
/// phase.
///
/// # Errors
/// [`io::Error`] if the system refuses to deliver the signals.
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
        match timeout(CLOSING_TIMEOUT, close()).await {
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
    // This task is never aborted: Lambda does not end the init phase before a registered extension
    // asks for its next event.
    tokio::spawn(async move {
        match run_extension(done).await {
            Ok(()) => tracing::debug!("the extension for graceful shutdown ended"),
            Err(error) => tracing::debug!(%error, "no extension for graceful shutdown; signals are still handled"),
        }
    });
    // After a time-out or a refusal the start continues with the signals alone.
    let _ = timeout(REGISTRATION_TIMEOUT, registered).await;
}

/// Registers the extension, and asks for its next event. As it has subscribed to none, the answer
/// does not come while the process runs. See
/// <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html>.
async fn run_extension(registered: oneshot::Sender<()>) -> Result<(), Error> {
    let client = PooledClient::builder().build();
    let register = build_request()
        .method(Method::POST)
        .uri("/2020-01-01/extension/register")
        .header("lambda-extension-name", EXTENSION_NAME)
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(r#"{"events":[]}"#))?;
    let answer = client.call(register).await?;
    let id = answer.headers().get(EXTENSION_ID).ok_or_else(|| format!("the status {}", answer.status()))?;
    let next = build_request().uri("/2020-01-01/extension/event/next").header(EXTENSION_ID, id).body(Body::empty())?;
    // The receiver is gone if the registration timed out.
    let _ = registered.send(());
    client.call(next).await?;
    Ok(())
}
