//! Advancing without a ticks queue, on the embedded store.

use std::time::Duration;

use millrace_domain::Timestamp;
use millrace_tests::{
    FunctionError, Invocation,
    answers::number,
    clock::ClockFile,
    database::Database,
    due_queues::{assert_completed_once, completions, insert_queues},
};

use crate::{is_done, run, start, start_time};

const PLAYERS: usize = 10_000;

/// Due moments within two minutes, in mixed order.
fn over_two_minutes(count: usize) -> Vec<Timestamp> {
    let moment = |at: usize| start_time() + 1 + (at as u64 * 7_919) % 120_000;
    (0..count).map(moment).collect()
}

#[tokio::test]
async fn ten_thousand_queues_complete_once_despite_kills_and_concurrent_runs() {
    let (database, clock) = (Database::new(), ClockFile::at(start_time()));
    let mut first = start(database.function("advance-queues"), &clock).await;
    let second = start(database.function("advance-queues"), &clock).await;
    let due = over_two_minutes(PLAYERS);
    let store = database.store().await;
    insert_queues(&store, start_time(), &due).await;
    let (mut kills, mut seen) = (0, 0);
    for step in 1..=8 {
        clock.set(start_time() + 15_000 * step);
        let answer = if step % 2 == 0 {
            // The kill hits a different part of the run in each step.
            let invoked = async { first.invoke("{}").await };
            let killed = async {
                tokio::time::sleep(Duration::from_millis(40 * step)).await;
                first.kill().await
            };
            let (answer, _) = tokio::join!(invoked, killed);
            kills += u32::from(answer.is_err());
            first = start(database.function("advance-queues"), &clock).await;
            run(&first).await
        } else {
            let (answer, other) = tokio::join!(run(&first), run(&second));
            seen += number(&other, "/report/lateness/count");
            answer
        };
        seen += number(&answer, "/report/lateness/count");
        // One of two concurrent runs may find nothing to complete. Then it reports no lateness.
        let late = answer["report"]["lateness"]["maxMs"].as_u64();
        assert!(late.is_none_or(|late| late < 15_000 * step), "{answer:#}");
    }
    let last = run(&second).await;
    assert!(is_done(&last), "{last:#}");
    assert!(kills >= 2, "only {kills} kills hit a running invocation");
    assert!(seen <= PLAYERS as u64, "{seen} completions of {PLAYERS} tasks");
    assert_completed_once(&store, &due, 1).await;
}

#[tokio::test]
async fn after_a_deadline_the_next_run_continues_with_the_oldest_due_queues() {
    const COUNT: usize = 6_000;
    let (database, clock) = (Database::new(), ClockFile::at(start_time()));
    let function = start(database.function("advance-queues"), &clock).await;
    let due: Vec<Timestamp> = (0..COUNT).map(|at| start_time() + 1 + at as u64).collect();
    let store = database.store().await;
    insert_queues(&store, start_time(), &due).await;
    clock.set(start_time() + 60_000);

    let mut runs = 0;
    loop {
        runs += 1;
        let answer = match function.invoke(Invocation::from("{}").within(Duration::from_millis(1_400))).await {
            // On a busy machine not even the first group may be done in time.
            Err(FunctionError::Reported { error_type, .. }) if error_type == "NothingAdvanced" && runs < 100 => {
                continue;
            }
            answer => answer.unwrap_or_else(|error| panic!("{error}\n{}", function.stderr())),
        };
        let up_to = Timestamp::parse(answer["advance"]["upTo"].as_str().expect("a time")).expect("a time");
        let [due_now, ticks, failed] =
            ["due", "ticks", "failed"].map(|name| number(&answer, &format!("/advance/{name}")));
        assert_eq!(due_now, ticks + failed, "{answer:#}");
        let completed = completions(&store, COUNT).await;
        let all_before = due.iter().zip(&completed).filter(|(due, _)| **due < up_to).all(|(_, completed)| *completed);
        assert!(all_before, "not everything due before {up_to} is done: {answer:#}");
        if is_done(&answer) {
            break;
        }
        let done = completed.iter().filter(|completed| **completed).count();
        // A run ends within a group of at most 500 queues. All queues that are done out of order
        // belong to that group.
        let last = completed.iter().rposition(|completed| *completed).map_or(0, |last| last + 1);
        assert!(last - done <= 500, "{done} queues are done, up to number {last}");
        assert!(runs < 100, "the runs never finish");
    }
    assert!(runs > 1, "no run was cut short");
    assert_completed_once(&store, &due, 1).await;
}

#[tokio::test]
async fn the_metrics_of_a_run_have_its_lateness() {
    let (database, clock) = (Database::new(), ClockFile::at(start_time()));
    let function = start(database.function("advance-queues"), &clock).await;
    insert_queues(&database.store().await, start_time(), &[start_time() + 1_000]).await;
    clock.set(start_time() + 1_250);
    run(&function).await;
    run(&function).await;
    let lines = function.metrics();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0]["Lateness"], 250);
    let lookups = |line: usize| [lines[line]["CacheLookups"].as_u64(), lines[line]["CacheHits"].as_u64()];
    assert_eq!([lookups(0), lookups(1)], [[Some(1), Some(0)], [Some(0), Some(0)]]);
    assert!(lines[1].get("Lateness").is_none(), "nothing was late, which is not the same as 0 ms: {}", lines[1]);
}
