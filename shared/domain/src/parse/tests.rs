//! What is understood, and what the errors say.

use super::*;
use crate::task::Work;

fn detail(body: &str) -> String {
    match message(body) {
        Err(malformed) => malformed.detail,
        Ok(Message::Commands(commands)) => match commands.into_iter().find_map(Result::err) {
            Some(malformed) => malformed.detail,
            None => panic!("{body} was understood"),
        },
        Ok(Message::Tick(_)) => panic!("{body} was understood"),
    }
}

fn enqueue(task: &str) -> String {
    format!(r#"{{"type":"enqueueTasks","playerId":"p-1","tasks":[{task}]}}"#)
}

#[test]
fn a_command_with_everything() {
    let body = enqueue(
        r#"{"taskId":"t-1","kind":"harvest.wood","priority":"high","work":{"durationMs":30000},
            "notBefore":"2026-11-20T12:00:00.000Z","prerequisites":["t-0"],"costs":{"gold":5},
            "rewards":{"wood":10},"maxRetries":0,"retryDelayMs":0}"#,
    );
    let Ok(Message::Commands(commands)) = message(&body) else { panic!("not understood") };
    let request = commands[0].as_ref().unwrap();
    assert_eq!(request.player_id.as_str(), "p-1");
    let Command::EnqueueTasks { tasks } = &request.command else { panic!("another command") };
    assert_eq!(tasks[0].work, Work::DurationMs(30_000));
    assert_eq!((tasks[0].max_retries, tasks[0].retry_delay_ms), (0, 0));
}

#[test]
fn errors_name_the_field_the_value_and_what_is_allowed() {
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
fn lists_have_their_limits() {
    let tasks: Vec<_> = (0..51).map(|n| format!(r#"{{"taskId":"t{n}","kind":"k","work":{{"units":1}}}}"#)).collect();
    assert!(detail(&enqueue(&tasks.join(","))).contains("51 tasks are given; allowed: 1 to 50"));
    assert!(message(&enqueue(&tasks[..50].join(","))).is_ok());
    let pause = r#"{"type":"pauseQueue","playerId":"p"}"#;
    let list = |n: usize| format!(r#"{{"commands":[{}]}}"#, vec![pause; n].join(","));
    assert!(message(&list(100)).is_ok());
    assert!(detail(&list(101)).contains("101 commands are given; allowed: 1 to 100"));
}

#[test]
fn a_malformed_command_of_a_list_spoils_only_itself_and_keeps_its_names() {
    let body = r#"{"commands":[{"type":"pauseQueue","playerId":"p"},{"type":"nope","playerId":"q","commandId":"c"}]}"#;
    let Ok(Message::Commands(commands)) = message(body) else { panic!("not understood") };
    assert!(commands[0].is_ok());
    let malformed = commands[1].as_ref().unwrap_err();
    assert_eq!(malformed.player_id.as_ref().unwrap().as_str(), "q");
    assert_eq!(malformed.command_id.as_ref().unwrap().as_str(), "c");
    assert_eq!(malformed.body, r#"{"type":"nope","playerId":"q","commandId":"c"}"#);
}

#[test]
fn commands_for_one_owner_need_not_name_it_and_can_name_nobody_else() {
    let owner = PlayerId::new("p-1").unwrap();
    let body = r#"{"commands":[{"type":"pauseQueue"},{"type":"resumeQueue","playerId":"p-1"},
        {"type":"clearQueue","playerId":"p-2","commandId":"c"},{"type":"fly","playerId":"p-2"}]}"#;
    let Ok(Message::Commands(commands)) = message_to(&owner, body) else { panic!("not understood") };
    for command in &commands[..2] {
        assert_eq!(command.as_ref().unwrap().player_id, owner);
    }
    let foreign = commands[2].as_ref().unwrap_err();
    assert_eq!(foreign.detail, "playerId: `p-2` is not allowed here; allowed: `p-1`, or left out");
    assert_eq!(foreign.command_id.as_ref().map(CommandId::as_str), Some("c"));
    for malformed in &commands[2..] {
        // What it names is no business of somebody else's.
        assert_eq!(malformed.as_ref().unwrap_err().player_id.as_ref(), Some(&owner));
    }
    assert_eq!(message_to(&owner, "nonsense").unwrap_err().player_id, Some(owner.clone()));
    for tick in [r#"{"type":"advanceQueues","playerIds":["p-1"]}"#, r#"{"commands":[{"type":"advanceQueues"}]}"#] {
        let detail = match message_to(&owner, tick) {
            Ok(Message::Commands(mut commands)) => commands.remove(0).unwrap_err().detail,
            Err(malformed) => malformed.detail,
            Ok(Message::Tick(_)) => panic!("a tick is no command"),
        };
        assert!(detail.starts_with("type: unknown type `advanceQueues`"), "{detail}");
    }
}
