//! Accepted messages, and the errors of malformed ones.

use super::*;
use crate::{Command, CommandId, JsonText, PlayerId, Resources, Work};

fn detail(body: &str) -> String {
    match parse_message(body) {
        Err(malformed) => malformed.detail,
        Ok(Message::Commands(commands)) => match commands.into_iter().find_map(Result::err) {
            Some(malformed) => malformed.detail,
            None => panic!("{body} was accepted"),
        },
        Ok(Message::Tick(_)) => panic!("{body} was accepted"),
    }
}

fn enqueue(task: &str) -> String {
    format!(r#"{{"type":"enqueueTasks","playerId":"p-1","tasks":[{task}]}}"#)
}

#[test]
fn a_command_with_all_fields_is_accepted() {
    let body = enqueue(
        r#"{"taskId":"t-1","kind":"harvest.wood","priority":"high","work":{"durationMs":30000},
            "notBefore":"2026-11-20T12:00:00.000Z","prerequisites":["t-0"],"costs":{"gold":5},
            "rewards":{"wood":10},"maxRetries":0,"retryDelayMs":0}"#,
    );
    let Ok(Message::Commands(commands)) = parse_message(&body) else { panic!("not accepted") };
    let request = commands[0].as_ref().unwrap();
    assert_eq!(request.player_id.as_str(), "p-1");
    let Command::EnqueueTasks { tasks } = &request.command else { panic!("another command") };
    assert_eq!(tasks[0].work, Work::DurationMs(30_000));
    assert_eq!((tasks[0].max_retries, tasks[0].retry_delay_ms), (0, 0));
}

