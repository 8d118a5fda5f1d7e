//! Pages of all players, and the players whose queues changed recently.

use std::collections::BTreeSet;

use millrace_tests::{Function, backends::Backends, database::RowDamage, http::Request};
use serde_json::{Value, json};

use crate::{Fixture, apply, enqueue, grant};

async fn get(api: &Function, target: &str) -> Value {
    Request::get(target).trusted().send(api).await.expect(200)
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().expect("items").iter().map(|item| item["playerId"].as_str().expect("an id")).collect()
}

/// All players that a query finds, the number of pages, and of rows that were read.
async fn all_pages(api: &Function, query: &str) -> (BTreeSet<String>, usize, u64) {
    let (mut found, mut pages, mut scanned, mut cursor) = (BTreeSet::new(), 0, 0, String::new());
    loop {
        let page = get(api, &format!("/admin/players?{query}{cursor}")).await;
        let items = ids(&page);
        let new = items.iter().filter(|id| found.insert((**id).to_owned())).count();
        assert_eq!(new, items.len(), "each player once: {page:#}");
        pages += 1;
        scanned += page["scanned"].as_u64().expect("a count");
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (found, pages, scanned),
        }
    }
}

/// Three players whose queues wait for something, and many idle ones.
async fn fixture() -> Fixture {
    let fixture = Fixture::new().await;
    let task = |id: &str, more: Value| {
        let mut task = json!({"taskId": id, "kind": "k", "work": {"units": 10}});
        task.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        task
    };
    let enqueue = |tasks: Value| json!({"type": "enqueueTasks", "tasks": tasks});
    fixture.apply("a-1", enqueue(json!([task("t-1", json!({})), task("t-2", json!({}))]))).await;
    fixture.apply("a-2", enqueue(json!([task("t-1", json!({"costs": {"gold": 5}}))]))).await;
    fixture.apply("b-1", enqueue(json!([task("t-1", json!({"notBefore": "2100-01-01T00:00:00.000Z"}))]))).await;
    fixture.apply("b-1", json!({"type": "pauseQueue"})).await;
    fixture
}

#[tokio::test]
async fn players_are_listed_with_what_their_queues_wait_for() {
    let fixture = fixture().await;
    let page = get(&fixture.api, "/admin/players").await;
    assert_eq!((ids(&page), &page["scanned"], page.get("nextCursor")), (vec!["a-1", "a-2", "b-1"], &json!(3), None));
    let [one, two, three] = [0, 1, 2].map(|at| page["items"][at].clone());
    let changed = one["lastChangedAt"].clone();
    assert!(changed.as_str().is_some_and(|at| at.ends_with('Z')), "{one:#}");
    let expected = json!({"playerId": "a-1", "version": 1, "status": "running", "slots": 1,
        "tasks": {"active": 1, "pending": 1}, "blockedBy": {"slot": 1}, "lastChangedAt": changed});
    assert_eq!(one, expected);
    assert_eq!((&two["tasks"], &two["blockedBy"]), (&json!({"active": 0, "pending": 1}), &json!({"costs": 1})));
    assert_eq!((&three["status"], &three["blockedBy"]), (&json!("paused"), &json!({"notBefore": 1, "paused": 1})));
    assert_eq!(three["version"], 2);
}

#[tokio::test]
async fn pages_contain_each_matching_player_once() {
    let fixture = fixture().await;
    for at in 0..30 {
        fixture.apply(&format!("c-{at:02}"), grant(1)).await;
    }
    for (query, count, pages, scanned) in [
        ("limit=100", 33, 1, 33),
        ("limit=10", 33, 4, 33),
        ("limit=1", 33, 33, 33),
        ("limit=10&prefix=c-", 30, 3, 33),
        ("prefix=c-2", 10, 1, 33),
        ("status=paused", 1, 1, 33),
        ("status=running&prefix=a", 2, 1, 33),
        ("blockedBy=costs", 1, 1, 33),
        ("blockedBy=paused&status=running", 0, 1, 33),
        ("blockedBy=prerequisites", 0, 1, 33),
    ] {
        let found = all_pages(&fixture.api, query).await;
        assert_eq!((found.0.len(), found.1, found.2), (count, pages, scanned), "{query}");
    }
}

