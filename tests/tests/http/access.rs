//! Authentication and authorization. Every route is denied unless the authorizer context allows it.

use millrace_tests::http::Request;
use serde_json::{Value, json};

use crate::{Fixture, enqueue, grant, queue_of};

const COMMANDS: &str = "millrace/commands";
const ADMIN: &str = "millrace/admin";

/// One request to each route of the player `p-1`.
fn routes_of_player() -> Vec<Request> {
    let reads = ["queue", "tasks/t-1", "stats", "history", "rejections", "events?after=0"];
    let mut routes: Vec<Request> = reads.iter().map(|read| Request::get(&format!("/players/p-1/{read}"))).collect();
    routes.push(Request::post("/players/p-1/commands", &json!({"type": "pauseQueue"})));
    routes
}

/// One request to each other route, except `/health`.
fn routes_of_admin() -> Vec<Request> {
    let reads = ["performance", "players", "players/recent"];
    let mut routes: Vec<Request> = reads.iter().map(|read| Request::get(&format!("/admin/{read}"))).collect();
    for action in ["warm", "clear", "rebuild", "emergency-mode"] {
        routes.push(Request::post(&format!("/admin/cache/{action}"), &json!({})));
    }
    routes
}

/// Commands that every player may send, and commands that could create value.
fn commands() -> [Vec<Value>; 2] {
    let open = [
        json!({"type": "cancelTask", "taskId": "none"}),
        json!({"type": "setPriority", "taskId": "none", "priority": "high"}),
        json!({"type": "moveToFront", "taskId": "none"}),
        json!({"type": "pauseQueue"}),
        json!({"type": "resumeQueue"}),
        json!({"type": "clearQueue"}),
    ];
    let restricted = [
        enqueue("t-2", json!({"units": 1})),
        json!({"type": "reportProgress", "taskId": "t-1", "unitsDone": 1}),
        json!({"type": "failTask", "taskId": "t-1", "reason": "x"}),
        grant(1),
        json!({"type": "configureQueue", "slots": 2}),
    ];
    [open.to_vec(), restricted.to_vec()]
}

/// The function, and a queue of `p-1` with one task.
async fn fixture() -> Fixture {
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_EVENTS", "table")).await;
    fixture.apply("p-1", enqueue("t-1", json!({"units": 10}))).await;
    fixture
}

#[tokio::test]
async fn every_route_except_health_is_401_without_an_authorizer_context() {
    let fixture = fixture().await;
    let before = fixture.database.queue("p-1").await;
    assert!(before.is_some(), "the player has a queue");
    let anonymous_contexts = [
        Value::Null,
        json!({}),
        json!({"lambda": {"sub": "p-1", "principalId": "p-1", "scope": ADMIN}}),
        json!({"iam": {}}),
    ];
    for context in anonymous_contexts {
        let mut routes = routes_of_player();
        routes.extend(routes_of_admin());
        routes.extend([
            Request::get("/nowhere"),
            Request::new("DELETE", "/players/p-1/queue"),
            Request::new("OPTIONS", "/players/p-1/queue"),
            Request::get("/players/a%20b/queue"),
        ]);
        for route in routes {
            let response = route.clone().authorizer(context.clone()).send(&fixture.api).await;
            response.problem(401, "unauthorized");
            assert_eq!(response.header("www-authenticate"), "Bearer");
        }
        Request::get("/health").authorizer(context).send(&fixture.api).await.expect(200);
    }
    assert_eq!(fixture.database.queue("p-1").await, before, "nothing was applied");
}

