//! Whether the writes of a player share calls.

use millrace_domain::{FeatureSwitch, PlayerId};
use millrace_store::Grouping;

/// Whether the writes of a player share calls with those of other players.
pub fn grouping_of(player: &PlayerId, batching: FeatureSwitch) -> Grouping {
    match batching.is_on_for(player) {
        true => Grouping::Shared,
        false => Grouping::Single,
    }
}
