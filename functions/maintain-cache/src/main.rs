//! `maintain-cache`: upkeep of the shared cache. It warms, clears and rebuilds copies, switches
//! emergency mode, and records statistics. Schedules invoke it, or an operator.

use millrace_lambda::{App, Function, FunctionError, StartError};
use millrace_pipeline::{Invocation, Platform};
use millrace_telemetry::Usage;
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
        Ok(Self { settings: app.settings.upkeep, platform: app.platform })
    }

    async fn answer(&self, payload: &[u8], invocation: &Invocation) -> Result<UpkeepReport, FunctionError> {
        let request = Request::from_payload(payload);
        let request = request.map_err(|error| FunctionError::new(error.error_type(), error))?;
        let done = millrace_upkeep::run(&self.platform, self.settings, request, Usage::default(), invocation).await;
        done.map_err(|error| FunctionError::new(error.error_type(), error))
    }
}

fn main() {
    millrace_lambda::run::<MaintainCache>();
}
