//! Why a letter failed: what its commands would do now, their recorded rejections, and the logs.

use serde_json::{Value, json};

use crate::{
    api::Api,
    context::Context,
    dead_letters::{
        letter::{Content, Letter},
        logs,
    },
    failure::{Exit, Failure},
    fields::text,
    pages,
    trial::try_on_queue,
};

/// The rejections of a player that are searched for the reason.
const REJECTIONS: usize = 100;

/// What each command of a letter would do to the present queue, and its recorded rejection.
pub async fn examine(context: &Context, letter: &Letter) -> Result<Vec<Value>, Failure> {
    let Content::Commands(commands) = letter.content() else { return Ok(Vec::new()) };
    let api = Api::of(&context.deployment).await?;
    let mut findings = Vec::new();
    for command in commands {
        let (id, request) = match command {
            Ok(named) => named,
            Err(malformed) => {
                findings.push(json!({"status": "rejected", "reason": "malformed", "detail": malformed.detail}));
                continue;
            }
        };
        let player = request.player_id.as_str();
        let body = millrace_domain::json::write_command(&request.player_id, &id, &request.command);
        let mut finding = json!({"commandId": id.as_str(), "playerId": player});
        match try_on_queue(&api, player, body).await {
            Ok(answer) => {
                let result = answer.results.into_iter().next();
                finding["status"] = result.as_ref().map_or("unknown", |result| result.status.as_str()).into();
                finding["reason"] = result.as_ref().and_then(|result| result.reason.clone()).into();
                finding["detail"] = result.and_then(|result| result.detail).into();
            }
            // A queue that cannot be read is a likely reason for a dead letter.
            Err(failure) if failure.exit == Exit::Service => {
                finding["status"] = "failed".into();
                finding["detail"] = failure.message.into();
            }
            Err(failure) => return Err(failure),
        }
        let rejections = match pages::read(&api, &["players", player, "rejections"], &[], REJECTIONS).await {
            Ok(rows) => rows.items,
            // A player without a queue has none.
            Err(failure) if failure.exit == Exit::NotFound => Vec::new(),
            Err(failure) => return Err(failure),
        };
        let recorded = rejections.iter().find(|item| text(item, "commandId") == id.as_str());
        finding["rejection"] =
            recorded.map(|item| format!("{}: {}", text(item, "reason"), text(item, "detail"))).into();
        findings.push(finding);
    }
    Ok(findings)
}

/// The failures of a letter that the logs of `process-tasks` have, if they can be read.
pub async fn logged_failures(context: &Context, letter: &Letter) -> Result<Vec<Value>, Failure> {
    let prefix = match context.deployment.has_stage() {
        true => context.deployment.optional_output("TablePrefix").await?,
        false => None,
    };
    let Some(prefix) = prefix else { return Ok(Vec::new()) };
    let client = aws_sdk_cloudwatchlogs::Client::new(context.deployment.aws().await);
    let group = format!("/aws/lambda/{prefix}process-tasks");
    let failures = logs::failures(&client, &group, letter).await;
    Ok(failures.unwrap_or_else(|error| {
        context.output.note(format!("the logs of {group} cannot be read: {error}"));
        Vec::new()
    }))
}

/// A finding as a line.
pub fn line_of(finding: &Value) -> String {
    let optional = |label: &str, name: &str| match text(finding, name) {
        value if value.is_empty() => String::new(),
        value => format!("{label}{value}"),
    };
    format!(
        "  {} of {}: {} on trial{}{}{}",
        text(finding, "commandId"),
        text(finding, "playerId"),
        text(finding, "status"),
        optional(": ", "reason"),
        optional(": ", "detail"),
        optional("; recorded rejection: ", "rejection"),
    )
}
