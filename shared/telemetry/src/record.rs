//! The record of an invocation: what it did, in one line.
//!
//! The steps of an invocation add what they know. The start-up code of the functions writes the
//! record before the answer is sent.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, PoisonError},
};

use crate::metrics::Metric;

/// A metric split by a name with few values, such as a reason or a table. The fields are called
/// `<breakdown>.<name>`. They are for queries of logs, and no metrics of CloudWatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Breakdown {
    /// [`Metric::CommandsRejected`] by reason.
    Rejected,
    /// [`Metric::CommandsFailed`] by reason.
    Failed,
    /// Hits of the local cache by kind of data.
    LocalHits,
    /// Hits of Redis by kind of data.
    RedisHits,
    /// [`Metric::RedisErrors`] by kind of call.
    RedisErrors,
    /// [`Metric::RecordsWritten`] by table.
    Records,
    /// The calls that wrote records, by table.
    RecordCalls,
    /// [`Metric::RecordsWritten`] by priority.
    Priority,
    /// The calls that wrote records, by priority.
    PriorityCalls,
    /// What the cost is estimated from.
    Usage,
    /// What a run of `advance-queues` found and did.
    Advance,
    /// What an upkeep of the shared cache did.
    Upkeep,
}

impl Breakdown {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Rejected,
        Self::Failed,
        Self::LocalHits,
        Self::RedisHits,
        Self::RedisErrors,
        Self::Records,
        Self::RecordCalls,
        Self::Priority,
        Self::PriorityCalls,
        Self::Usage,
        Self::Advance,
        Self::Upkeep,
    ];

    /// The first part of the names of its fields.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "Rejected",
            Self::Failed => "Failed",
            Self::LocalHits => "LocalHitsOf",
            Self::RedisHits => "RedisHitsOf",
            Self::RedisErrors => "RedisErrorsOf",
            Self::Records => "Records",
            Self::RecordCalls => "RecordCalls",
            Self::Priority => "Priority",
            Self::PriorityCalls => "PriorityCalls",
            Self::Usage => "Usage",
            Self::Advance => "Advance",
            Self::Upkeep => "Upkeep",
        }
    }
}

/// Parts of breakdowns of an ordinary invocation.
const ORDINARY_PARTS: usize = 24;

/// What an invocation did.
#[derive(Debug, Clone)]
pub struct Record {
    /// By the place of the metric in the list.
    values: [Option<f64>; Metric::ALL.len()],
    parts: Vec<(Breakdown, Cow<'static, str>, f64)>,
    texts: Vec<(&'static str, Cow<'static, str>)>,
    message: String,
}

impl Default for Record {
    fn default() -> Self {
        Self { values: [None; Metric::ALL.len()], parts: Vec::new(), texts: Vec::new(), message: String::new() }
    }
}

impl Record {
    /// The value of a metric; none if it was not measured.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.values[metric as usize]
    }

    /// Sets the value of a metric.
    pub fn set(&mut self, metric: Metric, value: f64) {
        self.values[metric as usize] = Some(value);
    }

    /// Adds to the value of a metric.
    pub fn add(&mut self, metric: Metric, value: u64) {
        *self.values[metric as usize].get_or_insert(0.0) += value as f64;
    }

    /// Adds to a part of a breakdown. A part of 0 is left out.
    pub fn add_part(&mut self, breakdown: Breakdown, name: impl Into<Cow<'static, str>>, value: f64) {
        if value == 0.0 {
            return;
        }
        let name = name.into();
        match self.parts.iter_mut().find(|(of, known, _)| *of == breakdown && *known == name) {
            Some((.., sum)) => *sum += value,
            None => {
                if self.parts.is_empty() {
                    self.parts.reserve(ORDINARY_PARTS);
                }
                self.parts.push((breakdown, name, value));
            }
        }
    }

    /// Adds a text, such as the route of a request.
    pub fn add_text(&mut self, name: &'static str, text: impl Into<Cow<'static, str>>) {
        self.texts.push((name, text.into()));
    }

    /// Sets the sentence that a person reads first.
    pub fn set_message(&mut self, message: String) {
        self.message = message;
    }

    /// The sentence that a person reads first.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The metrics that were measured, in the order of the list.
    pub fn values(&self) -> impl Iterator<Item = (Metric, f64)> {
        Metric::ALL.into_iter().filter_map(|metric| Some((metric, self.get(metric)?)))
    }

    /// The parts of breakdowns.
    pub fn parts(&self) -> impl Iterator<Item = (Breakdown, &str, f64)> {
        self.parts.iter().map(|(breakdown, name, value)| (*breakdown, name.as_ref(), *value))
    }

    /// The texts.
    pub fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.texts.iter().map(|(name, text)| (*name, text.as_ref()))
    }
}

/// The record of a running invocation. Clones share it. Where metrics are off, which is the
/// default, there is none, and nothing is measured.
#[derive(Debug, Clone, Default)]
pub struct InvocationRecord(Option<Arc<Mutex<Record>>>);

impl InvocationRecord {
    /// An empty record.
    pub fn empty() -> Self {
        Self(Some(Arc::default()))
    }

    /// Adds something to the record, if there is one.
    pub fn update(&self, change: impl FnOnce(&mut Record)) {
        if let Some(record) = &self.0 {
            change(&mut record.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Takes the record, and leaves an empty one. None where metrics are off.
    pub fn take(&self) -> Option<Record> {
        let record = self.0.as_ref()?;
        Some(std::mem::take(&mut *record.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_name_are_added_up() {
        let mut record = Record::default();
        for (name, value) in [("unknown_task", 1.0), ("stale_report", 2.0), ("unknown_task", 3.0), ("none", 0.0)] {
            record.add_part(Breakdown::Rejected, name, value);
        }
        record.add_part(Breakdown::Failed, "unknown_task", 5.0);
        let parts: Vec<_> = record.parts().map(|(of, name, value)| (of.name(), name, value)).collect();
        assert_eq!(
            parts,
            [("Rejected", "unknown_task", 4.0), ("Rejected", "stale_report", 2.0), ("Failed", "unknown_task", 5.0)]
        );
    }

    #[test]
    fn every_metric_has_its_own_place() {
        let mut record = Record::default();
        Metric::ALL.into_iter().zip(1..).for_each(|(metric, value)| record.add(metric, value));
        let values: Vec<f64> = record.values().map(|(_, value)| value).collect();
        assert_eq!(values, (1..=Metric::ALL.len()).map(|value| value as f64).collect::<Vec<_>>());
        assert_eq!(Record::default().values().count(), 0);
    }
}
