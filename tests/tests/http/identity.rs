//! Players of identity providers, and authorizer contexts with any JSON in them.

use millrace_tests::http::Request;
use serde_json::{Value, json};

use crate::{Fixture, commands_of, enqueue, grant, queue_of};

const ADMIN: &str = "millrace/admin";

/// Subjects and how clients write them in a path.
const SUBJECTS: [(&str, &[&str]); 6] = [
    // Auth0 and its social connections: a bar.
    ("auth0|64f0c0", &["auth0%7C64f0c0", "auth0|64f0c0", "auth0%7c64f0c0"]),
    ("google-oauth2|103547991597142817347", &["google-oauth2%7C103547991597142817347"]),
    // Firebase, Supabase and others with e-mail addresses as ids. A plus is no space.
    ("a+b@example.com", &["a+b@example.com", "a%2Bb%40example.com", "a+b%40example.com"]),
    // Okta and Entra ID: base64 and pairwise subjects.
    ("00u1a2b3c4==", &["00u1a2b3c4==", "00u1a2b3c4%3D%3D"]),
    // Cognito identity pools: a region and a colon.
    ("eu-central-1:7a1e1b8c-0001", &["eu-central-1:7a1e1b8c-0001", "eu-central-1%3A7a1e1b8c-0001"]),
    ("~tenant|a=b@x", &["~tenant%7Ca%3Db%40x", "%7Etenant|a=b@x"]),
];

#[tokio::test]
async fn subjects_of_identity_providers_are_players() {
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_LOCAL_CACHE", "off")).await;
    for (subject, paths) in SUBJECTS {
        let created = commands_of(paths[0], &enqueue(subject, json!({"units": 4}))).trusted().send(&fixture.api).await;
        assert_eq!(created.expect(200)["results"][0]["playerId"], subject);
        for path in paths {
            let own = |route: &str| Request::get(&format!("/players/{path}/{route}")).token(subject, &[]);
            for route in ["queue", "stats", "history", "rejections"] {
                assert_eq!(own(route).send(&fixture.api).await.expect(200)["playerId"], subject, "{path}");
            }
            let task = own(&format!("tasks/{path}")).send(&fixture.api).await.expect(200);
            assert_eq!(task["taskId"], subject);
            let pause = json!({"type": "pauseQueue", "playerId": subject, "commandId": format!("{subject}|pause")});
            commands_of(path, &pause).token(subject, &[]).send(&fixture.api).await.expect(200);
        }
        queue_of(paths[0]).token("p-1", &[]).send(&fixture.api).await.problem(403, "forbidden");
    }
}

/// The cursors of lists hold the ids of tasks and commands.
#[tokio::test]
async fn lists_of_such_players_have_pages() {
    let fixture = Fixture::new().await;
    let (player, path) = ("auth0|64f0c0", "auth0%7C64f0c0");
    for id in ["a+b@x", "a|b", "c=~"] {
        let task = enqueue(id, json!({"units": 1}));
        let refused = json!({"type": "cancelTask", "taskId": "none", "commandId": format!("{id}|refused")});
        let done = json!({"type": "reportProgress", "taskId": id, "unitsDone": 1});
        commands_of(path, &json!({"commands": [task, refused, done]})).trusted().send(&fixture.api).await.expect(200);
    }
    for list in ["history", "rejections"] {
        let mut cursor = String::new();
        for page in 0..3 {
            let target = format!("/players/{path}/{list}?limit=1{cursor}");
            let answer = Request::get(&target).token(player, &[]).send(&fixture.api).await.expect(200);
            assert_eq!(answer["items"].as_array().map(Vec::len), Some(1), "page {page} of {list}: {answer:#}");
            cursor = format!("&cursor={}", answer["nextCursor"].as_str().unwrap_or_default());
        }
    }
}

