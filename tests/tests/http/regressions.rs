//! The HTTP events in `events/regressions/`. Each one failed once, and must get the answer in the
//! file beside it.

use std::fs;

use millrace_tests::{Invocation, binary::workspace, http::Response};
use serde_json::{Value, json};

use crate::{Fixture, grant};

/// The players of the events. Each has one gold.
const PLAYERS: [&str; 3] = ["case-1", "auth0%7C64f0c0", "a+b@example.com"];

#[tokio::test]
async fn every_event_gets_its_answer() {
    let folder = workspace().join("events/regressions");
    let files = fs::read_dir(&folder).expect("the folder exists").map(|entry| entry.expect("a file").path());
    let mut names: Vec<String> =
        files.map(|path| path.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with("http-") && name.ends_with(".json") && !name.ends_with(".answer.json"));
    assert!(!names.is_empty(), "no events in {}", folder.display());
    let read = |name: &str| fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for name in names {
        let fixture = Fixture::new().await;
        for player in PLAYERS {
            fixture.apply(player, grant(1)).await;
        }
        let expected = read(&name.replace(".json", ".answer.json"));
        let expected: Value = serde_json::from_slice(&expected).unwrap_or_else(|error| panic!("{name}: {error}"));
        let response = Response::from_answer(&fixture.api.answer(Invocation::new(read(&name))).await);
        let answer = json!({"status": response.status, "headers": response.headers, "body": response.json()});
        assert_contains(&answer, &expected, &name);
    }
}

/// Asserts that `answer` has every field of `expected`, with the same value.
fn assert_contains(answer: &Value, expected: &Value, path: &str) {
    match expected {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| assert_contains(&answer[name], value, &format!("{path}.{name}")));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(at, value)| assert_contains(&answer[at], value, &format!("{path}[{at}]")));
        }
        _ => assert_eq!(answer, expected, "{path}"),
    }
}
