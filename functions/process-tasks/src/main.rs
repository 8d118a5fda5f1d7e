//! `process-tasks`: applies commands and ticks from SQS, EventBridge, or a direct call.

use millrace_lambda::{App, Function, FunctionError, StartError};
use millrace_pipeline::{Answer, Invocation, Platform, process};

// A batch allocates some ten thousand small objects and a few large ones. With mimalloc a command
// costs less than with the allocator of glibc, and its cost varies less.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct ProcessTasks {
    platform: Platform,
}

impl Function for ProcessTasks {
    type Answer = Answer;
    const REDELIVERED: bool = true;

    async fn open(app: App) -> Result<Self, StartError> {
        Ok(Self { platform: app.platform })
    }

    async fn answer(&self, payload: &[u8], invocation: &Invocation) -> Result<Answer, FunctionError> {
        let answer = process(&self.platform, payload, invocation).await;
        answer.map_err(|error| FunctionError::new(error.error_type(), error))
    }
}

fn main() {
    millrace_lambda::run::<ProcessTasks>();
}
