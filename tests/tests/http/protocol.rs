//! What HTTP itself asks for: HEAD, OPTIONS, entity tags, compression, cross-origin requests.

use std::{io::Read, time::Duration};

use flate2::read::GzDecoder;
use millrace_tests::http::{Request, Response};
use serde_json::{Value, json};

use crate::{Scene, commands_of, enqueue, grant, queue_of};

#[tokio::test]
async fn head_is_get_without_a_body() {
    let scene = Scene::new().await;
    scene.apply("p-1", grant(1)).await;
    for path in ["/health", "/players/p-1/queue", "/players/p-1/stats", "/players/p-1/history", "/players/none/queue"] {
        let get = Request::get(path).trusted().send(&scene.api).await;
        let head = Request::new("HEAD", path).trusted().send(&scene.api).await;
        assert_eq!(head.status, get.status, "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty());
        for name in ["content-type", "etag", "x-cache", "x-queue-version", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
}

#[tokio::test]
async fn options_tells_the_methods_of_a_path() {
    let scene = Scene::new().await;
    for (path, allowed) in [("/players/p-1/queue", "GET, HEAD, OPTIONS"), ("/players/p-1/commands", "POST, OPTIONS")] {
        let response = Request::new("OPTIONS", path).token("p-1", &[]).send(&scene.api).await;
        assert_eq!((response.status, response.header("allow")), (204, allowed));
    }
    Request::new("OPTIONS", "/nowhere").trusted().send(&scene.api).await.problem(404, "unknown_route");
}

/// Reads a queue that the sender has under this tag already.
async fn again(scene: &Scene, tag: &str) -> Response {
    queue_of("p-1").header("if-none-match", tag).trusted().send(&scene.api).await
}

#[tokio::test]
async fn a_tag_stands_for_the_queue_until_something_happens() {
    let scene = Scene::new().await;
    scene.apply("p-1", enqueue("t-1", json!({"durationMs": 700}))).await;
    let first = queue_of("p-1").trusted().send(&scene.api).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\"1-"), "{tag}");
    tokio::time::sleep(Duration::from_millis(20)).await;
    // Time has passed, the task is a little further, and that is all.
    for known in [tag.clone(), format!("\"other\", {tag}"), "*".to_owned()] {
        let response = again(&scene, &known).await;
        assert_eq!((response.status, response.body.len(), response.header("etag")), (304, 0, tag.as_str()));
        assert_eq!((response.header("x-cache"), response.header("x-queue-version")), ("local", "1"));
    }
    assert_eq!(again(&scene, "\"other\"").await.status, 200);
    // The task completes: no command came, and yet it is another queue.
    tokio::time::sleep(Duration::from_millis(900)).await;
    let second = again(&scene, &tag).await;
    assert_eq!(second.expect(200)["tasks"], json!([]));
    let tag = second.header("etag").to_owned();
    assert_eq!(again(&scene, &tag).await.status, 304);
    scene.apply("p-1", grant(1)).await;
    assert_eq!(again(&scene, &tag).await.status, 200);

    scene.apply("p-1", enqueue("t-2", json!({"units": 100}))).await;
    let tag = again(&scene, "").await.header("etag").to_owned();
    scene.apply("p-1", json!({"type": "reportProgress", "taskId": "t-2", "unitsDone": 1})).await;
    assert_eq!(again(&scene, &tag).await.status, 200, "progress of reported work is something that happens");
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_ask() {
    let scene = Scene::new().await;
    let tasks: Vec<Value> =
        (0..50).map(|at| json!({"taskId": format!("t-{at}"), "kind": "k", "work": {"units": 10}})).collect();
    scene.apply("p-1", json!({"type": "enqueueTasks", "tasks": tasks})).await;
    scene.apply("small", grant(1)).await;
    let read = |player: &str, accepted: &str| queue_of(player).header("accept-encoding", accepted).trusted();
    let plain = read("p-1", "identity").send(&scene.api).await;
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
    for accepted in ["gzip", "deflate, gzip;q=0.8, br;q=1.0", "*"] {
        let response = read("p-1", accepted).send(&scene.api).await;
        assert_eq!((response.header("content-encoding"), response.header("vary")), ("gzip", "accept-encoding"));
        assert!(response.body.len() * 4 < plain.body.len(), "{} of {}", response.body.len(), plain.body.len());
        let mut text = String::new();
        GzDecoder::new(response.body.as_slice()).read_to_string(&mut text).expect("gzip");
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["tasks"], plain.json()["tasks"]);
    }
    for accepted in ["", "br", "gzip;q=0", "*;q=0", "identity, gzip;q=0.5"] {
        assert_eq!(read("p-1", accepted).send(&scene.api).await.header("content-encoding"), "", "{accepted}");
    }
    let small = read("small", "gzip").send(&scene.api).await;
    assert_eq!((small.status, small.header("content-encoding")), (200, ""));
}

fn preflight(origin: &str) -> Request {
    let request = Request::new("OPTIONS", "/players/p-1/commands").header("origin", origin);
    request.header("access-control-request-method", "POST").header("access-control-request-headers", "content-type")
}

#[tokio::test]
async fn pages_of_listed_origins_may_use_the_api() {
    let origins = "https://game.example, http://localhost:5173";
    let scene = Scene::with(|setup| setup.env("MILLRACE_CORS_ORIGINS", origins)).await;
    for origin in ["https://game.example", "http://localhost:5173"] {
        // A browser asks without credentials.
        let response = preflight(origin).send(&scene.api).await;
        assert_eq!((response.status, response.header("access-control-allow-origin")), (204, origin));
        assert!(response.header("access-control-allow-methods").contains("POST"));
        for name in ["authorization", "content-type", "x-min-queue-version", "if-none-match"] {
            assert!(response.header("access-control-allow-headers").contains(name), "{name}");
        }
        assert_eq!((response.header("vary"), response.header("access-control-max-age")), ("origin", "7200"));
        let response = commands_of("p-1", &grant(1)).header("origin", origin).trusted().send(&scene.api).await;
        assert_eq!((response.status, response.header("access-control-allow-origin")), (200, origin));
        assert!(response.header("access-control-expose-headers").contains("x-queue-version"));
        // What is refused can be read by the page too.
        let response = queue_of("p-1").header("origin", origin).send(&scene.api).await;
        response.problem(401, "unauthorized");
        assert_eq!(response.header("access-control-allow-origin"), origin);
        assert!(response.header("vary").contains("origin"));
    }
    for origin in ["https://evil.example", "https://game.example.evil.example", "null", "http://game.example", ""] {
        preflight(origin).send(&scene.api).await.problem(401, "unauthorized");
        let response = queue_of("p-1").header("origin", origin).trusted().send(&scene.api).await;
        assert_eq!((response.header("access-control-allow-origin"), response.header("vary")), ("", "origin"));
    }
}

#[tokio::test]
async fn everybodys_pages_or_nobodys() {
    let any = Scene::with(|setup| setup.env("MILLRACE_CORS_ORIGINS", "*")).await;
    let response = preflight("https://any.example").send(&any.api).await;
    assert_eq!((response.status, response.header("access-control-allow-origin")), (204, "*"));
    let none = Scene::new().await;
    preflight("https://any.example").send(&none.api).await.problem(401, "unauthorized");
    let response = Request::get("/health").header("origin", "https://any.example").send(&none.api).await;
    assert_eq!((response.header("access-control-allow-origin"), response.header("vary")), ("", ""));
}
