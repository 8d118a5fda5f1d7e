//! `advance-queues`: finds the queues with something due and has them advanced. A schedule invokes it,
//! or a direct call; the payload is ignored.

use millrace_lambda::{App, Function, FunctionError, Invocation, StartError, back_ends, ticks::SqsTicks};
use millrace_pipeline::{Advanced, Service, TicksQueue};

// As in `process-tasks`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct AdvanceQueues {
    service: Service,
    /// None: the function advances the queues itself.
    ticks: Option<SqsTicks>,
}

impl Function for AdvanceQueues {
    type Answer = Advanced;
    const REDELIVERED: bool = false;

    async fn open(app: App) -> Result<Self, StartError> {
        Ok(Self { ticks: back_ends::open_ticks(&app.settings).await?, service: app.service })
    }

    async fn answer(&self, invocation: Invocation) -> Result<Advanced, FunctionError> {
        let ticks = self.ticks.as_ref().map(|ticks| ticks as &dyn TicksQueue);
        let advanced = self.service.advance(ticks, &invocation.for_pipeline()).await;
        advanced.map_err(|error| FunctionError::new(error.error_type(), error))
    }
}

fn main() {
    millrace_lambda::run::<AdvanceQueues>();
}
