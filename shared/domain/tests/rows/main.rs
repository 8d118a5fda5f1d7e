//! Sample rows of every format, and rows of a newer release.
//!
//! | module | what is in it |
//! |---|---|
//! | [`samples`] | the values of the sample rows in `format-*`, and how the files are read |
//! | [`newer_release`] | the types of a later release, with more fields and variants |
//!
//! If a sample cannot be read any more, a deployment of this release makes stored rows unreadable.
//! A new format gets its own samples. Samples of a released format never change.

mod newer_release;
mod samples;

use millrace_domain::{
    Command, CommandId, Delivery, Queue, RejectionReason, RequiredWrite, Rules, Sender, TaskId, Timestamp, Verdict,
    codec::{CachedQueue, CodecError, Outbox, StoredValue, decode, encode},
    task::{Outcome, Priority},
};
use newer_release::{NewerRecord, NewerState, NewerWork, row};
use samples::{BEGIN, cached_queue, outbox, queue, read_sample};

/// Checks that the sample is what this release writes, and that it is read as `expected`.
fn assert_sample<T: StoredValue + PartialEq + std::fmt::Debug>(name: &str, expected: &T) {
    let row = read_sample(name);
    let written = encode(expected);
    let hex: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(written == row, "{name}: this release writes {hex}");
    assert_eq!(decode::<T>(&row).as_ref(), Ok(expected), "{name}");
}

#[test]
fn sample_rows_of_format_1_are_read_and_written() {
    assert_sample("format-1/queue.hex", &queue());
    assert_sample("format-1/outbox.hex", &outbox());
    assert_sample("format-1/cached-queue.hex", &cached_queue());
}

fn deliver(queue: &mut Queue, id: &str, after_ms: u64, command: Command) -> (Verdict, RequiredWrite) {
    let at = Timestamp::from_millis(BEGIN + after_ms);
    let delivery = Delivery {
        player_id: queue.player_id.clone(),
        command_id: CommandId::new(id).unwrap(),
        sender: Sender::Trusted,
        sent_at: at,
        fifo: None,
        command,
    };
    queue.deliver(&delivery, at, Rules::default(), &mut Vec::new())
}

#[test]
fn a_row_of_a_newer_release_is_read_changed_and_written() {
    let mut queue: Queue = decode(&row(b'Q', &newer_release::queue())).unwrap();
    assert_eq!((queue.version, queue.tasks.len(), queue.totals.completed), (41, 2, 7));
    assert_eq!(queue.tasks[0].started_at(), Some(Timestamp::from_millis(BEGIN)));
    assert_eq!(queue.tasks[1].priority, Priority::Normal, "an unknown priority counts as normal");
    let finished = queue.finished_task(&TaskId::new("skipped").unwrap()).unwrap();
    assert_eq!(finished.outcome, Outcome::Cancelled, "an unknown outcome counts as cancelled");

    let report = Command::ReportProgress { task_id: TaskId::new("active").unwrap(), units_done: 100, attempt: None };
    assert_eq!(deliver(&mut queue, "c-new", 10, report), (Verdict::Applied, RequiredWrite::Commit));
    assert_eq!((queue.totals.completed, queue.balances.get("gold")), (8, 13));
    assert!(queue.tasks[0].is_active(), "the next task has started");
    queue.version += 1;
    let written = encode(&queue);
    assert_eq!(decode::<Queue>(&written), Ok(queue.clone()));

    // The newer release still finds the numbers that this release does not know.
    let later = newer_release::read(&written);
    assert_eq!(later.finished_outcomes(), [9, 0]);
    assert_eq!(later.command_reasons(), [200, 2, 0]);
    assert_eq!(later.queue.version, 42);
}

#[test]
fn commands_of_a_newer_row_are_duplicates_with_or_without_a_known_reason() {
    let mut queue: Queue = decode(&row(b'Q', &newer_release::queue())).unwrap();
    let unknown = deliver(&mut queue, "c-unknown-reason", 10, Command::PauseQueue);
    assert_eq!(unknown, (Verdict::Duplicate(None), RequiredWrite::Nothing));
    let known = deliver(&mut queue, "c-known-reason", 10, Command::PauseQueue);
    assert_eq!(known.0, Verdict::Duplicate(Some(RejectionReason::QueueFull)));
}

#[test]
fn a_cached_queue_of_a_newer_release_is_read() {
    let cached: CachedQueue = decode(&row(b'C', &newer_release::cached_queue())).unwrap();
    assert!(cached.progress_known);
    assert_eq!(cached.queue, decode(&row(b'Q', &newer_release::queue())).unwrap());
}

/// Checks that the value is refused because of an unknown variant, and not read as something else.
fn assert_unknown_variant<T: StoredValue + std::fmt::Debug>(row: &[u8], variant: u8) {
    let error = decode::<T>(row).unwrap_err();
    let expected = format!("unknown enum variant {variant} ");
    assert!(matches!(&error, CodecError::UnknownValue(detail) if detail.contains(&expected)), "{error}");
}

#[test]
fn unknown_work_and_unknown_states_make_only_their_row_unreadable() {
    for at in 0..2 {
        let mut queue = newer_release::queue();
        queue.tasks[at].work = NewerWork::Repeated(3);
        assert_unknown_variant::<Queue>(&row(b'Q', &queue), 2);
        let mut queue = newer_release::queue();
        queue.tasks[at].state = NewerState::Leased { until: 7 };
        assert_unknown_variant::<Queue>(&row(b'Q', &queue), 2);
    }
}

#[test]
fn an_outbox_with_an_unknown_record_is_unreadable_so_that_no_record_is_dropped() {
    let known = newer_release::outbox(vec![NewerRecord::Known]);
    assert_eq!(decode::<Outbox>(&row(b'O', &known)).unwrap().records.len(), 1);
    let unknown = newer_release::outbox(vec![NewerRecord::Known, NewerRecord::Event { sequence: 42 }]);
    assert_unknown_variant::<Outbox>(&row(b'O', &unknown), 99);
}

#[test]
fn an_unknown_variant_in_a_record_is_not_guessed() {
    let outbox = |priority, outcome| newer_release::outbox(vec![NewerRecord::History { priority, outcome }]);
    assert_eq!(decode::<Outbox>(&row(b'O', &outbox(3, 0))).unwrap().records.len(), 1);
    assert_unknown_variant::<Outbox>(&row(b'O', &outbox(4, 0)), 4);
    assert_unknown_variant::<Outbox>(&row(b'O', &outbox(3, 9)), 9);
}
