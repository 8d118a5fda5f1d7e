//! Sends dead letters to their queue again, and deletes them.

use aws_sdk_sqs::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata as _},
};

use crate::{dead_letters::letter::Letter, deployment::aws_failure, failure::Failure};

/// Sends a letter to `source`, then deletes it. A crash between the two leaves it in both queues,
/// which is harmless: its commands keep their ids.
///
/// # Errors
/// [`Failure`] if one of the two fails.
pub async fn redrive(client: &Client, letter: &Letter, source: &str) -> Result<(), Failure> {
    let mut send = client
        .send_message()
        .queue_url(source)
        .message_body(letter.body_with_ids())
        .set_message_attributes(letter.attributes.clone());
    if source.ends_with(".fifo") {
        let group = letter.group.clone().or_else(|| letter.players().into_iter().next());
        // Not the original id, under which the queue would drop it for five minutes.
        let deduplication = format!("redrive-{}", letter.message_id);
        send = send.message_group_id(group.unwrap_or_else(|| letter.message_id.clone()));
        send = send.message_deduplication_id(deduplication);
    }
    send.send().await.map_err(|error| {
        let what = format!("send {} to {source}", letter.message_id);
        aws_failure(&what, error.code(), &DisplayErrorContext(&error).to_string())
    })?;
    delete(client, letter).await
}

/// Deletes a letter.
///
/// # Errors
/// [`Failure`] if it cannot be deleted.
pub async fn delete(client: &Client, letter: &Letter) -> Result<(), Failure> {
    let call = client.delete_message().queue_url(&letter.queue.url).receipt_handle(&letter.receipt);
    let deleted = call.send().await.map_err(|error| {
        let what = format!("delete {}", letter.message_id);
        aws_failure(&what, error.code(), &DisplayErrorContext(&error).to_string())
    });
    deleted.map(drop)
}