#[tokio::test]
async fn headers_bodies_and_queries_do_not_authenticate() {
    let fixture = fixture().await;
    let claims = json!({"sub": "p-1", "scope": "millrace/admin millrace/commands"}).to_string();
    let forged = [
        ("authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJwLTEiLCJzY29wZSI6Im1pbGxyYWNlL2FkbWluIn0."),
        ("x-amzn-oidc-identity", "p-1"),
        ("x-amzn-oidc-data", claims.as_str()),
        ("x-amzn-request-context", r#"{"authorizer":{"iam":{"userArn":"arn:aws:iam::1:role/x"}}}"#),
        ("x-amz-cognito-identity-id", "p-1"),
        ("x-millrace-auth", "none"),
        ("lambda-runtime-cognito-identity", r#"{"cognitoIdentityId":"p-1"}"#),
    ];
    for route in routes_of_player().into_iter().chain(routes_of_admin()) {
        let request = forged.iter().fold(route, |request, (name, value)| request.header(name, value));
        request.send(&fixture.api).await.problem(401, "unauthorized");
        request.token("p-2", &[]).send(&fixture.api).await.problem(403, "forbidden");
    }
    // Fields of the body and parameters of the query do not authenticate either.
    let body = json!({"type": "pauseQueue", "requestContext": {"authorizer": {"iam": {"userArn": "arn"}}}});
    Request::post("/players/p-1/commands?authorizer=p-1", &body).send(&fixture.api).await.problem(401, "unauthorized");
}

/// A function URL does not pass the Cognito identity on. Such a player must not count as a trusted
/// principal.
#[tokio::test]
async fn a_cognito_session_without_an_identity_is_403() {
    let fixture = fixture().await;
    let context = |session: &str| {
        let arn = format!("arn:aws:sts::123456789012:assumed-role/players/{session}");
        json!({"iam": {"userArn": arn, "userId": format!("AROAEXAMPLE:{session}"), "cognitoIdentity": null}})
    };
    for route in routes_of_player().into_iter().chain(routes_of_admin()) {
        let response = route.clone().authorizer(context("CognitoIdentityCredentials")).send(&fixture.api).await;
        response.problem(403, "forbidden");
        let status = route.clone().authorizer(context("game-server")).send(&fixture.api).await.status;
        assert!([200, 400].contains(&status), "{status} of {route:?}");
    }
}

#[tokio::test]
async fn a_player_reads_only_its_own_queue() {
    let fixture = fixture().await;
    for route in routes_of_player() {
        assert_eq!(route.clone().token("p-1", &[]).send(&fixture.api).await.status, 200, "{route:?}");
        for stranger in ["p-2", "p-", "p-11", "P-1", ""] {
            let response = route.clone().token(stranger, &[COMMANDS]).send(&fixture.api).await;
            let problem = response.problem(403, "forbidden");
            assert_eq!(problem["allowed"], "the scope millrace/admin");
        }
        assert_eq!(route.clone().token("p-2", &[ADMIN]).send(&fixture.api).await.status, 200, "{route:?}");
    }
    // The status does not reveal whether the player exists.
    queue_of("unknown").token("p-1", &[]).send(&fixture.api).await.problem(403, "forbidden");
}

#[tokio::test]
async fn admin_routes_need_the_admin_scope() {
    let fixture = fixture().await;
    for route in routes_of_admin() {
        for scopes in [&[][..], &[COMMANDS]] {
            let problem = route.clone().token("p-1", scopes).send(&fixture.api).await.problem(403, "forbidden");
            assert_eq!(problem["allowed"], "the scope millrace/admin");
        }
        let status = route.clone().token("operator", &[ADMIN]).send(&fixture.api).await.status;
        assert!([200, 400].contains(&status), "{status} of {route:?}");
    }
}

#[tokio::test]
async fn commands_that_create_value_need_the_commands_scope() {
    let fixture = fixture().await;
    let [open, restricted] = commands();
    for command in &open {
        let post = Request::post("/players/p-1/commands", command);
        post.clone().token("p-1", &[]).send(&fixture.api).await.expect(200);
        post.clone().token("p-2", &[COMMANDS]).send(&fixture.api).await.problem(403, "forbidden");
        post.token("p-2", &[ADMIN]).send(&fixture.api).await.expect(200);
    }
    for command in &restricted {
        let post = Request::post("/players/p-1/commands", command);
        for scopes in [&[][..], &["millrace/admin"], &["millrace/command", "commands"]] {
            let problem = post.clone().token("p-1", scopes).send(&fixture.api).await.problem(403, "forbidden");
            assert_eq!((&problem["allowed"], &problem["index"]), (&json!("the scope millrace/commands"), &json!(0)));
        }
        post.clone().token("p-2", &[COMMANDS]).send(&fixture.api).await.problem(403, "forbidden");
    }
    for command in &restricted {
        let post = Request::post("/players/p-1/commands", command);
        post.clone().token("p-1", &[COMMANDS]).send(&fixture.api).await.expect(200);
        post.token("p-2", &[COMMANDS, ADMIN]).send(&fixture.api).await.expect(200);
    }
}

#[tokio::test]
async fn a_list_with_a_forbidden_command_is_403_and_applies_nothing() {
    let fixture = fixture().await;
    let before = fixture.database.queue("p-1").await;
    assert!(before.is_some(), "the player has a queue");
    let [open, restricted] = commands();
    for command in restricted {
        let list = json!({"commands": [open[3], {"type": "fly"}, command, open[5]]});
        let response = Request::post("/players/p-1/commands", &list).token("p-1", &[]).send(&fixture.api).await;
        assert_eq!(response.problem(403, "forbidden")["index"], 2);
    }
    assert_eq!(fixture.database.queue("p-1").await, before);
    assert!(fixture.database.rejections("p-1").await.is_empty(), "malformed commands are not recorded either");
}

#[tokio::test]
async fn scopes_are_read_from_the_context_and_from_the_scope_claim() {
    let fixture = fixture().await;
    let token = |claims: Value, scopes: Value| json!({"jwt": {"claims": claims, "scopes": scopes}});
    let admin = || Request::get("/admin/performance");
    for (authorizer, status) in [
        (token(json!({"sub": "a"}), json!([ADMIN])), 200),
        (token(json!({"sub": "a", "scope": "openid millrace/admin"}), Value::Null), 200),
        (token(json!({"sub": "a", "scope": "millrace/admin"}), json!(["openid"])), 200),
        (token(json!({"sub": "a", "scope": "millrace/administration"}), Value::Null), 403),
        (token(json!({"sub": "a", "scopes": "millrace/admin", "scp": "millrace/admin"}), Value::Null), 403),
        (token(json!({"sub": "a", "scope": "millrace/commands"}), json!([COMMANDS])), 403),
    ] {
        assert_eq!(admin().authorizer(authorizer.clone()).send(&fixture.api).await.status, status, "{authorizer}");
    }
}

#[tokio::test]
async fn iam_callers_are_players_by_cognito_or_trusted_principals() {
    let fixture = fixture().await;
    let identity = "eu-central-1:7a1e1b8c-0001-4000-8000-000000000001";
    fixture.apply(identity, grant(1)).await;
    let arn = "arn:aws:sts::123456789012:assumed-role/players/session";
    let cognito = json!({"iam": {"accessKey": "ASIA", "accountId": "123456789012", "callerId": "AROA:session",
        "cognitoIdentity": {"amr": ["authenticated"], "identityId": identity, "identityPoolId": "eu-central-1:pool"},
        "principalOrgId": null, "userArn": arn, "userId": "AROA:session"}});
    let own = Request::get(&format!("/players/{identity}/queue"));
    own.authorizer(cognito.clone()).send(&fixture.api).await.expect(200);
    let encoded = Request::get(&format!("/players/{}/queue", identity.replace(':', "%3A")));
    encoded.authorizer(cognito.clone()).send(&fixture.api).await.expect(200);
    queue_of("p-1").authorizer(cognito.clone()).send(&fixture.api).await.problem(403, "forbidden");
    Request::get("/admin/performance").authorizer(cognito.clone()).send(&fixture.api).await.problem(403, "forbidden");
    let post = Request::post(&format!("/players/{identity}/commands"), &grant(1));
    post.authorizer(cognito).send(&fixture.api).await.problem(403, "forbidden");

    let role = json!({"iam": {"accessKey": "ASIA", "accountId": "123456789012", "callerId": "AROA:session",
        "cognitoIdentity": null, "principalOrgId": null, "userArn": arn, "userId": "AROA:session"}});
    queue_of("p-1").authorizer(role.clone()).send(&fixture.api).await.expect(200);
    Request::get("/admin/performance").authorizer(role.clone()).send(&fixture.api).await.expect(200);
    Request::post("/players/p-1/commands", &grant(1)).authorizer(role).send(&fixture.api).await.expect(200);
}

#[tokio::test]
async fn authentication_can_be_switched_off_except_in_aws() {
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_AUTH", "none").env("MILLRACE_EVENTS", "table")).await;
    for route in routes_of_player().into_iter().rev().chain(routes_of_admin()) {
        let response = route.send(&fixture.api).await;
        let allowed = ["unknown_task", "malformed"];
        let error = response.json()["errorType"].as_str().map(str::to_owned);
        assert!(error.is_none_or(|error| allowed.contains(&error.as_str())), "{response:?}");
    }
    let in_aws = fixture.database.queue_api().env("MILLRACE_STORE", "dynamodb").env("AWS_REGION", "eu-central-1");
    let error =
        in_aws.env("MILLRACE_AUTH", "none").start().await.expect_err("authentication cannot be switched off in AWS");
    assert!(error.stderr.starts_with("MILLRACE_AUTH=none is not allowed"), "{}", error.stderr);
    // An empty setting does not switch authentication off.
    let unset = fixture.database.queue_api().env("MILLRACE_AUTH", "").started().await;
    queue_of("p-1").send(&unset).await.problem(401, "unauthorized");
}
