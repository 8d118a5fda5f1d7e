//! One dead letter, and the commands in it.

use std::collections::HashMap;

use aws_sdk_sqs::types::{Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName};
use millrace_domain::{
    CommandId,
    json::{MalformedInput, Message, Request, parse_message},
};
use serde_json::{Value, json};

use crate::{dead_letters::queues::DeadLetterQueue, describe::describe};

/// A dead letter that was received.
#[derive(Debug, Clone)]
pub struct Letter {
    pub queue: DeadLetterQueue,
    pub message_id: String,
    pub receipt: String,
    pub body: String,
    pub group: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub sent_at: u64,
    pub attributes: Option<HashMap<String, MessageAttributeValue>>,
}

/// What is in a dead letter.
#[derive(Debug)]
pub enum Content {
    /// Commands, each with the id under which it was delivered.
    Commands(Vec<Result<(CommandId, Request), MalformedInput>>),
    /// A tick for so many players.
    Tick(usize),
    /// Something else, such as an event.
    Other,
}

impl Letter {
    pub fn new(queue: &DeadLetterQueue, message: SqsMessage) -> Self {
        let system = |name: MessageSystemAttributeName| message.attributes.as_ref()?.get(&name).cloned();
        Self {
            queue: queue.clone(),
            group: system(MessageSystemAttributeName::MessageGroupId),
            sent_at: system(MessageSystemAttributeName::SentTimestamp).and_then(|at| at.parse().ok()).unwrap_or(0),
            message_id: message.message_id.unwrap_or_default(),
            receipt: message.receipt_handle.unwrap_or_default(),
            body: message.body.unwrap_or_default(),
            attributes: message.message_attributes,
        }
    }

    /// What is in it.
    pub fn content(&self) -> Content {
        let wrapped = unwrapped(&self.body);
        let (id, body) = match &wrapped {
            Some((id, body)) => (id.as_str(), body.as_str()),
            None => (self.message_id.as_str(), self.body.as_str()),
        };
        match parse_message(body) {
            Ok(Message::Tick(players)) => Content::Tick(players.len()),
            Ok(Message::Commands(commands)) => {
                let named = |(index, command): (usize, Result<Request, MalformedInput>)| {
                    let request = command?;
                    let id = request.command_id.clone().unwrap_or_else(|| CommandId::named_after(id, index));
                    Ok((id, request))
                };
                Content::Commands(commands.into_iter().enumerate().map(named).collect())
            }
            Err(_) => Content::Other,
        }
    }

    /// The players that it is about.
    pub fn players(&self) -> Vec<String> {
        let mut players: Vec<String> = match self.content() {
            Content::Commands(commands) => {
                commands.iter().flatten().map(|(_, request)| request.player_id.as_str().to_owned()).collect()
            }
            _ => self.group.clone().into_iter().collect(),
        };
        players.dedup();
        players
    }

    /// What it would do, in words.
    pub fn summary(&self) -> String {
        match self.content() {
            Content::Commands(commands) => {
                let text = |command: &Result<(CommandId, Request), MalformedInput>| match command {
                    Ok((_, request)) => describe(&request.command),
                    Err(malformed) => format!("is malformed: {}", malformed.detail),
                };
                commands.iter().map(text).collect::<Vec<_>>().join("; ")
            }
            Content::Tick(players) => format!("advances the queues of {players} players"),
            Content::Other => "is neither commands nor a tick".to_owned(),
        }
    }

    /// The body to send again: with the ids under which its commands were delivered, because a new
    /// message has another id.
    pub fn body_with_ids(&self) -> String {
        // A wrapped body has the id that names its commands.
        if unwrapped(&self.body).is_some() {
            return self.body.clone();
        }
        let Ok(mut body) = serde_json::from_str::<Value>(&self.body) else { return self.body.clone() };
        if !matches!(self.content(), Content::Commands(_)) {
            return self.body.clone();
        }
        let name = |command: &mut Value, index| {
            if command.is_object() && command["commandId"].is_null() {
                command["commandId"] = CommandId::named_after(&self.message_id, index).as_str().into();
            }
        };
        match body.get_mut("commands").and_then(Value::as_array_mut) {
            Some(commands) => commands.iter_mut().enumerate().for_each(|(index, command)| name(command, index)),
            None => name(&mut body, 0),
        }
        body.to_string()
    }

    /// The letter as JSON.
    pub fn json(&self) -> Value {
        json!({
            "queue": self.queue.name, "messageId": self.message_id, "group": self.group, "sentAt": self.sent_time(),
            "players": self.players(), "summary": self.summary(), "body": self.body,
        })
    }

    /// When it was sent.
    pub fn sent_time(&self) -> String {
        millrace_domain::Timestamp::from_millis(self.sent_at).to_string()
    }
}

/// The id and the content of an event of EventBridge or of a notification of SNS; none for any
/// other body.
fn unwrapped(body: &str) -> Option<(String, String)> {
    let value: Value = serde_json::from_str(body).ok()?;
    if value["detail-type"] == "TaskQueueCommand" {
        return Some((value["id"].as_str()?.to_owned(), value["detail"].to_string()));
    }
    let message = value["Message"].as_str().filter(|_| value["Type"] == "Notification")?;
    Some((value["MessageId"].as_str()?.to_owned(), message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(body: &str) -> Letter {
        let queue = DeadLetterQueue { name: "commands".to_owned(), url: String::new(), source: None };
        let message = SqsMessage::builder().message_id("m-1").body(body).build();
        Letter::new(&queue, message)
    }

    #[test]
    fn commands_keep_the_ids_under_which_they_were_delivered() {
        let list = letter(
            r#"{"commands":[{"type":"pauseQueue","playerId":"p"},{"commandId":"c","type":"pauseQueue","playerId":"q"}]}"#,
        );
        let body: Value = serde_json::from_str(&list.body_with_ids()).unwrap();
        assert_eq!(
            (&body["commands"][0]["commandId"], &body["commands"][1]["commandId"]),
            (&json!("m-1:0"), &json!("c"))
        );
        assert_eq!(list.players(), ["p", "q"]);
        let one = letter(r#"{"type":"pauseQueue","playerId":"p"}"#);
        assert!(one.body_with_ids().contains(r#""commandId":"m-1:0""#));
        for other in [
            r#"{"type":"advanceQueues","playerIds":["p"]}"#,
            r#"{"id":"e-1","detail-type":"TaskQueueCommand","detail":{"type":"pauseQueue","playerId":"p"}}"#,
            "no JSON",
        ] {
            assert_eq!(letter(other).body_with_ids(), other);
        }
    }

    #[test]
    fn a_wrapped_command_has_the_id_of_its_event() {
        let event =
            letter(r#"{"id":"e-1","detail-type":"TaskQueueCommand","detail":{"type":"pauseQueue","playerId":"p"}}"#);
        let Content::Commands(commands) = event.content() else { panic!("commands") };
        assert_eq!(commands[0].as_ref().unwrap().0.as_str(), "e-1:0");
        assert_eq!(event.summary(), "pauses the queue");
    }
}
