//! Upkeep requests, read from the payload of an invocation, or from a URL and its body.
//!
//! The JSON is read field by field, so that the error for a misspelled or misplaced field can name
//! the fields of the action.

use std::{collections::HashSet, fmt, time::Duration};

use millrace_cache::{DataKind, ScanCursor};
use millrace_domain::{PlayerId, ids::clip};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::BadRequest;

/// Most players that one request may name.
pub const MAX_PLAYERS: usize = 10_000;
/// Most players that one request may warm.
pub const MAX_WARMED: u64 = 100_000;
/// Longest time ahead in which something must be due for its queue to be warmed, in seconds.
pub const MAX_DUE_WITHIN_SECONDS: u64 = 86_400;
/// How long emergency mode lasts by default, in seconds.
pub const EMERGENCY_SECONDS: u64 = 900;
/// Longest emergency mode, in seconds.
pub const MAX_EMERGENCY_SECONDS: u64 = 86_400;

/// The actions of a payload.
const ACTIONS: &str = "warm, clear, rebuild, emergencyMode, statistics, upkeep, watchThresholds";
/// Most characters of a value that an error shows.
const SHOWN: usize = 100;

/// An upkeep request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Put copies where there are none.
    Warm(Warm),
    /// Remove copies.
    Clear(Clear),
    /// Make copies again from the table.
    Rebuild(Rebuild),
    /// Switch emergency mode on or off.
    EmergencyMode(SwitchEmergency),
    /// Measure the servers and keep the sample.
    Statistics,
    /// Figures are measured and kept, then copies put where there are none: what is done every few
    /// minutes.
    Upkeep,
    /// Compare the performance history with its thresholds, and publish changes: what is done each
    /// minute where `advance-queues` cannot reach the shared cache.
    WatchThresholds,
}

/// The players to warm.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Warm {
    /// These players; none: players with something due soon, and players that changed lately.
    pub player_ids: Option<Vec<PlayerId>>,
    /// Most players; none: all named players, or as many others as the settings allow.
    pub max_players: Option<usize>,
    /// How soon something has to be due; none: before the next warm-up.
    pub due_within: Option<Duration>,
}

/// The copies to remove.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clear {
    /// The players; none: all.
    pub player_ids: Option<Vec<PlayerId>>,
    /// The kind of data; none: all kinds.
    pub kind: Option<DataKind>,
    /// Where an earlier request stopped.
    pub cursor: Option<ScanCursor>,
}

/// The copies to make again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rebuild {
    /// The players, cached or not; none: all cached players.
    pub player_ids: Option<Vec<PlayerId>>,
    /// Where an earlier request stopped.
    pub cursor: Option<ScanCursor>,
}

/// The new state of emergency mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SwitchEmergency {
    /// On or off.
    pub enabled: bool,
    /// How long it stays on.
    pub duration: Duration,
}

impl Request {
    /// Reads the payload of an invocation: `{"action": "...", ...}`, or an event of EventBridge or
    /// its Scheduler, which says that it is time for [`Request::Upkeep`].
    ///
    /// # Errors
    /// [`BadRequest`] where it is neither.
    pub fn from_payload(payload: &[u8]) -> Result<Self, BadRequest> {
        let mut fields = Fields::read(payload)?;
        match fields.convert("action", ACTIONS, |value| value.as_str().map(str::to_owned))? {
            Some(action) => Self::read(&action, fields),
            None if fields.is_scheduled() => Ok(Self::Upkeep),
            None => Err(BadRequest::new(format!(
                "action: missing; allowed: {ACTIONS}, or an event of EventBridge or its Scheduler"
            ))),
        }
    }

    /// Reads a request whose action is in a URL (`warm`, `clear`, `rebuild`, `emergency-mode`);
    /// the body holds the other fields and may be empty.
    ///
    /// # Errors
    /// [`BadRequest`] where there is no such action, or the body does not fit it.
    pub fn for_action(action: &str, body: &[u8]) -> Result<Self, BadRequest> {
        let name = match action {
            "warm" | "clear" | "rebuild" => action,
            "emergency-mode" => "emergencyMode",
            other => return Err(unknown_action(other, "warm, clear, rebuild, emergency-mode")),
        };
        let fields = if body.trim_ascii().is_empty() { Fields(Map::new()) } else { Fields::read(body)? };
        Self::read(name, fields)
    }

    fn read(action: &str, mut fields: Fields) -> Result<Self, BadRequest> {
        let (request, allowed) = match action {
            "warm" => {
                let warm = Warm {
                    player_ids: fields.player_ids()?,
                    max_players: fields.whole("maxPlayers", 1, MAX_WARMED)?.map(|most| most as usize),
                    due_within: fields.whole("dueWithinSeconds", 0, MAX_DUE_WITHIN_SECONDS)?.map(Duration::from_secs),
                };
                (Self::Warm(warm), "playerIds, maxPlayers, dueWithinSeconds")
            }
            "clear" => {
                let (player_ids, cursor) = fields.players_or_cursor()?;
                (Self::Clear(Clear { player_ids, kind: fields.kind()?, cursor }), "playerIds, kind, cursor")
            }
            "rebuild" => {
                let (player_ids, cursor) = fields.players_or_cursor()?;
                (Self::Rebuild(Rebuild { player_ids, cursor }), "playerIds, cursor")
            }
            "emergencyMode" => (Self::EmergencyMode(fields.emergency()?), "enabled, durationSeconds"),
            "statistics" => (Self::Statistics, "no others"),
            "upkeep" => (Self::Upkeep, "no others"),
            "watchThresholds" => (Self::WatchThresholds, "no others"),
            other => return Err(unknown_action(other, ACTIONS)),
        };
        match fields.0.keys().next() {
            None => Ok(request),
            Some(field) => {
                Err(BadRequest::new(format!("{}: unknown field of `{action}`; allowed: {allowed}", clip(field, SHOWN))))
            }
        }
    }

