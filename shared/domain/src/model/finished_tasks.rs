//! The finished tasks that a queue remembers. Their ids are taken, and later tasks can name them as
//! prerequisites.
//!
//! Every load decodes all of them and every commit writes them, but few commands look at one. So
//! they have the same layout in memory as in the row: one byte string, decoded entry by entry on
//! demand.

use std::fmt;

use minicbor::{Decode, Encode};

use crate::model::{
    ids::TaskId,
    task::{FinishedTask, Outcome},
    time::Timestamp,
};

/// How many finished tasks a queue remembers.
pub const REMEMBERED_TASKS: usize = 64;

/// The end of an entry: one byte of its outcome, then its time in milliseconds as six bytes,
/// little-endian, which last until the year 10889.
const TAIL: usize = 7;

/// The last finished tasks of a queue, oldest first.
#[derive(Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct FinishedTasks {
    /// For each task: the length of its id as one byte, the id, the [`TAIL`].
    #[cbor(n(0), with = "minicbor::bytes")]
    bytes: Vec<u8>,
}

/// One encoded task.
#[derive(Clone, Copy)]
struct Entry<'a> {
    id: &'a [u8],
    tail: &'a [u8; TAIL],
}

impl<'a> Entry<'a> {
    /// The first entry of `bytes`, and the bytes that follow it.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (length, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(*length))?;
        let (tail, rest) = rest.split_first_chunk()?;
        Some((Self { id, tail }, rest))
    }

    fn decode(self) -> Option<FinishedTask> {
        let [outcome, time @ ..] = *self.tail;
        let mut millis = [0; 8];
        millis[..time.len()].copy_from_slice(&time);
        Some(FinishedTask {
            task_id: TaskId::from_row(std::str::from_utf8(self.id).ok()?)?,
            outcome: outcome_of(outcome),
            finished_at: Timestamp::from_millis(u64::from_le_bytes(millis)),
        })
    }
}

/// The outcome of a number. One of a newer release counts as cancelled: the id stays taken, and no
/// task starts that needs this one completed. The entry itself keeps its number.
fn outcome_of(number: u8) -> Outcome {
    match number {
        0 => Outcome::Completed,
        1 => Outcome::Failed,
        _ => Outcome::Cancelled,
    }
}

fn number_of(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Completed => 0,
        Outcome::Failed => 1,
        Outcome::Cancelled => 2,
    }
}

impl FinishedTasks {
    /// The number of remembered tasks, at most [`REMEMBERED_TASKS`].
    pub fn len(&self) -> usize {
        self.entries().count()
    }

    /// Whether no task is remembered.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The remembered tasks, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = FinishedTask> {
        self.entries().filter_map(Entry::decode)
    }

    /// The remembered tasks, newest first.
    pub fn newest_first(&self) -> Vec<FinishedTask> {
        let mut finished: Vec<_> = self.iter().collect();
        finished.reverse();
        finished
    }

    /// The newest task of this id.
    pub fn find(&self, id: &TaskId) -> Option<FinishedTask> {
        let id = id.as_str().as_bytes();
        self.entries().filter(|entry| entry.id == id).last()?.decode()
    }

    /// Remembers a task. Forgets the oldest one if there are too many.
    pub fn push(&mut self, finished: &FinishedTask) {
        if self.len() >= REMEMBERED_TASKS
            && let Some((_, rest)) = Entry::split(&self.bytes)
        {
            let oldest = self.bytes.len() - rest.len();
            self.bytes.drain(..oldest);
        }
        let id = finished.task_id.as_str().as_bytes();
        let time = finished.finished_at.as_millis().to_le_bytes();
        let size = 1 + id.len() + TAIL;
        if self.bytes.capacity() - self.bytes.len() < size {
            // Queues stay in memory for long: reserve a little instead of doubling the capacity.
            self.bytes.reserve_exact(size.max(self.bytes.len() / 8));
        }
        // An id has at most 128 characters.
        self.bytes.push(id.len() as u8);
        self.bytes.extend_from_slice(id);
        self.bytes.push(number_of(finished.outcome));
        self.bytes.extend_from_slice(&time[..TAIL - 1]);
    }

    /// How many bytes of memory the tasks take, reserved ones included.
    pub fn allocated_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (entry, following) = Entry::split(rest)?;
            rest = following;
            Some(entry)
        })
    }
}

impl fmt::Debug for FinishedTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finished(id: &str, outcome: Outcome, millis: u64) -> FinishedTask {
        FinishedTask { task_id: TaskId::new(id).unwrap(), outcome, finished_at: Timestamp::from_millis(millis) }
    }

    fn any_finished_task() -> impl Strategy<Value = FinishedTask> {
        let outcome = prop_oneof![Just(Outcome::Completed), Just(Outcome::Failed), Just(Outcome::Cancelled)];
        ("[A-Za-z0-9._:-]{1,128}", outcome, any::<u64>())
            .prop_map(|(id, outcome, millis)| finished(&id, outcome, millis))
    }

    proptest! {
        #[test]
        fn the_last_tasks_are_remembered_in_order(tasks in prop::collection::vec(any_finished_task(), 0..100)) {
            let mut remembered = FinishedTasks::default();
            tasks.iter().for_each(|task| remembered.push(task));
            let last = &tasks[tasks.len().saturating_sub(REMEMBERED_TASKS)..];
            prop_assert_eq!(remembered.iter().collect::<Vec<_>>(), last);
            prop_assert_eq!((remembered.len(), remembered.is_empty()), (last.len(), last.is_empty()));
            for task in &tasks {
                let expected = last.iter().rfind(|other| other.task_id == task.task_id).cloned();
                prop_assert_eq!(remembered.find(&task.task_id), expected);
            }
        }

        #[test]
        fn any_bytes_are_a_list_that_can_be_added_to(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut remembered = FinishedTasks { bytes };
            let before: Vec<_> = remembered.iter().collect();
            prop_assert!(before.len() <= remembered.len());
            let last = finished("last", Outcome::Completed, 7);
            remembered.push(&last);
            prop_assert!(remembered.iter().count() <= before.len() + 1);
            prop_assert!(remembered.find(&last.task_id).is_none_or(|found| before.contains(&found) || found == last));
        }
    }

    #[test]
    fn little_more_memory_is_reserved_than_is_used() {
        let mut remembered = FinishedTasks::default();
        for n in 0..1_000_u64 {
            remembered.push(&finished(&format!("task-{n:04}"), Outcome::Completed, n));
        }
        assert!(remembered.allocated_bytes() <= 64 * 17 * 9 / 8 + 17, "{}", remembered.allocated_bytes());
    }

    #[test]
    fn an_outcome_of_a_newer_release_counts_as_cancelled_and_is_kept() {
        let mut remembered = FinishedTasks::default();
        remembered.push(&finished("t", Outcome::Completed, 7));
        remembered.bytes[2] = 9;
        assert_eq!(remembered.find(&TaskId::new("t").unwrap()), Some(finished("t", Outcome::Cancelled, 7)));
        let encoded = minicbor::to_vec(&remembered).unwrap();
        assert_eq!(minicbor::decode::<FinishedTasks>(&encoded).unwrap().bytes[2], 9);
    }
}
