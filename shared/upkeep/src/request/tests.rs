use super::*;

fn read(json: &str) -> Result<Request, String> {
    Request::from_payload(json.as_bytes()).map_err(|error| error.to_string())
}

fn players(names: &[&str]) -> Vec<PlayerId> {
    names.iter().map(|name| PlayerId::new(name).unwrap()).collect()
}

#[test]
fn every_action_with_all_its_fields_and_with_none() {
    let warm = Warm {
        player_ids: Some(players(&["a", "b"])),
        max_players: Some(5),
        due_within: Some(Duration::from_secs(60)),
    };
    let text = r#"{"action": "warm", "playerIds": ["a", "b", "a"], "maxPlayers": 5, "dueWithinSeconds": 60}"#;
    assert_eq!(read(text), Ok(Request::Warm(warm)));
    assert_eq!(read(r#"{"action": "warm"}"#), Ok(Request::Warm(Warm::default())));
    let cursor = ScanCursor { node: Some("h:1".to_owned()), position: 7 };
    let clear = Clear { player_ids: None, kind: Some(DataKind::Progress), cursor: Some(cursor.clone()) };
    let text = r#"{"action": "clear", "kind": "progress", "cursor": "h:1/7", "playerIds": null}"#;
    assert_eq!(read(text), Ok(Request::Clear(clear)));
    assert_eq!(read(r#"{"action": "clear"}"#), Ok(Request::Clear(Clear::default())));
    let rebuild = Rebuild { player_ids: None, cursor: Some(cursor) };
    assert_eq!(read(r#"{"action": "rebuild", "cursor": "h:1/7"}"#), Ok(Request::Rebuild(rebuild)));
    let switch = |enabled, seconds| {
        Ok(Request::EmergencyMode(SwitchEmergency { enabled, duration: Duration::from_secs(seconds) }))
    };
    let text = r#"{"action": "emergencyMode", "enabled": true, "durationSeconds": 60}"#;
    assert_eq!(read(text), switch(true, 60));
    assert_eq!(read(r#"{"action": "emergencyMode", "enabled": true}"#), switch(true, 900));
    assert_eq!(read(r#"{"action": "emergencyMode", "enabled": false}"#), switch(false, 900));
    assert_eq!(read(r#"{"action": "statistics"}"#), Ok(Request::Statistics));
    assert_eq!(read(r#"{"action": "upkeep"}"#), Ok(Request::Upkeep));
    assert_eq!(read(r#"{"action": "watchThresholds"}"#), Ok(Request::WatchThresholds));
}

#[test]
fn an_event_of_a_scheduler_asks_for_the_upkeep() {
    for source in ["aws.events", "aws.scheduler"] {
        let event = serde_json::json!({
            "version": "0", "id": "e-1", "detail-type": "Scheduled Event", "source": source,
            "account": "123456789012", "time": "2026-11-20T12:00:00Z", "region": "eu-central-1",
            "resources": ["arn:aws:scheduler:eu-central-1:123456789012:schedule/default/upkeep"], "detail": {},
        });
        assert_eq!(read(&event.to_string()), Ok(Request::Upkeep));
    }
    for none in ["{}", r#"{"source": "aws.events"}"#, r#"{"detail-type": "x", "source": 1}"#] {
        let error = read(none).unwrap_err();
        assert!(error.starts_with("action: missing; allowed: warm, clear, "), "{error}");
    }
}

#[test]
fn what_is_not_allowed_is_named_with_its_value_and_what_is() {
    let long = "x".repeat(1_000);
    let cases = [
        ("", "not JSON: EOF while parsing"),
        ("[]", "[] is not allowed; allowed: an object with an `action`"),
        ("7", "7 is not allowed"),
        (r#"{"action": 7}"#, "action: 7 is not allowed; allowed: warm, clear, rebuild, emergencyMode, statistics"),
        (r#"{"action": "Warm"}"#, "action: `Warm` is not allowed; allowed: warm,"),
        (r#"{"action": "warm", "players": []}"#, "players: unknown field of `warm`; allowed: playerIds, maxPlayers"),
        (r#"{"action": "statistics", "cursor": "1"}"#, "cursor: unknown field of `statistics`; allowed: no others"),
        (r#"{"action": "upkeep", "maxPlayers": 1}"#, "maxPlayers: unknown field of `upkeep`"),
        (r#"{"action": "warm", "playerIds": "a"}"#, "playerIds: \"a\" is not allowed; allowed: a list of 1 to 10000"),
        (r#"{"action": "warm", "playerIds": []}"#, "playerIds: 0 players are given; allowed: 1 to 10000"),
        (r#"{"action": "warm", "playerIds": ["a", "b c"]}"#, "playerIds[1]: `b c` is not allowed here; allowed: 1 to"),
        (r#"{"action": "warm", "playerIds": ["a", 7]}"#, "playerIds[1]: 7 is not allowed; allowed: a player id"),
        (
            r#"{"action": "warm", "maxPlayers": 0}"#,
            "maxPlayers: 0 is not allowed; allowed: a whole number from 1 to 100000",
        ),
        (r#"{"action": "warm", "maxPlayers": 1.5}"#, "maxPlayers: 1.5 is not allowed"),
        (r#"{"action": "warm", "dueWithinSeconds": 86401}"#, "dueWithinSeconds: 86401 is not allowed"),
        (
            r#"{"action": "clear", "kind": "Queue"}"#,
            "kind: \"Queue\" is not allowed; allowed: queue, progress, stats, frequent",
        ),
        (r#"{"action": "clear", "cursor": 5}"#, "cursor: 5 is not allowed; allowed: the `cursor` of the answer before"),
        (r#"{"action": "clear", "cursor": "x"}"#, "cursor: \"x\" is not allowed"),
        (r#"{"action": "clear", "cursor": "1", "playerIds": ["a"]}"#, "cursor: not allowed beside `playerIds`"),
        (r#"{"action": "rebuild", "kind": "queue"}"#, "kind: unknown field of `rebuild`"),
        (r#"{"action": "emergencyMode"}"#, "enabled: missing; allowed: true, false"),
        (r#"{"action": "emergencyMode", "enabled": "on"}"#, "enabled: \"on\" is not allowed; allowed: true, false"),
        (
            r#"{"action": "emergencyMode", "enabled": true, "durationSeconds": 0}"#,
            "durationSeconds: 0 is not allowed; allowed: a whole number from 1 to 86400",
        ),
        (
            r#"{"action": "emergencyMode", "enabled": false, "durationSeconds": 5}"#,
            "durationSeconds: not allowed where",
        ),
    ];
    for (json, expected) in cases {
        let error = read(json).expect_err(json);
        assert!(error.starts_with(expected), "{json}: {error}");
    }
    let error = read(&format!(r#"{{"action": "{long}"}}"#)).unwrap_err();
    assert!(error.len() < 300, "{error}");
    let many: Vec<String> = (0..=MAX_PLAYERS).map(|n| format!("p-{n}")).collect();
    let error = read(&serde_json::json!({"action": "warm", "playerIds": many}).to_string()).unwrap_err();
    assert_eq!(error, "playerIds: 10001 players are given; allowed: 1 to 10000");
    assert_eq!(Request::from_payload(b"\xff").unwrap_err().error_type(), "BadRequest");
}

#[test]
fn an_action_of_a_url_takes_the_same_fields() {
    let read = |action, body: &str| Request::for_action(action, body.as_bytes()).map_err(|error| error.to_string());
    assert_eq!(read("clear", " \n"), Ok(Request::Clear(Clear::default())));
    let warm = Warm { max_players: Some(3), ..Warm::default() };
    assert_eq!(read("warm", r#"{"maxPlayers": 3}"#), Ok(Request::Warm(warm)));
    let on = read("emergency-mode", r#"{"enabled": true}"#);
    assert!(matches!(on, Ok(Request::EmergencyMode(SwitchEmergency { enabled: true, .. }))));
    assert_eq!(read("emergency-mode", ""), Err("enabled: missing; allowed: true, false".to_owned()));
    let error = read("warm", r#"{"action": "clear"}"#).unwrap_err();
    assert!(error.starts_with("action: unknown field of `warm`"), "{error}");
    for other in ["emergencyMode", "statistics", "upkeep", "WARM", ""] {
        let error = read(other, "").unwrap_err();
        assert!(error.ends_with("allowed: warm, clear, rebuild, emergency-mode"), "{error}");
    }
}
