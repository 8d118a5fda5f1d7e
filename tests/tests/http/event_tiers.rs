//! Where an answer without events comes from, and the round trips of such a read.

use millrace_tests::{
    Function,
    backends::Backends,
    http::{Request, Response},
};
use serde_json::json;

use crate::{apply, grant};

/// `queue-api` with an events table. Its local copies stay fresh for `freshness_ms`.
async fn api(backends: &Backends, freshness_ms: &str) -> Function {
    let builder = backends.queue_api().env("MILLRACE_EVENTS", "table");
    builder.env("MILLRACE_LOCAL_CACHE_FRESHNESS_MS", freshness_ms).started().await
}

fn request(after: u64) -> Request {
    Request::get(&format!("/players/p-1/events?after={after}")).trusted()
}

/// The tier that the answer comes from, and the sequences of its events.
fn found(response: &Response) -> (&str, Vec<u64>) {
    let answer = response.expect(200);
    let items = answer["items"].as_array().expect("items");
    let sequences = items.iter().map(|event| event["sequence"].as_u64().expect("a sequence")).collect();
    (response.header("x-cache"), sequences)
}

async fn poll(api: &Function, after: u64) -> Response {
    request(after).send(api).await
}

const NONE: Vec<u64> = Vec::new();

#[tokio::test]
async fn a_reader_that_has_the_last_event_costs_no_read_of_the_table() {
    let backends = Backends::start().await;
    let [one, other] = [api(&backends, "60000").await, api(&backends, "60000").await];
    apply(&one, "p-1", grant(1)).await;
    backends.aws_proxy.reset_counts();
    for (api, tiers) in [(&one, ["local", "local"]), (&other, ["redis", "local"])] {
        for tier in tiers {
            assert_eq!(found(&poll(api, 1).await), (tier, NONE));
        }
    }
    assert_eq!(backends.aws_proxy.total(), 0, "no call");
    // An event follows: one page, and nothing but it.
    assert_eq!(found(&poll(&one, 0).await), ("miss", vec![1]));
    assert_eq!((backends.aws_proxy.count("Query"), backends.aws_proxy.total()), (1, 1));

    // Without a copy, the queue is read, and then it is cached.
    let _: String = backends.redis.cli(&["FLUSHALL"]).await;
    let cold = api(&backends, "60000").await;
    backends.aws_proxy.reset_counts();
    assert_eq!(found(&poll(&cold, 1).await), ("miss", NONE));
    assert_eq!((backends.aws_proxy.count("BatchGetItem"), backends.aws_proxy.count("Query")), (1, 0));
    backends.aws_proxy.reset_counts();
    assert_eq!(found(&poll(&cold, 1).await), ("local", NONE));
    assert_eq!(backends.aws_proxy.total(), 0);
}

#[tokio::test]
async fn a_copy_answers_only_while_it_is_fresh() {
    let backends = Backends::start().await;
    let writer = api(&backends, "60000").await;
    let [fresh, expired] = [api(&backends, "60000").await, api(&backends, "1").await];
    apply(&writer, "p-1", grant(1)).await;
    for reader in [&fresh, &expired] {
        assert_eq!(found(&poll(reader, 1).await), ("redis", NONE));
    }
    let version = apply(&writer, "p-1", grant(1)).await["queue"]["version"].to_string();
    // A local copy may be as old as the freshness.
    assert_eq!(found(&poll(&fresh, 1).await), ("local", NONE));
    assert_eq!(found(&poll(&expired, 1).await), ("miss", vec![2]));
    // A reader that knows a version finds its events.
    let own = request(1).header("X-Min-Queue-Version", &version).send(&fresh).await;
    assert_eq!(found(&own), ("miss", vec![2]));
    // The reader has more than the copy shows.
    apply(&writer, "p-1", grant(1)).await;
    apply(&writer, "p-1", grant(1)).await;
    assert_eq!(found(&poll(&fresh, 3).await), ("miss", vec![4]));
}

#[tokio::test]
async fn in_emergency_mode_the_events_table_is_read() {
    let backends = Backends::start().await;
    let [writer, reader] = [api(&backends, "60000").await, api(&backends, "60000").await];
    apply(&writer, "p-1", grant(1)).await;
    assert_eq!(found(&poll(&reader, 1).await), ("redis", NONE));
    apply(&writer, "p-1", grant(1)).await;
    let begin = json!({"enabled": true, "durationSeconds": 60});
    Request::post("/admin/cache/emergency-mode", &begin).trusted().send(&reader).await.expect(200);
    backends.aws_proxy.reset_counts();
    assert_eq!(found(&poll(&reader, 1).await), ("miss", vec![2]));
    assert_eq!((backends.aws_proxy.count("Query"), backends.aws_proxy.total()), (1, 1));
}
