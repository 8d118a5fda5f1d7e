//! Events of API Gateway, function URLs and their emulators whose fields have other types than AWS
//! documents, and events in other payload formats.

use millrace_tests::http::{Request, Response};
use serde_json::{Value, json};

use crate::{Fixture, grant, queue_of};

/// Values that no documented field of an event has in the same place.
fn odd_values() -> [Value; 5] {
    [json!(null), json!(7), json!(true), json!(["a", 1]), json!({"a": {"b": [null]}})]
}

async fn send(fixture: &Fixture, change: impl FnOnce(&mut Value)) -> Response {
    let request = queue_of("p-1").trusted();
    let mut event = request.payload();
    change(&mut event);
    request.send_as(&fixture.api, event.into()).await
}

/// Emulators and test tools leave out fields, or write null and numbers where API Gateway has text.
#[tokio::test]
async fn fields_that_are_not_used_may_have_any_type() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", grant(1)).await;
    for value in odd_values() {
        for field in [
            "version",
            "routeKey",
            "rawQueryString",
            "cookies",
            "headers",
            "queryStringParameters",
            "pathParameters",
            "stageVariables",
            "isBase64Encoded",
        ] {
            send(&fixture, |event| event[field] = value.clone()).await.expect(200);
        }
        for field in [
            "accountId",
            "apiId",
            "authentication",
            "domainName",
            "domainPrefix",
            "requestId",
            "routeKey",
            "stage",
            "time",
            "timeEpoch",
        ] {
            send(&fixture, |event| event["requestContext"][field] = value.clone()).await.expect(200);
        }
        for field in ["path", "protocol", "sourceIp", "userAgent"] {
            send(&fixture, |event| event["requestContext"]["http"][field] = value.clone()).await.expect(200);
        }
        send(&fixture, |event| event["headers"] = json!({"host": value, "x-a": value})).await.expect(200);
    }
    let minimal = json!({"rawPath": "/health", "requestContext": {"http": {"method": "GET"}}});
    Request::get("/health").send_as(&fixture.api, minimal.into()).await.expect(200);
}

#[tokio::test]
async fn fields_that_are_used_get_an_answer_whatever_their_type() {
    let fixture = Fixture::new().await;
    for value in odd_values() {
        send(&fixture, |event| event["rawPath"] = value.clone()).await.problem(404, "unknown_route");
        let method = send(&fixture, |event| event["requestContext"]["http"]["method"] = value.clone()).await;
        assert_eq!(method.problem(400, "invalid_parameter")["field"], "method", "{value}");
        let request = Request::post("/players/p-1/commands", &grant(1)).trusted();
        let mut event = request.payload();
        event["body"] = value.clone();
        request.send_as(&fixture.api, event.into()).await.problem(400, "malformed");
    }
}

/// An integration with the payload format 1.0, a REST API, or a load balancer.
#[tokio::test]
async fn other_payload_formats_are_answered_with_what_is_allowed() {
    let fixture = Fixture::new().await;
    let rest = json!({"version": "1.0", "resource": "/{proxy+}", "path": "/players/p-1/queue", "httpMethod": "GET",
        "headers": {"host": "x"}, "multiValueHeaders": {"host": ["x"]}, "queryStringParameters": null,
        "multiValueQueryStringParameters": null, "body": null, "isBase64Encoded": false,
        "requestContext": {"authorizer": {"claims": {"sub": "p-1"}, "scopes": null}, "stage": "prod", "httpMethod": "GET"}});
    let balancer = json!({"httpMethod": "GET", "path": "/health", "headers": {}, "body": "", "isBase64Encoded": false,
        "requestContext": {"elb": {"targetGroupArn": "arn"}}});
    for (event, version) in [(rest, "1.0"), (balancer, "null")] {
        let response = Request::get("/").send_as(&fixture.api, event.into()).await;
        let problem = response.problem(500, "unsupported_format");
        assert_eq!((&problem["field"], &problem["value"]), (&json!("version"), &json!(version)));
        assert!(problem["allowed"].as_str().is_some_and(|allowed| allowed.starts_with("2.0")), "{problem:#}");
    }
}
