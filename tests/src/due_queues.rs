//! Queues with timed work that are inserted into a store, without a function.

use millrace_domain::{
    Command, CommandId, Delivery, PlayerId, Queue, ResourceName, Resources, Rules, Sender, TaskId, TaskKind, TaskSpec,
    Timestamp, Work, codec, task::Outcome,
};
use millrace_store::{QueueWrite, Store};

use crate::store_contents;

/// The player `p-<at>`.
pub fn player(at: usize) -> PlayerId {
    store_contents::player(&format!("p-{at}"))
}

/// The first row of a queue. The queue is created at `created_at` with one task that completes at
/// `due_at` and earns one gold.
///
/// # Panics
/// If a task cannot take that long.
pub fn queue_write(player_id: &PlayerId, created_at: Timestamp, due_at: Timestamp) -> QueueWrite {
    let gold = ResourceName::new("gold").expect("an allowed name");
    let task = TaskSpec {
        task_id: TaskId::new("t").expect("an allowed name"),
        kind: TaskKind::new("test").expect("an allowed name"),
        priority: Default::default(),
        work: Work::DurationMs(due_at.millis_since(created_at)),
        payload: None,
        not_before: None,
        prerequisites: Vec::new(),
        costs: Resources::new(),
        rewards: Resources::from_iter([(gold, 1)]),
        max_retries: 0,
        retry_delay_ms: 0,
    };
    let delivery = Delivery {
        player_id: player_id.clone(),
        command_id: CommandId::new("c").expect("an allowed name"),
        sender: Sender::Trusted,
        sent_at: created_at,
        fifo: None,
        command: Command::EnqueueTasks { tasks: vec![task] },
    };
    let mut queue = Queue::new(player_id.clone(), created_at);
    queue.deliver(&delivery, created_at, Rules::default(), &mut Vec::new());
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
        due_before: None,
    }
}

/// Inserts a queue for each due moment, for the players `p-0`, `p-1` and so on. See
/// [`queue_write`].
///
/// # Panics
/// If a row cannot be written.
pub async fn insert_queues(store: &dyn Store, created_at: Timestamp, due: &[Timestamp]) {
    let writes: Vec<QueueWrite> =
        due.iter().enumerate().map(|(at, due_at)| queue_write(&player(at), created_at, *due_at)).collect();
    for outcome in store.commit(&writes).await.outcomes {
        outcome.expect("the row is written");
    }
}

/// Asserts that the task of every inserted queue has completed once and that the due index is
/// empty. Every queue row is checked. History and stats are checked for every `nth` player.
///
/// # Panics
/// If the assertion fails.
pub async fn assert_completed_once(store: &dyn Store, due: &[Timestamp], nth: usize) {
    let players: Vec<PlayerId> = (0..due.len()).map(player).collect();
    let queues = store_contents::queues(store, &players).await;
    for (at, ((player, queue), due_at)) in players.iter().zip(queues).zip(due).enumerate() {
        let queue = queue.expect("the player has a row");
        assert_eq!((queue.totals.completed, queue.balances.get("gold"), queue.tasks.len()), (1, 1, 0), "{player}");
        if !at.is_multiple_of(nth) {
            continue;
        }
        let history = store_contents::history(store, player.as_str()).await;
        let ends: Vec<_> = history.iter().map(|row| (row.outcome, row.finished_at)).collect();
        assert_eq!(ends, [(Outcome::Completed, *due_at)], "{player}");
        let stats = store
            .load(&[], &[], std::slice::from_ref(player))
            .await
            .take_stats(player)
            .expect("stats are read")
            .expect("the player has stats");
        assert_eq!((stats.totals.completed, stats.totals.rewards.get("gold")), (1, 1), "{player}");
    }
    for shard in 0..millrace_store::DUE_SHARDS {
        let left = store.due(shard, Timestamp::from_millis(u64::MAX / 2), None, 1).await.queues;
        assert_eq!(left.expect("the index is read"), [], "shard {shard}");
    }
}

/// For each of the first `count` players, whether the task has completed.
pub async fn completions(store: &dyn Store, count: usize) -> Vec<bool> {
    let players: Vec<PlayerId> = (0..count).map(player).collect();
    let queues = store_contents::queues(store, &players).await;
    queues.iter().map(|queue| queue.as_ref().is_some_and(|queue| queue.totals.completed == 1)).collect()
}
