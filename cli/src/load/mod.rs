//! A load of many players, its measurements, and the check of its books.
//!
//! | module | content |
//! |---|---|
//! | `measurements` | what was sent, answered and measured |
//! | `players` | the players, each with its commands in order |
//! | `books` | whether each player has what its commands lead to |

pub mod books;
pub mod measurements;
pub mod players;
