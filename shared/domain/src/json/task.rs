//! A task of `enqueueTasks`.

use serde::{Deserialize, Deserializer, de};

use crate::{
    json::{
        amounts::NamedAmounts,
        value::{Bounded, Object, at_most, or_default},
    },
    model::{
        attempt::{MAX_DEADLINE_MS, MIN_DEADLINE_MS},
        ids::{TaskId, TaskKind},
        json_text::JsonText,
        resources::Resources,
        task::{MAX_RETRIES, MAX_RETRY_DELAY_MS, MAX_TASK_LIST, Priority, TaskSpec},
        time::Timestamp,
        work::{MAX_DURATION_MS, MAX_UNITS, Work},
    },
};

impl<'de> Deserialize<'de> for TaskSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TaskFields::deserialize(deserializer)
    }
}

/// The fields of a [`TaskSpec`], with their checks and defaults.
#[derive(Deserialize)]
#[serde(remote = "TaskSpec", rename_all = "camelCase", deny_unknown_fields)]
struct TaskFields {
    task_id: TaskId,
    kind: TaskKind,
    #[serde(default, deserialize_with = "or_default")]
    priority: Priority,
    #[serde(deserialize_with = "work")]
    work: Work,
    #[serde(default)]
    payload: Option<JsonText>,
    #[serde(default)]
    not_before: Option<Timestamp>,
    #[serde(default, deserialize_with = "prerequisites")]
    prerequisites: Vec<TaskId>,
    #[serde(default, deserialize_with = "amounts")]
    costs: Resources,
    #[serde(default, deserialize_with = "amounts")]
    rewards: Resources,
    #[serde(default = "default_max_retries", deserialize_with = "max_retries")]
    max_retries: u8,
    #[serde(default = "default_retry_delay_ms", deserialize_with = "retry_delay_ms")]
    retry_delay_ms: u32,
}

fn default_max_retries() -> u8 {
    3
}

fn default_retry_delay_ms() -> u32 {
    1000
}

fn max_retries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let retries = Option::<Bounded<0, MAX_RETRIES>>::deserialize(deserializer)?;
    Ok(retries.map_or_else(default_max_retries, |Bounded(retries)| retries as u8))
}

fn retry_delay_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let delay_ms = Option::<Bounded<0, MAX_RETRY_DELAY_MS>>::deserialize(deserializer)?;
    Ok(delay_ms.map_or_else(default_retry_delay_ms, |Bounded(delay_ms)| delay_ms as u32))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkFields {
    duration_ms: Option<Bounded<1, MAX_DURATION_MS>>,
    units: Option<Bounded<1, MAX_UNITS>>,
    heartbeat_ms: Option<Bounded<MIN_DEADLINE_MS, MAX_DEADLINE_MS>>,
    timeout_ms: Option<Bounded<MIN_DEADLINE_MS, MAX_DEADLINE_MS>>,
}

fn work<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Work, D::Error> {
    let Object(fields) = Object::<WorkFields>::deserialize(deserializer)?;
    match (fields.duration_ms, fields.units) {
        (Some(Bounded(duration_ms)), None) => match (fields.heartbeat_ms, fields.timeout_ms) {
            (None, None) => Ok(Work::DurationMs(duration_ms)),
            _ => Err(de::Error::custom(
                "`heartbeatMs` or `timeoutMs` is given with `durationMs`; allowed: only with `units`",
            )),
        },
        (None, Some(Bounded(units))) => {
            // The limits fit 32 bits.
            let [heartbeat_ms, timeout_ms] =
                [fields.heartbeat_ms, fields.timeout_ms].map(|ms| ms.map(|Bounded(ms)| ms as u32));
            Ok(Work::Units { units, heartbeat_ms, timeout_ms })
        }
        (Some(_), Some(_)) => Err(de::Error::custom("both `durationMs` and `units` are given; allowed: one of them")),
        (None, None) => Err(de::Error::custom("neither `durationMs` nor `units` is given; allowed: one of them")),
    }
}

fn prerequisites<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TaskId>, D::Error> {
    let ids: Vec<TaskId> = or_default(deserializer)?;
    at_most(ids.len(), MAX_TASK_LIST, "prerequisites")?;
    Ok(ids)
}

fn amounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Resources, D::Error> {
    or_default::<NamedAmounts, D>(deserializer)?.at_most(MAX_TASK_LIST)
}
