//! Portions in batches for the calls of SQS and EventBridge.

use crate::send::portions::Portion;

/// The most entries of a call.
const MAX_ENTRIES: usize = 10;
/// The most bytes of the bodies of a call, below the 256 KiB of both services.
const MAX_BYTES: usize = 240 * 1024;

/// Batches with at most one portion of each player. The portions of a player are in different
/// batches, in their order, so that a failed entry is sent again before the next one follows.
pub fn batches(players: &[Vec<Portion>]) -> Vec<Vec<&Portion>> {
    let mut batches = Vec::new();
    let waves = players.iter().map(Vec::len).max().unwrap_or(0);
    for wave in 0..waves {
        let (mut batch, mut bytes): (Vec<&Portion>, usize) = (Vec::new(), 0);
        for portion in players.iter().filter_map(|portions| portions.get(wave)) {
            let size = portion.body().len();
            if batch.len() == MAX_ENTRIES || (bytes + size > MAX_BYTES && !batch.is_empty()) {
                batches.push(std::mem::take(&mut batch));
                bytes = 0;
            }
            bytes += size;
            batch.push(portion);
        }
        batches.push(batch);
    }
    batches
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::send::portions::NamedCommand;

    #[test]
    fn a_batch_has_ten_entries_and_each_player_once() {
        let portion = |player: usize| Portion {
            player: player.to_string(),
            commands: vec![NamedCommand { id: "c".to_owned(), json: json!({"x": "y".repeat(30_000)}) }],
        };
        let players: Vec<Vec<Portion>> =
            (0..23).map(|player| vec![portion(player); if player == 0 { 2 } else { 1 }]).collect();
        let sizes: Vec<usize> = batches(&players).iter().map(Vec::len).collect();
        assert_eq!(sizes, [8, 8, 7, 1]);
    }
}
