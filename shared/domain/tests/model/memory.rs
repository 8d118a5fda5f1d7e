//! What the model remembers of commands: all ids in their order, of which only the last ones count.

use millrace_domain::{Delivery, FifoQueueId, RejectionReason, Sender};

/// How many commands of trusted senders are remembered.
const TRUSTED_COMMANDS: usize = 96;
/// How many commands of the player are remembered.
const PLAYER_COMMANDS: usize = 32;
/// For how many FIFO queues the last position is remembered.
const FIFO_QUEUES: usize = 4;

/// A command id with the reason of its refusal.
type Decided = (String, Option<RejectionReason>);

#[derive(Debug, Default)]
pub struct ModelMemory {
    trusted: Vec<Decided>,
    player: Vec<Decided>,
    /// The last position in each FIFO queue, the least recently used queue first.
    positions: Vec<(FifoQueueId, (u128, u16))>,
}

impl ModelMemory {
    /// The outcome of an earlier delivery of the same command.
    pub fn decided(&self, delivery: &Delivery) -> Option<Option<RejectionReason>> {
        let (commands, limit) = match delivery.sender {
            Sender::Trusted => (&self.trusted, TRUSTED_COMMANDS),
            Sender::Player => (&self.player, PLAYER_COMMANDS),
        };
        let known = commands.iter().rev().take(limit).find(|(id, _)| *id == delivery.command_id.as_str());
        if let Some((_, refused)) = known {
            return Some(*refused);
        }
        let place = delivery.fifo?;
        let (_, last) = self.positions.iter().find(|(queue, _)| *queue == place.queue)?;
        ((place.position.sequence, place.position.index) <= *last).then_some(None)
    }

    pub fn remember(&mut self, delivery: &Delivery, refused: Option<RejectionReason>) {
        let decided = (delivery.command_id.to_string(), refused);
        match delivery.sender {
            Sender::Trusted => self.trusted.push(decided),
            Sender::Player => self.player.push(decided),
        }
        let Some(place) = delivery.fifo else { return };
        let mut last = (place.position.sequence, place.position.index);
        if let Some(at) = self.positions.iter().position(|(queue, _)| *queue == place.queue) {
            last = last.max(self.positions.remove(at).1);
        }
        self.positions.push((place.queue, last));
        if self.positions.len() > FIFO_QUEUES {
            self.positions.remove(0);
        }
    }
}
