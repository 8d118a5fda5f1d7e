//! Why a queue row stays below the largest row of DynamoDB.
//!
//! | part of the row | its limit |
//! |---|---|
//! | unfinished tasks, and the records of tasks that the last item has ended | [`MAX_TASK_BYTES`] |
//! | records of the items before it | [`MAX_OUTBOX_BYTES`] |
//! | one refused command, or one failure with its reason | [`ONE_ITEM`] |
//! | balances | [`MAX_BALANCE_BYTES`] |
//! | totals by resource | [`TOTALS`] |
//! | remembered finished tasks | [`FINISHED_TASKS`] |
//! | remembered commands, and the last FIFO positions | [`COMMANDS`] |
//! | everything else, and the names and keys of the row | [`OTHER`] |
//!
//! A task counts with the larger of its size in the queue and the size of the record of its end, so
//! the first part has the same limit before and after tasks end. Only `enqueueTasks` adds tasks.
//! Before it, [`apply_items`](crate::steps::apply::apply_items) commits what time alone has ended,
//! if that is much.

use millrace_domain::{
    command_memory::REMEMBERED_PLAYER_COMMANDS,
    finished_tasks::REMEMBERED_TASKS,
    ids::{MAX_ID_LENGTH, MAX_NAME_LENGTH},
    json::{MAX_COMMANDS, MAX_REASON_LENGTH},
    queue::{MAX_BALANCE_BYTES, MAX_TASK_BYTES, MAX_TOTALLED_RESOURCES},
};
use millrace_store::MAX_ROW_BYTES;

use crate::player::MAX_PLAYER_ITEMS;

/// Bytes of records after which a commit takes no further item. A row keeps the records until the
/// next commit, beside the queue. The rest takes another commit.
pub(crate) const MAX_OUTBOX_BYTES: usize = 64 * 1024;

/// The most bytes of a character in UTF-8.
const CHARACTER: usize = 4;
/// A record that is not that of a task's end, or the reason that a record has from a command.
const ONE_ITEM: usize = 4 * 1024 + CHARACTER * MAX_REASON_LENGTH;
/// Names, amounts and their lengths.
const TOTALS: usize = MAX_TOTALLED_RESOURCES * (MAX_NAME_LENGTH + 12);
/// Ids with their length, outcome and time.
const FINISHED_TASKS: usize = REMEMBERED_TASKS * (MAX_ID_LENGTH + 8);
/// Hashes and rejection reasons: of the last batch of trusted commands, and of the last request of
/// the player. Four positions of 26 bytes.
const COMMANDS: usize = 17 * (MAX_PLAYER_ITEMS + MAX_COMMANDS + REMEMBERED_PLAYER_COMMANDS) + 4 * 26;
/// Times, limits, counts, the key twice, and the names of the attributes.
const OTHER: usize = 1024;

const _: () = assert!(
    MAX_TASK_BYTES + MAX_OUTBOX_BYTES + ONE_ITEM + MAX_BALANCE_BYTES + TOTALS + FINISHED_TASKS + COMMANDS + OTHER
        <= MAX_ROW_BYTES
);