#[test]
fn errors_name_the_field_its_value_and_what_is_allowed() {
    let task = |fields: &str| enqueue(&format!(r#"{{"taskId":"t","kind":"k",{fields}}}"#));
    let timed = r#""work":{"durationMs":1}"#;
    for (body, parts) in [
        ("nonsense".to_owned(), vec!["not JSON", "`nonsense`", "allowed: an object"]),
        (String::new(), vec!["not JSON", "EOF"]),
        ("[]".to_owned(), vec!["an object"]),
        (r#"["pauseQueue", "p"]"#.to_owned(), vec!["sequence", "an object"]),
        (enqueue(r#"["t", "k", "normal", {"units": 1}]"#), vec!["tasks[0]", "sequence", "an object"]),
        (task(r#""work":[5]"#), vec!["tasks[0].work", "sequence", "an object"]),
        ("{}".to_owned(), vec!["type: missing", "enqueueTasks"]),
        (r#"{"type":"pauseQueue"}"#.to_owned(), vec!["playerId: missing"]),
        (r#"{"type":"pauseQueue","playerId":"p"} x"#.to_owned(), vec!["not JSON", "trailing"]),
        (r#"{"type":"fly","playerId":"p"}"#.to_owned(), vec!["type", "`fly`", "allowed: enqueueTasks"]),
        (r#"{"type":"pauseQueue","playerId":"p","wings":2}"#.to_owned(), vec!["wings", "expected one of"]),
        (
            r#"{"type":"pauseQueue","playerId":"p","slots":2}"#.to_owned(),
            vec!["slots: unknown field of `pauseQueue`", "allowed: type, playerId, commandId"],
        ),
        (r#"{"type":"pauseQueue","playerId":"a b"}"#.to_owned(), vec!["playerId", "`a b`", "1 to 128"]),
        (r#"{"type":"pauseQueue","playerId":""}"#.to_owned(), vec!["playerId", "``", "1 to 128"]),
        (r#"{"type":"pauseQueue","playerId":7}"#.to_owned(), vec!["playerId", "7", "a player id"]),
        (
            task(r#""work":{"units":1,"heartbeatMs":999}"#),
            vec!["tasks[0].work.heartbeatMs", "`999`", "1000 to 604800000"],
        ),
        (task(r#""work":{"units":1,"timeoutMs":604800001}"#), vec!["tasks[0].work.timeoutMs", "1000 to 604800000"]),
        (
            task(r#""work":{"durationMs":1,"timeoutMs":2000}"#),
            vec!["tasks[0].work", "`timeoutMs`", "only with `units`"],
        ),
        (
            task(&format!(r#"{timed},"payload":["{}"]"#, "x".repeat(4_093))),
            vec!["tasks[0].payload: 4097 bytes of compact JSON are given; allowed: at most 4096"],
        ),
        (
            format!(r#"{{"type":"completeTask","playerId":"p","taskId":"t","result":"{}"}}"#, "x".repeat(4_095)),
            vec!["result: 4097 bytes of compact JSON are given; allowed: at most 4096"],
        ),
        (
            r#"{"type":"completeTask","playerId":"p","taskId":"t","retry":true}"#.to_owned(),
            vec!["retry: unknown field of `completeTask`"],
        ),
        (task(r#""work":{"durationMs":0}"#), vec!["tasks[0].work", "`0`", "1 to 86400000"]),
        (task(r#""work":{"units":1000000001}"#), vec!["tasks[0].work", "`1000000001`", "1 to 1000000000"]),
        (task(r#""work":{}"#), vec!["tasks[0].work", "neither"]),
        (task(r#""work":{"units":1,"durationMs":1}"#), vec!["tasks[0].work", "both"]),
        (task(&format!(r#"{timed},"costs":{{"gold":-1}}"#)), vec!["tasks[0].costs", "`-1`", "0 to 9007199254740991"]),
        (task(&format!(r#"{timed},"costs":{{"gold":1.5}}"#)), vec!["tasks[0].costs", "`1.5`", "whole number"]),
        (
            task(&format!(r#"{timed},"rewards":{{"gold":9007199254740992}}"#)),
            vec!["tasks[0].rewards", "`9007199254740992`"],
        ),
        (task(&format!(r#"{timed},"maxRetries":11"#)), vec!["tasks[0].maxRetries", "`11`", "0 to 10"]),
        (task(&format!(r#"{timed},"priority":"urgent""#)), vec!["tasks[0].priority", "`urgent`", "critical"]),
        (task(&format!(r#"{timed},"notBefore":"soon""#)), vec!["tasks[0].notBefore", "`soon`", "RFC 3339"]),
        (enqueue(r#"{"taskId":"t","kind":"k"}"#), vec!["tasks[0]", "`work`"]),
        (r#"{"type":"advanceQueues","playerIds":[]}"#.to_owned(), vec!["playerIds", "0 players", "1 to 100"]),
        (r#"{"type":"advanceQueues","playerId":"p","playerIds":["p"]}"#.to_owned(), vec!["playerId", "advanceQueues"]),
        (r#"{"commands":[]}"#.to_owned(), vec!["commands: 0", "1 to 100"]),
        (r#"{"commands":[1],"type":"x"}"#.to_owned(), vec!["type", "beside `commands`"]),
        (r#"{"commands":[7]}"#.to_owned(), vec!["an object"]),
    ] {
        let detail = detail(&body);
        for part in parts {
            assert!(detail.contains(part), "{body}\n gave: {detail}\n without: {part}");
        }
    }
}

#[test]
fn reports_and_failures_may_name_their_attempt() {
    let attempt_of = |fields: &str| {
        let body = format!(r#"{{"playerId":"p","taskId":"t",{fields}}}"#);
        let Ok(Message::Commands(mut commands)) = parse_message(&body) else { panic!("{body} is not accepted") };
        match commands.remove(0).map(|request| request.command) {
            Ok(Command::ReportProgress { attempt, .. } | Command::FailTask { attempt, .. }) => Ok(attempt),
            Ok(other) => panic!("{other:?}"),
            Err(malformed) => Err(malformed.detail),
        }
    };
    let report = r#""type":"reportProgress","unitsDone":1"#;
    for command in [report, r#""type":"failTask","reason":"r""#] {
        assert_eq!(attempt_of(command), Ok(None));
        assert_eq!(attempt_of(&format!(r#"{command},"attempt":null"#)), Ok(None));
        for (sent, attempt) in [("1", 1), ("2.0", 2), ("9007199254740991", 9_007_199_254_740_991)] {
            assert_eq!(attempt_of(&format!(r#"{command},"attempt":{sent}"#)), Ok(Some(attempt)));
        }
    }
    for refused in ["0", "-1", "1.5", "9007199254740992", "\"1\""] {
        let detail = detail(&format!(r#"{{"playerId":"p","taskId":"t",{report},"attempt":{refused}}}"#));
        assert!(detail.starts_with("attempt: ") && detail.contains("from 1 to 9007199254740991"), "{detail}");
    }
    let other = detail(r#"{"type":"cancelTask","playerId":"p","taskId":"t","attempt":1}"#);
    assert!(other.starts_with("attempt: unknown field of `cancelTask`"), "{other}");
}

#[test]
fn lists_are_limited() {
    let tasks: Vec<_> = (0..51).map(|n| format!(r#"{{"taskId":"t{n}","kind":"k","work":{{"units":1}}}}"#)).collect();
    assert!(detail(&enqueue(&tasks.join(","))).contains("51 tasks are given; allowed: 1 to 50"));
    assert!(parse_message(&enqueue(&tasks[..50].join(","))).is_ok());
    let pause = r#"{"type":"pauseQueue","playerId":"p"}"#;
    let list = |n: usize| format!(r#"{{"commands":[{}]}}"#, vec![pause; n].join(","));
    assert!(parse_message(&list(100)).is_ok());
    assert!(detail(&list(101)).contains("101 commands are given; allowed: 1 to 100"));
}

#[test]
fn a_malformed_command_of_a_list_affects_no_other_and_keeps_its_ids() {
    let body = r#"{"commands":[{"type":"pauseQueue","playerId":"p"},{"type":"nope","playerId":"q","commandId":"c"}]}"#;
    let Ok(Message::Commands(commands)) = parse_message(body) else { panic!("not accepted") };
    assert!(commands[0].is_ok());
    let malformed = commands[1].as_ref().unwrap_err();
    assert_eq!(malformed.player_id.as_ref().unwrap().as_str(), "q");
    assert_eq!(malformed.command_id.as_ref().unwrap().as_str(), "c");
    assert_eq!(malformed.body, r#"{"type":"nope","playerId":"q","commandId":"c"}"#);
}

#[test]
fn commands_for_an_owner_can_name_no_other_player() {
    let owner = PlayerId::new("p-1").unwrap();
    let body = r#"{"commands":[{"type":"pauseQueue"},{"type":"resumeQueue","playerId":"p-1"},
        {"type":"clearQueue","playerId":"p-2","commandId":"c"},{"type":"fly","playerId":"p-2"}]}"#;
    let Ok(Message::Commands(commands)) = parse_message_for(&owner, body) else { panic!("not accepted") };
    for command in &commands[..2] {
        assert_eq!(command.as_ref().unwrap().player_id, owner);
    }
    let foreign = commands[2].as_ref().unwrap_err();
    assert_eq!(foreign.detail, "playerId: `p-2` is not allowed here; allowed: `p-1`, or left out");
    assert_eq!(foreign.command_id.as_ref().map(CommandId::as_str), Some("c"));
    for malformed in &commands[2..] {
        // Malformed input is attributed to the owner, whatever player it names.
        assert_eq!(malformed.as_ref().unwrap_err().player_id.as_ref(), Some(&owner));
    }
    assert_eq!(parse_message_for(&owner, "nonsense").unwrap_err().player_id, Some(owner.clone()));
    for tick in [r#"{"type":"advanceQueues","playerIds":["p-1"]}"#, r#"{"commands":[{"type":"advanceQueues"}]}"#] {
        let detail = match parse_message_for(&owner, tick) {
            Ok(Message::Commands(mut commands)) => commands.remove(0).unwrap_err().detail,
            Err(malformed) => malformed.detail,
            Ok(Message::Tick(_)) => panic!("a tick is no command"),
        };
        assert!(detail.starts_with("type: unknown type `advanceQueues`"), "{detail}");
    }
}

#[test]
fn amounts_are_whole_numbers_up_to_2_to_the_53_less_1() {
    assert!(serde_json::from_str::<Resources>(r#"{"gold": 9007199254740991}"#).is_ok());
    for invalid in [
        r#"{"gold": 9007199254740992}"#,
        r#"{"gold": -1}"#,
        r#"{"gold": 1.5}"#,
        r#"{"gold": "1"}"#,
        r#"{"a b": 1}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"a":0,"a":0}"#,
        r#"{"a":0,"a":1}"#,
    ] {
        let error = serde_json::from_str::<Resources>(invalid).unwrap_err().to_string();
        assert!(error.contains("allowed") || error.contains("expected"), "{invalid}: {error}");
    }
}

#[test]
fn amounts_of_zero_are_dropped_and_count_for_the_limit() {
    assert_eq!(serde_json::from_str::<Resources>(r#"{"gold": 0}"#).unwrap(), Resources::new());
    let zeros = |count: usize| (0..count).map(|n| format!(r#""r{n}":0"#)).collect::<Vec<_>>().join(",");
    let task =
        |costs: usize| format!(r#"{{"taskId":"t","kind":"k","work":{{"units":1}},"costs":{{{}}}}}"#, zeros(costs));
    assert!(parse_message(&enqueue(&task(20))).is_ok());
    assert!(detail(&enqueue(&task(21))).contains("21 resources are given; allowed: at most 20"));
    let grant = |count| format!(r#"{{"type":"grantResources","playerId":"p","resources":{{{}}}}}"#, zeros(count));
    assert!(parse_message(&grant(100)).is_ok());
    assert!(detail(&grant(101)).contains("101 resources are given; allowed: at most 100"));
    assert!(detail(&grant(30_000)).contains("allowed: at most"));
}

/// The only command of a message.
fn command(body: &str) -> Command {
    match parse_message(body) {
        Ok(Message::Commands(mut commands)) => commands.remove(0).unwrap().command,
        other => panic!("{other:?}"),
    }
}

#[test]
fn deeply_nested_values_are_refused_by_name() {
    let nested = "[".repeat(2_000) + &"]".repeat(2_000);
    let task = format!(r#"{{"taskId":"a","kind":"k","work":{{"units":5}},"payload":{nested}}}"#);
    let result = format!(r#"{{"type":"completeTask","playerId":"p","taskId":"t","result":{nested}}}"#);
    for (body, field) in [(enqueue(&task), "tasks[0].payload"), (result, "result")] {
        let error = detail(&body);
        assert!(error.starts_with(&format!("{field}: 2000 levels of arrays and objects are given")), "{error}");
    }
}

#[test]
fn payloads_results_and_deadlines_are_optional() {
    let body = enqueue(
        r#"{"taskId":"a","kind":"k","work":{"units":5,"heartbeatMs":1000,"timeoutMs":6e8},"payload":{ "x" : [1.0] }},
           {"taskId":"b","kind":"k","work":{"units":5,"heartbeatMs":null},"payload":null}"#,
    );
    let Command::EnqueueTasks { tasks } = command(&body) else { panic!("another command") };
    let work = Work::Units { units: 5, heartbeat_ms: Some(1_000), timeout_ms: Some(600_000_000) };
    assert_eq!((tasks[0].work, tasks[1].work), (work, Work::units(5)));
    assert_eq!(tasks[0].payload.as_ref().map(JsonText::as_str), Some(r#"{"x":[1.0]}"#));
    assert_eq!(tasks[1].payload, None);

    let body = r#"{"type":"completeTask","playerId":"p","taskId":"t","attempt":2,"result": [ 1 ]}"#;
    let Command::CompleteTask { attempt, result, .. } = command(body) else { panic!("another command") };
    assert_eq!((attempt, result.as_ref().map(JsonText::as_str)), (Some(2), Some("[1]")));

    for (field, expected) in [("", true), (r#","retry":null"#, true), (r#","retry":false"#, false)] {
        let body = format!(r#"{{"type":"failTask","playerId":"p","taskId":"t","reason":"r"{field}}}"#);
        let Command::FailTask { retry, .. } = command(&body) else { panic!("another command") };
        assert_eq!(retry, expected);
    }
}
