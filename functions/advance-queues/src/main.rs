//! `advance-queues`: finds the queues with something due and has them advanced. Invoked by a schedule, or
//! directly; what it is invoked with does not matter.

use std::sync::Arc;

use millrace_lambda::{FunctionError, Settings, StartError, compose, logs, runtime, start, start::BackEnds};
use millrace_pipeline::TicksQueue;

/// As in `process-tasks`: advancing makes and drops as many small objects.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

async fn run() -> Result<(), StartError> {
    let settings = Settings::from_env()?;
    logs::init(&settings.log)?;
    settings.warn_of_unknown();
    let BackEnds { store, cache } = start::open(&settings).await?;
    let ticks = start::open_ticks(&settings).await?.map(Arc::new);
    let service = compose::invoked_once_service(&settings, Arc::clone(&store), cache, compose::random_seed());
    let service = Arc::new(service);
    runtime::close_on_signal(async move || store.close().await).await?;
    runtime::run(move |invocation| {
        let (service, ticks) = (Arc::clone(&service), ticks.clone());
        async move {
            let ticks = ticks.as_deref().map(|ticks| ticks as &dyn TicksQueue);
            let advanced = service.advance(ticks, &compose::invocation(&invocation)).await;
            advanced.map_err(|error| FunctionError::new(error.error_type(), error))
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
