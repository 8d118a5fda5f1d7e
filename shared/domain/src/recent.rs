//! The finished tasks that a queue remembers, so that their ids are not used again and later tasks can
//! name them as prerequisites.
//!
//! Every load reads all of them and every commit writes them, and hardly any command looks at them: they
//! lie in memory as they go out, as one string of bytes.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    ids::{MAX_ID_LENGTH, TaskId},
    task::{Finished, Outcome},
    time::Timestamp,
};

/// How many finished tasks a queue remembers.
pub const REMEMBERED_TASKS: usize = 64;

/// The end of an entry: one byte of its outcome, six of its time in milliseconds, which last until the
/// year 10889.
const TAIL: usize = 7;

/// The last finished tasks of a queue, oldest first.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Recent {
    /// For each task the length of its id, the id, and the [`TAIL`].
    bytes: Vec<u8>,
    count: usize,
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

    fn finished(self) -> Option<Finished> {
        let [_, time @ ..] = *self.tail;
        let mut millis = [0; 8];
        millis[..time.len()].copy_from_slice(&time);
        Some(Finished {
            task_id: TaskId::new(std::str::from_utf8(self.id).ok()?).ok()?,
            outcome: self.outcome()?,
            finished_at: Timestamp::from_millis(u64::from_le_bytes(millis)),
        })
    }
}

impl Recent {
    /// How many are remembered, at most [`REMEMBERED_TASKS`].
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Those remembered, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Finished> {
        self.entries().filter_map(Entry::finished)
    }

    /// Those remembered, newest first.
    pub fn newest_first(&self) -> Vec<Finished> {
        let mut finished: Vec<_> = self.iter().collect();
        finished.reverse();
        finished
    }

    /// The last one of this id.
    pub fn find(&self, id: &TaskId) -> Option<Finished> {
        let wanted = id.as_str().as_bytes();
        self.entries().filter(|entry| entry.id == wanted).last()?.finished()
    }

    /// Remembers a task, and forgets the oldest one where there is no room for both.
    pub fn push(&mut self, finished: &Finished) {
        if self.count == REMEMBERED_TASKS
            && let Some((_, rest)) = Entry::split(&self.bytes)
        {
            let oldest = self.bytes.len() - rest.len();
            self.bytes.drain(..oldest);
            self.count -= 1;
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
        self.count += 1;
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

    /// What these bytes say; none where they say something else.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (mut rest, mut count) = (bytes, 0);
        while !rest.is_empty() {
            let (entry, behind) = Entry::split(rest)?;
            entry.outcome()?;
            if entry.id.is_empty() || entry.id.len() > MAX_ID_LENGTH {
                return None;
            }
            (rest, count) = (behind, count + 1);
        }
        (count <= REMEMBERED_TASKS).then(|| Self { bytes: bytes.to_vec(), count })
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for Recent {
    /// A list where a person may read it, the bytes in compact formats.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.iter())
        } else {
            serializer.serialize_bytes(&self.bytes)
        }
    }
}

impl<'de> Deserialize<'de> for Recent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Recent;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "the bytes of at most {REMEMBERED_TASKS} finished tasks")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Recent, E> {
                Recent::read(bytes).ok_or_else(|| E::invalid_value(de::Unexpected::Bytes(bytes), &self))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn finished(id: &str, outcome: Outcome, millis: u64) -> Finished {
        Finished { task_id: TaskId::new(id).unwrap(), outcome, finished_at: Timestamp::from_millis(millis) }
    }

    fn some() -> impl Strategy<Value = Finished> {
        let outcome = prop_oneof![Just(Outcome::Completed), Just(Outcome::Failed), Just(Outcome::Cancelled)];
        ("[A-Za-z0-9._:-]{1,128}", outcome, any::<u64>())
            .prop_map(|(id, outcome, millis)| finished(&id, outcome, millis))
    }

    proptest! {
        #[test]
        fn it_is_a_list_of_the_last_ones(tasks in prop::collection::vec(some(), 0..100)) {
            let mut recent = Recent::default();
            tasks.iter().for_each(|task| recent.push(task));
            let last = &tasks[tasks.len().saturating_sub(REMEMBERED_TASKS)..];
            prop_assert_eq!(recent.iter().collect::<Vec<_>>(), last);
            prop_assert_eq!((recent.len(), recent.is_empty()), (last.len(), last.is_empty()));
            for task in &tasks {
                let expected = last.iter().rfind(|other| other.task_id == task.task_id).cloned();
                prop_assert_eq!(recent.find(&task.task_id), expected);
            }
            let bytes = postcard::to_allocvec(&recent).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Recent>(&bytes), Ok(recent.clone()));
            prop_assert_eq!(serde_json::to_value(&recent).unwrap(), serde_json::to_value(last).unwrap());
        }

        #[test]
        fn other_bytes_are_refused_or_a_list(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(recent) = Recent::read(&bytes) {
                prop_assert!(recent.iter().count() <= recent.len() && recent.len() <= REMEMBERED_TASKS);
            }
        }
    }

    #[test]
    fn what_is_cut_or_too_many_or_of_no_outcome_is_refused() {
        let mut recent = Recent::default();
        recent.push(&finished("task", Outcome::Failed, 7));
        let one = recent.bytes;
        assert!(Recent::read(&one).is_some() && Recent::read(&[]).is_some());
        for length in 1..one.len() {
            assert!(Recent::read(&one[..length]).is_none(), "{length}");
        }
        assert_eq!(Recent::read(&one.repeat(REMEMBERED_TASKS)).map(|recent| recent.len()), Some(REMEMBERED_TASKS));
        assert!(Recent::read(&one.repeat(REMEMBERED_TASKS + 1)).is_none());
        let mut other = one.clone();
        other[1 + 4] = 3;
        assert!(Recent::read(&other).is_none());
        assert!(Recent::read(&[0, 0, 0, 0, 0, 0, 0, 0]).is_none(), "an id has a character at least");
    }

    #[test]
    fn room_is_made_for_little_more_than_there_is() {
        let mut recent = Recent::default();
        for n in 0..1_000_u64 {
            recent.push(&finished(&format!("task-{n:04}"), Outcome::Completed, n));
        }
        assert!(recent.capacity() <= 64 * 17 * 9 / 8 + 17, "{}", recent.capacity());
    }
}
