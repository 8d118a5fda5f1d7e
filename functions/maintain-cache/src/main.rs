//! `maintain-cache`: upkeep of the shared cache. It warms, clears and rebuilds copies, switches
//! emergency mode, and records statistics. Schedules invoke it, or an operator.

use millrace_lambda::{App, Function, FunctionError, Invocation, StartError, compose};
use millrace_pipeline::Platform;
use millrace_upkeep::{Request, UpkeepReport, UpkeepSettings};

// As in `process-tasks`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct MaintainCache {
    platform: Platform,
    settings: UpkeepSettings,
}

impl Function for MaintainCache {
    type Answer = UpkeepReport;
    const REDELIVERED: bool = true;

    async fn open(app: App) -> Result<Self, StartError> {
        Ok(Self { settings: compose::upkeep_settings(&app.settings), platform: app.platform })
    }

    async fn answer(&self, invocation: Invocation) -> Result<UpkeepReport, FunctionError> {
        let request = Request::from_payload(&invocation.payload);
        let request = request.map_err(|error| FunctionError::new(error.error_type(), error))?;
        let done = millrace_upkeep::run(&self.platform, self.settings, request, &invocation.for_pipeline()).await;
        done.map_err(|error| FunctionError::new(error.error_type(), error))
    }
}

fn main() {
    millrace_lambda::run::<MaintainCache>();
}
