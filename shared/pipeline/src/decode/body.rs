//! The body of a message: commands, a tick, or malformed input.

use millrace_domain::{
    CommandId, Delivery, FifoPosition, RejectionReason, Timestamp,
    parse::{Malformed, Message, Request},
    record::RejectionRecord,
};

use super::names::{CommandNames, unknown_partition};
use crate::{batch::Batch, item::Action};

/// What is known of a message beside its body.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// The message, by its position in the batch.
    pub message: usize,
    /// How its commands are named that bring no name.
    pub names: CommandNames<'a>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Its place in a FIFO queue; none for any other message.
    pub fifo: Option<FifoPlace<'a>>,
}

/// The place of a message in a FIFO queue.
#[derive(Debug, Clone, Copy)]
pub struct FifoPlace<'a> {
    /// The message group.
    pub group: &'a str,
    /// The sequence number in the queue.
    pub sequence: u128,
}

/// Adds what a body holds to the batch.
pub fn add_body(batch: &mut Batch, envelope: Envelope<'_>, body: Result<Message, Malformed>) {
    match body {
        Ok(Message::Tick(players)) => {
            for player in players {
                batch.add_item(envelope.message, player, Action::Tick);
            }
        }
        Ok(Message::Commands(commands)) => {
            let count = commands.len();
            for (index, command) in commands.into_iter().enumerate() {
                match command {
                    Ok(request) => add_command(batch, envelope, request, index, count),
                    Err(malformed) => add_malformed(batch, envelope, malformed, envelope.names.name(index, count)),
                }
            }
        }
        Err(malformed) => add_malformed(batch, envelope, malformed, envelope.names.name(0, 1)),
    }
}

fn add_command(batch: &mut Batch, envelope: Envelope<'_>, request: Request, index: usize, count: usize) {
    let Envelope { message, names, sent_at, fifo } = envelope;
    // The sequence orders the commands of a player only where the group is the player.
    let position = fifo
        .filter(|place| place.group == request.player_id.as_str())
        .map(|place| FifoPosition { sequence: place.sequence, index: index as u16 });
    let delivery = Delivery {
        command_id: request.command_id.unwrap_or_else(|| names.name(index, count)),
        player_id: request.player_id.clone(),
        sent_at,
        position,
        command: request.command,
    };
    batch.add_item(message, request.player_id, Action::Command(delivery));
}

/// Adds malformed input under `name`, unless it brings a name.
pub fn add_malformed(batch: &mut Batch, envelope: Envelope<'_>, malformed: Malformed, name: CommandId) {
    let command_id = malformed.command_id.unwrap_or(name);
    let partition = match &malformed.player_id {
        Some(player) => player.as_str().to_owned(),
        None => unknown_partition(&command_id),
    };
    let record = RejectionRecord {
        partition,
        received_at: envelope.sent_at,
        command_id,
        reason: RejectionReason::Malformed,
        detail: malformed.detail,
        command_type: None,
        task_id: None,
        body: Some(malformed.body),
    };
    batch.add_malformed(envelope.message, malformed.player_id, record);
}
