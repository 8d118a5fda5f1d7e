//! A request to a service, as a rule sees it.

use std::collections::BTreeSet;

use serde_json::Value;

/// One request to a service.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// The operation, such as `PutItem`. Empty when the request has no `X-Amz-Target`.
    pub operation: String,
    /// The tables that it names.
    pub tables: BTreeSet<String>,
    /// The whole request.
    pub body: Value,
}

/// One part of a batch.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// Its position in the request, from 0. The tables of a `BatchWriteItem` or `BatchGetItem` are
    /// sorted by name.
    pub index: usize,
    /// Its table; empty when it names none.
    pub table: &'a str,
    /// The `PutRequest` or `DeleteRequest`, the key, the statement with its parameters, the
    /// message, or the event.
    pub value: &'a Value,
}

impl Call {
    pub(super) fn new(target: Option<&str>, body: &[u8]) -> Self {
        let operation = target.and_then(|target| target.rsplit('.').next()).unwrap_or_default().to_owned();
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let mut call = Self { operation, tables: BTreeSet::new(), body };
        let tables = call.entries().into_iter().map(|entry| entry.table).chain(call.body["TableName"].as_str());
        call.tables = tables.filter(|table| !table.is_empty()).map(str::to_owned).collect();
        call
    }

    /// Whether it names a table.
    pub fn names(&self, table: &str) -> bool {
        self.tables.contains(table)
    }

    /// The parts of a batch: items, keys, statements, messages or events. Empty if it is no batch.
    pub(super) fn entries(&self) -> Vec<Entry<'_>> {
        let items = self.body["RequestItems"].as_object().into_iter().flatten().flat_map(|(table, of_table)| {
            let list = of_table.as_array().or_else(|| of_table["Keys"].as_array());
            list.into_iter().flatten().map(move |value| (table.as_str(), value))
        });
        let statements = self.body["Statements"].as_array().into_iter().flatten();
        let statements = statements.map(|value| (value["Statement"].as_str().map_or("", table_of_statement), value));
        let messages = self.body["Entries"].as_array().into_iter().flatten().map(|value| ("", value));
        let entries = items.chain(statements).chain(messages).enumerate();
        entries.map(|(index, (table, value))| Entry { index, table, value }).collect()
    }

    /// The request without the entries at the positions that `is_kept` refuses.
    pub(super) fn retain(&self, is_kept: impl Fn(usize) -> bool) -> Value {
        let mut body = self.body.clone();
        let mut index = 0;
        let mut retain = |list: &mut Vec<Value>| {
            list.retain(|_| {
                index += 1;
                is_kept(index - 1)
            });
            !list.is_empty()
        };
        if let Some(tables) = body["RequestItems"].as_object_mut() {
            tables.retain(|_, of_table| match of_table {
                Value::Array(requests) => retain(requests),
                keys => keys["Keys"].as_array_mut().is_some_and(&mut retain),
            });
        }
        for name in ["Statements", "Entries"] {
            if let Some(list) = body.get_mut(name).and_then(Value::as_array_mut) {
                retain(list);
            }
        }
        body
    }
}

/// The table of a PartiQL statement: the name after `UPDATE`, `INTO` or `FROM`, without quotes and
/// without an index.
fn table_of_statement(statement: &str) -> &str {
    let mut words = statement.split_whitespace();
    let is_keyword = |word: &str| ["UPDATE", "INTO", "FROM"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword));
    let name = words.find(|word| is_keyword(word)).and_then(|_| words.next()).unwrap_or_default();
    match name.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().unwrap_or_default(),
        None => name.split(['.', '{', '(']).next().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_and_entries_of_each_kind_of_request() {
        for (body, tables, entries) in [
            (r#"{"TableName":"a"}"#, vec!["a"], 0),
            (r#"{"RequestItems":{"a":[{},{}],"b":[{}]}}"#, vec!["a", "b"], 3),
            (r#"{"RequestItems":{"a":{"Keys":[{},{}]}}}"#, vec!["a"], 2),
            (
                r#"{"Statements":[{"Statement":"UPDATE \"a-b\" SET x=1"},{"Statement":"DELETE FROM b.index"},
                    {"Statement":"insert into \"c\" VALUE {'pk': ?}"}]}"#,
                vec!["a-b", "b", "c"],
                3,
            ),
            (r#"{"Entries":[{},{}]}"#, vec![], 2),
            ("not json", vec![], 0),
        ] {
            let call = Call::new(Some("DynamoDB_20120810.X"), body.as_bytes());
            assert_eq!(Vec::from_iter(&call.tables), tables, "{body}");
            assert_eq!(call.entries().len(), entries, "{body}");
            assert_eq!(call.operation, "X");
        }
    }
}
