//! Events of a player in order, from the events table.

use millrace_tests::http::Request;
use serde_json::{Value, json};

use crate::{Fixture, grant};

/// The function with an events table, and the player `p-1` with these commits. The queue itself was
/// made without events.
async fn fixture(commits: &[(u64, u64)]) -> Fixture {
    // The queue exists, and its own event is not kept.
    let Fixture { database, .. } = without_table().await;
    let api = database.queue_api().env("MILLRACE_EVENTS", "table").started().await;
    let fixture = Fixture { database, api };
    fixture.database.add_events("p-1", commits.iter().map(|(first, last)| *first..=*last)).await;
    fixture
}

/// The function without an events table, and the player `p-1`.
async fn without_table() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", grant(1)).await;
    fixture
}

fn events(query: &str) -> Request {
    Request::get(&format!("/players/p-1/events{query}")).trusted()
}

async fn sequences(fixture: &Fixture, query: &str) -> Vec<u64> {
    let answer: Value = events(query).send(&fixture.api).await.expect(200);
    let items = answer["items"].as_array().expect("items");
    items.iter().map(|event| event["sequence"].as_u64().expect("a sequence")).collect()
}

#[tokio::test]
async fn events_follow_the_sequence_that_the_reader_has() {
    let fixture = fixture(&[(1, 3), (4, 4), (5, 120)]).await;
    let answer: Value = events("?after=0&limit=1").send(&fixture.api).await.expect(200);
    let first = json!({"eventId": "p-1/1", "playerId": "p-1", "sequence": 1, "version": 1,
        "at": "1970-01-01T00:00:00.000Z", "type": "queuePaused"});
    assert_eq!(answer, json!({"items": [first]}));
    assert_eq!(sequences(&fixture, "?after=1&limit=3").await, [2, 3, 4]);
    assert_eq!(sequences(&fixture, "?after=50&limit=2").await, [51, 52]);
    assert_eq!(sequences(&fixture, "?after=120").await, [0; 0]);
    assert_eq!(sequences(&fixture, "").await, (1..=100).collect::<Vec<_>>(), "the default limit is 100");
    assert_eq!(sequences(&fixture, "?limit=1000").await.len(), 120);
    let response = events("?after=0").send(&fixture.api).await;
    assert_eq!(response.header("x-cache"), "miss");
}

#[tokio::test]
async fn events_that_are_gone_are_410_with_the_oldest_one() {
    let fixture = fixture(&[(8, 9), (10, 12)]).await;
    for query in ["?after=0", "?after=6"] {
        let problem = events(query).send(&fixture.api).await.problem(410, "events_gone");
        assert_eq!(problem["oldest"], 8, "{problem}");
    }
    assert_eq!(sequences(&fixture, "?after=7").await, [8, 9, 10, 11, 12]);
    assert_eq!(sequences(&fixture, "").await, [8, 9, 10, 11, 12], "it begins with the oldest one");
}

#[tokio::test]
async fn unknown_players_and_wrong_parameters_are_refused() {
    let fixture = fixture(&[]).await;
    assert_eq!(sequences(&fixture, "").await, [0; 0], "the player has a queue and no events");
    Request::get("/players/p-2/events").trusted().send(&fixture.api).await.problem(404, "unknown_player");
    for (query, field) in [
        ("?after=-1", "after"),
        ("?after=x", "after"),
        ("?after=9007199254740992", "after"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?cursor=x", "query"),
    ] {
        let problem = events(query).send(&fixture.api).await.problem(400, "invalid_parameter");
        assert_eq!(problem["field"], field, "{query}");
    }
    let request = events("?after=0").header("X-Min-Queue-Version", "9");
    request.send(&fixture.api).await.problem(412, "version_not_reached");
}

#[tokio::test]
async fn without_the_table_no_events_are_kept() {
    let fixture = without_table().await;
    events("?after=0").send(&fixture.api).await.problem(404, "events_not_kept");
}
