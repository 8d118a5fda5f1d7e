//! `millrace dlq`.

use serde_json::{Value, json};

use crate::support::{Program, Server, aws::Aws};

/// A queue, its queue of dead letters with three letters in two groups, and functions.
struct Fixture {
    aws: Aws,
    server: Server,
    source: String,
    dead: String,
}

impl Fixture {
    async fn new(name: &str) -> Self {
        let (aws, server) = (Aws::start().await, Server::start().await);
        let source = aws.queue(&format!("{name}-commands.fifo")).await;
        let dead = aws.queue(&format!("{name}-commands-dead-letters.fifo")).await;
        for (group, id, body) in [
            ("p-1", "d-1", json!({"type": "grantResources", "playerId": "p-1", "resources": {"gold": 5}})),
            ("p-1", "d-2", json!({"type": "cancelTask", "playerId": "p-1", "commandId": "c-2", "taskId": "none"})),
            ("p-2", "d-3", json!({"type": "pauseQueue", "playerId": "p-2", "commandId": "c-3"})),
        ] {
            aws.send(&dead, body.to_string(), Some((group, id))).await;
        }
        Self { aws, server, source, dead }
    }

    fn dlq(&self, arguments: &[&str]) -> Program {
        let arguments = [&["dlq"], arguments, &["--url", &self.dead]].concat();
        self.aws.millrace(&arguments).env("MILLRACE_ENDPOINT", &self.server.url())
    }

    async fn listed(&self) -> Vec<Value> {
        self.dlq(&["list", "--json"]).run().await.json_lines()
    }
}

#[tokio::test]
async fn dead_letters_are_listed_and_stay_visible() {
    let fixture = Fixture::new("list").await;
    for _ in 0..2 {
        let run = fixture.dlq(&["list"]).run().await;
        assert!(run.stderr.contains("3 dead letters"), "{run:?}");
        let text = run.succeeded();
        for part in ["grants gold 5", "cancels none", "pauses the queue", "p-2"] {
            assert!(text.contains(part), "no {part:?} in {text}");
        }
    }
    let run = fixture.dlq(&["list", "--json", "--player", "p-2"]).run().await;
    assert_eq!(run.json_lines().len(), 1);
}

#[tokio::test]
async fn a_letter_is_shown_with_its_effect_and_its_recorded_rejection() {
    let fixture = Fixture::new("show").await;
    let refused = r#"{"type": "cancelTask", "playerId": "p-1", "commandId": "c-2", "taskId": "none"}"#;
    fixture.server.millrace(&["send", "-"]).input(refused).run().await.failed(1, &[]);
    let letters = fixture.listed().await;
    let id = |at: usize| letters[at]["messageId"].as_str().expect("an id").to_owned();
    let first = fixture.dlq(&["show", &id(0)]).run().await.succeeded();
    assert!(first.contains(&format!("{}:0 of p-1: applied on trial", id(0))), "{first}");
    let second = fixture.dlq(&["show", &id(1), "--json"]).run().await.json();
    let command = &second["commands"][0];
    assert_eq!((&command["status"], &command["reason"]), (&json!("duplicate"), &json!("unknown_task")));
    assert!(command["rejection"].as_str().is_some_and(|text| text.starts_with("unknown_task: taskId")), "{command}");
    fixture
        .dlq(&["show", "nothing"])
        .run()
        .await
        .failed(5, &["no dead letter nothing", "next:  see `millrace dlq list`"]);
    assert_eq!(fixture.listed().await.len(), 3, "all are visible again");
}

#[tokio::test]
async fn chosen_letters_are_redriven_with_their_ids_and_groups() {
    let fixture = Fixture::new("redrive").await;
    let first = fixture.listed().await[0]["messageId"].as_str().expect("an id").to_owned();
    let trial = fixture.dlq(&["redrive", "--player", "p-1", "--to", &fixture.source, "--dry-run"]).run().await;
    let trial = trial.succeeded();
    assert!(
        trial.contains("applied on trial") && trial.contains("c-2 of p-1: rejected on trial: unknown_task"),
        "{trial}"
    );
    assert_eq!(fixture.listed().await.len(), 3, "a trial sends nothing");

    let unknown = fixture.dlq(&["redrive", "--player", "p-1"]).run().await;
    unknown.failed(2, &["the source of", "next:  pass its URL with --to"]);
    let run = fixture.dlq(&["redrive", "--player", "p-1", "--to", &fixture.source, "--rate", "100"]).run().await;
    assert_eq!(run.succeeded(), "2 of 2 letters redriven\n");
    let left = fixture.listed().await;
    assert_eq!((left.len(), &left[0]["players"]), (1, &json!(["p-2"])), "others are visible again");
    let messages = fixture.aws.messages(&fixture.source).await;
    let ids: Vec<Value> = messages
        .iter()
        .map(|message| serde_json::from_str::<Value>(&message.body).expect("JSON")["commandId"].clone())
        .collect();
    assert_eq!(ids, [json!(format!("{first}:0")), json!("c-2")]);
    assert!(messages.iter().all(|message| message.group == "p-1"));
    fixture
        .dlq(&["redrive", "nothing", "--to", &fixture.source])
        .run()
        .await
        .failed(5, &["no dead letter is selected"]);
    fixture.dlq(&["redrive"]).run().await.failed(2, &["--all"]);
}

