//! Changes of a message that the schema and the parser must judge alike: each field left out,
//! unknown fields, and in place of each value others at and beyond every limit.

use std::collections::BTreeSet;

use millrace_domain::{
    attempt::{MAX_DEADLINE_MS, MIN_DEADLINE_MS},
    json::{MAX_COMMANDS, MAX_GRANTED, MAX_REASON_LENGTH, MAX_TASKS, MAX_TICK_PLAYERS},
    resources::MAX_AMOUNT,
    task::{MAX_RETRIES, MAX_RETRY_DELAY_MS, MAX_TASK_LIST},
    work::{MAX_DURATION_MS, MAX_UNITS},
};
use millrace_schemas::{
    mutations::{self, Mutation, with_an_unknown_field, with_another_value, without_a_field},
    schema::MESSAGE,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    commands::parser_accepts,
    sent::{message, with_allowed_deadlines},
    support::{
        config,
        generators::{Scale, steps},
        steps::Step,
    },
};

/// Values of every type.
const OTHER_VALUES: [&str; 16] = [
    "null",
    "true",
    "-1",
    "0",
    "1",
    "11",
    "1000",
    "1.5",
    "5.0",
    "9007199254740992",
    "\"\"",
    "\"high\"",
    "\"a b\"",
    "[]",
    "{}",
    "[null]",
];

/// A message of each type with all of its fields, in a list and alone.
fn messages() -> Vec<Value> {
    let ids = json!({"playerId": "auth0|p-1", "commandId": "c-1"});
    let commands = [
        json!({"type": "enqueueTasks", "tasks": [
            {"taskId": "t-1", "kind": "harvest.wood", "priority": "low", "work": {"durationMs": 30000},
             "payload": {"any": ["JSON", 1.5, null]}, "notBefore": "2026-11-20T12:00:00.000Z", "prerequisites": ["t-0"],
             "costs": {"gold": 5}, "rewards": {"wood": 10}, "maxRetries": 3, "retryDelayMs": 1000},
            {"taskId": "t-2", "kind": "k", "work": {"units": 100, "heartbeatMs": 60000, "timeoutMs": 3600000}}]}),
        json!({"type": "reportProgress", "taskId": "t-1", "unitsDone": 5, "attempt": 1}),
        json!({"type": "completeTask", "taskId": "t-1", "attempt": 1, "result": {"any": "JSON"}}),
        json!({"type": "failTask", "taskId": "t-1", "reason": "broken", "attempt": 1, "retry": false}),
        json!({"type": "cancelTask", "taskId": "t-1"}),
        json!({"type": "setPriority", "taskId": "t-1", "priority": "critical"}),
        json!({"type": "moveToFront", "taskId": "t-1"}),
        json!({"type": "pauseQueue"}),
        json!({"type": "resumeQueue"}),
        json!({"type": "clearQueue"}),
        json!({"type": "grantResources", "resources": {"gold": 1}}),
        json!({"type": "configureQueue", "slots": 2, "maxTasks": 20}),
    ];
    let mut messages: Vec<Value> = commands
        .into_iter()
        .map(|mut command| {
            command.as_object_mut().unwrap().append(&mut ids.as_object().unwrap().clone());
            command
        })
        .collect();
    messages.push(json!({"commands": [messages[7], messages[10]]}));
    messages.push(json!({"type": "advanceQueues", "playerIds": ["p-1"]}));
    messages
}

/// Asserts that the schema and the parser judge all changes alike, and that both accept some of
/// them and refuse others.
fn assert_judged_alike(mutations: impl IntoIterator<Item = Mutation>) {
    let mut verdicts = BTreeSet::new();
    for Mutation { pointer, value } in mutations {
        let (by_schema, by_parser) = (MESSAGE.accepts(&value), parser_accepts(&value.to_string()));
        let shown = value.to_string().chars().take(2_000).collect::<String>();
        assert_eq!(by_schema, by_parser, "schema, parser: {pointer} in {shown}");
        verdicts.insert(by_schema);
    }
    assert_eq!(verdicts.len(), 2, "all changes are accepted, or all are refused");
}

/// Texts of lengths around the limits, texts with each ASCII character, and times.
fn texts() -> impl Iterator<Item = Value> {
    let lengths = [0, 64, 65, 128, 129, MAX_REASON_LENGTH, MAX_REASON_LENGTH + 1];
    let long = lengths.into_iter().flat_map(|length| ["x", "ä"].map(|text| text.repeat(length)));
    let characters = (0..=127_u8).map(|character| format!("a{}", char::from(character)));
    let times = [
        "1969-12-31T23:59:59.999Z",
        "1970-01-01T00:00:00Z",
        "9999-12-30T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2026-02-29T12:00:00Z",
        "2028-02-29T12:00:00Z",
        "2026-13-20T12:00:00Z",
        "2026-11-20T24:00:00Z",
        "2026-11-20T12:00:00.5Z",
        "2026-11-20T12:00:00.123456789Z",
        "2026-11-20T12:00:00.1234567891Z",
        "2026-11-20T12:00:00.Z",
        "2026-11-20T12:00Z",
        "2026-11-20 12:00:00Z",
        "2026-11-20T12:00:00",
        "2026-11-20t12:00:00z",
        "2026-11-20T12:00:00+02:00",
        "2026-11-20",
        "20261120T120000Z",
    ];
    let words = ["enqueueTasks", "pauseQueue", "advanceQueues", "low", "normal", "high", "critical", "urgent"];
    long.chain(characters).chain(times.into_iter().chain(words).map(str::to_owned)).map(Value::from)
}

