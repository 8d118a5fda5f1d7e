//! `process-tasks`: applies commands and ticks that come from SQS, EventBridge, or a caller.

use std::sync::Arc;

use millrace_lambda::{FunctionError, Settings, StartError, compose, logs, runtime, start, start::BackEnds};

/// A batch makes and drops some ten thousand small objects and a few large ones, after which glibc's
/// allocator tidies up again and again: with this one a command costs less, and the same each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

async fn run() -> Result<(), StartError> {
    let settings = Settings::from_env()?;
    logs::init(&settings.log)?;
    settings.warn_of_unknown();
    let BackEnds { store, cache } = start::open(&settings).await?;
    let service = Arc::new(compose::service(&settings, Arc::clone(&store), cache, compose::random_seed()));
    runtime::close_on_signal(async move || store.close().await).await?;
    runtime::run(move |invocation| {
        let service = Arc::clone(&service);
        async move {
            let answer = service.process(&invocation.payload, &compose::invocation(&invocation)).await;
            answer.map_err(|error| FunctionError::new(error.error_type(), error))
        }
    })
    .await?;
    Ok(())
}

// One thread: a function of one virtual processor has no use for more, and waits are not work. The
// embedded store brings threads of its own.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run().await {
        start::fail(&error);
    }
}
