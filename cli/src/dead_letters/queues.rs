//! The queues of dead letters, by the outputs of the stack or by flags.

use crate::{
    deployment::Deployment,
    failure::{Exit, Failure},
};

/// A queue of dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetterQueue {
    /// The short name, such as `commands`.
    pub name: String,
    pub url: String,
    /// The queue that its messages came from, if it is a queue.
    pub source: Option<String>,
}

/// Names, with the outputs for the dead letters and for their source.
const QUEUES: [(&str, &str, Option<&str>); 5] = [
    ("commands", "CommandsDeadLettersUrl", Some("CommandsQueueUrl")),
    ("progress", "ProgressDeadLettersUrl", Some("ProgressQueueUrl")),
    ("ticks", "TicksDeadLettersUrl", Some("TicksQueueUrl")),
    ("events", "EventsDeadLettersUrl", Some("EventsQueueUrl")),
    ("undelivered", "UndeliveredUrl", None),
];

/// The names of all queues.
pub const NAMES: [&str; 5] = ["commands", "progress", "ticks", "events", "undelivered"];

/// The queues that are meant: `urls`, or those of the stack. `names` chooses some of them.
///
/// # Errors
/// [`Failure`] if there is neither a URL nor a stage.
pub async fn queues(
    deployment: &Deployment,
    names: &[String],
    urls: &[String],
    source: Option<&str>,
) -> Result<Vec<DeadLetterQueue>, Failure> {
    if !urls.is_empty() {
        let queue = |url: &String| DeadLetterQueue {
            name: url.rsplit('/').next().unwrap_or(url).to_owned(),
            url: url.clone(),
            source: source.map(str::to_owned),
        };
        return Ok(urls.iter().map(queue).collect());
    }
    let mut queues = Vec::new();
    for (name, url, source) in
        QUEUES.into_iter().filter(|(name, ..)| names.is_empty() || names.iter().any(|one| one == name))
    {
        // A stage without a queue of events has no dead letters of it.
        let Some(url) = deployment.optional_output(url).await? else { continue };
        let source = match source {
            Some(source) => deployment.optional_output(source).await?,
            None => None,
        };
        queues.push(DeadLetterQueue { name: name.to_owned(), url, source });
    }
    if queues.is_empty() {
        return Err(
            Failure::new(Exit::NotFound, "the stack has none of these queues").next("check --stage and --queue")
        );
    }
    Ok(queues)
}
