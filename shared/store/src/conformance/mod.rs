//! The suite that every store passes.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`queues`] | loading queues and progress, committing conditionally |
//! | [`due`] | the index of queues with something due |
//! | [`records`] | batches of records, and reading them back |
//! | [`sample`] | rows to test with |
//!
//! Each case takes a store and makes players of its own, so cases may run at once and again on one
//! store, a remote one too. [`conformance_tests!`](crate::conformance_tests) makes one test of each.
//! A case that the store fails panics: these are tests.

pub mod due;
pub mod queues;
pub mod records;
pub mod sample;

use std::{sync::Arc, time::Duration};

use crate::port::Store;

/// A store as a case takes it: cases share it between tasks.
pub type SharedStore = Arc<dyn Store>;

/// How long an index may lag behind its table.
const INDEX_LAG: Duration = Duration::from_secs(5);

/// Asks again until the answer is right, as long as an index may lag; returns the last answer.
async fn eventually<T, F: Future<Output = T>>(ask: impl Fn() -> F, right: impl Fn(&T) -> bool) -> T {
    let started = std::time::Instant::now();
    loop {
        let answer = ask().await;
        if right(&answer) || started.elapsed() > INDEX_LAG {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Makes one `#[tokio::test]` of each case of the suite, named after it.
///
/// The argument names an async function without parameters that answers the store and whatever must
/// outlive it, such as the folder it lies in: `async fn() -> (SharedStore, T)`. It is called for each
/// test. The calling crate needs tokio with `macros` and `rt`.
///
/// ```
/// use std::sync::Arc;
///
/// use millrace_store::{conformance::SharedStore, memory::MemoryStore};
///
/// async fn memory() -> (SharedStore, ()) {
///     (Arc::new(MemoryStore::new()), ())
/// }
///
/// mod memory_store {
///     millrace_store::conformance_tests!(super::memory);
/// }
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($make:path) => {
        $crate::conformance_tests! { @cases $make =>
            queues::a_missing_row_is_loaded_as_none,
            queues::rows_are_loaded_in_the_order_of_asking,
            queues::every_100_keys_take_a_call,
            queues::a_repeated_id_is_answered_each_time,
            queues::the_largest_row_is_committed,
            queues::many_large_rows_are_committed_and_loaded,
            queues::an_insert_expects_no_row,
            queues::an_update_expects_the_version,
            queues::a_stale_version_never_overwrites,
            queues::a_missing_row_is_not_updated,
            queues::one_conflict_harms_no_other_write,
            queues::more_writes_than_a_call_takes_are_all_committed,
            queues::an_outbox_is_stored_and_cleared,
            queues::a_queue_too_large_fails_alone,
            queues::of_concurrent_commits_one_wins_each_version,
            queues::progress_is_overwritten,
            due::what_is_due_comes_earliest_first,
            due::a_queue_with_nothing_due_is_not_in_the_index,
            due::until_is_inclusive,
            due::a_queue_is_due_in_its_own_shard_only,
            due::pages_follow_each_other_to_the_end,
            due::a_page_goes_on_after_a_row_that_has_moved,
            records::a_record_put_twice_is_one_row,
            records::a_full_batch_is_put,
            records::a_batch_of_26_is_refused,
            records::two_rows_of_one_key_are_refused,
            records::a_row_too_large_is_refused,
            records::a_row_of_another_table_is_refused,
            records::every_field_of_a_record_comes_back,
            records::history_is_paged_newest_first_to_the_end,
            records::new_rows_do_not_move_a_cursor,
            records::a_cursor_need_not_be_a_row,
            records::rejections_are_paged_to_the_end,
            records::a_full_batch_of_large_rows_is_put,
            records::players_do_not_see_each_others_history,
            records::rejections_of_unknown_players_have_partitions,
            records::of_stats_the_last_put_stands,
            records::a_store_gives_a_sign_of_life,
        }
    };
    (@cases $make:path => $($module:ident :: $case:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (store, _kept) = $make().await;
                $crate::conformance::$module::$case(store).await;
            }
        )+
    };
}
