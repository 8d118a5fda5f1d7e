//! `millrace players` on the functions.

use millrace_tests::{backends::Backends, database::RowDamage};
use serde_json::{Value, json};

use crate::support::{Finished, Server, TOKEN};

/// Three players whose queues wait for something.
async fn server() -> Server {
    let server = Server::start().await;
    let task = |id: &str, more: Value| {
        let mut task = json!({"taskId": id, "kind": "k", "work": {"units": 10}});
        task.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({"type": "enqueueTasks", "tasks": [task]})
    };
    server.apply("a-1", json!([task("t-1", json!({})), task("t-2", json!({}))])).await;
    server.apply("a-2", task("t-1", json!({"costs": {"gold": 5}}))).await;
    let later = || task("t-1", json!({"notBefore": "2100-01-01T00:00:00.000Z"}));
    server.apply("b-1", json!([later(), {"type": "pauseQueue"}])).await;
    server.apply("c-1", later()).await;
    server
}

fn ids(run: &Finished) -> Vec<String> {
    assert_eq!(run.code, 0, "{run:?}");
    let id = |player: &Value| player["playerId"].as_str().expect("an id").to_owned();
    let mut ids: Vec<String> = run.json_lines().iter().map(id).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn players_are_found_by_status_reason_and_prefix() {
    let server = server().await;
    for (filters, expected) in [
        (&["--status", "paused"][..], &["b-1"][..]),
        (&["--status", "running"], &["a-1", "a-2", "c-1"]),
        (&["--blocked-by", "slot"], &["a-1"]),
        (&["--blocked-by", "costs"], &["a-2"]),
        (&["--blocked-by", "notBefore"], &["b-1", "c-1"]),
        (&["--blocked-by", "prerequisites"], &[]),
        (&["--prefix", "a"], &["a-1", "a-2"]),
        (&["--prefix", "a", "--blocked-by", "costs", "--status", "running"], &["a-2"]),
        (&[], &["a-1", "a-2", "b-1", "c-1"]),
    ] {
        let run = server.millrace(&[&["players", "--json"], filters].concat()).run().await;
        assert_eq!(ids(&run), expected, "{filters:?}");
    }
    let table = server.millrace(&["players", "--blocked-by", "notBefore"]).run().await.succeeded();
    for part in ["PLAYER", "b-1", "paused", "notBefore 1, paused 1", "c-1", "2100-01-01T00:00:00.000Z"] {
        assert!(table.contains(part), "no {part:?} in {table}");
    }
    server.millrace(&["players", "--prefix", "a b"]).run().await.failed(2, &["prefix: `a b` is not allowed"]);
}

#[tokio::test]
async fn as_many_pages_are_read_as_are_asked_for() {
    let server = server().await;
    server.database.insert_idle_queues(1_200);
    let run = server.millrace(&["players", "--limit", "150", "--json"]).run().await;
    assert_eq!(ids(&run).len(), 150);
    let first = server.millrace(&["players"]).run().await;
    assert!(first.stderr.contains("there are more: add --limit 100"), "{first:?}");
    let all = server.millrace(&["players", "--prefix", "idle-", "--limit", "5000", "--json"]).run().await;
    assert_eq!(ids(&all).len(), 1_200);
    let last = server.millrace(&["players", "--prefix", "idle-999", "--json"]).run().await;
    assert_eq!(ids(&last), ["idle-999"]);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_listed_with_its_error() {
    let server = server().await;
    server.database.damage_row("a-2", RowDamage::FlippedByte);
    let table = server.millrace(&["players", "--status", "paused"]).run().await.succeeded();
    assert!(table.contains("a-2     row_unreadable") && table.contains("b-1"), "{table}");
}

#[tokio::test]
async fn recent_players_are_the_last_changed_first() {
    let server = server().await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    server.apply("a-1", json!({"type": "pauseQueue"})).await;
    let run = server.millrace(&["players", "--recent", "--limit", "2", "--json"]).run().await;
    let first: Vec<Value> = run.json_lines().iter().map(|player| player["playerId"].clone()).collect();
    assert_eq!(first, ["a-1", "c-1"]);
    let most = server.millrace(&["players", "--recent", "--limit", "101"]).run().await;
    most.failed(2, &["--recent shows at most 100 players", "next:  "]);
}

#[tokio::test]
async fn recent_players_need_redis_or_the_embedded_store() {
    let backends = Backends::start().await;
    let server = Server::of(&backends.function("queue-api"), &backends.function("process-tasks")).await;
    let run = server.millrace(&["players", "--recent", "--token", TOKEN]).run().await;
    run.failed(5, &["404", "next:  set MILLRACE_REDIS_URL, or leave out --recent"]);
}
