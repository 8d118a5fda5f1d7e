//! `advance-queues`: finds the queues with something due and has them advanced. A schedule invokes
//! it, or a direct call; the payload is ignored.

use std::time::Duration;

use millrace_due::{Advanced, TickTarget, advance};
use millrace_lambda::{App, Function, FunctionError, StartError, back_ends, ticks::SqsTicks};
use millrace_pipeline::{Invocation, Platform};

// As in `process-tasks`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct AdvanceQueues {
    platform: Platform,
    /// None: the function advances the queues itself.
    ticks: Option<SqsTicks>,
    /// How far ahead ticks are sent.
    look_ahead: Duration,
}

impl Function for AdvanceQueues {
    type Answer = Advanced;
    const REDELIVERED: bool = false;

    async fn open(app: App) -> Result<Self, StartError> {
        Ok(Self {
            ticks: back_ends::open_ticks(&app.settings).await?,
            look_ahead: app.settings.advance.look_ahead(),
            platform: app.platform,
        })
    }

    async fn answer(&self, _: &[u8], invocation: &Invocation) -> Result<Advanced, FunctionError> {
        let ticks = self.ticks.as_ref().map(|queue| TickTarget { queue, look_ahead: self.look_ahead });
        let advanced = advance(&self.platform, ticks, invocation).await;
        advanced.map_err(|error| FunctionError::new(error.error_type(), error))
    }
}

fn main() {
    millrace_lambda::run::<AdvanceQueues>();
}