    /// The action as a payload names it.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Warm(_) => "warm",
            Self::Clear(_) => "clear",
            Self::Rebuild(_) => "rebuild",
            Self::EmergencyMode(_) => "emergencyMode",
            Self::Statistics => "statistics",
            Self::Upkeep => "upkeep",
            Self::WatchThresholds => "watchThresholds",
        }
    }
}

/// The fields that are not read yet.
struct Fields(Map<String, Value>);

impl Fields {
    fn read(json: &[u8]) -> Result<Self, BadRequest> {
        match serde_json::from_slice(json) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(other) => {
                Err(BadRequest::new(format!("{} is not allowed; allowed: an object with an `action`", shown(&other))))
            }
            Err(error) => Err(BadRequest::new(format!("not JSON: {error}"))),
        }
    }

    /// Takes out a field. One that is null counts as left out.
    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    /// Whether this is an event as EventBridge and its Scheduler send them.
    fn is_scheduled(&self) -> bool {
        ["detail-type", "source"].iter().all(|name| self.0.get(*name).is_some_and(Value::is_string))
    }

    /// Takes out a field and converts it. The error names the field, its value and `allowed`.
    fn convert<T>(
        &mut self,
        name: &str,
        allowed: impl fmt::Display,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, BadRequest> {
        let Some(value) = self.take(name) else { return Ok(None) };
        convert(&value).map(Some).ok_or_else(|| not_allowed(name, &value, allowed))
    }

    fn whole(&mut self, name: &str, min: u64, max: u64) -> Result<Option<u64>, BadRequest> {
        let allowed = format_args!("a whole number from {min} to {max}");
        self.convert(name, allowed, |value| value.as_u64().filter(|number| (min..=max).contains(number)))
    }

    fn kind(&mut self) -> Result<Option<DataKind>, BadRequest> {
        self.convert("kind", "queue, progress, stats, frequent", |value| DataKind::deserialize(value).ok())
    }

    /// The players, or where an earlier request stopped; not both.
    fn players_or_cursor(&mut self) -> Result<(Option<Vec<PlayerId>>, Option<ScanCursor>), BadRequest> {
        let players = self.player_ids()?;
        let cursor =
            self.convert("cursor", "the `cursor` of the answer before", |value| value.as_str()?.parse().ok())?;
        if players.is_some() && cursor.is_some() {
            return Err(BadRequest::new("cursor: not allowed beside `playerIds`"));
        }
        Ok((players, cursor))
    }

    fn player_ids(&mut self) -> Result<Option<Vec<PlayerId>>, BadRequest> {
        let allowed = format_args!("a list of 1 to {MAX_PLAYERS} player ids");
        let Some(ids) = self.convert("playerIds", allowed, |value| value.as_array().cloned())? else {
            return Ok(None);
        };
        if ids.is_empty() || ids.len() > MAX_PLAYERS {
            return Err(BadRequest::new(format!(
                "playerIds: {} players are given; allowed: 1 to {MAX_PLAYERS}",
                ids.len()
            )));
        }
        let read = |(at, id): (usize, &Value)| match id.as_str() {
            Some(id) => PlayerId::new(id).map_err(|error| BadRequest::new(format!("playerIds[{at}]: {error}"))),
            None => Err(not_allowed(format_args!("playerIds[{at}]"), id, "a player id")),
        };
        let mut players: Vec<PlayerId> = ids.iter().enumerate().map(read).collect::<Result<_, _>>()?;
        // Each once, in the order given.
        let mut seen = HashSet::new();
        players.retain(|player| seen.insert(player.clone()));
        Ok(Some(players))
    }

    fn emergency(&mut self) -> Result<SwitchEmergency, BadRequest> {
        let enabled = self.convert("enabled", "true, false", Value::as_bool)?;
        let enabled = enabled.ok_or_else(|| BadRequest::new("enabled: missing; allowed: true, false"))?;
        let seconds = self.whole("durationSeconds", 1, MAX_EMERGENCY_SECONDS)?;
        if !enabled && seconds.is_some() {
            return Err(BadRequest::new("durationSeconds: not allowed where `enabled` is false"));
        }
        Ok(SwitchEmergency { enabled, duration: Duration::from_secs(seconds.unwrap_or(EMERGENCY_SECONDS)) })
    }
}

fn not_allowed(name: impl fmt::Display, value: &Value, allowed: impl fmt::Display) -> BadRequest {
    BadRequest::new(format!("{name}: {} is not allowed; allowed: {allowed}", shown(value)))
}

fn unknown_action(action: &str, allowed: &str) -> BadRequest {
    BadRequest::new(format!("action: `{}` is not allowed; allowed: {allowed}", clip(action, SHOWN)))
}

/// A value as an error shows it.
fn shown(value: &Value) -> String {
    clip(&value.to_string(), SHOWN)
}

#[cfg(test)]
mod tests;
