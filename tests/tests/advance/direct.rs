//! Advancing without a queue for ticks, on the embedded store.

use std::time::Duration;

use millrace_domain::Timestamp;
use millrace_tests::{
    FunctionError, Invocation,
    due::{MovedClock, assert_completed_once, completed, plant},
    tables::Database,
};

use crate::{begin, figure, is_done, run, started};

const PLAYERS: usize = 10_000;

/// Due moments over two minutes, in no order.
fn over_two_minutes(count: usize) -> Vec<Timestamp> {
    let moment = |at: usize| begin() + 1 + (at as u64 * 7_919) % 120_000;
    (0..count).map(moment).collect()
}

#[tokio::test]
async fn ten_thousand_queues_complete_once_however_often_the_function_dies_or_runs_twice() {
    let (database, clock) = (Database::new(), MovedClock::at(begin()));
    let mut first = started(database.function("advance-queues"), &clock).await;
    let second = started(database.function("advance-queues"), &clock).await;
    let due = over_two_minutes(PLAYERS);
    let store = database.store().await;
    plant(&store, begin(), &due).await;
    let (mut kills, mut seen) = (0, 0);
    for step in 1..=8 {
        clock.set(begin() + 15_000 * step);
        let answer = if step % 2 == 0 {
            // Killed in the middle, however far it has come by then.
            let invoked = async { first.invoke("{}").await };
            let killed = async {
                tokio::time::sleep(Duration::from_millis(40 * step)).await;
                first.kill().await
            };
            let (answer, _) = tokio::join!(invoked, killed);
            kills += u32::from(answer.is_err());
            first = started(database.function("advance-queues"), &clock).await;
            run(&first).await
        } else {
            let (answer, other) = tokio::join!(run(&first), run(&second));
            seen += figure(&other, "/report/lateness/count");
            answer
        };
        seen += figure(&answer, "/report/lateness/count");
        // Of two runs at once, one may have found nothing left to complete.
        let late = answer["report"]["lateness"]["maxMs"].as_u64();
        assert!(late.is_none_or(|late| late < 15_000 * step), "{answer:#}");
    }
    let last = run(&second).await;
    assert!(is_done(&last), "{last:#}");
    assert!(kills >= 2, "it has to be killed in the middle, and was {kills} times");
    assert!(seen <= PLAYERS as u64, "nothing completes twice: {seen}");
    assert_completed_once(&store, &due, 1).await;
}

#[tokio::test]
async fn a_deadline_cuts_a_run_short_and_the_next_one_goes_on_with_the_oldest() {
    const COUNT: usize = 6_000;
    let (database, clock) = (Database::new(), MovedClock::at(begin()));
    let function = started(database.function("advance-queues"), &clock).await;
    let due: Vec<Timestamp> = (0..COUNT).map(|at| begin() + 1 + at as u64).collect();
    let store = database.store().await;
    plant(&store, begin(), &due).await;
    clock.set(begin() + 60_000);

    let mut runs = 0;
    loop {
        runs += 1;
        let answer = match function.invoke(Invocation::from("{}").within(Duration::from_millis(1_400))).await {
            // Not even the first group, on a machine with much else to do.
            Err(FunctionError::Reported { error_type, .. }) if error_type == "NothingAdvanced" && runs < 100 => {
                continue;
            }
            answer => answer.unwrap_or_else(|error| panic!("{error}\n{}", function.stderr())),
        };
        let up_to = Timestamp::parse(answer["advance"]["upTo"].as_str().expect("a time")).expect("a time");
        let [due_now, ticks, failed] =
            ["due", "ticks", "failed"].map(|name| figure(&answer, &format!("/advance/{name}")));
        assert_eq!(due_now, ticks + failed, "{answer:#}");
        let completed = completed(&store, COUNT).await;
        let all_before = due.iter().zip(&completed).filter(|(due, _)| **due < up_to).all(|(_, completed)| *completed);
        assert!(all_before, "everything due before {up_to} is done: {answer:#}");
        if is_done(&answer) {
            break;
        }
        let done = completed.iter().filter(|completed| **completed).count();
        // A run ends within a group of at most 500: whoever is done beyond it is of that group, whatever the shard.
        let last = completed.iter().rposition(|completed| *completed).map_or(0, |last| last + 1);
        assert!(last - done <= 500, "{done} are done, up to the {last}th");
        assert!(runs < 100, "it does not come to an end");
    }
    assert!(runs > 1, "a run has to be cut short");
    assert_completed_once(&store, &due, 1).await;
}

#[tokio::test]
async fn the_log_line_of_a_run_has_its_figures_as_numbers() {
    let (database, clock) = (Database::new(), MovedClock::at(begin()));
    let function = started(database.function("advance-queues"), &clock).await;
    plant(&database.store().await, begin(), &[begin() + 1_000]).await;
    clock.set(begin() + 1_250);
    run(&function).await;
    run(&function).await;
    let lines: Vec<_> = function.log().into_iter().filter(|line| line["message"] == "advanced").collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!((lines[0]["lateness_p99_ms"].as_u64(), lines[0]["hit_rate"].as_f64()), (Some(250), Some(0.0)));
    let lookups = |line: usize| [lines[line]["cache_lookups"].as_u64(), lines[line]["cache_hits"].as_u64()];
    assert_eq!([lookups(0), lookups(1)], [[Some(1), Some(0)], [Some(0), Some(0)]]);
    for field in ["lateness_p99_ms", "hit_rate"] {
        assert!(lines[1].as_object().expect("an object").contains_key(field), "{field} in {}", lines[1]);
        assert!(lines[1][field].is_null(), "{field} in {}", lines[1]);
    }
}
