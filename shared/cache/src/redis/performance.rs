//! The performance history in Redis.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use async_trait::async_trait;
use millrace_performance::{Figures, HistoryError, HistoryStore, Minute, Recorded, Source};
use redis::{Cmd, Value, cmd};
use tokio::time::Instant;

use super::{
    cache::{Core, RedisCache},
    figures,
    reply::{Reply, describe},
    scripts::{self, REPLACE_STATE_SCRIPT},
};

/// The most minutes of one round trip: about 2.7 MB.
const MAX_MINUTES: usize = 240;
/// How long the state of a threshold is kept after its last change.
const STATE_KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);
/// How long a call may take, unless the caller ends it before.
const TIMEOUT: Duration = Duration::from_secs(10);

#[async_trait]
impl HistoryStore for RedisCache {
    fn source(&self) -> Source {
        Source::Redis
    }

    fn add(&self, minute: Minute, figures: &Figures) {
        self.core.client.housekeeping.add_figures(minute, figures);
    }

    async fn flush(&self) -> Result<(), HistoryError> {
        self.core.exchange_history(Vec::new()).await.map(drop)
    }

    /// One round trip for every four hours.
    async fn read(&self, minutes: Range<Minute>, thresholds: &[&'static str]) -> Result<Recorded, HistoryError> {
        let core = &self.core;
        let prefix = &core.settings.key_prefix;
        let all: Vec<Minute> = (minutes.start.0..minutes.end.0).map(Minute).collect();
        let mut recorded = Recorded::default();
        let mut states: &[&'static str] = thresholds;
        let mut chunks = all.chunks(MAX_MINUTES);
        loop {
            let chunk = chunks.next().unwrap_or_default();
            if chunk.is_empty() && states.is_empty() {
                return Ok(recorded);
            }
            let of_minutes = chunk.iter().map(|minute| read(&figures::key(prefix, *minute)));
            let of_states = states.iter().map(|id| read(&state_key(prefix, id)));
            let replies = core.exchange_history(of_minutes.chain(of_states).collect()).await?;
            let mut values = replies.into_iter().map(Reply::into_bytes);
            for (minute, bytes) in chunk.iter().zip(values.by_ref()) {
                recorded.figures.extend(bytes.map(|bytes| (*minute, figures::decode(&bytes))));
            }
            for (id, bytes) in states.iter().zip(values) {
                recorded.states.extend(bytes.and_then(|bytes| Some((*id, String::from_utf8(bytes).ok()?))));
            }
            states = &[];
        }
    }

    async fn replace_state(&self, threshold: &str, known: Option<&str>, new: &str) -> Result<bool, HistoryError> {
        let key = state_key(&self.core.settings.key_prefix, threshold);
        let arguments = [known.unwrap_or_default().as_bytes(), new.as_bytes()];
        let replace = scripts::run(&REPLACE_STATE_SCRIPT, &key, &arguments, STATE_KEPT_FOR, None);
        match self.core.exchange_history(vec![replace]).await?.pop() {
            Some(Reply::Value(Value::Int(replaced))) => Ok(replaced == 1),
            reply => Err(refused(reply)),
        }
    }

    /// Publishes on the channel `<prefix>thresholds`.
    async fn announce(&self, message: &str) -> Result<(), HistoryError> {
        let mut publish = cmd("PUBLISH");
        publish.arg(format!("{}thresholds", self.core.settings.key_prefix)).arg(message);
        match self.core.exchange_history(vec![publish]).await?.pop() {
            Some(Reply::Value(_)) => Ok(()),
            reply => Err(refused(reply)),
        }
    }
}

fn read(key: &str) -> Cmd {
    // Emergency mode is read by `GET` too.
    let mut command = cmd("GET");
    command.arg(key);
    command
}

fn state_key(prefix: &str, threshold: &str) -> String {
    format!("{prefix}performance:threshold:{threshold}")
}

fn refused(reply: Option<Reply>) -> HistoryError {
    HistoryError(match reply {
        Some(Reply::Refused(error)) => describe(&error),
        _ => "no answer".to_owned(),
    })
}

impl Core {
    /// Sends commands, and before them the figures that wait. Returns the replies to the commands.
    async fn exchange_history(&self, commands: Vec<Cmd>) -> Result<Vec<Reply>, HistoryError> {
        let waiting: BTreeMap<Minute, Figures> = self.client.housekeeping.take_unsent_figures();
        let prefix = &self.settings.key_prefix;
        let mut all: Vec<Cmd> =
            waiting.iter().flat_map(|(minute, figures)| figures::add(prefix, *minute, figures)).collect();
        let added = all.len();
        all.extend(commands);
        match self.upkeep_call(all, Instant::now() + TIMEOUT).await {
            Ok(mut replies) => {
                replies.drain(..added);
                Ok(replies)
            }
            Err(error) => {
                // They may be counted twice, if Redis has them. Without this, an outage would lose
                // them.
                waiting.iter().for_each(|(minute, figures)| self.client.housekeeping.add_figures(*minute, figures));
                Err(HistoryError(error.to_string()))
            }
        }
    }
}
