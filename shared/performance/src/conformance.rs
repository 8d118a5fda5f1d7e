//! What every history store does, for the tests of the stores.
//!
//! Several handles are like several processes. They must share what they keep.

use std::sync::Arc;

use futures::future::join_all;

use crate::{
    figures::{Counter, Figures, Kind},
    history::{History, Span},
    minute::{KEPT_MINUTES, Minute},
    port::HistoryStore,
};

/// The handles of one history.
pub type Handles = [Arc<dyn HistoryStore>];

const READABLE: &str = "the history is readable";
const WRITABLE: &str = "the history is writable";

/// A day in which each process measures a few invocations a minute. The times are spread over five
/// powers of ten. Percentiles of the merged figures are within 2 % of the exact ones.
pub async fn a_day_of_all_processes_is_merged(handles: &Handles, last: Minute) {
    let mut random = fastrand::Rng::with_seed(1);
    let first = last.minus(KEPT_MINUTES - 1);
    let mut exact: Vec<u64> = Vec::new();
    for minute in (first.0..=last.0).map(Minute) {
        for handle in handles {
            let mut figures = Figures::default();
            for _ in 0..3 {
                let micros = 10_f64.powf(1.0 + 5.0 * random.f64()) as u64;
                exact.push(micros);
                figures.measure(Kind::Commands.times(), micros);
            }
            figures.add(Counter::Applied, 3);
            handle.add(minute, &figures);
            handle.end_invocation().await;
        }
        if minute.0 % 30 == 0 {
            join_all(handles.iter().map(|handle| handle.flush()))
                .await
                .into_iter()
                .for_each(|done| done.expect(WRITABLE));
        }
    }
    join_all(handles.iter().map(|handle| handle.flush())).await.into_iter().for_each(|done| done.expect(WRITABLE));
    exact.sort_unstable();

    let now = last.start() + 59_999;
    let span = Span::new(Some(first.start()), None, Some(60), now).expect("a whole day is allowed");
    let recorded = handles[0].read(span.minutes(), &[]).await.expect(READABLE);
    let history = History::new(handles[0].source(), span, &recorded.figures, now);
    assert_eq!(history.totals.commands.applied as usize, exact.len());
    assert_eq!(history.series.len(), 24);
    assert!(history.series.iter().all(|hour| hour.figures.invocations == 180 * handles.len() as u64));
    let times = history.totals.processing_time_ms.commands.expect("there were invocations");
    assert_eq!(times.count as usize, exact.len());
    for (part, found) in [(0.5, times.p50), (0.9, times.p90), (0.95, times.p95), (0.99, times.p99), (1.0, times.max)] {
        let rank = (exact.len() as f64 * part).ceil() as usize;
        let exact = exact[rank - 1] as f64 / 1000.0;
        assert!((found - exact).abs() <= exact * 0.02, "{part}: {found} instead of {exact}");
    }
}

/// Figures of every slot are read as they were added, and only those of the requested minutes.
pub async fn every_figure_of_a_minute_is_read_back(handles: &Handles, minute: Minute) {
    let mut figures = Figures::default();
    for slot in 0..crate::figures::SLOTS {
        figures.add_to_slot(slot, u64::from(slot) + 1);
    }
    for (at, handle) in handles.iter().enumerate() {
        handle.add(minute.plus(at as u64), &figures);
        handle.flush().await.expect(WRITABLE);
    }
    let end = minute.plus(handles.len() as u64);
    for handle in handles {
        let recorded = handle.read(minute..end, &[]).await.expect(READABLE);
        assert_eq!(recorded.figures.len(), handles.len());
        assert!(recorded.figures.values().all(|found| *found == figures));
        assert_eq!(handle.read(end..end.plus(9), &[]).await.expect(READABLE).figures.len(), 0);
    }
}

/// A process that reads its own figures need not have sent them before.
pub async fn a_process_reads_what_it_has_not_sent(handles: &Handles, minute: Minute) {
    for handle in handles {
        let mut figures = Figures::default();
        figures.add(Counter::Reads, 1);
        handle.add(minute, &figures);
    }
    let mut read = Vec::new();
    for handle in handles {
        let recorded = handle.read(minute..minute.plus(1), &[]).await.expect(READABLE);
        read.push(recorded.figures[&minute].counter(Counter::Reads));
    }
    assert!((1..=handles.len() as u64).eq(read.iter().copied()), "{read:?}");
}

/// Of several processes that replace the same state, one succeeds.
pub async fn one_process_replaces_a_state(handles: &Handles) {
    const ID: &str = "lateness";
    let state = async |handle: &Arc<dyn HistoryStore>| {
        let recorded = handle.read(Minute(0)..Minute(0), &[ID, "memory"]).await.expect(READABLE);
        assert!(!recorded.states.contains_key("memory"));
        recorded.states.get(ID).cloned()
    };
    let mut known: Option<String> = None;
    for number in 1..=20 {
        let new: Vec<_> = (0..3 * handles.len()).map(|process| format!("{number} {process}")).collect();
        let replace = |(process, new): (usize, &String)| {
            let (handle, known, new) = (&handles[process % handles.len()], known.clone(), new.clone());
            async move { handle.replace_state(ID, known.as_deref(), &new).await.expect(WRITABLE) }
        };
        let replaced = join_all(new.iter().enumerate().map(replace)).await;
        let winners: Vec<_> = replaced.iter().zip(&new).filter(|(replaced, _)| **replaced).collect();
        assert_eq!(winners.len(), 1, "{replaced:?}");
        known = Some(winners[0].1.clone());
        for handle in handles {
            assert_eq!(state(handle).await, known);
        }
    }
    assert!(!handles[0].replace_state(ID, None, "x").await.expect(WRITABLE), "there is a state");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ProcessHistory;

    const LAST: Minute = Minute(29_000_000);

    fn handles() -> Vec<Arc<dyn HistoryStore>> {
        let history: Arc<dyn HistoryStore> = Arc::new(ProcessHistory::default());
        vec![Arc::clone(&history), Arc::clone(&history), history]
    }

    #[test]
    fn the_history_of_a_process_keeps_the_day() {
        futures::executor::block_on(a_day_of_all_processes_is_merged(&handles(), LAST));
        futures::executor::block_on(every_figure_of_a_minute_is_read_back(&handles(), LAST));
        futures::executor::block_on(one_process_replaces_a_state(&handles()));
    }

    #[test]
    fn minutes_of_the_day_before_are_dropped() {
        let history = ProcessHistory::default();
        let mut figures = Figures::default();
        figures.add(Counter::Applied, 1);
        (0..2 * KEPT_MINUTES).for_each(|minute| history.add(Minute(minute), &figures));
        let all = futures::executor::block_on(history.read(Minute(0)..LAST, &[])).unwrap();
        assert_eq!((all.figures.len() as u64, all.figures.keys().next()), (KEPT_MINUTES, Some(&Minute(KEPT_MINUTES))));
    }
}
