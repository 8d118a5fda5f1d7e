//! Feature switches, rolled out by player.

use crate::ids::PlayerId;

/// A feature that is off, or on for a share of the players: always the same ones, in every process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureSwitch {
    /// Whether it is on at all.
    pub enabled: bool,
    /// For how many of a hundred players it is on, 0 to 100.
    pub rollout_percent: u8,
}

impl FeatureSwitch {
    /// On for everybody.
    pub const ON: Self = Self { enabled: true, rollout_percent: 100 };
    /// Off for everybody.
    pub const OFF: Self = Self { enabled: false, rollout_percent: 0 };

    /// Whether it is on for this player.
    pub fn is_on_for(self, player: &PlayerId) -> bool {
        self.enabled && (self.rollout_percent >= 100 || player.percentile() < self.rollout_percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_covers_its_share_and_only_grows() {
        let players: Vec<_> = (0..1_000).map(|n| PlayerId::new(&format!("p-{n}")).unwrap()).collect();
        let on = |rollout_percent| -> Vec<bool> {
            let switch = FeatureSwitch { enabled: true, rollout_percent };
            players.iter().map(|player| switch.is_on_for(player)).collect()
        };
        assert!(on(0).iter().all(|on| !on));
        assert!(on(100).iter().all(|on| *on));
        let (some, more) = (on(30), on(60));
        assert!((250..350).contains(&some.iter().filter(|on| **on).count()));
        assert!(some.iter().zip(&more).all(|(before, after)| !before || *after));
        assert!(!FeatureSwitch { enabled: false, rollout_percent: 100 }.is_on_for(&players[0]));
    }
}
