//! HTTP: HEAD, OPTIONS, entity tags, compression and cross-origin requests.

use std::{io::Read, time::Duration};

use flate2::read::GzDecoder;
use millrace_tests::http::{Request, Response};
use serde_json::{Value, json};

use crate::{Fixture, commands_of, enqueue, grant, queue_of};

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", grant(1)).await;
    for path in ["/health", "/players/p-1/queue", "/players/p-1/stats", "/players/p-1/history", "/players/none/queue"] {
        let get = Request::get(path).trusted().send(&fixture.api).await;
        let head = Request::new("HEAD", path).trusted().send(&fixture.api).await;
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty());
        for name in ["content-type", "etag", "x-cache", "x-queue-version", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
}

#[tokio::test]
async fn options_lists_the_methods_of_a_path() {
    let fixture = Fixture::new().await;
    for (path, allowed) in [("/players/p-1/queue", "GET, HEAD, OPTIONS"), ("/players/p-1/commands", "POST, OPTIONS")] {
        let response = Request::new("OPTIONS", path).token("p-1", &[]).send(&fixture.api).await;
        assert_eq!((response.status, response.header("allow")), (204, allowed));
    }
    Request::new("OPTIONS", "/nowhere").trusted().send(&fixture.api).await.problem(404, "unknown_route");
}

/// Reads the queue of `p-1` with the entity tag of an earlier response.
async fn read_if_changed(fixture: &Fixture, tag: &str) -> Response {
    queue_of("p-1").header("if-none-match", tag).trusted().send(&fixture.api).await
}

#[tokio::test]
async fn an_entity_tag_is_valid_until_something_happens_to_the_queue() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", enqueue("t-1", json!({"durationMs": 700}))).await;
    let first = queue_of("p-1").trusted().send(&fixture.api).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\"1-"), "{tag}");
    tokio::time::sleep(Duration::from_millis(20)).await;
    // Progress of timed work alone does not change the tag.
    for known in [tag.clone(), format!("\"other\", {tag}"), "*".to_owned()] {
        let response = read_if_changed(&fixture, &known).await;
        assert_eq!((response.status, response.body.len(), response.header("etag")), (304, 0, tag.as_str()));
        assert_eq!((response.header("x-cache"), response.header("x-queue-version")), ("local", "1"));
    }
    assert_eq!(read_if_changed(&fixture, "\"other\"").await.status, 200);
    // The completion of the task changes the tag, although there was no command.
    tokio::time::sleep(Duration::from_millis(900)).await;
    let second = read_if_changed(&fixture, &tag).await;
    assert_eq!(second.expect(200)["tasks"], json!([]));
    let tag = second.header("etag").to_owned();
    assert_eq!(read_if_changed(&fixture, &tag).await.status, 304);
    fixture.apply("p-1", grant(1)).await;
    assert_eq!(read_if_changed(&fixture, &tag).await.status, 200);

    fixture.apply("p-1", enqueue("t-2", json!({"units": 100}))).await;
    let tag = read_if_changed(&fixture, "").await.header("etag").to_owned();
    fixture.apply("p-1", json!({"type": "reportProgress", "taskId": "t-2", "unitsDone": 1})).await;
    assert_eq!(read_if_changed(&fixture, &tag).await.status, 200, "progress of reported work changes the tag");
}

#[tokio::test]
async fn large_answers_are_compressed_if_the_client_accepts_gzip() {
    let fixture = Fixture::new().await;
    let tasks: Vec<Value> =
        (0..50).map(|at| json!({"taskId": format!("t-{at}"), "kind": "k", "work": {"units": 10}})).collect();
    fixture.apply("p-1", json!({"type": "enqueueTasks", "tasks": tasks})).await;
    fixture.apply("small", grant(1)).await;
    let read = |player: &str, accepted: &str| queue_of(player).header("accept-encoding", accepted).trusted();
    let plain = read("p-1", "identity").send(&fixture.api).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
    for accepted in ["gzip", "deflate, gzip;q=0.8, br;q=1.0", "*"] {
        let response = read("p-1", accepted).send(&fixture.api).await;
        assert_eq!((response.header("content-encoding"), response.header("vary")), ("gzip", "accept-encoding"));
        assert!(response.body.len() * 4 < plain.body.len(), "{} of {}", response.body.len(), plain.body.len());
        let mut text = String::new();
        GzDecoder::new(response.body.as_slice()).read_to_string(&mut text).expect("gzip");
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["tasks"], plain.json()["tasks"]);
    }
    for accepted in ["", "br", "gzip;q=0", "*;q=0", "identity, gzip;q=0.5"] {
        assert_eq!(read("p-1", accepted).send(&fixture.api).await.header("content-encoding"), "", "{accepted}");
    }
    let small = read("small", "gzip").send(&fixture.api).await;
    assert_eq!((small.status, small.header("content-encoding")), (200, ""));
}

fn preflight(origin: &str) -> Request {
    let request = Request::new("OPTIONS", "/players/p-1/commands").header("origin", origin);
    request.header("access-control-request-method", "POST").header("access-control-request-headers", "content-type")
}

#[tokio::test]
async fn configured_origins_get_cors_headers() {
    let origins = "https://game.example, http://localhost:5173";
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_CORS_ORIGINS", origins)).await;
    for origin in ["https://game.example", "http://localhost:5173"] {
        // Browsers send preflight requests without credentials.
        let response = preflight(origin).send(&fixture.api).await;
        assert_eq!((response.status, response.header("access-control-allow-origin")), (204, origin));
        assert!(response.header("access-control-allow-methods").contains("POST"));
        for name in ["authorization", "content-type", "x-min-queue-version", "if-none-match"] {
            assert!(response.header("access-control-allow-headers").contains(name), "{name}");
        }
        assert_eq!((response.header("vary"), response.header("access-control-max-age")), ("origin", "7200"));
        let response = commands_of("p-1", &grant(1)).header("origin", origin).trusted().send(&fixture.api).await;
        assert_eq!((response.status, response.header("access-control-allow-origin")), (200, origin));
        assert!(response.header("access-control-expose-headers").contains("x-queue-version"));
        // Errors have the CORS headers too.
        let response = queue_of("p-1").header("origin", origin).send(&fixture.api).await;
        response.problem(401, "unauthorized");
        assert_eq!(response.header("access-control-allow-origin"), origin);
        assert!(response.header("vary").contains("origin"));
    }
    for origin in ["https://evil.example", "https://game.example.evil.example", "null", "http://game.example", ""] {
        preflight(origin).send(&fixture.api).await.problem(401, "unauthorized");
        let response = queue_of("p-1").header("origin", origin).trusted().send(&fixture.api).await;
        assert_eq!((response.header("access-control-allow-origin"), response.header("vary")), ("", "origin"));
    }
}

#[tokio::test]
async fn cors_can_allow_every_origin_and_is_off_by_default() {
    let any = Fixture::with(|builder| builder.env("MILLRACE_CORS_ORIGINS", "*")).await;
    let response = preflight("https://any.example").send(&any.api).await;
    assert_eq!((response.status, response.header("access-control-allow-origin")), (204, "*"));
    let none = Fixture::new().await;
    preflight("https://any.example").send(&none.api).await.problem(401, "unauthorized");
    let response = Request::get("/health").header("origin", "https://any.example").send(&none.api).await;
    assert_eq!((response.header("access-control-allow-origin"), response.header("vary")), ("", ""));
}
