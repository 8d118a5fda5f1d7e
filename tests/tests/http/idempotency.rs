//! Requests that clients send again with the same `Idempotency-Key`, as they do with payment APIs.

use serde_json::json;

use crate::{Fixture, commands_of, grant};

/// Mobile clients and queues of webhooks send a request again after a time-out.
#[tokio::test]
async fn a_request_that_is_sent_again_takes_effect_once() {
    let fixture = Fixture::new().await;
    let named = json!({"type": "grantResources", "commandId": "named", "resources": {"gold": 1}});
    let list = json!({"commands": [grant(1), named, {"type": "fly"}, grant(1)]});
    for expected in ["applied", "duplicate", "duplicate"] {
        let request = commands_of("p-1", &list).header("idempotency-key", "order-17").trusted();
        let answer = request.send(&fixture.api).await.expect(200);
        let ids: Vec<_> = (0..4).map(|at| answer["results"][at]["commandId"].as_str().unwrap_or_default()).collect();
        assert_eq!(ids, ["order-17:0", "named", "order-17:2", "order-17:3"]);
        for at in [0, 1, 3] {
            assert_eq!(answer["results"][at]["status"], expected);
        }
        assert_eq!(answer["queue"]["balances"]["gold"], 3);
    }
    assert_eq!(fixture.database.rejections("p-1").await.len(), 3, "one for each request with a malformed command");
    // A key is one of its player, and of a single command too.
    for (player, key, gold) in [("p-2", "order-17", 1), ("p-1", "order-18", 4), ("p-1", "order-18", 4)] {
        let request = commands_of(player, &grant(1)).header("Idempotency-Key", key).trusted();
        let answer = request.send(&fixture.api).await.expect(200);
        assert_eq!(answer["queue"]["balances"]["gold"], gold, "{player}, {key}");
        assert_eq!(answer["results"][0]["commandId"], format!("{key}:0"));
    }
}

#[tokio::test]
async fn a_request_without_a_key_is_new_each_time() {
    let fixture = Fixture::new().await;
    for gold in [1, 2] {
        let answer = commands_of("p-1", &grant(1)).trusted().send(&fixture.api).await.expect(200);
        assert_eq!(answer["queue"]["balances"]["gold"], gold);
    }
}

/// Client libraries quote keys, join two of them with a comma, or send none.
#[tokio::test]
async fn keys_that_cannot_name_a_command_are_400() {
    let fixture = Fixture::new().await;
    let long = "x".repeat(126);
    for key in ["", " ", "a b", "\"quoted\"", "one,two", "käse", "a/b", long.as_str()] {
        let request = commands_of("p-1", &grant(1)).header("idempotency-key", key).trusted();
        let problem = request.send(&fixture.api).await.problem(400, "invalid_parameter");
        assert_eq!((&problem["field"], &problem["value"]), (&json!("Idempotency-Key"), &json!(key)));
        assert_eq!(problem["allowed"], "1 to 125 characters of A-Z a-z 0-9 . _ : - | @ + = ~");
    }
    assert!(fixture.database.queue("p-1").await.is_none(), "nothing was applied");
    let commands: Vec<_> = (0..100).map(|_| grant(1)).collect();
    for key in [&long[..125], "auth0|64f0c0:a+b@example.com=~"] {
        let request = commands_of("p-1", &json!({"commands": commands})).header("idempotency-key", key).trusted();
        let answer = request.send(&fixture.api).await.expect(200);
        assert_eq!(answer["results"][99]["commandId"], format!("{key}:99"));
    }
}
