//! Dead letters: messages that a queue has delivered too often.
//!
//! | module | content |
//! |---|---|
//! | `queues` | the queues, by the outputs of the stack or by flags |
//! | `letter` | one dead letter, and the commands in it |
//! | `examination` | why a letter failed |
//! | `logs` | why a message failed, from the logs |
//! | `receive` | receives dead letters, and makes them visible again |
//! | `redrive` | sends dead letters to their queue again, and deletes them |

pub mod examination;
pub mod letter;
pub mod logs;
pub mod queues;
pub mod receive;
pub mod redrive;
