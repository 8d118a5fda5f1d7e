//! A participant of a scene: the game or a worker. It sends commands for a player, and reads its
//! events.

use millrace_domain::events::published::PublishedEvent;
use serde_json::Value;

use crate::{
    client::{Client, ClientError},
    transcript::Transcript,
};

/// Sends commands for a player, and reads its events.
#[derive(Clone, Copy)]
pub struct Participant<'a> {
    pub name: &'static str,
    pub client: &'a Client,
    pub player: &'a str,
}

impl Participant<'_> {
    /// Sends a command, and shows its subject with its status. Another status than `expected` is a
    /// problem. Returns the answer.
    pub async fn send(
        &self,
        command: Value,
        subject: String,
        expected: &str,
        shown: &mut Transcript,
    ) -> Result<Value, ClientError> {
        let path = format!("/players/{}/commands", self.player);
        let answer = self.client.request("POST", &path, command.to_string()).await?.into_body();
        let result = &answer["results"][0];
        let status = match (result["status"].as_str(), result["reason"].as_str()) {
            (Some(status), Some(reason)) => format!("{status}, {reason}"),
            (status, _) => status.unwrap_or("no result").to_owned(),
        };
        shown.expect(status == expected, || format!("expected {expected}, got {answer}"));
        let sent = command["type"].as_str().unwrap_or_default();
        shown.add(self.name, &format!("sends {sent}"), format!("{subject}: {status}"));
        Ok(answer)
    }

    /// The events of the player that follow this sequence, as many as one answer has. None follow
    /// if it is empty.
    pub async fn events_after(&self, sequence: u64) -> Result<Vec<PublishedEvent>, ClientError> {
        let path = format!("/players/{}/events?after={sequence}&limit=10", self.player);
        let answer = self.client.request("GET", &path, String::new()).await?.into_body();
        serde_json::from_value(answer["items"].clone()).map_err(|_| ClientError::NoEvents(answer.to_string()))
    }

    /// All events of the player.
    pub async fn all_events(&self) -> Result<Vec<PublishedEvent>, ClientError> {
        let mut all: Vec<PublishedEvent> = Vec::new();
        loop {
            let events = self.events_after(all.last().map_or(0, |event| event.sequence)).await?;
            if events.is_empty() {
                return Ok(all);
            }
            all.extend(events);
        }
    }
}
