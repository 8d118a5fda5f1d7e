//! In a FIFO batch, everything behind a failed message of its group fails too: SQS would deliver the
//! failed one again after those behind it, and order would be lost.

use std::collections::HashSet;

use crate::decode::MessageInfo;

/// Marks every message behind a failed one of the same FIFO group as failed.
pub fn fail_rest_of_groups(messages: &[MessageInfo], failed: &mut [bool]) {
    let mut broken: HashSet<&str> = HashSet::new();
    for (message, failed) in messages.iter().zip(failed) {
        let Some(group) = message.fifo_group.as_deref() else { continue };
        if *failed {
            broken.insert(group);
        } else if broken.contains(group) {
            *failed = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_group_fails_and_nothing_else() {
        let message = |group: Option<&str>| MessageInfo { id: "m".to_owned(), fifo_group: group.map(str::to_owned) };
        let messages = [Some("a"), Some("b"), Some("a"), None, Some("a"), Some("b")].map(message);
        let mut failed = [false, false, true, false, false, false];
        fail_rest_of_groups(&messages, &mut failed);
        assert_eq!(failed, [false, false, true, false, true, false]);
    }
}
