//! Batches that are forwarded in part.

use serde_json::{Value, json};

use super::call::{Call, Entry};
use super::fault::Withhold;

const MESSAGE: &str = "Answered by a test";

/// Which entries of a batch are not forwarded.
pub(super) struct Withheld<'a> {
    call: &'a Call,
    withhold: &'a Withhold,
    is_withheld: Vec<bool>,
}

impl<'a> Withheld<'a> {
    /// Chooses entries. None if the call has none that is chosen.
    pub(super) fn choose(call: &'a Call, withhold: &'a Withhold) -> Option<Self> {
        let is_withheld: Vec<bool> = call.entries().iter().map(|entry| (withhold.chosen)(entry)).collect();
        is_withheld.contains(&true).then_some(Self { call, withhold, is_withheld })
    }

    /// The request without the entries. None if nothing is left.
    pub(super) fn rest(&self) -> Option<Value> {
        self.is_withheld.contains(&false).then(|| self.call.retain(|index| !self.is_withheld[index]))
    }

    /// Adds the entries to the answer to the rest, as entries that the service did not process.
    pub(super) fn add_to(&self, answer: &mut Value) {
        let taken = self.call.retain(|index| self.is_withheld[index]);
        match self.call.operation.as_str() {
            "BatchWriteItem" => answer["UnprocessedItems"] = taken["RequestItems"].clone(),
            "BatchGetItem" => answer["UnprocessedKeys"] = taken["RequestItems"].clone(),
            "BatchExecuteStatement" => {
                let error =
                    |entry: &Entry<'_>| json!({"Error": self.error("Code", "Message"), "TableName": entry.table});
                answer["Responses"] = self.results(&answer["Responses"], error);
            }
            "PutEvents" => {
                answer["Entries"] = self.results(&answer["Entries"], |_| self.error("ErrorCode", "ErrorMessage"));
                answer["FailedEntryCount"] = self.is_withheld.iter().filter(|withheld| **withheld).count().into();
            }
            _ => {
                let failed = taken["Entries"].as_array().into_iter().flatten().map(|entry| {
                    let mut failed = self.error("Code", "Message");
                    (failed["Id"], failed["SenderFault"]) = (entry["Id"].clone(), self.withhold.blames_sender.into());
                    failed
                });
                answer["Failed"] = failed.collect();
            }
        }
    }

    /// The results of a batch that has one for each entry: those of the rest, and `error` for each
    /// withheld entry.
    fn results(&self, of_rest: &Value, error: impl Fn(&Entry<'_>) -> Value) -> Value {
        let mut of_rest = of_rest.as_array().cloned().unwrap_or_default().into_iter();
        let entries = self.call.entries().into_iter();
        let results = entries.map(|entry| match self.is_withheld[entry.index] {
            true => error(&entry),
            false => of_rest.next().unwrap_or_else(|| json!({})),
        });
        results.collect()
    }

    fn error(&self, code: &str, message: &str) -> Value {
        json!({code: self.withhold.code, message: MESSAGE})
    }
}
