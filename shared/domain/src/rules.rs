//! The rules of a queue: how time and commands change it. They are methods of
//! [`Queue`](crate::model::queue::Queue).
//!
//! | module | what is in it |
//! |---|---|
//! | [`apply`] | delivers a command or a tick |
//! | `enqueue` | `enqueueTasks` and the order of its refusals |
//! | `report` | `reportProgress` and milestones |
//! | `pause` | `pauseQueue` and `resumeQueue` |
//! | `checks` | checks that several commands share |
//! | `advance` | lets time pass: completes what is due, starts eligible tasks |
//! | `finish` | completes, fails and cancels tasks |
//! | [`deployment`] | what a deployment decides for all its queues |

mod advance;
pub mod apply;
mod checks;
pub mod deployment;
mod enqueue;
mod finish;
mod pause;
mod report;
