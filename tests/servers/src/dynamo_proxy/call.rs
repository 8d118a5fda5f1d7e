//! A request to DynamoDB, as a rule sees it.

use serde_json::Value;

/// One request to DynamoDB.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// The operation, such as `PutItem`. Empty when the request has no `X-Amz-Target`.
    pub operation: String,
    /// The tables that it names, each once, in the order of the request; those of a batch by name.
    pub tables: Vec<String>,
    /// The whole request.
    pub body: Value,
}

impl Call {
    pub(super) fn new(target: Option<&str>, body: &[u8]) -> Self {
        let operation = target.and_then(|target| target.rsplit('.').next());
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        Self { operation: operation.unwrap_or_default().to_owned(), tables: tables(&body), body }
    }

    /// Whether it names a table.
    pub fn names(&self, table: &str) -> bool {
        self.tables.iter().any(|name| name == table)
    }

    /// The number of items, keys, statements or transaction parts; one if it is no batch.
    pub fn entries(&self) -> usize {
        if let Some(requests) = self.body["RequestItems"].as_object() {
            return requests.values().map(|of_table| list(of_table).len()).sum();
        }
        ["TransactItems", "Statements", "TransactStatements"]
            .iter()
            .find_map(|name| self.body[name].as_array())
            .map_or(1, Vec::len)
    }
}

/// The parts of a batch for one table: requests in a `BatchWriteItem`, keys in a `BatchGetItem`.
fn list(of_table: &Value) -> &[Value] {
    let list = of_table.as_array().or_else(|| of_table["Keys"].as_array());
    list.map_or(&[], Vec::as_slice)
}

fn tables(body: &Value) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        // A table may be named by its ARN: arn:aws:dynamodb:REGION:ACCOUNT:table/NAME
        let name = match name.strip_prefix("arn:") {
            Some(arn) => arn.split('/').nth(1).unwrap_or(arn),
            None => name,
        };
        if !tables.iter().any(|known| known == name) {
            tables.push(name.to_owned());
        }
    };
    if let Some(name) = body["TableName"].as_str() {
        add(name);
    }
    if let Some(requests) = body["RequestItems"].as_object() {
        requests.keys().for_each(|name| add(name));
    }
    for part in body["TransactItems"].as_array().into_iter().flatten() {
        for action in part.as_object().into_iter().flat_map(|part| part.values()) {
            if let Some(name) = action["TableName"].as_str() {
                add(name);
            }
        }
    }
    for list in ["Statements", "TransactStatements"] {
        for entry in body[list].as_array().into_iter().flatten() {
            if let Some(name) = entry["Statement"].as_str().and_then(table_of_statement) {
                add(name);
            }
        }
    }
    if let Some(name) = body["Statement"].as_str().and_then(table_of_statement) {
        add(name);
    }
    tables
}

/// The table of a PartiQL statement: the name after `UPDATE`, `INTO` or `FROM`, without quotes and
/// without an index.
pub(super) fn table_of_statement(statement: &str) -> Option<&str> {
    let mut words = statement.split_whitespace();
    words.find(|word| ["UPDATE", "INTO", "FROM"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword)))?;
    let name = words.next()?;
    match name.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => name.split(['.', '{', '(']).next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_a_statement() {
        for (statement, table) in [
            (r#"UPDATE "a-b" SET x = ? WHERE pk = ?"#, "a-b"),
            (r#"update queues set x = ? where pk = ?"#, "queues"),
            (r#"INSERT INTO "t" VALUE {'pk': ?}"#, "t"),
            (r#"SELECT * FROM "t"."index" WHERE pk = ?"#, "t"),
            (r#"DELETE FROM t.index WHERE pk = ?"#, "t"),
        ] {
            assert_eq!(table_of_statement(statement), Some(table), "{statement}");
        }
        assert_eq!(table_of_statement("nonsense"), None);
    }

    #[test]
    fn the_tables_and_entries_of_each_kind_of_request() {
        for (body, tables, entries) in [
            (r#"{"TableName":"a"}"#, vec!["a"], 1),
            (r#"{"TableName":"arn:aws:dynamodb:us-east-1:000000000000:table/a"}"#, vec!["a"], 1),
            (r#"{"RequestItems":{"a":[{},{}],"b":[{}]}}"#, vec!["a", "b"], 3),
            (r#"{"RequestItems":{"a":{"Keys":[{},{}]}}}"#, vec!["a"], 2),
            (
                r#"{"TransactItems":[{"Put":{"TableName":"b"}},{"Update":{"TableName":"a"}},{"Delete":{"TableName":"b"}}]}"#,
                vec!["b", "a"],
                3,
            ),
            (
                r#"{"Statements":[{"Statement":"UPDATE \"a\" SET x=1"},{"Statement":"DELETE FROM b"}]}"#,
                vec!["a", "b"],
                2,
            ),
            ("not json", vec![], 1),
        ] {
            let call = Call::new(Some("DynamoDB_20120810.X"), body.as_bytes());
            assert_eq!(call.tables, tables, "{body}");
            assert_eq!(call.entries(), entries, "{body}");
            assert_eq!(call.operation, "X");
        }
    }
}