#[tokio::test]
async fn the_logs_say_why_a_letter_failed() {
    let fixture = Fixture::new("logs").await;
    let id = fixture.listed().await[0]["messageId"].as_str().expect("an id").to_owned();
    let outputs = [("CommandsDeadLettersUrl", fixture.dead.as_str()), ("TablePrefix", "logs-")];
    fixture.aws.stack("millrace-logs", &outputs).await;
    let show = || {
        let arguments = ["dlq", "show", &id, "--stage", "logs"];
        fixture.aws.millrace(&arguments).env("MILLRACE_ENDPOINT", &fixture.server.url())
    };
    let without = show().run().await;
    assert!(without.stderr.contains("the logs of /aws/lambda/logs-process-tasks cannot be read"), "{without:?}");
    without.succeeded();
    let line = |message: &str| {
        json!({"timestamp": "2026-11-28T08:00:00.000Z", "level": "WARN", "message": message,
        "message_id": id, "reason": "store_throttled", "detail": "the table is throttled"})
    };
    fixture.aws.log("/aws/lambda/logs-process-tasks", &[line("received"), line("failed")]).await;
    let text = show().run().await.succeeded();
    let expected = "  failed at 2026-11-28T08:00:00.000Z: store_throttled: the table is throttled";
    assert_eq!(text.lines().filter(|line| *line == expected).count(), 1, "{text}");
}

#[tokio::test]
async fn letters_that_cannot_be_sent_stay_and_are_visible() {
    let fixture = Fixture::new("refused").await;
    let run = fixture.dlq(&["redrive", "--all", "--to", &format!("{}-none.fifo", fixture.source)]).run().await;
    assert_eq!(run.failed(5, &["cannot send", "next:  check --stage"]), "0 of 3 letters redriven\n");
    assert_eq!(fixture.listed().await.len(), 3);
}

#[tokio::test]
async fn letters_are_deleted_only_on_request() {
    let fixture = Fixture::new("drop").await;
    fixture.dlq(&["drop", "--all"]).run().await.failed(2, &["3 dead letters would be deleted", "next:  add --yes"]);
    assert_eq!(fixture.listed().await.len(), 3);
    let run = fixture.dlq(&["drop", "--player", "p-2", "--yes"]).run().await;
    assert!(run.stderr.contains(r#""commandId":"c-3""#), "the body is printed: {run:?}");
    assert_eq!(run.succeeded(), "1 dead letter dropped\n");
    assert_eq!(fixture.listed().await.len(), 2);
}

#[tokio::test]
async fn the_queues_of_a_stage_come_from_its_outputs() {
    let fixture = Fixture::new("outputs").await;
    let outputs = [("CommandsDeadLettersUrl", fixture.dead.as_str()), ("CommandsQueueUrl", fixture.source.as_str())];
    fixture.aws.stack("millrace-letters", &outputs).await;
    let run = fixture.aws.millrace(&["dlq", "redrive", "--all", "--stage", "letters", "--rate", "100"]).run().await;
    assert_eq!(run.succeeded(), "3 of 3 letters redriven\n");
    assert_eq!(fixture.aws.messages(&fixture.source).await.len(), 3);
    let none = fixture.aws.millrace(&["dlq", "list", "--stage", "letters", "--queue", "ticks"]).run().await;
    none.failed(5, &["the stack has none of these queues"]);
    fixture.aws.millrace(&["dlq", "list"]).run().await.failed(2, &["without --stage", "next:  pass --stage"]);
    let missing = fixture.aws.millrace(&["dlq", "list", "--url", &format!("{}-none", fixture.dead)]).run().await;
    missing.failed(5, &["cannot receive from"]);
}
