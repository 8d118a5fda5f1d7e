//! Batches that are forwarded in part.

use serde_json::{Map, Value, json};

use super::call::{Call, table_of_statement};
use super::fault::{Entry, Withhold};

/// The parts that were taken out of a batch.
pub(super) enum Withheld {
    /// Of `BatchWriteItem` or `BatchGetItem`: the unprocessed parts by table.
    Items(Map<String, Value>),
    /// Of `BatchExecuteStatement`: the answers to the statements that were taken out, in the places
    /// of all statements.
    Statements(Vec<Option<Value>>),
    /// Of `SendMessageBatch` of SQS: the answers to the messages that were taken out.
    Messages(Vec<Value>),
}

/// Takes the chosen parts out of a batch. Returns the rest and the parts, if there are any.
pub(super) fn split(call: &Call, withhold: &Withhold) -> (Option<Value>, Option<Withheld>) {
    match call.operation.as_str() {
        "BatchWriteItem" | "BatchGetItem" => split_items(call, withhold),
        "BatchExecuteStatement" => split_statements(call, withhold),
        "SendMessageBatch" => split_messages(call, withhold),
        _ => (None, None),
    }
}

fn split_items(call: &Call, withhold: &Withhold) -> (Option<Value>, Option<Withheld>) {
    let Some(requests) = call.body["RequestItems"].as_object() else {
        return (None, None);
    };
    let mut index = 0;
    let (mut kept, mut taken) = (Map::new(), Map::new());
    for (table, of_table) in requests {
        // The other members of a BatchGetItem belong to both parts.
        let is_get = of_table.get("Keys").is_some();
        let list = if is_get { &of_table["Keys"] } else { of_table };
        let (mut out, mut rest) = (Vec::new(), Vec::new());
        for value in list.as_array().into_iter().flatten() {
            let entry = Entry { index, table, value };
            let part = if (withhold.chosen)(&entry) { &mut out } else { &mut rest };
            part.push(value.clone());
            index += 1;
        }
        for (part, list) in [(&mut kept, rest), (&mut taken, out)] {
            if list.is_empty() {
                continue;
            }
            let mut of_part = of_table.clone();
            if is_get {
                of_part["Keys"] = list.into();
            } else {
                of_part = list.into();
            }
            part.insert(table.clone(), of_part);
        }
    }
    if taken.is_empty() {
        return (None, None);
    }
    let forwarded = (!kept.is_empty()).then(|| {
        let mut body = call.body.clone();
        body["RequestItems"] = kept.into();
        body
    });
    (forwarded, Some(Withheld::Items(taken)))
}

fn split_statements(call: &Call, withhold: &Withhold) -> (Option<Value>, Option<Withheld>) {
    let Some(statements) = call.body["Statements"].as_array() else {
        return (None, None);
    };
    let mut kept = Vec::new();
    let mut errors = Vec::new();
    for (index, value) in statements.iter().enumerate() {
        let table = value["Statement"].as_str().and_then(table_of_statement);
        let table = table.unwrap_or_default();
        let entry = Entry { index, table, value };
        if (withhold.chosen)(&entry) {
            let error = json!({ "Code": withhold.code, "Message": "Answered by a test" });
            errors.push(Some(json!({ "Error": error, "TableName": table })));
        } else {
            kept.push(value.clone());
            errors.push(None);
        }
    }
    if kept.len() == statements.len() {
        return (None, None);
    }
    let forwarded = (!kept.is_empty()).then(|| {
        let mut body = call.body.clone();
        body["Statements"] = kept.into();
        body
    });
    (forwarded, Some(Withheld::Statements(errors)))
}

fn split_messages(call: &Call, withhold: &Withhold) -> (Option<Value>, Option<Withheld>) {
    let (mut kept, mut failed) = (Vec::new(), Vec::new());
    for (index, value) in call.body["Entries"].as_array().into_iter().flatten().enumerate() {
        if (withhold.chosen)(&Entry { index, table: "", value }) {
            let message = "Answered by a test";
            failed.push(json!({ "Id": value["Id"], "Code": withhold.code, "Message": message, "SenderFault": false }));
        } else {
            kept.push(value.clone());
        }
    }
    if failed.is_empty() {
        return (None, None);
    }
    let forwarded = (!kept.is_empty()).then(|| {
        let mut body = call.body.clone();
        body["Entries"] = kept.into();
        body
    });
    (forwarded, Some(Withheld::Messages(failed)))
}

/// Adds the parts that were taken out to the answer to the rest.
pub(super) fn merge(mut answer: Value, call: &Call, withheld: Withheld) -> Value {
    match withheld {
        Withheld::Items(taken) => {
            let is_get = call.operation == "BatchGetItem";
            let name = if is_get { "UnprocessedKeys" } else { "UnprocessedItems" };
            if is_get && answer.get("Responses").is_none() {
                answer["Responses"] = json!({});
            }
            // The server may return unprocessed parts too.
            let mut unprocessed = match answer[name].take() {
                Value::Object(of_tables) => of_tables,
                _ => Map::new(),
            };
            for (table, of_table) in taken {
                match unprocessed.get_mut(&table) {
                    Some(theirs) => extend(theirs, of_table),
                    None => {
                        unprocessed.insert(table, of_table);
                    }
                }
            }
            answer[name] = unprocessed.into();
        }
        Withheld::Messages(ours) => {
            if answer.get("Successful").is_none() {
                answer["Successful"] = json!([]);
            }
            match &mut answer["Failed"] {
                Value::Array(theirs) => theirs.extend(ours),
                none => *none = ours.into(),
            }
        }
        Withheld::Statements(errors) => {
            let theirs = match answer["Responses"].take() {
                Value::Array(responses) => responses,
                _ => Vec::new(),
            };
            let mut theirs = theirs.into_iter();
            let all: Vec<Value> =
                errors.into_iter().map(|error| error.or_else(|| theirs.next()).unwrap_or_else(|| json!({}))).collect();
            answer["Responses"] = all.into();
        }
    }
    answer
}

/// Adds the requests or the keys of one table to others of that table.
fn extend(theirs: &mut Value, ours: Value) {
    let (theirs, ours) = match ours {
        Value::Object(mut ours) => (&mut theirs["Keys"], ours.remove("Keys").unwrap_or_default()),
        ours => (theirs, ours),
    };
    if let (Value::Array(theirs), Value::Array(ours)) = (theirs, ours) {
        theirs.extend(ours);
    }
}
