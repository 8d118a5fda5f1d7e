//! History and rejections: pages and cursors.

use std::time::Duration;

use millrace_tests::http::Request;
use serde_json::{Value, json};

use crate::{Fixture, commands_of};

async fn page(fixture: &Fixture, target: &str) -> Value {
    Request::get(target).trusted().send(&fixture.api).await.expect(200)
}

/// All rows of a list, read in pages of at most `limit` rows, and the number of pages.
async fn all_pages(fixture: &Fixture, list: &str, limit: usize) -> (Vec<Value>, usize) {
    let (mut items, mut pages, mut cursor) = (Vec::new(), 0, None::<String>);
    loop {
        let target = match &cursor {
            None => format!("{list}?limit={limit}"),
            Some(cursor) => format!("{list}?limit={limit}&cursor={cursor}"),
        };
        let page = page(fixture, &target).await;
        let rows = page["items"].as_array().expect("items").clone();
        assert!(rows.len() <= limit);
        items.extend(rows);
        pages += 1;
        cursor = page["nextCursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            return (items, pages);
        }
    }
}

/// The function, and the player `p-1` with 25 finished tasks and 25 rejections.
async fn fixture() -> Fixture {
    let fixture = Fixture::new().await;
    let task = |at: usize| json!({"taskId": format!("t-{at:02}"), "kind": "k", "work": {"durationMs": 1}, "rewards": {"gold": 2}});
    let tasks: Vec<Value> = (0..25).map(task).collect();
    fixture.apply("p-1", json!({"commands": [{"type": "enqueueTasks", "tasks": tasks}]})).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    let refused: Vec<Value> =
        (0..25).map(|at| json!({"type": "cancelTask", "taskId": "none", "commandId": format!("c-{at:02}")})).collect();
    commands_of("p-1", &json!({"commands": refused})).trusted().send(&fixture.api).await.expect(200);
    fixture
}

#[tokio::test]
async fn the_pages_of_a_list_are_the_whole_list_newest_first() {
    let fixture = fixture().await;
    for (list, name) in [("/players/p-1/history", "taskId"), ("/players/p-1/rejections", "commandId")] {
        let whole = page(&fixture, &format!("{list}?limit=100")).await;
        assert_eq!((whole["items"].as_array().map(Vec::len), whole.get("nextCursor")), (Some(25), None));
        assert_eq!(whole["playerId"], "p-1");
        let names: Vec<&str> =
            whole["items"].as_array().into_iter().flatten().filter_map(|row| row[name].as_str()).collect();
        let mut newest_first = names.clone();
        newest_first.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(names, newest_first);
        for (limit, pages) in [(1, 25), (7, 4), (24, 2), (25, 1), (26, 1)] {
            assert_eq!(
                all_pages(&fixture, list, limit).await,
                (whole["items"].as_array().cloned().expect("rows"), pages),
                "{limit}"
            );
        }
        assert_eq!(page(&fixture, list).await["items"].as_array().map(Vec::len), Some(20), "the default limit is 20");
    }
}

#[tokio::test]
async fn rows_have_only_the_fields_that_apply() {
    let fixture = fixture().await;
    let row = &page(&fixture, "/players/p-1/history?limit=1").await["items"][0];
    assert_eq!(
        (&row["outcome"], &row["work"], &row["rewards"]),
        (&json!("completed"), &json!({"durationMs": 1}), &json!({"gold": 2}))
    );
    for absent in ["reason", "unitsDone", "costs", "lost", "refunded"] {
        assert!(row.get(absent).is_none(), "{row}");
    }
    let row = &page(&fixture, "/players/p-1/rejections?limit=1").await["items"][0];
    assert_eq!(
        (&row["reason"], &row["type"], &row["taskId"]),
        (&json!("unknown_task"), &json!("cancelTask"), &json!("none"))
    );
    // A refused command is shown as JSON, so that it can be corrected and sent again.
    let command: serde_json::Value = serde_json::from_str(row["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(
        command,
        json!({"type": "cancelTask", "playerId": "p-1", "commandId": row["commandId"], "taskId": "none"})
    );
    // Malformed input is shown, cut to 7,168 characters.
    let malformed = format!("{}{}", "ü".repeat(10_000), "end");
    let post = Request::new("POST", "/players/p-1/commands").header("content-type", "application/json");
    post.body(malformed).trusted().send(&fixture.api).await.problem(400, "malformed");
    let rows = page(&fixture, "/players/p-1/rejections?limit=1").await;
    let body = rows["items"][0]["body"].as_str().expect("a body");
    assert!(body.starts_with("üü") && body.ends_with('…') && body.chars().count() == 7_169, "{}", body.chars().count());
}

#[tokio::test]
async fn damaged_cursors_and_cursors_of_other_lists_are_400() {
    let fixture = fixture().await;
    fixture.apply("p-2", crate::grant(1)).await;
    let cursor = page(&fixture, "/players/p-1/history?limit=1").await["nextCursor"].as_str().expect("more").to_owned();
    for list in ["/players/p-1/rejections", "/players/p-2/history"] {
        let response = Request::get(&format!("{list}?cursor={cursor}")).trusted().send(&fixture.api).await;
        assert_eq!(response.problem(400, "invalid_parameter")["field"], "cursor");
    }
    let (start, end) = cursor.split_at(cursor.len() / 2);
    for damaged in [start.to_owned(), format!("{start}A{end}"), format!("{cursor}="), cursor.to_lowercase()] {
        let response =
            Request::get(&format!("/players/p-1/history?cursor={damaged}")).trusted().send(&fixture.api).await;
        assert_eq!(response.problem(400, "invalid_parameter")["value"], damaged);
    }
    page(&fixture, &format!("/players/p-1/history?cursor={cursor}")).await;
}

#[tokio::test]
async fn a_list_without_rows_is_empty() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", crate::grant(1)).await;
    for list in ["/players/p-1/history", "/players/p-1/rejections"] {
        assert_eq!(page(&fixture, list).await, json!({"playerId": "p-1", "items": []}));
    }
}
