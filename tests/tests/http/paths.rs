//! Slashes at the end of a path, and base paths of custom domains and stages.

use millrace_tests::http::Request;

use crate::{Fixture, commands_of, grant, queue_of};

/// Web frameworks and proxies add slashes to a path.
#[tokio::test]
async fn slashes_at_the_end_of_a_path_are_ignored() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", grant(1)).await;
    for end in ["", "/", "///"] {
        for path in
            ["/health", "/players/p-1/queue", "/players/p-1/stats", "/players/p-1/history", "/admin/performance"]
        {
            Request::get(&format!("{path}{end}")).trusted().send(&fixture.api).await.expect(200);
        }
        let task = Request::get(&format!("/players/p-1/tasks/none{end}")).trusted().send(&fixture.api).await;
        task.problem(404, "unknown_task");
        let post = Request::post(&format!("/players/p-1/commands{end}?"), &grant(1)).trusted();
        post.send(&fixture.api).await.expect(200);
        let page = Request::get(&format!("/players/p-1/history{end}?limit=1")).trusted().send(&fixture.api).await;
        page.expect(200);
    }
    for path in ["/players/p-1/queue/x/", "/players/p-1/", "/players//p-1/queue", "//health"] {
        Request::get(path).trusted().send(&fixture.api).await.problem(404, "unknown_route");
    }
}

/// API Gateway passes the base path of a custom domain on, as a part of the path.
#[tokio::test]
async fn the_base_path_is_removed_before_routing() {
    let below = |path: &str| Request::get(&format!("/game/v1{path}"));
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_HTTP_BASE_PATH", "/game/v1")).await;
    let created = Request::post("/game/v1/players/p-1/commands/", &grant(1)).trusted().send(&fixture.api).await;
    created.expect(200);
    for path in ["/health", "/health/", "/players/p-1/queue", "/players/p-1/queue/"] {
        below(path).trusted().send(&fixture.api).await.expect(200);
    }
    below("/health").send(&fixture.api).await.expect(200);
    queue_of("p-1").send(&fixture.api).await.problem(401, "unauthorized");
    for path in
        ["/players/p-1/queue", "/game/players/p-1/queue", "/game/v11/players/p-1/queue", "/", "/health", "/game/v1"]
    {
        Request::get(path).trusted().send(&fixture.api).await.problem(404, "unknown_route");
    }
    commands_of("p-1", &grant(1)).trusted().send(&fixture.api).await.problem(404, "unknown_route");
}

/// Stages with a name are a part of the path at the default domain of an API, and not at a custom
/// domain.
#[tokio::test]
async fn the_base_path_can_be_the_name_of_the_stage() {
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_HTTP_BASE_PATH", "/prod")).await;
    let request = Request::get("/prod/health");
    let mut payload = request.payload();
    payload["requestContext"]["stage"] = "prod".into();
    request.send_as(&fixture.api, payload.into()).await.expect(200);
    Request::get("/health").trusted().send(&fixture.api).await.problem(404, "unknown_route");
}

#[tokio::test]
async fn a_base_path_that_is_not_allowed_stops_the_start() {
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_HTTP_BASE_PATH", "/")).await;
    Request::get("/health").send(&fixture.api).await.expect(200);
    for bad in ["game", "/game?stage=1", "/a//b", "https://api.example/game"] {
        let start = fixture.database.queue_api().env("MILLRACE_HTTP_BASE_PATH", bad).start().await;
        let error = start.expect_err("it does not start").stderr;
        assert!(error.starts_with(&format!("MILLRACE_HTTP_BASE_PATH={bad} is not allowed; allowed: /, ")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
