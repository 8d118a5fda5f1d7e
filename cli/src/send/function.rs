//! Commands as the payload of `process-tasks`, through the Lambda API of `make dev`.

use serde::Deserialize;

use crate::{
    answers::CommandResult,
    api::Api,
    failure::Failure,
    send::{outcomes::Outcomes, portions::Portion},
    text::clip,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default)]
    results: Option<Vec<CommandResult>>,
    #[serde(default)]
    error_type: Option<String>,
    #[serde(default)]
    error_message: Option<String>,
}

/// Sends a portion.
///
/// # Errors
/// [`Failure`] if the function cannot be invoked.
pub async fn send(api: &Api<'_>, portion: &Portion, outcomes: &mut Outcomes) -> Result<(), Failure> {
    let response = api.invoke("process-tasks", portion.body()).await?;
    let (status, body) = (response.status(), response.body());
    let answer: Option<Answer> = serde_json::from_slice(body).ok();
    match answer {
        Some(Answer { results: Some(results), .. }) if status.is_success() => outcomes.add(results),
        Some(Answer { error_type: Some(error), error_message, .. }) => {
            outcomes.fail(portion, &error, &error_message.unwrap_or_default());
        }
        _ => {
            let shown = clip(&String::from_utf8_lossy(body), 200);
            let message = format!("{} did not invoke process-tasks: {status}: `{shown}`", api.base());
            let next = "pass --endpoint with the address of `make dev`, or leave out --to function";
            return Err(Failure::internal(message).next(next));
        }
    }
    Ok(())
}
