//! EventBridge: a client, and events with every field that a function receives.

use aws_sdk_eventbridge::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use millrace_domain::Timestamp;
use millrace_servers::{ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY};
use serde_json::{Value, json};

/// A client for this endpoint.
pub fn client(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    Client::from_conf(config)
}

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
