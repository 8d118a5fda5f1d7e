//! Queues with timed work, put into a store past all functions, and a clock that moves for all of them.

use std::{fs, path::PathBuf};

use millrace_domain::{
    Command, CommandId, Delivery, PlayerId, Queue, ResourceName, Resources, Rules, TaskId, TaskKind, TaskSpec,
    Timestamp, Work, codec, task::Outcome,
};
use millrace_store::{QueueWrite, Store};
use tempfile::TempDir;

use crate::stored;

/// A clock in a file, which stands where it is put. The file is removed with this value.
#[derive(Debug)]
pub struct MovedClock {
    folder: TempDir,
}

impl MovedClock {
    /// A clock that shows this time.
    pub fn at(time: Timestamp) -> Self {
        let clock = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        clock.set(time);
        clock
    }

    /// From now on it shows this time.
    pub fn set(&self, time: Timestamp) {
        // In one step: whoever reads it meanwhile finds one time or the other.
        let new = self.folder.path().join("new");
        fs::write(&new, time.to_string()).expect("the clock can be written");
        fs::rename(&new, self.path()).expect("the clock can be moved");
    }

    /// What a function has to know it by, in `MILLRACE_CLOCK_FILE`.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("clock")
    }
}

/// The player of a number.
pub fn player(at: usize) -> PlayerId {
    stored::player(&format!("p-{at}"))
}

/// The row of a queue that was begun at `begun` with one task, which is due at `due_at` and earns a gold.
///
/// # Panics
/// Where no task can take so long.
pub fn row(player_id: &PlayerId, begun: Timestamp, due_at: Timestamp) -> QueueWrite {
    let gold = ResourceName::new("gold").expect("it is allowed");
    let task = TaskSpec {
        task_id: TaskId::new("t").expect("it is allowed"),
        kind: TaskKind::new("test").expect("it is allowed"),
        priority: Default::default(),
        work: Work::DurationMs(due_at.millis_since(begun)),
        not_before: None,
        prerequisites: Vec::new(),
        costs: Resources::new(),
        rewards: Resources::from_iter([(gold, 1)]),
        max_retries: 0,
        retry_delay_ms: 0,
    };
    let delivery = Delivery {
        player_id: player_id.clone(),
        command_id: CommandId::new("c").expect("it is allowed"),
        sent_at: begun,
        position: None,
        command: Command::EnqueueTasks { tasks: vec![task] },
    };
    let mut queue = Queue::new(player_id.clone(), begun);
    queue.deliver(&delivery, begun, Rules::default(), &mut Vec::new());
    queue.version = 1;
    let due = queue.due_at(Rules::default());
    assert_eq!(due, Some(due_at), "the task is active and due");
    QueueWrite {
        player_id: player_id.clone(),
        expected: 0,
        version: 1,
        queue: codec::encode(&queue),
        outbox: None,
        due_at: due,
    }
}

/// Puts a queue for each due moment into the store: the players `p-0` and so on, begun at `begun`.
///
/// # Panics
/// Where one cannot be written.
pub async fn plant(store: &dyn Store, begun: Timestamp, due: &[Timestamp]) {
    let writes: Vec<QueueWrite> = due.iter().enumerate().map(|(at, due_at)| row(&player(at), begun, *due_at)).collect();
    for outcome in store.commit(&writes).await.outcomes {
        outcome.expect("the row can be written");
    }
}

/// Checks that the task of every planted queue has completed once: in the queue of all, and in the
/// history, on time, and the stats of every `nth`. Nothing is in the index any more.
///
/// # Panics
/// Where one has not.
pub async fn assert_completed_once(store: &dyn Store, due: &[Timestamp], nth: usize) {
    let players: Vec<PlayerId> = (0..due.len()).map(player).collect();
    let queues = stored::queues(store, &players).await;
    for (at, ((player, queue), due_at)) in players.iter().zip(queues).zip(due).enumerate() {
        let queue = queue.expect("the player has a row");
        assert_eq!((queue.totals.completed, queue.balances.get("gold"), queue.tasks.len()), (1, 1, 0), "{player}");
        if !at.is_multiple_of(nth) {
            continue;
        }
        let history = stored::history(store, player.as_str()).await;
        let ends: Vec<_> = history.iter().map(|row| (row.outcome, row.finished_at)).collect();
        assert_eq!(ends, [(Outcome::Completed, *due_at)], "{player}");
        let stats = store.stats(player).await.expect("stats can be read").expect("the player has stats");
        assert_eq!((stats.totals.completed, stats.totals.rewards.get("gold")), (1, 1), "{player}");
    }
    for shard in 0..millrace_store::DUE_SHARDS {
        let left = store.due(shard, Timestamp::from_millis(u64::MAX / 2), None, 1).await.queues;
        assert_eq!(left.expect("the index can be read"), [], "shard {shard}");
    }
}

/// Which of so many planted queues have completed their task.
pub async fn completed(store: &dyn Store, count: usize) -> Vec<bool> {
    let players: Vec<PlayerId> = (0..count).map(player).collect();
    let queues = stored::queues(store, &players).await;
    queues.iter().map(|queue| queue.as_ref().is_some_and(|queue| queue.totals.completed == 1)).collect()
}