/// Keycloak, Auth0 and Entra ID put numbers, lists, objects and null into claims. Local emulators
/// of API Gateway pass them on as they are.
#[tokio::test]
async fn claims_of_any_json_type_do_not_fail_the_request() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", grant(1)).await;
    let claims = json!({"sub": "p-1", "exp": 1_795_784_400, "iat": 1.5e9, "email_verified": true, "groups": ["a", 1],
        "nickname": null, "address": {"country": "DE", "lines": []}, "realm_access": {"roles": ["player"]}});
    for scopes in [json!(null), json!([]), json!("openid"), json!([1, null, {}]), json!(7), json!({"a": "b"})] {
        let context = json!({"jwt": {"claims": claims, "scopes": scopes}});
        queue_of("p-1").authorizer(context.clone()).send(&fixture.api).await.expect(200);
        queue_of("p-2").authorizer(context).send(&fixture.api).await.problem(403, "forbidden");
    }
    for other in
        [json!({"jwt": {"claims": claims}, "iam": 5, "lambda": [1]}), json!({"jwt": {"claims": claims}, "x": {}})]
    {
        queue_of("p-1").authorizer(other).send(&fixture.api).await.expect(200);
    }
}

/// Okta has scopes as a list in `scp`, others in `scope`. API Gateway passes a list on as `[a b]`.
#[tokio::test]
async fn scopes_come_as_text_or_as_a_list() {
    let fixture = Fixture::new().await;
    for scope in [json!("openid millrace/admin"), json!(["openid", ADMIN]), json!("[openid millrace/admin]")] {
        let context = json!({"jwt": {"claims": {"sub": "operator", "scope": scope}, "scopes": null}});
        Request::get("/admin/performance").authorizer(context).send(&fixture.api).await.expect(200);
    }
    for scope in [json!(null), json!(7), json!({"scope": ADMIN}), json!([[ADMIN]]), json!("[millrace/admin")] {
        let context = json!({"jwt": {"claims": {"sub": "operator", "scope": scope}}});
        let response = Request::get("/admin/performance").authorizer(context).send(&fixture.api).await;
        response.problem(403, "forbidden");
    }
}

/// Issuers of legacy systems have numeric account ids in `sub`.
#[tokio::test]
async fn a_subject_that_is_not_text_is_401_and_named() {
    let fixture = Fixture::new().await;
    for (subject, shown) in [(json!(12), "12"), (json!(true), "true"), (json!(["p-1"]), "[\"p-1\"]"), (json!({}), "{}")]
    {
        let context = json!({"jwt": {"claims": {"sub": subject, "scope": ADMIN}}});
        let problem = queue_of("12").authorizer(context).send(&fixture.api).await.problem(401, "unauthorized");
        let expected = format!("the claim sub of the token: `{shown}` is not allowed; allowed: text");
        assert_eq!(problem["detail"], expected);
    }
    for claims in [json!({}), json!({"sub": null}), json!(null), json!("p-1")] {
        let context = json!({"jwt": {"claims": claims}});
        queue_of("p-1").authorizer(context).send(&fixture.api).await.problem(403, "forbidden");
    }
}

/// Lambda authorizers and emulators fill the context with any JSON. Only known forms are trusted.
#[tokio::test]
async fn other_contexts_with_any_json_are_answered() {
    let fixture = Fixture::new().await;
    let arn = "arn:aws:iam::123456789012:role/game-server";
    let odd = [json!(null), json!(1), json!("jwt"), json!([{"jwt": {}}]), json!(true)];
    for context in odd.iter().map(|odd| json!({"jwt": odd, "iam": odd, "lambda": odd})).chain(odd.clone()) {
        queue_of("p-1").authorizer(context).send(&fixture.api).await.problem(401, "unauthorized");
    }
    for identity in [json!("eu-central-1:1"), json!({"identityId": 1, "amr": null}), json!([])] {
        let context = json!({"iam": {"userArn": arn, "cognitoIdentity": identity}});
        queue_of("p-1").authorizer(context).send(&fixture.api).await.problem(403, "forbidden");
    }
    let server = json!({"iam": {"userArn": arn, "accountId": 123_456_789_012_u64, "cognitoIdentity": Value::Null,
        "callerId": ["x"], "principalOrgId": {}}, "lambda": {"n": 1, "b": false, "o": {"l": [null]}}});
    queue_of("p-1").authorizer(server).send(&fixture.api).await.problem(404, "unknown_player");
}
