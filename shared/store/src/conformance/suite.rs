//! Makes tests of the cases.

/// Makes one `#[tokio::test]` of each case of the suite, named after it.
///
/// The argument names an async function without parameters that returns the store and a value that
/// must live as long as the store, such as its folder: `async fn() -> (SharedStore, T)`. It is
/// called for each test. The calling crate needs tokio with `macros` and `rt`.
///
/// ```
/// use millrace_store::{conformance::SharedStore, memory::MemoryStore};
///
/// async fn memory() -> (SharedStore, ()) {
///     (SharedStore::new(MemoryStore::new()), ())
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
            queues::missing_row_is_loaded_as_none,
            queues::each_row_is_loaded_for_its_player,
            queues::load_makes_one_call_for_every_100_keys,
            queues::repeated_player_is_loaded_once,
            queues::largest_allowed_row_is_committed,
            queues::many_large_rows_are_committed_and_loaded,
            queues::insert_conflicts_with_an_existing_row,
            queues::update_replaces_the_expected_version,
            queues::unexpected_version_is_not_overwritten,
            queues::update_of_a_missing_row_conflicts,
            queues::conflict_does_not_affect_other_writes,
            queues::commit_accepts_more_writes_than_one_call,
            queues::outbox_is_stored_until_the_next_commit,
            queues::too_large_queue_does_not_affect_other_writes,
            queues::one_concurrent_commit_wins_each_version,
            queues::last_progress_row_is_kept,
            due::due_queues_are_sorted_by_due_moment,
            due::queue_without_due_moment_is_not_in_the_index,
            due::until_is_inclusive,
            due::queue_is_in_the_index_shard_of_its_player,
            due::pages_contain_every_due_queue_once,
            due::page_continues_after_a_moved_row,
            scan::scan_contains_each_queue_once,
            scan::scan_continues_after_any_row,
            records::repeated_put_keeps_one_row,
            records::task_that_ends_twice_at_one_moment_keeps_two_rows,
            records::full_batch_is_written,
            records::batch_of_26_is_refused,
            records::duplicate_keys_are_refused,
            records::too_large_row_is_refused,
            records::row_of_another_table_is_refused,
            records::every_field_of_a_record_is_read_back,
            records::history_pages_are_complete_and_newest_first,
            records::new_rows_do_not_move_a_cursor,
            records::cursor_need_not_be_an_existing_row,
            records::rejection_pages_are_complete_and_newest_first,
            records::full_batch_of_large_rows_is_written,
            records::player_id_does_not_match_longer_ids,
            records::rejections_of_unknown_players_have_a_partition,
            records::last_stats_row_is_kept,
            records::ping_succeeds,
            events::rows_of_events_are_read_in_both_orders,
            events::events_are_read_from_any_sequence,
            events::events_of_many_commits_are_read,
            events::missing_events_are_reported,
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
