//! What limits `millrace dlq`: the letters that it looks at, and the groups of FIFO queues.

use serde_json::{Value, json};

use crate::support::{Program, Server, aws::Aws};

const LETTERS: usize = 25;

/// A FIFO or standard queue of dead letters about one player.
struct Fixture {
    aws: Aws,
    source: String,
    dead: String,
}

impl Fixture {
    async fn new(name: &str, suffix: &str) -> Self {
        let aws = Aws::start().await;
        let (source, dead) =
            (aws.queue(&format!("{name}{suffix}")).await, aws.queue(&format!("{name}-dead{suffix}")).await);
        for at in 0..LETTERS {
            let id = format!("c-{at}");
            let body = json!({"type": "pauseQueue", "playerId": "p-1", "commandId": id}).to_string();
            aws.send(&dead, body, (suffix == ".fifo").then_some(("p-1", &id))).await;
        }
        Self { aws, source, dead }
    }

    fn dlq(&self, arguments: &[&str]) -> Program {
        self.aws.millrace(&[&["dlq"], arguments, &["--url", &self.dead]].concat())
    }

    async fn commands(&self, url: &str) -> Vec<String> {
        let id =
            |body: &str| serde_json::from_str::<Value>(body).expect("JSON")["commandId"].as_str().map(str::to_owned);
        self.aws.messages(url).await.iter().filter_map(|message| id(&message.body)).collect()
    }
}

#[tokio::test]
async fn no_more_letters_than_max_are_looked_at() {
    let fixture = Fixture::new("limits-max", "").await;
    for _ in 0..2 {
        let run = fixture.dlq(&["list", "--json", "--max", "12"]).run().await;
        assert_eq!(run.json_lines().len(), 12);
        assert!(run.stderr.contains("limits-max-dead: 12 of about 25 letters; raise --max"), "{run:?}");
    }
    let all = fixture.dlq(&["list", "--json"]).run().await;
    assert_eq!((all.json_lines().len(), all.stderr.as_str()), (LETTERS, "25 dead letters\n"));
    let some = fixture.dlq(&["redrive", "--all", "--max", "7", "--rate", "1000", "--to", &fixture.source]).run().await;
    assert_eq!(some.succeeded(), "7 dead letters redriven\n");
    assert_eq!((fixture.aws.count(&fixture.source).await, fixture.aws.count(&fixture.dead).await), (7, 18));
}

#[tokio::test]
async fn a_fifo_group_shows_its_first_ten_letters() {
    let fixture = Fixture::new("limits-group", ".fifo").await;
    let run = fixture.dlq(&["list", "--json"]).run().await;
    let ids: Vec<Value> = run.json_lines().iter().map(|letter| letter["summary"].clone()).collect();
    assert_eq!(ids.len(), 10, "{run:?}");
    assert!(run.stderr.contains("10 of about 25 letters"), "{run:?}");
}

#[tokio::test]
async fn all_letters_of_a_fifo_group_are_redriven_in_their_order() {
    let fixture = Fixture::new("limits-order", ".fifo").await;
    let run = fixture.dlq(&["redrive", "--all", "--rate", "1000", "--to", &fixture.source, "--json"]).run().await;
    assert_eq!(run.json(), json!({"redriven": LETTERS}));
    let expected: Vec<String> = (0..LETTERS).map(|at| format!("c-{at}")).collect();
    assert_eq!(fixture.commands(&fixture.source).await, expected);
    assert_eq!(fixture.aws.count(&fixture.dead).await, 0);
}

#[tokio::test]
async fn all_letters_of_a_fifo_group_are_dropped() {
    let fixture = Fixture::new("limits-drop", ".fifo").await;
    let run = fixture.dlq(&["drop", "--player", "p-1", "--yes", "--quiet"]).run().await;
    assert_eq!(run.succeeded(), "25 dead letters dropped\n");
    assert_eq!(fixture.aws.count(&fixture.dead).await, 0);
}

#[tokio::test]
async fn the_rate_limits_the_messages() {
    let fixture = Fixture::new("limits-rate", "").await;
    let started = std::time::Instant::now();
    let run = fixture.dlq(&["redrive", "--all", "--max", "6", "--rate", "5", "--to", &fixture.source]).run().await;
    assert_eq!(run.succeeded(), "6 dead letters redriven\n");
    // The first one is sent at once.
    assert!(started.elapsed() >= std::time::Duration::from_millis(1_000));
}

#[tokio::test]
async fn letters_are_listed_with_the_reasons_of_their_failures() {
    let (fixture, server) = (Fixture::new("limits-reasons", "").await, Server::start().await);
    let cancel = json!({"type": "cancelTask", "playerId": "p-1", "commandId": "stop", "taskId": "none"}).to_string();
    server.millrace(&["send", "-"]).input(cancel.as_str()).run().await.failed(1, &[]);
    fixture.aws.send(&fixture.dead, cancel, None).await;
    let run = fixture.dlq(&["list", "--reasons", "--json"]).env("MILLRACE_ENDPOINT", &server.url()).run().await;
    let reasons: Vec<String> =
        run.json_lines().iter().map(|letter| letter["failedBecause"].as_str().expect("a reason").to_owned()).collect();
    let has = |part: &str| reasons.iter().filter(|reason| reason.contains(part)).count();
    assert_eq!((has("recorded rejection: unknown_task"), has("a reason that has passed")), (1, LETTERS));
}
