//! Measures both ways of committing queues to DynamoDB, on a MiniStack that it starts for itself:
//! wall time and round trips, once as fast as the server answers and once with a few milliseconds on
//! the wire, as a region has them.
//!
//! ```sh
//! make servers
//! cargo run --release -p millrace-store --example commit_modes
//! ```

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Builder, Credentials, Region},
};
use millrace_domain::Timestamp;
use millrace_servers::{DynamoProxy, Fault, MiniStack, rules};
use millrace_store::{
    QueueStore, QueueWrite,
    conformance::sample,
    dynamodb::{CommitMode, DynamoDbSettings, DynamoDbStore, create_tables},
};

/// How many queues are committed at once.
const QUEUES: [usize; 5] = [1, 10, 25, 250, 1000];
/// How often; the median is shown.
const RUNS: u64 = 7;
/// A queue of ten tasks, and the records of a completion.
const QUEUE_BYTES: usize = 1700;
const OUTBOX_BYTES: usize = 300;
/// What the wire takes, in the second half.
const ON_THE_WIRE: Duration = Duration::from_millis(5);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let server = MiniStack::start().await;
    let proxy = DynamoProxy::start(server.endpoint()).await;
    create_tables(&Client::from_conf(config(&server.endpoint()).build()), "").await.expect("tables can be made");

    println!("| queues | mode | round trips | ms | ms with {} ms on the wire |", ON_THE_WIRE.as_millis());
    println!("|---|---|---|---|---|");
    for queues in QUEUES {
        for commits in [CommitMode::Batched, CommitMode::Single] {
            proxy.clear_rule();
            let (calls, fast) = measure(&server.endpoint(), commits, queues).await;
            proxy.set_rule(rules::always(Fault::delay(ON_THE_WIRE)));
            let (same, far) = measure(&proxy.endpoint(), commits, queues).await;
            assert_eq!(calls, same, "calls were sent again");
            println!("| {queues} | {commits:?} | {calls} | {:.1} | {:.1} |", millis(fast), millis(far));
        }
    }
}

/// Commits new queues, then changes of them; returns the round trips of a change and its median time.
async fn measure(endpoint: &str, commits: CommitMode, queues: usize) -> (u64, Duration) {
    let settings = DynamoDbSettings { commits, call_timeout: Duration::from_secs(60), ..DynamoDbSettings::default() };
    let store = DynamoDbStore::new(config(endpoint), settings);
    let mut writes: Vec<_> = std::iter::repeat_with(sample::player)
        .take(queues)
        .map(|player| QueueWrite {
            queue: vec![1; QUEUE_BYTES],
            outbox: Some(vec![2; OUTBOX_BYTES]),
            due_at: Some(Timestamp::from_millis(1_800_000_000_000)),
            ..sample::write(&player, 0)
        })
        .collect();
    let mut runs = Vec::new();
    let mut calls = 0;
    for run in 0..=RUNS {
        let started = Instant::now();
        let committed = store.commit(&writes).await;
        let took = started.elapsed();
        assert!(committed.outcomes.iter().all(Result::is_ok), "{:?}", committed.outcomes);
        calls = committed.calls;
        // The first opens the connections, and makes the rows.
        runs.extend((run > 0).then_some(took));
        for write in &mut writes {
            (write.expected, write.version) = (write.version, write.version + 1);
        }
    }
    runs.sort_unstable();
    (calls, runs[runs.len() / 2])
}

fn config(endpoint: &str) -> Builder {
    let (key, secret) = (millrace_servers::ACCESS_KEY_ID, millrace_servers::SECRET_ACCESS_KEY);
    Builder::default()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(millrace_servers::REGION))
        .credentials_provider(Credentials::new(key, secret, None, None, "example"))
        .endpoint_url(endpoint)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
