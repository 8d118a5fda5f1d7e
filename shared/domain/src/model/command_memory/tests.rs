//! Which commands are remembered, and for how long.

use super::*;
use crate::{
    model::command::{Command, FifoPlace, FifoPosition, FifoQueueId},
    testing::delivery,
};

fn named(name: &str) -> Delivery {
    delivery(name, 0, Command::PauseQueue)
}

/// A command that the player itself sends.
fn by_player(name: &str) -> Delivery {
    Delivery { sender: Sender::Player, ..named(name) }
}

fn positioned(name: &str, sequence: u128, index: u16) -> Delivery {
    in_queue("commands", name, sequence, index)
}

/// A command that comes through the FIFO queue of this name.
fn in_queue(queue: &str, name: &str, sequence: u128, index: u16) -> Delivery {
    let fifo = FifoPlace { queue: FifoQueueId::of(queue), position: FifoPosition { sequence, index } };
    Delivery { fifo: Some(fifo), ..named(name) }
}

/// A memory of `c-0` to `c-<count - 1>`.
fn memory(count: usize) -> CommandMemory {
    let mut memory = CommandMemory::default();
    for n in 0..count {
        memory.remember(&named(&format!("c-{n}")), None);
    }
    memory
}

fn batch(from: usize, to: usize) -> Vec<Delivery> {
    (from..to).map(|n| named(&format!("c-{n}"))).collect()
}

fn knows(memory: &CommandMemory, n: usize) -> bool {
    memory.find(&named(&format!("c-{n}"))).is_some()
}

fn decided(rejection: Option<RejectionReason>) -> Option<DecidedCommand> {
    Some(DecidedCommand { rejection })
}

#[test]
fn a_command_is_found_with_its_rejection_reason() {
    let mut memory = CommandMemory::default();
    assert!(memory.is_empty());
    memory.remember(&named("applied"), None);
    memory.remember(&named("refused"), Some(RejectionReason::QueueFull));
    assert_eq!(memory.find(&named("applied")), decided(None));
    assert_eq!(memory.find(&named("refused")), decided(Some(RejectionReason::QueueFull)));
    assert_eq!(memory.find(&named("another")), None);
    assert_eq!(memory.len(), 2);
}

#[test]
fn the_last_96_commands_of_trusted_senders_are_remembered() {
    let mut memory = memory(150);
    memory.trim(batch(149, 150).iter());
    assert_eq!(memory.len(), 96);
    assert!(!knows(&memory, 53) && knows(&memory, 54) && knows(&memory, 149));
}

#[test]
fn the_last_32_commands_of_the_player_are_remembered() {
    let mut memory = CommandMemory::default();
    let commands: Vec<_> = (0..50).map(|n| by_player(&format!("c-{n}"))).collect();
    commands.iter().for_each(|command| memory.remember(command, None));
    memory.trim(commands[49..].iter());
    assert_eq!(memory.len(), 32);
    assert!(memory.find(&commands[17]).is_none() && memory.find(&commands[18]).is_some());
}

#[test]
fn up_to_96_commands_nothing_is_forgotten() {
    let mut memory = memory(96);
    memory.trim(batch(95, 96).iter());
    assert_eq!(memory.len(), 96);
}

#[test]
fn commands_of_the_player_displace_no_command_of_a_trusted_sender() {
    let mut memory = memory(150);
    for n in 0..1_000 {
        let command = by_player(&format!("d-{n}"));
        memory.remember(&command, None);
        memory.trim([command].iter());
    }
    assert_eq!(memory.len(), 150 + 32, "only a trusted command shortens the trusted memory");
    assert!((0..150).all(|n| knows(&memory, n)));
}

#[test]
fn commands_of_trusted_senders_displace_no_command_of_the_player() {
    let mut memory = CommandMemory::default();
    memory.remember(&by_player("d"), None);
    for n in 0..1_000 {
        let command = named(&format!("c-{n}"));
        memory.remember(&command, None);
        memory.trim([command].iter());
    }
    assert_eq!((memory.find(&by_player("d")), memory.len()), (decided(None), 1 + 96));
}

#[test]
fn an_id_of_one_sender_does_not_use_up_that_of_the_other() {
    let mut memory = CommandMemory::default();
    memory.remember(&by_player("c"), Some(RejectionReason::UnknownTask));
    assert_eq!(memory.find(&named("c")), None);
    memory.remember(&named("c"), None);
    assert_eq!(memory.find(&named("c")), decided(None));
    assert_eq!(memory.find(&by_player("c")), decided(Some(RejectionReason::UnknownTask)));
}

