//! The status code and the stable type of every error.

use millrace_tests::http::Request;
use serde_json::json;

use crate::{Fixture, enqueue, grant, queue_of};

#[tokio::test]
async fn unknown_routes_players_and_tasks_are_404() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", grant(1)).await;
    for path in ["/", "/players", "/players/p-1", "/players/p-1/wings", "/admin", "/Health", "/admin/cache"] {
        Request::get(path).trusted().send(&fixture.api).await.problem(404, "unknown_route");
    }
    for read in ["queue", "tasks/t", "stats", "history", "rejections"] {
        let response = Request::get(&format!("/players/unknown/{read}")).trusted().send(&fixture.api).await;
        let problem = response.problem(404, "unknown_player");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("`unknown`")));
    }
    Request::get("/players/p-1/tasks/none").trusted().send(&fixture.api).await.problem(404, "unknown_task");
}

#[tokio::test]
async fn other_methods_are_405_with_the_allowed_ones() {
    let fixture = Fixture::new().await;
    for (method, path, allowed) in [
        ("POST", "/health", None),
        ("DELETE", "/players/p-1/queue", Some("GET, HEAD, OPTIONS")),
        ("POST", "/players/p-1/history", Some("GET, HEAD, OPTIONS")),
        ("GET", "/players/p-1/commands", Some("POST, OPTIONS")),
        ("HEAD", "/players/p-1/commands", Some("POST, OPTIONS")),
        ("PUT", "/admin/performance", Some("GET, HEAD, OPTIONS")),
        ("POST", "/admin/players", Some("GET, HEAD, OPTIONS")),
        ("DELETE", "/admin/players/recent", Some("GET, HEAD, OPTIONS")),
        ("GET", "/admin/cache/warm", Some("POST, OPTIONS")),
        ("TRACE", "/players/p-1/queue", Some("GET, HEAD, OPTIONS")),
    ] {
        let response = Request::new(method, path).trusted().send(&fixture.api).await;
        assert_eq!(response.status, 405, "{method} {path}");
        assert_eq!(response.header("allow"), allowed.unwrap_or("GET, HEAD, OPTIONS"));
        if method != "HEAD" {
            response.problem(405, "method_not_allowed");
        }
    }
}

#[tokio::test]
async fn health_lists_its_methods_without_authentication() {
    let fixture = Fixture::new().await;
    for method in ["POST", "PUT", "DELETE"] {
        let response = Request::new(method, "/health").send(&fixture.api).await;
        response.problem(405, "method_not_allowed");
        assert_eq!(response.header("allow"), "GET, HEAD, OPTIONS", "{method}");
    }
    let response = Request::new("OPTIONS", "/health").send(&fixture.api).await;
    assert_eq!((response.status, response.header("allow")), (204, "GET, HEAD, OPTIONS"));
    Request::new("POST", "/health/").send(&fixture.api).await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn invalid_ids_and_parameters_are_400_with_field_value_and_allowed_values() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", grant(1)).await;
    let long = "x".repeat(129);
    for (target, field, value) in [
        ("/players/a%20b/queue".to_owned(), "playerId", "a b"),
        ("/players/%C3%A4/stats".to_owned(), "playerId", "ä"),
        ("/players/a%2Fb/queue".to_owned(), "playerId", "a/b"),
        ("/players//queue".to_owned(), "playerId", ""),
        ("/players/%FF/queue".to_owned(), "playerId", "%FF"),
        ("/players/%00/queue".to_owned(), "playerId", "\0"),
        ("/players/%E2%80%AE/queue".to_owned(), "playerId", "\u{202e}"),
        ("/players/a%2520b/queue".to_owned(), "playerId", "a%20b"),
        (format!("/players/{long}/queue"), "playerId", long.as_str()),
        ("/players/p-1/tasks/a%23b".to_owned(), "taskId", "a#b"),
        ("/players/p-1/history?limit=0".to_owned(), "limit", "0"),
        ("/players/p-1/history?limit=101".to_owned(), "limit", "101"),
        ("/players/p-1/history?limit=-1".to_owned(), "limit", "-1"),
        ("/players/p-1/history?limit=1.5".to_owned(), "limit", "1.5"),
        ("/players/p-1/history?limit=+5".to_owned(), "limit", " 5"),
        ("/players/p-1/history?limit=99999999999999999999".to_owned(), "limit", "99999999999999999999"),
        ("/players/p-1/history?limit=".to_owned(), "limit", ""),
        ("/players/p-1/history?limit=5&limit=5".to_owned(), "limit", "5"),
        ("/players/p-1/history?cursor=".to_owned(), "cursor", ""),
        ("/players/p-1/rejections?cursor=abc".to_owned(), "cursor", "abc"),
        ("/players/p-1/history?limt=5".to_owned(), "query", "limt"),
        ("/players/p-1/queue?limit=5".to_owned(), "query", "limit"),
        ("/admin/performance?x=1".to_owned(), "query", "x"),
    ] {
        let problem = Request::get(&target).trusted().send(&fixture.api).await.problem(400, "invalid_parameter");
        assert_eq!((problem["field"].as_str(), problem["value"].as_str()), (Some(field), Some(value)), "{target}");
        assert!(problem["allowed"].as_str().is_some_and(|allowed| !allowed.is_empty()), "{problem:#}");
        if field.ends_with("Id") {
            assert_eq!(problem["allowed"], "1 to 128 characters of A-Z a-z 0-9 . _ : - | @ + = ~");
        }
    }
    for version in ["", "-1", "x", "1.0", "9007199254740992", "\"1\"", "1, 2"] {
        let request = queue_of("p-1").header("x-min-queue-version", version).trusted();
        let problem = request.send(&fixture.api).await.problem(400, "invalid_parameter");
        assert_eq!((&problem["field"], &problem["value"]), (&json!("X-Min-Queue-Version"), &json!(version)));
    }
}

