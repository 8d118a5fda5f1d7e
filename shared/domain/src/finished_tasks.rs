//! The finished tasks that a queue remembers, so that their ids are not used again and later tasks can
//! name them as prerequisites.
//!
//! Every load reads all of them and every commit writes them, and hardly any command looks at them: they
//! lie in memory as they go out, as one string of bytes.

use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Serialize, Serializer};

use crate::{
    ids::TaskId,
    task::{FinishedTask, Outcome},
    time::Timestamp,
    wire::{Reader, Wire, Writer},
};

/// How many finished tasks a queue remembers.
pub const REMEMBERED_TASKS: usize = 64;

/// The end of an entry: one byte of its outcome, six of its time in milliseconds, which last until the
/// year 10889.
const TAIL: usize = 7;

/// The last finished tasks of a queue, oldest first.
#[derive(Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(map)]
pub struct FinishedTasks {
    /// For each task the length of its id, the id, and the [`TAIL`].
    #[cbor(n(0), with = "minicbor::bytes")]
    bytes: Vec<u8>,
}

/// One entry, as it lies there.
#[derive(Clone, Copy)]
struct Entry<'a> {
    id: &'a [u8],
    tail: &'a [u8; TAIL],
}

impl<'a> Entry<'a> {
    /// The first entry of `bytes`, and what follows it.
    fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (length, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(*length))?;
        let (tail, rest) = rest.split_first_chunk()?;
        Some((Self { id, tail }, rest))
    }

    fn outcome(self) -> Option<Outcome> {
        match self.tail[0] {
            0 => Some(Outcome::Completed),
            1 => Some(Outcome::Failed),
            2 => Some(Outcome::Cancelled),
            _ => None,
        }
    }

    fn finished(self) -> Option<FinishedTask> {
        let [_, time @ ..] = *self.tail;
        let mut millis = [0; 8];
        millis[..time.len()].copy_from_slice(&time);
        Some(FinishedTask {
            task_id: TaskId::new(std::str::from_utf8(self.id).ok()?).ok()?,
            outcome: self.outcome()?,
            finished_at: Timestamp::from_millis(u64::from_le_bytes(millis)),
        })
    }
}

impl FinishedTasks {
    /// How many are remembered, at most [`REMEMBERED_TASKS`].
    pub fn len(&self) -> usize {
        self.entries().count()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Those remembered, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = FinishedTask> {
        self.entries().filter_map(Entry::finished)
    }

    /// Those remembered, newest first.
    pub fn newest_first(&self) -> Vec<FinishedTask> {
        let mut finished: Vec<_> = self.iter().collect();
        finished.reverse();
        finished
    }

    /// The last one of this id.
    pub fn find(&self, id: &TaskId) -> Option<FinishedTask> {
        let wanted = id.as_str().as_bytes();
        self.entries().filter(|entry| entry.id == wanted).last()?.finished()
    }

    /// Remembers a task, and forgets the oldest one where there is no room for both.
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
            // Many queues are held in memory for long: not twice as much room, as a vector would make.
            self.bytes.reserve_exact(size.max(self.bytes.len() / 8));
        }
        // An id has at most 128 characters.
        self.bytes.push(id.len() as u8);
        self.bytes.extend_from_slice(id);
        self.bytes.push(match finished.outcome {
            Outcome::Completed => 0,
            Outcome::Failed => 1,
            Outcome::Cancelled => 2,
        });
        self.bytes.extend_from_slice(&time[..TAIL - 1]);
    }

    /// How many bytes of memory are held for them.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut rest = self.bytes.as_slice();
        std::iter::from_fn(move || {
            let (entry, behind) = Entry::split(rest)?;
            rest = behind;
            Some(entry)
        })
    }
}

impl fmt::Debug for FinishedTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for FinishedTasks {
    /// A list where a person may read it, the bytes in compact formats.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.iter())
        } else {
            serializer.serialize_bytes(&self.bytes)
        }
    }
}

impl Wire for FinishedTasks {
    fn write(&self, writer: &mut Writer) {
        writer.text(&self.bytes);
    }
    /// As they are. Whether they are a list is not asked: their checksum is right, hardly any load looks at one
    /// of them, and bytes that are none read as a shorter list.
    fn read(reader: &mut Reader<'_>) -> Self {
        Self { bytes: reader.bytes().to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finished(id: &str, outcome: Outcome, millis: u64) -> FinishedTask {
        FinishedTask { task_id: TaskId::new(id).unwrap(), outcome, finished_at: Timestamp::from_millis(millis) }
    }

    fn some() -> impl Strategy<Value = FinishedTask> {
        let outcome = prop_oneof![Just(Outcome::Completed), Just(Outcome::Failed), Just(Outcome::Cancelled)];
        ("[A-Za-z0-9._:-]{1,128}", outcome, any::<u64>())
            .prop_map(|(id, outcome, millis)| finished(&id, outcome, millis))
    }

    proptest! {
        #[test]
        fn it_is_a_list_of_the_last_ones(tasks in prop::collection::vec(some(), 0..100)) {
            let mut recent = FinishedTasks::default();
            tasks.iter().for_each(|task| recent.push(task));
            let last = &tasks[tasks.len().saturating_sub(REMEMBERED_TASKS)..];
            prop_assert_eq!(recent.iter().collect::<Vec<_>>(), last);
            prop_assert_eq!((recent.len(), recent.is_empty()), (last.len(), last.is_empty()));
            for task in &tasks {
                let expected = last.iter().rfind(|other| other.task_id == task.task_id).cloned();
                prop_assert_eq!(recent.find(&task.task_id), expected);
            }
            prop_assert_eq!(serde_json::to_value(&recent).unwrap(), serde_json::to_value(last).unwrap());
        }

        #[test]
        fn other_bytes_are_a_list_too(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut recent = FinishedTasks { bytes };
            let before: Vec<_> = recent.iter().collect();
            prop_assert!(before.len() <= recent.len());
            let last = finished("last", Outcome::Completed, 7);
            recent.push(&last);
            prop_assert!(recent.iter().count() <= before.len() + 1);
            prop_assert!(recent.find(&last.task_id).is_none_or(|found| before.contains(&found) || found == last));
        }
    }

    #[test]
    fn room_is_made_for_little_more_than_there_is() {
        let mut recent = FinishedTasks::default();
        for n in 0..1_000_u64 {
            recent.push(&finished(&format!("task-{n:04}"), Outcome::Completed, n));
        }
        assert!(recent.capacity() <= 64 * 17 * 9 / 8 + 17, "{}", recent.capacity());
    }
}
