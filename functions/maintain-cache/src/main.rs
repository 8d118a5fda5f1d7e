//! `maintain-cache`: upkeep of the shared cache. It warms, clears and rebuilds copies, switches
//! emergency mode, and records statistics. Schedules invoke it, or an operator.

use millrace_lambda::{App, Function, FunctionError, Invocation, StartError};
use millrace_pipeline::{
    Service,
    maintenance::{Maintained, Request},
};

// As in `process-tasks`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct MaintainCache {
    service: Service,
}

impl Function for MaintainCache {
    type Answer = Maintained;
    const REDELIVERED: bool = true;

    async fn open(app: App) -> Result<Self, StartError> {
        Ok(Self { service: app.service })
    }

    async fn answer(&self, invocation: Invocation) -> Result<Maintained, FunctionError> {
        let request = Request::from_payload(&invocation.payload);
        let request = request.map_err(|error| FunctionError::new(error.error_type(), error))?;
        let maintained = self.service.maintain(request, &invocation.for_pipeline()).await;
        maintained.map_err(|error| FunctionError::new(error.error_type(), error))
    }
}

fn main() {
    millrace_lambda::run::<MaintainCache>();
}
