//! The start-up that all functions share.

use std::{fmt, future::Future, sync::Arc};

use bytes::Bytes;
use millrace_pipeline::{Invocation, Platform};
use millrace_telemetry::logs;
use serde::Serialize;

use crate::{
    back_ends, compose,
    invocation_metrics::InvocationMetrics,
    runtime::{self, FunctionError},
    settings::Settings,
    start_error::StartError,
    traces,
};

/// A Lambda function: how it is opened, and what it answers.
pub trait Function: Send + Sync + Sized + 'static {
    /// The answer to an invocation.
    type Answer: Serialize + Send + 'static;

    /// Whether the source of the invocations delivers unfinished work again, as SQS does.
    ///
    /// Schedules and HTTP callers do not. For them a queue stays in the due index until its records
    /// are written.
    const REDELIVERED: bool;

    /// Makes the function from what the start-up has opened.
    ///
    /// # Errors
    /// [`StartError`] if the function cannot work with these settings.
    fn open(app: App) -> impl Future<Output = Result<Self, StartError>>;

    /// Answers one invocation with this payload, as received.
    ///
    /// # Errors
    /// [`FunctionError`] if the invocation fails as a whole.
    fn answer(
        &self,
        payload: &[u8],
        invocation: &Invocation,
    ) -> impl Future<Output = Result<Self::Answer, FunctionError>> + Send;
}

/// What a function is made from.
pub struct App {
    /// The settings of this process.
    pub settings: Settings,
    /// The platform of the pipeline, on the open back ends.
    pub platform: Platform,
}

/// Runs a function until the process is told to end. The whole `main` of a function.
///
/// A failed start or a lost Runtime API ends the process with one line on standard error and exit
/// code 1.
// One thread: a Lambda function of this size has one virtual processor, and an invocation mostly
// waits. The embedded store brings threads for its blocking calls.
#[tokio::main(flavor = "current_thread")]
pub async fn run<F: Function>() {
    if let Err(error) = start::<F>().await {
        eprintln!("{}", one_line(&error));
        std::process::exit(1);
    }
}

async fn start<F: Function>() -> Result<(), StartError> {
    let settings = Settings::from_env()?;
    let tracer = traces::open(&settings);
    logs::init(&settings.log, tracer.is_some())?;
    let log = settings.log.clone();
    let metrics = InvocationMetrics::new(&settings);
    settings.warn_of_unknown();
    let back_ends = back_ends::open(&settings).await?;
    let (store, history) = (Arc::clone(&back_ends.store), Arc::clone(&back_ends.history));
    let platform = compose::platform(&settings, back_ends, F::REDELIVERED);
    let function = Arc::new(F::open(App { settings, platform }).await?);
    let unsent = Arc::clone(&history);
    let close = async move || {
        if let Err(error) = unsent.flush().await {
            tracing::debug!(%error, "the last figures of the performance history are lost");
        }
        store.close().await;
    };
    runtime::close_on_signal(close).await.map_err(StartError::Signals)?;
    let handler = move |payload: Bytes, invocation: Invocation| {
        let (function, history, log) = (Arc::clone(&function), Arc::clone(&history), log.clone());
        async move {
            let answer = log.run_sampled(function.answer(&payload, &invocation)).await;
            history.end_invocation().await;
            answer
        }
    };
    runtime::run(handler, metrics, tracer).await?;
    Ok(())
}

/// Errors of libraries may have several lines.
fn one_line(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(one_line(&"first\n  second\r\n\n"), "first; second");
    }
}
