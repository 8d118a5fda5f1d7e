//! `maintain-cache`: warms, clears and rebuilds the shared cache, switches emergency mode, keeps statistics.
//! Called by EventBridge Scheduler every few minutes, or by an operator.

use std::sync::Arc;

use millrace_lambda::{FunctionError, Settings, StartError, compose, logs, runtime, start, start::BackEnds};
use millrace_pipeline::maintenance::Request;

/// Looking through a cache makes and drops many small objects, as a batch of commands does.
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
            let request = Request::from_payload(&invocation.payload);
            let request = request.map_err(|error| FunctionError::new(error.error_type(), error))?;
            let maintained = service.maintain(request, &compose::invocation(&invocation)).await;
            maintained.map_err(|error| FunctionError::new(error.error_type(), error))
        }
    })
    .await?;
    Ok(())
}

// One thread: a function of one virtual processor has no use for more, and waits are not work.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run().await {
        start::fail(&error);
    }
}
