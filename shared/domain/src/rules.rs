//! The rules of a queue: how time and commands change it. They are methods of
//! [`Queue`](crate::model::queue::Queue).
//!
//! | module | what is in it |
//! |---|---|
//! | [`apply`] | delivers a command or a tick |
//! | `limits` | the limits of a queue, each with its own rejection reason |
//! | `enqueue` | `enqueueTasks` and the order of its refusals |
//! | `pause` | `pauseQueue` and `resumeQueue` |
//! | `checks` | checks that several commands share |
//! | `lifecycle` | starts, completes, fails and cancels tasks |
//! | `report` | `reportProgress` and `completeTask` |
//! | `advance` | lets time pass, from one due moment to the next |
//! | [`verdict`] | what a delivery leads to |
//! | [`deployment`] | what a deployment decides for all its queues |

mod advance;
pub mod apply;
mod checks;
pub mod deployment;
mod enqueue;
mod lifecycle;
mod limits;
mod pause;
mod report;
pub mod verdict;
