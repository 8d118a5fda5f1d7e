//! Which commands are remembered, and for how long.

use super::*;
use crate::{model::command::Command, testing::delivery};

fn named(name: &str) -> Delivery {
    delivery(name, 0, Command::PauseQueue)
}

fn positioned(name: &str, sequence: u128, index: u16) -> Delivery {
    Delivery { position: Some(FifoPosition { sequence, index }), ..named(name) }
}

/// A memory of `c-0` to `c-<count - 1>`.
fn memory(count: usize) -> CommandMemory {
    let mut memory = CommandMemory::default();
    for n in 0..count {
        memory.remember(&named(&format!("c-{n}")), None);
    }
    memory
}

fn ids(from: usize, to: usize) -> Vec<CommandId> {
    (from..to).map(|n| CommandId::new(&format!("c-{n}")).unwrap()).collect()
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
fn the_last_64_commands_are_remembered() {
    let mut memory = memory(100);
    memory.trim(ids(99, 100).iter());
    assert_eq!(memory.len(), REMEMBERED_COMMANDS);
    assert!(!knows(&memory, 35) && knows(&memory, 36) && knows(&memory, 99));
}

#[test]
fn up_to_64_commands_nothing_is_forgotten() {
    let mut memory = memory(64);
    memory.trim([].iter());
    assert_eq!(memory.len(), 64);
}

#[test]
fn a_larger_batch_is_remembered_whole_until_the_next_one() {
    let mut memory = memory(164);
    memory.trim(ids(64, 164).iter());
    assert_eq!(memory.len(), 100);
    assert!((64..164).all(|n| knows(&memory, n)) && !knows(&memory, 63));
    memory.remember(&named("c-164"), None);
    memory.trim(ids(164, 165).iter());
    assert_eq!(memory.len(), 64);
    assert!(!knows(&memory, 100) && knows(&memory, 101) && knows(&memory, 164));
}

#[test]
fn trimming_gives_back_the_memory_of_a_large_batch() {
    let mut memory = memory(1_000);
    memory.trim([].iter());
    let entries = |memory: &CommandMemory| memory.allocated_bytes() / size_of::<Entry>();
    assert!(entries(&memory) <= REMEMBERED_COMMANDS + SLACK, "{}", entries(&memory));
    for n in 0..500 {
        memory.remember(&named(&format!("d-{n}")), None);
        memory.trim([].iter());
    }
    assert!(entries(&memory) <= REMEMBERED_COMMANDS + 2 * SLACK, "{}", entries(&memory));
}

#[test]
fn old_commands_that_a_batch_repeats_are_kept() {
    let mut memory = memory(70);
    memory.trim(ids(0, 3).iter());
    assert_eq!(memory.len(), 64);
    assert!((0..3).all(|n| knows(&memory, n)) && (3..9).all(|n| !knows(&memory, n)) && knows(&memory, 9));
}

#[test]
fn a_fifo_position_makes_a_duplicate_after_the_id_is_forgotten() {
    let mut memory = CommandMemory::default();
    let first = positioned("first", u128::MAX - 1, 3);
    memory.remember(&first, Some(RejectionReason::QueueFull));
    for n in 0..64 {
        memory.remember(&named(&format!("c-{n}")), None);
    }
    assert_eq!(memory.find(&first), decided(Some(RejectionReason::QueueFull)));
    memory.trim(ids(63, 64).iter());
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
fn a_rejection_reason_of_a_newer_release_is_kept() {
    let mut memory = memory(1);
    memory.commands[0][16] = 200;
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