#[tokio::test]
async fn a_page_reads_at_most_a_thousand_rows() {
    let fixture = fixture().await;
    fixture.database.insert_idle_queues(2_500);
    let first = get(&fixture.api, "/admin/players?prefix=z").await;
    assert_eq!((ids(&first).len(), &first["scanned"]), (0, &json!(1_000)), "an empty page that is not the last");
    assert!(first["nextCursor"].is_string());
    assert_eq!(all_pages(&fixture.api, "prefix=z").await, (BTreeSet::new(), 3, 2_503));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_listed_with_its_error() {
    let fixture = fixture().await;
    fixture.database.damage_row("a-2", RowDamage::FlippedByte);
    let page = get(&fixture.api, "/admin/players?status=paused").await;
    assert_eq!(ids(&page), ["a-2", "b-1"]);
    assert_eq!(page["items"][0], json!({"playerId": "a-2", "errorType": "row_unreadable"}));
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let fixture = fixture().await;
    let history = get(&fixture.api, "/admin/players?limit=1").await;
    let cursor = history["nextCursor"].as_str().expect("a cursor");
    let other_list = format!("/players/a-1/history?cursor={cursor}");
    Request::get(&other_list).trusted().send(&fixture.api).await.problem(400, "invalid_parameter");
    let long = "x".repeat(129);
    let id = "1 to 128 characters of A-Z a-z 0-9 . _ : - | @ + = ~";
    for (query, field, value, allowed) in [
        ("limit=0", "limit", "0", "a whole number from 1 to 100"),
        ("limit=101", "limit", "101", "a whole number from 1 to 100"),
        ("limit=x", "limit", "x", "a whole number from 1 to 100"),
        ("cursor=abc", "cursor", "abc", "a nextCursor of this list, unchanged"),
        ("status=Paused", "status", "Paused", "running, paused"),
        ("status=", "status", "", "running, paused"),
        ("blockedBy=gold", "blockedBy", "gold", "slot, notBefore, prerequisites, costs, paused"),
        ("prefix=", "prefix", "", id),
        ("prefix=a%20b", "prefix", "a b", id),
        (&format!("prefix={long}"), "prefix", &long, id),
        ("player=a", "query", "player", "limit, cursor, status, blockedBy, prefix"),
        ("limit=1&limit=2", "limit", "2", "given once"),
    ] {
        let response = Request::get(&format!("/admin/players?{query}")).trusted().send(&fixture.api).await;
        let problem = response.problem(400, "invalid_parameter");
        assert_eq!((&problem["field"], &problem["value"]), (&json!(field), &json!(value)), "{query}");
        assert_eq!(problem["allowed"], allowed, "{query}");
    }
    for (query, field) in [("limit=0", "limit"), ("cursor=x", "query")] {
        let response = Request::get(&format!("/admin/players/recent?{query}")).trusted().send(&fixture.api).await;
        assert_eq!(response.problem(400, "invalid_parameter")["field"], field);
    }
}

#[tokio::test]
async fn a_scan_of_dynamodb_takes_one_call_for_a_hundred_rows() {
    let backends = Backends::start().await;
    let api = backends.queue_api().started().await;
    for at in 0..5 {
        apply(&api, &format!("p-{at}"), grant(1)).await;
    }
    backends.aws_proxy.reset_counts();
    let (found, pages, scanned) = all_pages(&api, "limit=100").await;
    assert_eq!((found.len(), pages, scanned), (5, 1, 5));
    assert_eq!((backends.aws_proxy.count("Scan"), backends.aws_proxy.total()), (1, 1));
    assert_eq!(all_pages(&api, "limit=2").await.1, 3);
}

#[tokio::test]
async fn recent_players_come_from_redis_the_last_changed_first() {
    let backends = Backends::start().await;
    let api = backends.queue_api().started().await;
    for player in ["p-1", "p-2", "p-3", "p-1"] {
        apply(&api, player, enqueue(&format!("t-{}", fastrand::u32(..)), json!({"units": 1}))).await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    backends.aws_proxy.reset_counts();
    let recent = get(&api, "/admin/players/recent").await;
    assert_eq!((&recent["source"], ids(&recent)), (&json!("redis"), vec!["p-1", "p-3", "p-2"]));
    assert_eq!(recent["items"][0]["tasks"], json!({"active": 1, "pending": 1}));
    assert_eq!((backends.aws_proxy.count("BatchGetItem"), backends.aws_proxy.total()), (1, 1));
    assert_eq!(ids(&get(&api, "/admin/players/recent?limit=1").await), ["p-1"]);
    backends.redis.kill();
    Request::get("/admin/players/recent").trusted().send(&api).await.problem(503, "cache_unavailable");
    let without = backends.function("queue-api").started().await;
    Request::get("/admin/players/recent").trusted().send(&without).await.problem(404, "recent_players_not_kept");
}

#[tokio::test]
async fn recent_players_of_the_embedded_store_are_those_that_changed_last() {
    let fixture = fixture().await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    fixture.apply("a-2", grant(5)).await;
    let recent = get(&fixture.api, "/admin/players/recent?limit=2").await;
    assert_eq!((&recent["source"], ids(&recent)), (&json!("store"), vec!["a-2", "b-1"]));
}
