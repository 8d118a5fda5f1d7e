//! Receives dead letters, and makes them visible again.

use aws_sdk_sqs::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata as _},
    types::{ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName},
};

use crate::{
    dead_letters::{letter::Letter, queues::DeadLetterQueue},
    deployment::aws_failure,
    failure::Failure,
};

/// How long received letters stay invisible if this program is killed.
const VISIBILITY_SECONDS: i32 = 60;
/// The most messages of one call.
const BATCH: i32 = 10;
/// How long a call waits for a message, so that an answer without messages means an empty queue.
const WAIT_SECONDS: i32 = 1;

/// Receives up to `max` letters of a queue. If that fails, they are visible again.
///
/// # Errors
/// [`Failure`] if the queue cannot be read.
pub async fn receive(client: &Client, queue: &DeadLetterQueue, max: usize) -> Result<Vec<Letter>, Failure> {
    let mut letters: Vec<Letter> = Vec::new();
    while letters.len() < max {
        let wanted = i32::try_from(max - letters.len()).unwrap_or(BATCH).min(BATCH);
        let call = client
            .receive_message()
            .queue_url(&queue.url)
            .max_number_of_messages(wanted)
            .visibility_timeout(VISIBILITY_SECONDS)
            .wait_time_seconds(WAIT_SECONDS)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        match call.send().await {
            Ok(answer) => {
                let messages = answer.messages.unwrap_or_default();
                if messages.is_empty() {
                    break;
                }
                letters.extend(messages.into_iter().map(|message| Letter::new(queue, message)));
            }
            Err(error) => {
                release(client, letters.iter()).await;
                let what = format!("receive from {}", queue.url);
                return Err(aws_failure(&what, error.code(), &DisplayErrorContext(&error).to_string()));
            }
        }
    }
    Ok(letters)
}

/// Makes letters visible again at once. If that fails, they are visible after a minute.
pub async fn release<'a>(client: &Client, letters: impl Iterator<Item = &'a Letter>) {
    let letters: Vec<&Letter> = letters.collect();
    for chunk in
        letters.chunk_by(|one, other| one.queue == other.queue).flat_map(|letters| letters.chunks(BATCH as usize))
    {
        let entry = |(at, letter): (usize, &&Letter)| {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(at.to_string());
            entry.receipt_handle(&letter.receipt).visibility_timeout(0).build().ok()
        };
        let entries = chunk.iter().enumerate().filter_map(entry).collect();
        let url = &chunk[0].queue.url;
        let _ = client.change_message_visibility_batch().queue_url(url).set_entries(Some(entries)).send().await;
    }
}
