//! The schema of messages accepts what the parser accepts.

use millrace_domain::json::{Message, parse_message, write_command};
use millrace_schemas::schema::MESSAGE;
use proptest::prelude::*;

use crate::{
    sent::{message, with_allowed_deadlines},
    support::{
        config,
        generators::{Scale, steps},
        steps::Step,
    },
};

/// Whether the parser accepts the message and all its commands.
pub fn parser_accepts(body: &str) -> bool {
    match parse_message(body) {
        Ok(Message::Commands(commands)) => commands.iter().all(Result::is_ok),
        Ok(Message::Tick(_)) => true,
        Err(_) => false,
    }
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn random_commands_are_accepted_by_the_schema_and_the_parser(steps in steps(Scale { small: false }, 40)) {
        for step in steps.into_iter().map(with_allowed_deadlines) {
            let Step::Deliver { delivery, .. } = &step else { continue };
            let sent = message(delivery);
            MESSAGE.assert_accepts(&sent);
            let Ok(Message::Commands(mut commands)) = parse_message(&sent.to_string()) else { panic!("{sent:#}") };
            let request = commands.remove(0).unwrap();
            prop_assert_eq!(&request.command, &delivery.command);
            prop_assert_eq!((request.player_id, request.command_id.as_ref()), (delivery.player_id.clone(), Some(&delivery.command_id)));
        }
    }
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn a_written_command_is_parsed_as_the_same_command(steps in steps(Scale { small: false }, 40)) {
        for step in steps.into_iter().map(with_allowed_deadlines) {
            let Step::Deliver { delivery, .. } = &step else { continue };
            let written = write_command(&delivery.player_id, &delivery.command_id, &delivery.command);
            MESSAGE.assert_accepts(&serde_json::from_str(&written).unwrap());
            let Ok(Message::Commands(mut commands)) = parse_message(&written) else { panic!("{written}") };
            let request = commands.remove(0).unwrap();
            prop_assert_eq!(request.command, delivery.command.clone());
            prop_assert_eq!((request.player_id, request.command_id), (delivery.player_id.clone(), Some(delivery.command_id.clone())));
        }
    }
}

/// What one of the two cannot know. Everything else is judged alike.
#[test]
fn a_schema_cannot_express_these_rules() {
    let grant = |resources: &str| format!(r#"{{"type":"grantResources","playerId":"p","resources":{resources}}}"#);
    let complete =
        |result: String| format!(r#"{{"type":"completeTask","playerId":"p","taskId":"t","result":{result}}}"#);
    let not_before = |time: &str| {
        let task = format!(r#"{{"taskId":"t","kind":"k","work":{{"units":1}},"notBefore":"{time}"}}"#);
        format!(r#"{{"type":"enqueueTasks","playerId":"p","tasks":[{task}]}}"#)
    };
    let only_the_schema_accepts = [
        ("a payload or result of more than 4 KiB", complete(format!("\"{}\"", "x".repeat(4_095)))),
        ("a payload or result of more than 32 levels", complete("[".repeat(33) + &"]".repeat(33))),
        ("a name that is given twice", grant(r#"{"gold":1,"gold":2}"#)),
        ("a field that is given twice", r#"{"type":"pauseQueue","playerId":"p","playerId":"p"}"#.to_owned()),
        ("the last hours of the year 9999", not_before("9999-12-31T23:59:59Z")),
    ];
    for (rule, body) in only_the_schema_accepts {
        let value = serde_json::from_str(&body).unwrap();
        assert_eq!((MESSAGE.accepts(&value), parser_accepts(&body)), (true, false), "{rule}");
    }
    let only_the_parser_accepts = [
        ("null in a field of another type", r#"{"type":"pauseQueue","playerId":"p","slots":null}"#.to_owned()),
        ("a comma in a time", not_before("2026-11-20T12:00:00,5Z")),
        ("a leap second that never was", not_before("2026-11-20T12:00:60Z")),
    ];
    for (rule, body) in only_the_parser_accepts {
        let value = serde_json::from_str(&body).unwrap();
        assert_eq!((MESSAGE.accepts(&value), parser_accepts(&body)), (false, true), "{rule}");
    }
}
