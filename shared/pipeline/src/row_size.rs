//! Why a queue row stays below the largest row of DynamoDB.
//!
//! | part of the row | its limit |
//! |---|---|
//! | unfinished tasks, tasks that the last step has ended or queued | [`MAX_TASK_BYTES`] |
//! | tasks that the last step has started | [`STARTED_TASKS`] |
//! | records and events of the steps before it | [`MAX_OUTBOX_BYTES`] |
//! | what one command brings: a refusal, a result, a reason, or a grant | [`ONE_COMMAND`] |
//! | kept failures | [`MAX_FAILURE_BYTES`] |
//! | balances | [`MAX_BALANCE_BYTES`] |
//! | totals by resource | [`TOTALS`] |
//! | remembered finished tasks | [`FINISHED_TASKS`] |
//! | remembered commands, and the last FIFO positions | [`COMMANDS`] |
//! | everything else, and the names and keys of the row | [`OTHER`] |
//!
//! A step is a command, or a due moment. After each one a commit can end, so
//! [`apply_items`](crate::steps::apply::apply_items) begins none if the outbox is full. A task
//! counts with the larger of its size in the queue and the size of the event of its end, so the
//! first part has the same limit before and after tasks end.

use millrace_domain::{
    attempt::MAX_FAILURE_BYTES,
    command_memory::REMEMBERED_PLAYER_COMMANDS,
    finished_tasks::REMEMBERED_TASKS,
    ids::{MAX_ID_LENGTH, MAX_NAME_LENGTH},
    json::{MAX_COMMANDS, MAX_GRANTED, MAX_REASON_LENGTH},
    json_text::MAX_JSON_BYTES,
    queue::{MAX_BALANCE_BYTES, MAX_SLOTS, MAX_TASK_BYTES, MAX_TOTALLED_RESOURCES},
    task::MAX_TASK_LIST,
};
use millrace_store::MAX_ROW_BYTES;

use crate::player::MAX_PLAYER_ITEMS;

/// Bytes of records and events after which a commit takes no further step. A row keeps them until
/// the next commit, beside the queue. The rest takes another commit.
pub(crate) const MAX_OUTBOX_BYTES: usize = 32 * 1024;

/// A name with an amount.
const AMOUNT: usize = MAX_NAME_LENGTH + 12;
/// Events of tasks that start, one in each slot.
const STARTED_TASKS: usize = MAX_SLOTS as usize * (256 + MAX_ID_LENGTH + MAX_JSON_BYTES + MAX_TASK_LIST * AMOUNT);
/// What a grant credits, and what of it is lost. A refusal, a result or a reason takes less.
const ONE_COMMAND: usize = 2 * MAX_GRANTED * AMOUNT;
/// Names, amounts and their lengths.
const TOTALS: usize = MAX_TOTALLED_RESOURCES * AMOUNT;
/// Ids with their length, outcome and time.
const FINISHED_TASKS: usize = REMEMBERED_TASKS * (MAX_ID_LENGTH + 8);
/// Hashes and rejection reasons: of the last batch of trusted commands, and of the last request of
/// the player. Four positions of 26 bytes.
const COMMANDS: usize = 17 * (MAX_PLAYER_ITEMS + MAX_COMMANDS + REMEMBERED_PLAYER_COMMANDS) + 4 * 26;
/// Times, limits, counts, the key twice, and the names of the attributes.
const OTHER: usize = 1024;

const _: () = assert!(
    MAX_TASK_BYTES
        + STARTED_TASKS
        + MAX_OUTBOX_BYTES
        + ONE_COMMAND
        + MAX_FAILURE_BYTES
        + MAX_BALANCE_BYTES
        + TOTALS
        + FINISHED_TASKS
        + COMMANDS
        + OTHER
        <= MAX_ROW_BYTES
);

/// The most bytes of a refused command that its rejection keeps. The other half of its part is for
/// the detail, which the record and the event have.
pub(crate) const MAX_KEPT_COMMAND_BYTES: usize = 7 * 1024;

const _: () = assert!(2 * MAX_KEPT_COMMAND_BYTES <= ONE_COMMAND);

/// A reason has at most four bytes for a character.
const _: () = assert!(MAX_JSON_BYTES <= ONE_COMMAND && 4 * MAX_REASON_LENGTH <= ONE_COMMAND);
