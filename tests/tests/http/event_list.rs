//! Events of a player in order, from the events table.

use millrace_domain::{EventsRecord, Queue, Record, SerializedEvent, Timestamp, codec, record::Table};
use millrace_store::{QueueStore as _, QueueWrite, RecordStore as _};
use millrace_tests::{http::Request, store_contents::player};
use serde_json::{Value, json};

use crate::{Fixture, grant};

/// The function with an events table, and the player `p-1` with these commits. The queue itself was
/// made without events.
async fn fixture(commits: &[(u64, u64)]) -> Fixture {
    let last = commits.last().map_or(0, |(_, last)| *last);
    let fixture = with_queue(last).await;
    fixture.database.add_events("p-1", commits.iter().map(|(first, last)| *first..=*last)).await;
    fixture
}

/// The same with a queue whose last event is `last`, and with an empty events table.
async fn with_queue(last: u64) -> Fixture {
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_EVENTS", "table")).await;
    let mut queue = Queue::new(player("p-1"), Timestamp::default());
    (queue.version, queue.event_sequence) = (1, last);
    let write = QueueWrite {
        player_id: queue.player_id.clone(),
        expected: 0,
        version: 1,
        queue: codec::encode(&queue),
        outbox: None,
        due_at: None,
        due_before: None,
    };
    assert!(fixture.database.store().await.commit(&[write]).await.outcomes[0].is_ok());
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
async fn expired_events_are_gone() {
    let fixture = fixture(&[(1, 3), (4, 4), (5, 8)]).await;
    fixture.database.expire_events("p-1", 5);
    assert_eq!(events("?after=2").send(&fixture.api).await.problem(410, "events_gone")["oldest"], 5);
    assert_eq!(sequences(&fixture, "?after=4").await, [5, 6, 7, 8]);
    fixture.database.expire_events("p-1", 9);
    assert_eq!(sequences(&fixture, "").await, [0; 0], "no events are kept");
}

/// Lambda allows 6 MB for an answer.
#[tokio::test]
async fn a_page_of_large_events_is_short_enough_for_lambda() {
    const EVENTS: u64 = 60;
    let fixture = with_queue(EVENTS).await;
    let (player_id, store) = (player("p-1"), fixture.database.store().await);
    for sequence in 1..=EVENTS {
        let json = json!({"sequence": sequence, "detail": "x".repeat(350_000)}).to_string();
        let event = SerializedEvent { sequence, event_type: "commandRejected".into(), json };
        let row = Record::Events(EventsRecord { player_id: player_id.clone(), events: vec![event] });
        assert_eq!(store.write(Table::Events, &[&row]).await, Ok(vec![]));
    }
    let (mut last, mut pages) = (0, 0);
    while last < EVENTS {
        let response = events(&format!("?after={last}&limit=1000")).send(&fixture.api).await;
        let answer = response.expect(200);
        let items = answer["items"].as_array().expect("items");
        let bytes = answer.to_string().len();
        assert!((1_000_000..5_000_000).contains(&bytes) || last + items.len() as u64 == EVENTS, "{bytes} bytes");
        for item in items {
            last += 1;
            assert_eq!(item["sequence"], last);
        }
        pages += 1;
    }
    assert!(pages > 4, "{pages} pages");
}

#[tokio::test]
async fn unknown_players_and_wrong_parameters_are_refused() {
    let fixture = fixture(&[]).await;
    assert_eq!(sequences(&fixture, "").await, [0; 0], "the player has a queue and no events");
    for query in ["", "?after=0", "?after=7"] {
        let request = Request::get(&format!("/players/p-2/events{query}")).trusted();
        request.send(&fixture.api).await.problem(404, "unknown_player");
    }
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
    let fixture = Fixture::new().await;
    fixture.apply("p-1", grant(1)).await;
    events("?after=0").send(&fixture.api).await.problem(404, "events_not_kept");
}
