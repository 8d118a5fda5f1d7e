//! Encoding and decoding.

use millrace_domain::{
    JsonText, PlayerId, Priority, Queue, Record, RequiredWrite, Resources, Task, TaskId, TaskKind, Timestamp, Work,
    attempt::FailedAttempt,
    codec::{CachedQueue, FORMAT_VERSION, Outbox, decode, encode},
    task::TaskState,
};
use proptest::{collection::vec, option, prelude::*, sample::Index};

use crate::{
    any_steps, check_events,
    support::{
        config,
        steps::{new_queue, take},
    },
};

/// Corrects the checksum after a change, so that only the content can be wrong.
fn sign(row: &mut [u8]) {
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&row[..2]);
    checksum.update(&row[6..]);
    row[2..6].copy_from_slice(&checksum.finalize().to_le_bytes());
}

fn any_id() -> impl Strategy<Value = TaskId> {
    "[A-Za-z0-9._:-]{1,128}".prop_map(|id| TaskId::new(&id).unwrap())
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_millis)
}

fn any_amounts() -> impl Strategy<Value = Resources> {
    vec(("[a-z]{1,64}", 0..=millrace_domain::MAX_AMOUNT), 0..5)
        .prop_map(|amounts| amounts.iter().map(|(name, amount)| (name.parse().unwrap(), *amount)).collect())
}

fn any_json() -> impl Strategy<Value = JsonText> {
    prop_oneof![Just("{\"a\":[1,null]}"), Just("\"text\""), Just("7.50")].prop_map(|json| json.parse().unwrap())
}

prop_compose! {
    /// A task with values that no command could give it.
    fn any_task()(
        id in any_id(),
        kind in "[a-z.]{1,64}",
        priority in prop::sample::select(vec![Priority::Low, Priority::Normal, Priority::High, Priority::Critical]),
        work in prop_oneof![any::<u64>().prop_map(Work::DurationMs), any::<(u64, Option<u32>, Option<u32>)>()
            .prop_map(|(units, heartbeat_ms, timeout_ms)| Work::Units { units, heartbeat_ms, timeout_ms })],
        (units_done, retry_delay_ms, max_retries, attempts, paid) in any::<(u64, u32, u8, u8, bool)>(),
        (not_before, enqueued_at) in (option::of(any_time()), any_time()),
        open_prerequisites in vec(any_id(), 0..3),
        (costs, rewards) in (any_amounts(), any_amounts()),
        (payload, result) in (option::of(any_json()), option::of(any_json())),
        failures in vec((any::<u8>(), ".{0,200}", any_time()).prop_map(|(attempt, reason, at)| FailedAttempt::new(attempt, &reason, at)), 0..3),
        state in prop_oneof![
            Just(TaskState::Pending),
            (any_time(), any::<u64>(), any::<u64>())
                .prop_map(|(started_at, paused_ms, reported_ms)| TaskState::Active { started_at, paused_ms, reported_ms }),
        ],
    ) -> Task {
        Task {
            id, kind: TaskKind::new(&kind).unwrap(), priority, work, units_done, not_before, open_prerequisites, costs,
            rewards, max_retries, retry_delay_ms, attempts, paid, enqueued_at, state,
            payload, result, failures,
        }
    }
}

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn decoding_restores_queues_and_their_records(steps in any_steps()) {
        let mut queue = new_queue();
        for step in &steps {
            let result = take(&mut queue, step);
            let bytes = encode(&queue);
            let decoded: Queue = decode(&bytes).unwrap();
            prop_assert_eq!(&decoded, &queue);
            prop_assert_eq!(encode(&decoded), bytes);
            let records = vec![Record::Stats(queue.stats()), Record::Progress(queue.progress())];
            let mut outbox = Outbox { records, events: Vec::new() };
            for (at, event) in result.events.into_iter().enumerate() {
                let bytes = encode(&outbox).len() + event.size();
                outbox.add_event(event, at % 3 > 0);
                prop_assert!(encode(&outbox).len() <= bytes);
            }
            prop_assert_eq!(decode::<Outbox>(&encode(&outbox)).unwrap(), outbox);
            let cached =
                CachedQueue { queue: queue.clone(), progress_known: result.required == RequiredWrite::Commit };
            prop_assert_eq!(decode::<CachedQueue>(&encode(&cached)).unwrap(), cached);
        }
    }

    #[test]
    fn decoding_restores_any_task(tasks in vec(any_task(), 0..6), times in vec(any_time(), 3), version in any::<u64>()) {
        let mut queue = Queue::new(PlayerId::new("p-1").unwrap(), times[0]);
        (queue.tasks, queue.version, queue.active_at, queue.paused_at) = (tasks, version, times[1], Some(times[2]));
        prop_assert_eq!(decode::<Queue>(&encode(&queue)), Ok(queue));
    }

    #[test]
    fn damage_in_any_bit_is_detected(steps in any_steps(), place in any::<Index>(), bit in 0..8_u32) {
        let (queue, _) = check_events(&steps, |_, _| Ok(()))?;
        let mut bytes = encode(&queue);
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode::<Queue>(&bytes).is_err());
    }

    #[test]
    fn content_with_a_valid_checksum_is_decoded_or_refused(
        tasks in vec(any_task(), 0..3),
        changes in vec((any::<Index>(), any::<u8>()), 1..4),
        content in vec(any::<u8>(), 0..200),
    ) {
        let mut queue = new_queue();
        queue.tasks = tasks;
        let mut changed = encode(&queue);
        for (place, byte) in changes {
            let at = 6 + place.index(changed.len() - 6);
            changed[at] = byte;
        }
        for kind in [b'Q', b'O', b'C'] {
            let random = [&[kind, FORMAT_VERSION, 0, 0, 0, 0], content.as_slice()].concat();
            for mut row in [changed.clone(), random] {
                row[0] = kind;
                sign(&mut row);
                if let Ok(queue) = decode::<Queue>(&row) {
                    prop_assert_eq!(decode::<Queue>(&encode(&queue)), Ok(queue));
                }
                let _ = decode::<Outbox>(&row);
                let _ = decode::<CachedQueue>(&row);
            }
        }
    }
}
