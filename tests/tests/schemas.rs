//! The files in `events/` and the schemas in `docs/schemas/`.

use std::collections::BTreeSet;

use millrace_domain::{
    event::EventType,
    json::{Message, parse_message},
};
use millrace_schemas::{
    mutations::{with_an_unknown_field, with_another_value, without_a_field},
    schema::{EVENT, MESSAGE, PROCESS_TASKS_ANSWER},
};
use millrace_tests::{binary::workspace, database::Database, event_files, regressions, sqs};
use serde_json::{Value, json};

/// The messages in an invocation payload, as text: bodies of SQS with what they wrap, details of
/// EventBridge, and elements of arrays.
fn messages(payload: &Value) -> Vec<String> {
    let nested = |text: &Value| {
        let text = text.as_str().expect("a text");
        serde_json::from_str(text).map_or_else(|_| vec![text.to_owned()], |content| messages(&content))
    };
    match payload {
        Value::Array(elements) => elements.iter().flat_map(messages).collect(),
        _ if payload.get("Records").is_some() => messages(&payload["Records"]),
        _ if payload.get("body").is_some() => nested(&payload["body"]),
        _ if payload.get("detail-type").is_some() => messages(&payload["detail"]),
        _ if payload.get("Message").is_some() => nested(&payload["Message"]),
        _ => vec![payload.to_string()],
    }
}

/// The commands of a list, or else the message.
fn entries(message: &str) -> Vec<String> {
    let content: Option<Value> = serde_json::from_str(message).ok();
    let commands = content.as_ref().and_then(|content| content["commands"].as_array());
    commands.map_or_else(|| vec![message.to_owned()], |commands| commands.iter().map(Value::to_string).collect())
}

/// The numbers of valid and malformed entries, which the schema and the parser must judge alike.
fn judge(name: &str, payload: &Value) -> (usize, usize) {
    let (mut valid, mut malformed) = (0, 0);
    for entry in messages(payload).iter().flat_map(|message| entries(message)) {
        let by_parser = match parse_message(&entry) {
            Ok(Message::Commands(commands)) => commands.iter().all(Result::is_ok),
            Ok(Message::Tick(_)) => true,
            Err(_) => false,
        };
        let by_schema = serde_json::from_str(&entry).is_ok_and(|content| MESSAGE.accepts(&content));
        assert_eq!(by_schema, by_parser, "{name}: {entry}");
        *(if by_schema { &mut valid } else { &mut malformed }) += 1;
    }
    (valid, malformed)
}

#[test]
fn every_sample_payload_is_judged_alike_by_the_schema_and_the_parser() {
    let judged: Vec<_> = event_files::all().iter().map(|file| judge(&file.name, &file.json)).collect();
    assert_eq!(judged, [(11, 0), (16, 0), (14, 0), (9, 6), (1, 0), (1, 0), (3, 0)]);
}

#[test]
fn every_regression_is_judged_alike_by_the_schema_and_the_parser() {
    let regressions = regressions::all(|name| !name.starts_with("http-"));
    let judged = regressions.iter().map(|regression| {
        // A byte that is not UTF-8 makes a message malformed before it is parsed.
        let is_text = std::str::from_utf8(&regression.payload).is_ok();
        let payload = serde_json::from_str(&String::from_utf8_lossy(&regression.payload));
        let payload = payload.unwrap_or_else(|error| panic!("{}: {error}", regression.name));
        (&*regression.name, is_text, judge(&regression.name, &payload).1)
    });
    let malformed: Vec<_> = judged.filter(|(_, is_text, malformed)| !is_text || *malformed > 0).collect();
    assert_eq!(malformed, [("invalid-utf8-in-a-text", false, 0), ("two-malformed-commands-one-id", true, 2)]);
}

#[test]
fn the_events_in_the_documentation_are_accepted() {
    let page = std::fs::read_to_string(workspace().join("docs/events.md")).expect("the page exists");
    let (_, run) = page.split_once("## A run").expect("the page shows a run");
    let block = run.split("```").nth(1).and_then(|block| block.strip_prefix("json")).expect("a block of JSON");
    let events = serde_json::Deserializer::from_str(block).into_iter().map(|event| event.expect("an event"));
    let types: BTreeSet<String> = events
        .map(|event: Value| {
            EVENT.assert_accepts(&event);
            event["type"].as_str().expect("a type").to_owned()
        })
        .collect();
    assert_eq!(types, EventType::ALL.into_iter().map(|event_type| event_type.as_str().to_owned()).collect());
}

/// [`millrace_tests::Function`] compares every answer of every test with its schema.
#[tokio::test]
async fn the_schema_refuses_answers_with_a_change() {
    let (_database, function) = Database::with_process_tasks().await;
    let cancel = json!({"type": "cancelTask", "playerId": "p-1", "taskId": "none"});
    let answer = function.answer(sqs::standard(&[sqs::Message::new(1, cancel)])).await;
    assert_eq!(answer["results"][0]["status"], "rejected");
    let optional =
        ["/results/0/playerId", "/report/reasons/rejected/", "/report/writes/byTable/", "/report/writes/byPriority/"];
    let is_required = |pointer: &str| {
        let counts = pointer.ends_with("/items") || pointer.ends_with("/calls");
        counts || !optional.iter().any(|optional| pointer.starts_with(optional))
    };
    let without = without_a_field(&answer);
    assert!(without.len() > 150, "{} fields", without.len());
    for changed in without {
        assert_eq!(PROCESS_TASKS_ANSWER.accepts(&changed.value), !is_required(&changed.pointer), "{}", changed.pointer);
    }
    let others = |_: &Value| vec![json!({"unknown field": true})];
    for changed in with_an_unknown_field(&answer).into_iter().chain(with_another_value(&answer, others)) {
        assert!(!PROCESS_TASKS_ANSWER.accepts(&changed.value), "{}", changed.pointer);
    }
}
