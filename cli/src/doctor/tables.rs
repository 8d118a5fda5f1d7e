//! Tables, index, expiry, and the permission to read them.

use aws_sdk_dynamodb::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    types::{AttributeValue, KeySchemaElement, KeyType, TableDescription, TimeToLiveStatus},
};
use millrace_domain::record::Table;

use crate::doctor::findings::Findings;

const PARTITION_KEY: &str = "playerId";
const EXPIRY: &str = "expiresAt";
const INDEX: &str = "due";
const INDEX_KEYS: [&str; 2] = ["dueShard", "dueAt"];
/// A player that does not exist, because `#` is not allowed in ids.
const NO_PLAYER: &str = "doctor#";

/// Checks all tables with the prefix.
pub async fn check(client: &Client, prefix: &str, findings: &mut Findings) {
    for table in Table::ALL {
        let name = format!("{prefix}{}", table.as_str());
        let check = format!("table {name}");
        match client.describe_table().table_name(&name).send().await {
            Err(error) => report(findings, &check, "dynamodb:DescribeTable", &error),
            Ok(answer) => {
                let description = answer.table.unwrap_or_else(|| TableDescription::builder().build());
                if check_table(findings, &check, table, &description) {
                    check_expiry(client, findings, &check, table, &name).await;
                    check_read(client, findings, &check, table, &name).await;
                }
            }
        }
    }
}

/// Checks keys, state and index. Returns whether the table can be used.
fn check_table(findings: &mut Findings, check: &str, table: Table, description: &TableDescription) -> bool {
    let status = description.table_status().map_or("unknown", |status| status.as_str());
    if status != "ACTIVE" && status != "UPDATING" {
        findings.error(check, format!("the table is {status}"), "wait until it is ACTIVE, or see its events in AWS");
        return false;
    }
    let expected: Vec<&str> = std::iter::once(PARTITION_KEY).chain(table.sort_key()).collect();
    let found = keys(description.key_schema());
    if found != expected {
        let detail = format!("the key is {}, not {}", found.join(", "), expected.join(", "));
        findings.error(check, detail, "a key cannot be changed: create the table again, see docs/tables.md");
        return false;
    }
    if table == Table::Queues && !check_index(findings, check, description) {
        return false;
    }
    findings.ok(check, format!("{status}, key {}", found.join(", ")));
    true
}

fn check_index(findings: &mut Findings, check: &str, description: &TableDescription) -> bool {
    let correction = format!("create the index {INDEX} with the keys {}, see docs/tables.md", INDEX_KEYS.join(", "));
    let index = description.global_secondary_indexes().iter().find(|index| index.index_name() == Some(INDEX));
    let Some(index) = index else {
        findings.error(check, format!("the index {INDEX} does not exist, so timed work is not advanced"), correction);
        return false;
    };
    let found = keys(index.key_schema());
    if found != INDEX_KEYS {
        findings.error(check, format!("the index {INDEX} has the keys {}", found.join(", ")), correction);
        return false;
    }
    true
}

/// The partition key, then the sort key.
fn keys(schema: &[KeySchemaElement]) -> Vec<&str> {
    let of =
        |kind: KeyType| schema.iter().filter(move |key| *key.key_type() == kind).map(KeySchemaElement::attribute_name);
    of(KeyType::Hash).chain(of(KeyType::Range)).collect()
}

/// Tables that grow with time must lose their expired rows.
async fn check_expiry(client: &Client, findings: &mut Findings, check: &str, table: Table, name: &str) {
    if table.sort_key().is_none() {
        return;
    }
    match client.describe_time_to_live().table_name(name).send().await {
        Err(error) => report(findings, check, "dynamodb:DescribeTimeToLive", &error),
        Ok(answer) => {
            let expiry = answer.time_to_live_description;
            let is_on = expiry.as_ref().is_some_and(|expiry| {
                let is_enabled = matches!(
                    expiry.time_to_live_status(),
                    Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
                );
                is_enabled && expiry.attribute_name() == Some(EXPIRY)
            });
            if !is_on {
                let correction = format!("enable time to live for the attribute {EXPIRY}, see docs/deploying.md");
                findings.warning(check, "rows do not expire, so the table grows without a limit", correction);
            }
        }
    }
}

/// Reads a row that does not exist.
async fn check_read(client: &Client, findings: &mut Findings, check: &str, table: Table, name: &str) {
    let key = |value: &str| AttributeValue::S(value.to_owned());
    let mut read = client.get_item().table_name(name).key(PARTITION_KEY, key(NO_PLAYER));
    if let Some(sort) = table.sort_key() {
        read = read.key(sort, key("-"));
    }
    if let Err(error) = read.send().await {
        report(findings, check, "dynamodb:GetItem", &error);
    }
}

/// The finding for a call that failed.
fn report<E>(findings: &mut Findings, check: &str, action: &str, error: &SdkError<E>)
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let detail = DisplayErrorContext(error).to_string();
    match error.code() {
        Some(code) if code.contains("ResourceNotFound") => {
            let correction =
                "check the table prefix, the region and the profile, or create the table, see docs/deploying.md";
            findings.error(check, "the table does not exist", correction);
        }
        Some(code) if code.contains("AccessDenied") => {
            let correction = format!("allow {action} to these credentials, or choose others with --profile");
            findings.error(check, format!("{action} is not allowed"), correction);
        }
        Some(code) => findings.error(
            check,
            format!("{action} failed: {code}: {}", error.message().unwrap_or_default()),
            "try again",
        ),
        None => {
            let correction = "check AWS_REGION, AWS_ENDPOINT_URL, the credentials and the network";
            findings.error(check, format!("DynamoDB does not answer: {detail}"), correction);
        }
    }
}
