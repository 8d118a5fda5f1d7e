//! The files in `events/` have the format of AWS, and they have the intended commands.

use aws_lambda_events::{eventbridge::EventBridgeEvent, sqs::SqsEvent};
use millrace_domain::json::{self, Message};
use millrace_tests::event_files;
use serde_json::Value;

/// Asserts that every field of `given` has an equal field in `kept`.
fn assert_contains(given: &Value, kept: &Value, path: &str) {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => {
            for (name, value) in given {
                assert_contains(value, kept.get(name).unwrap_or(&Value::Null), &format!("{path}.{name}"));
            }
        }
        (Value::Array(given), Value::Array(kept)) => {
            assert_eq!(given.len(), kept.len(), "{path}");
            for (at, (given, kept)) in given.iter().zip(kept).enumerate() {
                assert_contains(given, kept, &format!("{path}[{at}]"));
            }
        }
        // The types write times with another precision.
        (Value::String(given), Value::String(kept)) if path.ends_with(".time") => {
            assert_eq!(given.trim_end_matches('Z'), &kept[..19], "{path}");
        }
        _ => assert_eq!(given, kept, "{path}"),
    }
}

/// The numbers of commands, of malformed commands and of players in ticks in a body.
fn count_entries(body: &str) -> (usize, usize, usize) {
    match json::parse_message(body) {
        Ok(Message::Commands(commands)) => {
            let good = commands.iter().filter(|command| command.is_ok()).count();
            (good, commands.len() - good, 0)
        }
        Ok(Message::Tick(players)) => (0, 0, players.len()),
        Err(_) => (0, 1, 0),
    }
}

fn bodies(payload: &Value) -> Vec<String> {
    if let Some(records) = payload["Records"].as_array() {
        return records.iter().map(|record| record["body"].as_str().expect("a body is text").to_owned()).collect();
    }
    match payload.get("detail") {
        Some(detail) => vec![detail.to_string()],
        None => vec![payload.to_string()],
    }
}

#[test]
fn the_official_types_read_every_file_without_losing_a_field() {
    let (mut sqs, mut bridge) = (0, 0);
    for file in event_files::all() {
        if file.json.get("Records").is_some() {
            let event: SqsEvent =
                serde_json::from_slice(&file.bytes).unwrap_or_else(|error| panic!("{}: {error}", file.name));
            assert_contains(&file.json, &serde_json::to_value(&event).unwrap(), &file.name);
            sqs += 1;
        } else if file.json.get("detail-type").is_some() {
            let event: EventBridgeEvent =
                serde_json::from_slice(&file.bytes).unwrap_or_else(|error| panic!("{}: {error}", file.name));
            assert_contains(&file.json, &serde_json::to_value(&event).unwrap(), &file.name);
            bridge += 1;
        }
    }
    assert_eq!((sqs, bridge), (4, 1));
}

#[test]
fn every_record_has_the_fields_that_sqs_sends() {
    for file in event_files::all() {
        let Some(records) = file.json["Records"].as_array() else { continue };
        for record in records {
            let text = |pointer: &str| {
                let value = record.pointer(pointer).and_then(Value::as_str);
                value.unwrap_or_else(|| panic!("{}: no {pointer} in {record}", file.name))
            };
            for field in ["/messageId", "/receiptHandle", "/body", "/md5OfBody", "/awsRegion", "/eventSourceARN"] {
                assert!(!text(field).is_empty(), "{}: {field}", file.name);
            }
            assert_eq!(text("/eventSource"), "aws:sqs");
            assert!(record["messageAttributes"].is_object());
            let number = |name: &str| -> u64 { text(&format!("/attributes/{name}")).parse().expect(name) };
            assert!(number("ApproximateReceiveCount") >= 1);
            assert!(number("ApproximateFirstReceiveTimestamp") >= number("SentTimestamp"));
            assert!(!text("/attributes/SenderId").is_empty());
            if text("/eventSourceARN").ends_with(".fifo") {
                assert_eq!(text("/attributes/SequenceNumber").len(), 20);
                assert_eq!(text("/attributes/MessageDeduplicationId").len(), 64);
                assert!(!text("/attributes/MessageGroupId").is_empty());
                assert!(records.len() <= 10, "{}: a FIFO batch has more than 10 messages", file.name);
            }
        }
    }
}

#[test]
fn message_ids_are_unique_and_sequence_numbers_grow() {
    let mut ids = std::collections::HashSet::new();
    let mut last = 0_u128;
    for file in event_files::all() {
        for record in file.json["Records"].as_array().into_iter().flatten() {
            assert!(ids.insert(record["messageId"].to_string()), "{} twice", record["messageId"]);
            if let Some(sequence) = record["attributes"]["SequenceNumber"].as_str() {
                let sequence = sequence.parse().unwrap();
                assert!(sequence > last, "{}: {sequence} after {last}", file.name);
                last = sequence;
            }
        }
    }
}

#[test]
fn every_file_has_the_intended_numbers_of_commands() {
    let counts: Vec<_> = event_files::all()
        .iter()
        .map(|file| {
            let sum = |a: (usize, usize, usize), b: (usize, usize, usize)| (a.0 + b.0, a.1 + b.1, a.2 + b.2);
            (file.name.clone(), bodies(&file.json).iter().map(|body| count_entries(body)).fold((0, 0, 0), sum))
        })
        .collect();
    let expected = [
        ("01-sqs-commands-fifo.json", (11, 0, 0)),
        ("02-sqs-progress-standard.json", (16, 0, 0)),
        ("03-player-session.json", (14, 0, 0)),
        ("04-sqs-malformed-and-rejected.json", (9, 6, 0)),
        ("05-eventbridge-command.json", (1, 0, 0)),
        ("06-tick.json", (0, 0, 5)),
        ("07-direct-commands.json", (3, 0, 0)),
    ];
    assert_eq!(counts, expected.map(|(name, count)| (name.to_owned(), count)));
}

#[test]
fn the_readme_names_every_file() {
    let readme = std::fs::read_to_string(millrace_tests::binary::workspace().join("events/README.md")).unwrap();
    for file in event_files::all() {
        assert!(readme.contains(&format!("`{}`", file.name)), "events/README.md does not name {}", file.name);
    }
}
