//! EventBridge events with every field that a function receives.

use millrace_domain::Timestamp;
use serde_json::{Value, json};

/// An event of `detail-type` `TaskQueueCommand`, sent by the game server.
pub fn command(id: &str, time: Timestamp, detail: &Value) -> Value {
    // EventBridge sends the time in whole seconds.
    let time = time.to_string();
    json!({
        "version": "0",
        "id": id,
        "detail-type": "TaskQueueCommand",
        "source": "game.server",
        "account": "123456789012",
        "time": format!("{}Z", &time[..19]),
        "region": "eu-central-1",
        "resources": [],
        "detail": detail,
    })
}
