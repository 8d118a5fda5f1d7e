//! Who may do what: denied unless the authorizer's context allows it, on every route.

use millrace_tests::http::Request;
use serde_json::{Value, json};

use crate::{Scene, enqueue, grant, queue_of, started};

const COMMANDS: &str = "millrace/commands";
const ADMIN: &str = "millrace/admin";

/// One request to every route that is about `p-1`.
fn routes_of_player() -> Vec<Request> {
    let reads = ["queue", "tasks/t-1", "stats", "history", "rejections"];
    let mut routes: Vec<Request> = reads.iter().map(|read| Request::get(&format!("/players/p-1/{read}"))).collect();
    routes.push(Request::post("/players/p-1/commands", &json!({"type": "pauseQueue"})));
    routes
}

/// One request to every other route, but for `/health`.
fn routes_of_admin() -> Vec<Request> {
    let mut routes = vec![Request::get("/admin/performance")];
    for action in ["warm", "clear", "rebuild", "emergency-mode"] {
        routes.push(Request::post(&format!("/admin/cache/{action}"), &json!({})));
    }
    routes
}

/// What harms nobody, and what could make something out of nothing.
fn commands() -> [Vec<Value>; 2] {
    let harmless = [
        json!({"type": "cancelTask", "taskId": "none"}),
        json!({"type": "setPriority", "taskId": "none", "priority": "high"}),
        json!({"type": "moveToFront", "taskId": "none"}),
        json!({"type": "pauseQueue"}),
        json!({"type": "resumeQueue"}),
        json!({"type": "clearQueue"}),
    ];
    let powerful = [
        enqueue("t-2", json!({"units": 1})),
        json!({"type": "reportProgress", "taskId": "t-1", "unitsDone": 1}),
        json!({"type": "failTask", "taskId": "t-1", "reason": "x"}),
        grant(1),
        json!({"type": "configureQueue", "slots": 2}),
    ];
    [harmless.to_vec(), powerful.to_vec()]
}

async fn scene() -> Scene {
    let scene = Scene::new().await;
    scene.apply("p-1", enqueue("t-1", json!({"units": 10}))).await;
    scene
}

#[tokio::test]
async fn without_a_context_everything_but_health_is_401() {
    let scene = scene().await;
    let nobodies = [
        Value::Null,
        json!({}),
        json!({"lambda": {"sub": "p-1", "principalId": "p-1", "scope": ADMIN}}),
        json!({"iam": {}}),
    ];
    for nobody in nobodies {
        let mut routes = routes_of_player();
        routes.extend(routes_of_admin());
        routes.extend([
            Request::get("/nowhere"),
            Request::new("DELETE", "/players/p-1/queue"),
            Request::new("OPTIONS", "/players/p-1/queue"),
            Request::get("/players/a%20b/queue"),
        ]);
        for route in routes {
            let response = route.clone().authorizer(nobody.clone()).send(&scene.api).await;
            response.problem(401, "unauthorized");
            assert_eq!(response.header("www-authenticate"), "Bearer");
        }
        Request::get("/health").authorizer(nobody).send(&scene.api).await.expect(200);
    }
    assert_eq!(scene.database.queue("p-1").await.expect("a queue").version, 1, "nothing was applied");
}

#[tokio::test]
async fn nothing_that_a_sender_writes_counts() {
    let scene = scene().await;
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
        request.send(&scene.api).await.problem(401, "unauthorized");
        request.token("p-2", &[]).send(&scene.api).await.problem(403, "forbidden");
    }
    // Nor do fields of the body, or a query.
    let body = json!({"type": "pauseQueue", "requestContext": {"authorizer": {"iam": {"userArn": "arn"}}}});
    Request::post("/players/p-1/commands?authorizer=p-1", &body).send(&scene.api).await.problem(401, "unauthorized");
}

/// A function URL says nothing of the identity, and a player must not pass for a server.
#[tokio::test]
async fn a_cognito_session_without_its_identity_may_do_nothing() {
    let scene = scene().await;
    let context = |session: &str| {
        let arn = format!("arn:aws:sts::123456789012:assumed-role/players/{session}");
        json!({"iam": {"userArn": arn, "userId": format!("AROAEXAMPLE:{session}"), "cognitoIdentity": null}})
    };
    for route in routes_of_player().into_iter().chain(routes_of_admin()) {
        let response = route.clone().authorizer(context("CognitoIdentityCredentials")).send(&scene.api).await;
        response.problem(403, "forbidden");
        let status = route.clone().authorizer(context("game-server")).send(&scene.api).await.status;
        assert!([200, 400].contains(&status), "{status} of {route:?}");
    }
}

#[tokio::test]
async fn a_player_reads_its_own_queue_and_no_other() {
    let scene = scene().await;
    for route in routes_of_player() {
        assert_eq!(route.clone().token("p-1", &[]).send(&scene.api).await.status, 200, "{route:?}");
        for stranger in ["p-2", "p-", "p-11", "P-1", ""] {
            let response = route.clone().token(stranger, &[COMMANDS]).send(&scene.api).await;
            let problem = response.problem(403, "forbidden");
            assert_eq!(problem["allowed"], "the scope millrace/admin");
        }
        assert_eq!(route.clone().token("p-2", &[ADMIN]).send(&scene.api).await.status, 200, "{route:?}");
    }
    // Who may not know of a player does not learn whether there is one.
    queue_of("nobody").token("p-1", &[]).send(&scene.api).await.problem(403, "forbidden");
}

