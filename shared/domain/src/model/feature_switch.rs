//! Features that are switched on for a share of the players.

use crate::model::ids::PlayerId;

/// A feature that is off, or on for a share of the players. The share is the same in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureSwitch {
    /// Whether the feature is on at all.
    pub enabled: bool,
    /// The percentage of players that it is on for, 0 to 100.
    pub rollout_percent: u8,
}

impl FeatureSwitch {
    /// On for every player.
    pub const ON: Self = Self { enabled: true, rollout_percent: 100 };
    /// Off for every player.
    pub const OFF: Self = Self { enabled: false, rollout_percent: 0 };

    /// Whether the feature is on for this player.
    pub fn is_on_for(self, player: &PlayerId) -> bool {
        self.enabled && (self.rollout_percent >= 100 || player.percentile() < self.rollout_percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_rollout_includes_a_smaller_one() {
        let players: Vec<_> = (0..1_000).map(|n| PlayerId::new(&format!("p-{n}")).unwrap()).collect();
        let on = |rollout_percent| -> Vec<bool> {
            let switch = FeatureSwitch { enabled: true, rollout_percent };
            players.iter().map(|player| switch.is_on_for(player)).collect()
        };
        assert!(on(0).iter().all(|on| !on));
        assert!(on(100).iter().all(|on| *on));
        let (smaller, larger) = (on(30), on(60));
        assert!((250..350).contains(&smaller.iter().filter(|on| **on).count()));
        assert!(smaller.iter().zip(&larger).all(|(smaller, larger)| !smaller || *larger));
        assert!(!FeatureSwitch { enabled: false, rollout_percent: 100 }.is_on_for(&players[0]));
    }
}