#[tokio::test]
async fn large_bodies_are_413_and_other_media_types_are_415() {
    let fixture = Fixture::new().await;
    let post = |body: Vec<u8>| Request::new("POST", "/players/p-1/commands").body(body).trusted();
    let json_of = |bytes: usize| {
        let filler = " ".repeat(bytes - grant(1).to_string().len());
        format!("{}{filler}", grant(1)).into_bytes()
    };
    let typed = |body| post(body).header("content-type", "application/json");
    typed(json_of(256 * 1024)).send(&fixture.api).await.expect(200);
    typed(json_of(256 * 1024 + 1)).send(&fixture.api).await.problem(413, "payload_too_large");

    let body = || grant(1).to_string().into_bytes();
    for kind in ["application/json; charset=utf-8", "Application/JSON"] {
        post(body()).header("content-type", kind).send(&fixture.api).await.expect(200);
    }
    for kind in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"] {
        let response = post(body()).header("content-type", kind).send(&fixture.api).await;
        let problem = response.problem(415, "unsupported_media_type");
        assert_eq!((&problem["field"], &problem["value"]), (&json!("Content-Type"), &json!(kind)));
    }
    post(body()).send(&fixture.api).await.problem(415, "unsupported_media_type");
    let compressed = typed(body()).header("content-encoding", "gzip").send(&fixture.api).await;
    assert_eq!(compressed.problem(415, "unsupported_media_type")["field"], "Content-Encoding");
    // Bytes that are not text arrive as base64. They are not JSON.
    typed(vec![0xff, 0xfe]).send(&fixture.api).await.problem(400, "malformed");
    let mut payload = typed(body()).payload();
    payload["isBase64Encoded"] = json!(true);
    let response = typed(body()).send_as(&fixture.api, payload.into()).await;
    response.problem(400, "malformed");
}

#[tokio::test]
async fn a_version_that_is_not_reached_is_412() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", enqueue("t-1", json!({"units": 10}))).await;
    for read in ["queue", "tasks/t-1", "stats", "history", "rejections"] {
        let get = |version: &str| Request::get(&format!("/players/p-1/{read}")).header("x-min-queue-version", version);
        let problem = get("2").trusted().send(&fixture.api).await.problem(412, "version_not_reached");
        assert_eq!((&problem["value"], &problem["allowed"]), (&json!("2"), &json!("up to 1")));
        get("1").trusted().send(&fixture.api).await.expect(200);
        get("0").trusted().send(&fixture.api).await.expect(200);
    }
    let unknown = queue_of("unknown").header("x-min-queue-version", "1").trusted();
    unknown.send(&fixture.api).await.problem(404, "unknown_player");
}

#[tokio::test]
async fn a_payload_that_is_not_an_http_request_fails_the_invocation() {
    let fixture = Fixture::new().await;
    for payload in ["{}", "nonsense", r#"{"Records": []}"#] {
        let error = fixture.api.invoke(payload).await.expect_err("the payload is not an HTTP request");
        assert!(error.to_string().starts_with("NotAnHttpRequest: "), "{error}");
    }
    Request::get("/health").send(&fixture.api).await.expect(200);
}