#[test]
fn a_larger_batch_is_remembered_whole_until_the_next_one() {
    let mut memory = memory(264);
    memory.trim(batch(64, 264).iter());
    assert_eq!(memory.len(), 200);
    assert!((64..264).all(|n| knows(&memory, n)) && !knows(&memory, 63));
    memory.remember(&named("c-264"), None);
    memory.trim(batch(264, 265).iter());
    assert_eq!(memory.len(), 96);
    assert!(!knows(&memory, 168) && knows(&memory, 169) && knows(&memory, 264));
}

#[test]
fn a_batch_without_commands_shortens_nothing() {
    let mut memory = memory(264);
    memory.trim([].iter());
    assert_eq!(memory.len(), 264);
}

#[test]
fn trimming_gives_back_the_memory_of_a_large_batch() {
    let mut memory = memory(1_000);
    memory.trim(batch(999, 1_000).iter());
    let entries = |memory: &CommandMemory| memory.allocated_bytes() / size_of::<Entry>();
    assert!(entries(&memory) <= REMEMBERED_COMMANDS + SLACK, "{}", entries(&memory));
    for n in 0..500 {
        let command = named(&format!("d-{n}"));
        memory.remember(&command, None);
        memory.trim([command].iter());
    }
    assert!(entries(&memory) <= REMEMBERED_COMMANDS + 2 * SLACK, "{}", entries(&memory));
}

#[test]
fn old_commands_that_a_batch_repeats_are_kept() {
    let mut memory = memory(102);
    memory.trim(batch(0, 3).iter());
    assert_eq!(memory.len(), 96);
    assert!((0..3).all(|n| knows(&memory, n)) && (3..9).all(|n| !knows(&memory, n)) && knows(&memory, 9));
}

#[test]
fn a_fifo_position_makes_a_duplicate_after_the_id_is_forgotten() {
    let mut memory = CommandMemory::default();
    let first = positioned("first", u128::MAX - 1, 3);
    memory.remember(&first, Some(RejectionReason::QueueFull));
    for n in 0..96 {
        memory.remember(&named(&format!("c-{n}")), None);
    }
    assert_eq!(memory.find(&first), decided(Some(RejectionReason::QueueFull)));
    memory.trim(batch(95, 96).iter());
    assert_eq!(memory.find(&first), decided(None), "the reason is forgotten");
    assert_eq!(memory.find(&named("first")), None, "without a position it is a new command");
    assert_eq!(memory.find(&positioned("next", u128::MAX - 1, 4)), None);
    assert_eq!(memory.find(&positioned("next", u128::MAX, 0)), None);
    assert_eq!(memory.find(&positioned("older", 7, 9)), decided(None));
}

#[test]
fn the_last_fifo_position_never_goes_back() {
    let mut memory = CommandMemory::default();
    memory.remember(&positioned("b", 8, 0), None);
    memory.remember(&positioned("a", 7, 0), None);
    memory.remember(&named("c"), None);
    assert_eq!(memory.find(&positioned("d", 8, 0)), decided(None));
}

#[test]
fn each_fifo_queue_has_its_own_last_position() {
    let mut memory = CommandMemory::default();
    memory.remember(&in_queue("one", "a", 1_000, 0), None);
    assert_eq!(memory.find(&in_queue("other", "b", 7, 0)), None, "a lower number of another queue");
    memory.remember(&in_queue("other", "b", 7, 0), None);
    assert_eq!(memory.find(&in_queue("other", "c", 7, 0)), decided(None));
    assert_eq!(memory.find(&in_queue("other", "c", 8, 0)), None);
    assert_eq!(memory.find(&in_queue("one", "c", 1_000, 0)), decided(None));
}

#[test]
fn a_fifth_fifo_queue_replaces_the_least_recently_used_one() {
    let mut memory = CommandMemory::default();
    for (n, queue) in ["one", "two", "three", "four", "one", "five"].into_iter().enumerate() {
        memory.remember(&in_queue(queue, &format!("c-{n}"), 100 + n as u128, 0), None);
    }
    let is_passed = |queue| memory.find(&in_queue(queue, "new", 50, 0)).is_some();
    assert_eq!(["one", "two", "three", "four", "five"].map(is_passed), [true, false, true, true, true]);
}

#[test]
fn a_rejection_reason_of_a_newer_release_is_kept() {
    let mut memory = memory(1);
    memory.trusted[0][16] = 200;
    let decoded: CommandMemory = minicbor::decode(&minicbor::to_vec(&memory).unwrap()).unwrap();
    assert_eq!(decoded, memory, "the number is written as it was read");
    assert_eq!(decoded.find(&named("c-0")), decided(None), "the command is a duplicate without a reason");
}

#[test]
fn incomplete_entries_are_not_decoded() {
    // A map of field 0 to one byte.
    let error = minicbor::decode::<CommandMemory>(&[0xa1, 0x00, 0x41, 0x07]).unwrap_err();
    assert!(error.to_string().contains("1 bytes follow"), "{error}");
}