#[tokio::test]
async fn the_admin_scope_alone_opens_what_is_under_admin() {
    let scene = scene().await;
    for route in routes_of_admin() {
        for scopes in [&[][..], &[COMMANDS]] {
            let problem = route.clone().token("p-1", scopes).send(&scene.api).await.problem(403, "forbidden");
            assert_eq!(problem["allowed"], "the scope millrace/admin");
        }
        let status = route.clone().token("operator", &[ADMIN]).send(&scene.api).await.status;
        assert!([200, 400].contains(&status), "{status} of {route:?}");
    }
}

#[tokio::test]
async fn the_scope_decides_on_what_makes_something_out_of_nothing() {
    let scene = scene().await;
    let [harmless, powerful] = commands();
    for command in &harmless {
        let post = Request::post("/players/p-1/commands", command);
        post.clone().token("p-1", &[]).send(&scene.api).await.expect(200);
        post.clone().token("p-2", &[COMMANDS]).send(&scene.api).await.problem(403, "forbidden");
        post.token("p-2", &[ADMIN]).send(&scene.api).await.expect(200);
    }
    for command in &powerful {
        let post = Request::post("/players/p-1/commands", command);
        for scopes in [&[][..], &["millrace/admin"], &["millrace/command", "commands"]] {
            let problem = post.clone().token("p-1", scopes).send(&scene.api).await.problem(403, "forbidden");
            assert_eq!((&problem["allowed"], &problem["index"]), (&json!("the scope millrace/commands"), &json!(0)));
        }
        post.clone().token("p-2", &[COMMANDS]).send(&scene.api).await.problem(403, "forbidden");
    }
    for command in &powerful {
        let post = Request::post("/players/p-1/commands", command);
        post.clone().token("p-1", &[COMMANDS]).send(&scene.api).await.expect(200);
        post.token("p-2", &[COMMANDS, ADMIN]).send(&scene.api).await.expect(200);
    }
}

#[tokio::test]
async fn one_command_that_is_not_allowed_stops_all_of_its_list() {
    let scene = scene().await;
    let [harmless, powerful] = commands();
    for command in powerful {
        let list = json!({"commands": [harmless[3], {"type": "fly"}, command, harmless[5]]});
        let response = Request::post("/players/p-1/commands", &list).token("p-1", &[]).send(&scene.api).await;
        assert_eq!(response.problem(403, "forbidden")["index"], 2);
    }
    assert_eq!(scene.database.queue("p-1").await.expect("a queue").version, 1);
    assert!(scene.database.rejections("p-1").await.is_empty(), "not even what is malformed was taken");
}

#[tokio::test]
async fn scopes_come_from_the_context_and_from_the_claim() {
    let scene = scene().await;
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
        assert_eq!(admin().authorizer(authorizer.clone()).send(&scene.api).await.status, status, "{authorizer}");
    }
}

#[tokio::test]
async fn signatures_are_of_players_or_of_trusted_principals() {
    let scene = scene().await;
    let identity = "eu-central-1:7a1e1b8c-0001-4000-8000-000000000001";
    scene.apply(identity, grant(1)).await;
    let arn = "arn:aws:sts::123456789012:assumed-role/players/session";
    let cognito = json!({"iam": {"accessKey": "ASIA", "accountId": "123456789012", "callerId": "AROA:session",
        "cognitoIdentity": {"amr": ["authenticated"], "identityId": identity, "identityPoolId": "eu-central-1:pool"},
        "principalOrgId": null, "userArn": arn, "userId": "AROA:session"}});
    let own = Request::get(&format!("/players/{identity}/queue"));
    own.authorizer(cognito.clone()).send(&scene.api).await.expect(200);
    let encoded = Request::get(&format!("/players/{}/queue", identity.replace(':', "%3A")));
    encoded.authorizer(cognito.clone()).send(&scene.api).await.expect(200);
    queue_of("p-1").authorizer(cognito.clone()).send(&scene.api).await.problem(403, "forbidden");
    Request::get("/admin/performance").authorizer(cognito.clone()).send(&scene.api).await.problem(403, "forbidden");
    let post = Request::post(&format!("/players/{identity}/commands"), &grant(1));
    post.authorizer(cognito).send(&scene.api).await.problem(403, "forbidden");

    let role = json!({"iam": {"accessKey": "ASIA", "accountId": "123456789012", "callerId": "AROA:session",
        "cognitoIdentity": null, "principalOrgId": null, "userArn": arn, "userId": "AROA:session"}});
    queue_of("p-1").authorizer(role.clone()).send(&scene.api).await.expect(200);
    Request::get("/admin/performance").authorizer(role.clone()).send(&scene.api).await.expect(200);
    Request::post("/players/p-1/commands", &grant(1)).authorizer(role).send(&scene.api).await.expect(200);
}

#[tokio::test]
async fn everybody_may_do_everything_only_where_that_is_set_and_never_in_aws() {
    let scene = Scene::with(|setup| setup.env("MILLRACE_AUTH", "none")).await;
    for route in routes_of_player().into_iter().rev().chain(routes_of_admin()) {
        let response = route.send(&scene.api).await;
        let allowed = ["unknown_task", "malformed"];
        let error = response.json()["errorType"].as_str().map(str::to_owned);
        assert!(error.is_none_or(|error| allowed.contains(&error.as_str())), "{response:?}");
    }
    let in_aws = scene.database.queue_api().env("MILLRACE_STORE", "dynamodb").env("AWS_REGION", "eu-central-1");
    let error = in_aws.env("MILLRACE_AUTH", "none").start().await.expect_err("that lets everybody in");
    assert!(error.stderr.starts_with("MILLRACE_AUTH=none is not allowed"), "{}", error.stderr);
    // Unset is not none.
    let unset = started(scene.database.queue_api().env("MILLRACE_AUTH", "")).await;
    queue_of("p-1").send(&unset).await.problem(401, "unauthorized");
}
