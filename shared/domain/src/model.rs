//! The values of the domain. They know how to be stored, and nothing of what happens to them.
//!
//! | module | what is in it |
//! |---|---|
//! | [`ids`] | validated identifiers and names |
//! | [`time`] | instants: milliseconds since the Unix epoch, RFC 3339 in JSON |
//! | [`resources`] | amounts of resources: balances, costs, rewards |
//! | [`json_text`] | any JSON value, as the payload or the result of a task |
//! | [`task`] | tasks as they are asked for, unfinished and finished |
//! | [`priority`] | the priorities of tasks |
//! | [`work`] | what a task needs to complete |
//! | [`attempt`] | when an attempt fails by itself, and what is kept of it |
//! | [`finished_tasks`] | the finished tasks that a queue remembers |
//! | [`command`] | the requests that change a queue, and how they are delivered |
//! | [`command_memory`] | the commands that a queue remembers |
//! | [`fifo_positions`] | the last positions in FIFO queues |
//! | [`queue`] | one player's queue |
//! | [`totals`] | what became of the tasks of a queue |
//! | [`record`] | rows that record decisions: history, stats, rejections, progress |
//! | [`rejection`] | why a command is refused for good |
//! | [`failure`] | why work must be delivered again |
//! | [`event`] | what happened in a queue |
//! | [`events_record`] | the events of one commit, as they are published |
//! | [`feature_switch`] | features that are switched on for a share of the players |

pub mod attempt;
pub mod command;
pub mod command_memory;
pub(crate) mod encoding;
pub mod event;
pub mod events_record;
pub mod failure;
pub mod feature_switch;
pub mod fifo_positions;
pub mod finished_tasks;
pub mod ids;
pub mod json_text;
pub mod priority;
pub mod queue;
pub mod record;
pub mod rejection;
pub mod resources;
pub mod task;
pub mod time;
pub mod totals;
pub mod work;