/// Each limit of a number, with its neighbours, also as floating point.
fn numbers() -> impl Iterator<Item = Value> {
    let limits = [
        1,
        10,
        200,
        MAX_AMOUNT,
        MAX_RETRIES,
        MAX_RETRY_DELAY_MS,
        MAX_DURATION_MS,
        MAX_UNITS,
        MIN_DEADLINE_MS,
        MAX_DEADLINE_MS,
    ];
    let whole = limits.into_iter().flat_map(|limit| [limit - 1, limit, limit + 1].map(Value::from));
    whole.chain([json!(-1), json!(1.5), json!(5.0), json!(5e3), json!(1e300), json!(-0.0)])
}

/// A list with so many elements as its limits allow, and with one more.
fn lists(items: &[Value]) -> impl Iterator<Item = Value> {
    let lengths = [0, 1, MAX_TASK_LIST, MAX_TASKS, MAX_COMMANDS, MAX_TICK_PLAYERS].map(|most| [most, most + 1]);
    lengths.into_iter().flatten().map(|length| items.iter().cycle().take(length).cloned().collect())
}

/// Amounts of so many resources as the limits allow, and of one more; bad names; amounts of 0.
fn amounts(fields: &Map<String, Value>) -> Vec<Value> {
    if !fields.values().all(Value::is_number) {
        return Vec::new();
    }
    let of_names = |names: Vec<String>| names.into_iter().map(|name| (name, json!(0))).collect::<Value>();
    let numbers = [MAX_TASK_LIST, MAX_GRANTED].into_iter().flat_map(|most| [most, most + 1]);
    let many = numbers.map(|number| of_names((0..number).map(|name| format!("r{name}")).collect()));
    let names =
        ["", "a b", "a|b", "ä", "A-Z.a_z:0"].map(str::to_owned).into_iter().chain([64, 65].map(|n| "x".repeat(n)));
    many.chain(names.map(|name| of_names(vec![name]))).collect()
}

fn other_values(value: &Value) -> Vec<Value> {
    let of_its_type: Vec<Value> = match value {
        Value::String(_) => texts().collect(),
        Value::Number(_) => numbers().collect(),
        Value::Array(items) => lists(items).collect(),
        Value::Object(fields) => amounts(fields),
        Value::Null | Value::Bool(_) => vec![json!(true), json!(false)],
    };
    let of_any_type = OTHER_VALUES.iter().map(|other| serde_json::from_str(other).unwrap());
    of_its_type.into_iter().chain(of_any_type).collect()
}

#[test]
fn messages_with_all_fields_are_accepted() {
    for message in messages() {
        MESSAGE.assert_accepts(&message);
        assert!(parser_accepts(&message.to_string()), "{message:#}");
    }
}

#[test]
fn required_and_optional_fields_are_the_same() {
    assert_judged_alike(messages().iter().flat_map(without_a_field));
}

#[test]
fn unknown_fields_are_refused() {
    assert_judged_alike(messages().iter().flat_map(with_an_unknown_field));
    // Fields of other commands are unknown too.
    let messages = messages();
    let fields: Map<String, Value> = messages.iter().flat_map(|message| message.as_object().unwrap().clone()).collect();
    let with_each_field = |message: &Value| {
        let message = message.clone();
        fields.clone().into_iter().map(move |(name, value)| {
            let mut changed = message.clone();
            changed[&name] = value;
            Mutation { pointer: name, value: changed }
        })
    };
    assert_judged_alike(messages.iter().flat_map(with_each_field));
}

#[test]
fn values_at_and_beyond_the_limits_are_judged_alike() {
    for message in messages() {
        assert_judged_alike(with_another_value(&message, other_values));
    }
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn a_random_change_of_a_command_is_judged_alike(
        steps in steps(Scale { small: false }, 20),
        part in any::<prop::sample::Index>(),
        other in prop::sample::select(OTHER_VALUES.to_vec()),
    ) {
        for step in steps.into_iter().map(with_allowed_deadlines) {
            let Step::Deliver { delivery, .. } = &step else { continue };
            let sent = message(delivery);
            let parts = mutations::parts(&sent);
            let (pointer, _) = part.get(&parts);
            let other: Value = serde_json::from_str(other).unwrap();
            let changed = mutations::replaced(&sent, pointer, other);
            prop_assert_eq!(MESSAGE.accepts(&changed), parser_accepts(&changed.to_string()), "{} {:#}", pointer, changed);
        }
    }
}
