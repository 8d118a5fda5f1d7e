use fastrand::Rng;
use millrace_domain::Timestamp;
use serde_json::{Value, json};

use super::super::{Decoded, Probe, sequence_number, sqs_as_written, sqs_one_by_one};

fn now() -> Timestamp {
    Timestamp::from_millis(1_768_471_260_000)
}

/// The way of every event that has another form.
fn by_the_library(text: &str) -> Option<Decoded> {
    let probe: Probe<'_> = serde_json::from_str(text).ok()?;
    Some(sqs_one_by_one(&probe.records?, "request", now()))
}

fn record(n: u64, body: &str) -> Value {
    json!({
        "messageId": format!("059f36b4-87a3-44ab-83d2-{n:012}"),
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0aQ==",
        "body": body,
        "attributes": {
            "ApproximateReceiveCount": "1", "SentTimestamp": "1768471200000", "SequenceNumber": "18849496460467696128",
            "MessageGroupId": "p-1", "SenderId": "AIDAIENQZJOLO23YVJ4VO",
        },
        "messageAttributes": {"trace": {"stringValue": "a \"b\" {c}", "stringListValues": [], "dataType": "String"}},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:millrace-commands.fifo",
        "awsRegion": "us-east-1",
    })
}

fn event() -> Value {
    let command = json!({"type": "failTask", "playerId": "p-1", "taskId": "t-1", "reason": "no\tway \\ \"ä/ö\""});
    let tick = json!({"type": "advanceQueues", "playerIds": ["p-1", "p-2"]});
    let bodies = [command.to_string(), tick.to_string(), "{\n}".to_owned(), String::new(), "no JSON".to_owned()];
    json!({"Records": (0..).zip(&bodies).map(|(n, body)| record(n, body)).collect::<Vec<_>>()})
}

#[test]
fn events_as_aws_writes_them_are_read_without_the_library() {
    for text in [event().to_string(), serde_json::to_string_pretty(&event()).unwrap(), r#"{"Records":[]}"#.to_owned()] {
        let read = sqs_as_written(&text, now());
        assert!(read.is_some(), "{text}");
        assert_eq!(read, by_the_library(&text));
    }
}

#[test]
fn other_forms_are_left_to_the_library() {
    let text = r#"{"Records":[{"messageId":"m","body":"{}"}]}"#;
    assert!(sqs_as_written(text, now()).is_some());
    for (from, to) in [
        (r#""messageId":"m","#, ""),
        (r#""messageId":"m","#, r#""messageId":"m","messageId":"m","#),
        (r#""messageId":"m","#, r#""messageId":null,"#),
        (r#""messageId":"m","#, r#""messageId":"\u006d","#),
        (r#""{}""#, r#""\u007b}""#),
        (r#""{}""#, "\"\u{1}\""),
        (r#"]}"#, r#"],"other":{}}"#),
        (r#"]}"#, r#"]"#),
        (r#"]}"#, r#"]}}"#),
        (r#"[{"#, r#"[,{"#),
        (r#"}]"#, r#"},]"#),
    ] {
        let text = text.replace(from, to);
        assert_eq!(sqs_as_written(&text, now()), None, "{text}");
    }
}

#[test]
fn what_is_read_is_what_the_library_reads_whatever_the_bytes_are() {
    let mut rng = Rng::with_seed(7);
    let events = [event().to_string(), serde_json::to_string_pretty(&event()).unwrap()];
    let pieces =
        ["\"", "\\", "{", "}", "[", "]", ",", ":", " ", "\n", "\u{1}", "0", "a", "\\u0061", "\\n", "null", "ä"];
    let mut read = 0;
    for round in 0..4_000 {
        let mut text = events[round % 2].clone();
        for _ in 0..rng.usize(1..3) {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let from = places[rng.usize(..places.len())];
            let length = text[from..].chars().take(rng.usize(..3)).map(char::len_utf8).sum::<usize>();
            text.replace_range(from..from + length, pieces[rng.usize(..pieces.len())]);
        }
        if let Some(decoded) = sqs_as_written(&text, now()) {
            assert_eq!(Some(decoded), by_the_library(&text), "{text}");
            read += 1;
        }
    }
    assert!(read > 1_000, "{read} events were still of the form");
}

#[test]
fn sequence_numbers_are_read_as_the_library_reads_them() {
    for text in [
        "",
        "7",
        "+7",
        "9999999999999999999",
        "18849496460467696128",
        "+8849496460467696128",
        "1+849496460467696128",
        "00000000000000000000000007",
        "340282366920938463463374607431768211455",
        "340282366920938463463374607431768211456",
        "99999999999999999999999999999999999999999",
        "1884949646046769612ä",
        "ä849496460467696128",
    ] {
        assert_eq!(sequence_number(text), text.parse().ok(), "{text}");
    }
}
