//! Measures a value in Redis by the size of its queue, plain and compressed: its bytes, and the CPU
//! time to write and to read it.
//!
//! ```sh
//! cargo run --release -p millrace-cache --example value_costs
//! ```

use std::hint::black_box;

use cpu_time::ProcessTime;
use millrace_cache::redis::value;
use millrace_domain::{
    Command, CommandId, Delivery, PlayerId, Queue, Rules, Sender, TaskSpec, Timestamp, codec::CachedQueue,
};
use serde_json::json;

const BEGIN: u64 = 1_768_471_200_000;

/// A queue with finished and unfinished tasks.
fn queue(finished: usize, tasks: usize) -> CachedQueue {
    let mut random = fastrand::Rng::with_seed(7);
    let id = PlayerId::new("player-4711").expect("an id");
    let mut queue = Queue::new(id.clone(), Timestamp::from_millis(BEGIN));
    let mut events = Vec::new();
    let mut deliver = |queue: &mut Queue, n: usize, command: Command| {
        let at = Timestamp::from_millis(BEGIN + 1_000 * n as u64);
        let command_id = CommandId::new(&format!("{:032x}:0", random.u128(..))).expect("an id");
        let delivery =
            Delivery { player_id: id.clone(), command_id, sender: Sender::Trusted, sent_at: at, fifo: None, command };
        let (verdict, _) = queue.deliver(&delivery, at, Rules::default(), &mut events);
        assert!(matches!(verdict, millrace_domain::Verdict::Applied), "{verdict:?}");
    };
    deliver(&mut queue, 0, Command::ConfigureQueue { slots: Some(1), max_tasks: Some(200) });
    for n in 0..finished + tasks {
        let work = match n {
            // The first unfinished task takes an hour, so the others stay unfinished.
            _ if n < finished => json!({"durationMs": 500}),
            _ if n == finished => json!({"durationMs": 3_600_000}),
            _ if n % 3 == 0 => json!({"units": 100}),
            _ => json!({"durationMs": 1_000 * (n % 60 + 1)}),
        };
        let spec: TaskSpec = serde_json::from_value(json!({
            "taskId": format!("task-{:08x}", 0x5bd1_e995_u32.wrapping_mul(n as u32 + 1)),
            "kind": (["harvest.wood", "harvest.stone", "build.house", "research.metal"][n % 4]),
            "work": work,
            "priority": (["normal", "normal", "high", "low"][n % 4]),
            "rewards": {(["wood", "stone", "gold", "metal"][n % 4]): n % 50 + 1},
        }))
        .expect("a task");
        deliver(&mut queue, n + 1, Command::EnqueueTasks { tasks: vec![spec] });
    }
    queue.version = 1 + finished as u64 + tasks as u64;
    assert_eq!(queue.tasks.len(), tasks);
    CachedQueue { progress_known: !queue.has_partial_progress(), queue }
}

/// The median time of one execution, in nanoseconds.
fn nanos<T>(mut work: impl FnMut() -> T) -> u128 {
    let mut times: Vec<u128> = (0..401)
        .map(|_| {
            let started = ProcessTime::now();
            for _ in 0..10 {
                black_box(work());
            }
            started.elapsed().as_nanos() / 10
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    println!(
        "| tasks | finished | plain, bytes | compressed, bytes | ratio | encode, ns | encode compressed, ns | decode, ns | decode compressed, ns |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (tasks, finished) in [(0, 0), (1, 0), (3, 0), (5, 5), (5, 64), (10, 0), (10, 64), (25, 64), (50, 64), (200, 64)]
    {
        let copy = queue(finished, tasks);
        let (plain, compressed) = (value::encode_from(&copy, usize::MAX), value::encode_from(&copy, 0));
        println!(
            "| {tasks} | {finished} | {} | {} | {:.2} | {} | {} | {} | {} |",
            plain.len(),
            compressed.len(),
            compressed.len() as f64 / plain.len() as f64,
            nanos(|| value::encode_from(&copy, usize::MAX)),
            nanos(|| value::encode_from(&copy, 0)),
            nanos(|| value::decode(&plain)),
            nanos(|| value::decode(&compressed)),
        );
    }
}
