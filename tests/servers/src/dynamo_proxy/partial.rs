//! Batches that are forwarded in part.

use serde_json::{Value, json};

use super::call::Call;
use super::fault::Withhold;

const MESSAGE: &str = "Answered by a test";

/// Which entries of a batch are not forwarded.
pub(super) struct Withheld<'a> {
    call: &'a Call,
    code: &'a str,
    is_withheld: Vec<bool>,
}

impl<'a> Withheld<'a> {
    /// Chooses entries. None if the call has none that is chosen.
    pub(super) fn choose(call: &'a Call, withhold: &'a Withhold) -> Option<Self> {
        let is_withheld: Vec<bool> = call.entries().iter().map(|entry| (withhold.chosen)(entry)).collect();
        is_withheld.contains(&true).then_some(Self { call, code: &withhold.code, is_withheld })
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
                let mut responses = answer["Responses"].as_array().cloned().unwrap_or_default().into_iter();
                let all = self.call.entries().into_iter().map(|entry| match self.is_withheld[entry.index] {
                    true => json!({"Error": {"Code": self.code, "Message": MESSAGE}, "TableName": entry.table}),
                    false => responses.next().unwrap_or_else(|| json!({})),
                });
                answer["Responses"] = all.collect();
            }
            _ => {
                let failed = taken["Entries"].as_array().into_iter().flatten().map(
                    |entry| json!({"Id": entry["Id"], "Code": self.code, "Message": MESSAGE, "SenderFault": false}),
                );
                answer["Failed"] = failed.collect();
            }
        }
    }
}
