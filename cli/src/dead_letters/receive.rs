//! Receives dead letters, and makes them visible again.

use std::collections::BTreeMap;

use aws_sdk_sqs::{
    Client,
    error::ProvideErrorMetadata as _,
    types::{ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName},
};

use crate::{
    dead_letters::{letter::Letter, queues::DeadLetterQueue},
    deployment::aws_failure,
    failure::Failure,
    text::causes,
};

/// How long received letters stay invisible if this program is killed.
const VISIBILITY_SECONDS: i32 = 60;
/// The most messages of one call.
const BATCH: usize = 10;
/// How long a call waits for a message, so that an answer without messages means an empty queue.
const WAIT_SECONDS: i32 = 1;

/// Letters of a queue that this program holds invisible. They have to be released.
#[derive(Debug, Default)]
pub struct Held(BTreeMap<String, Letter>);

impl Held {
    /// Keeps a letter. Returns whether it was not held before.
    fn add(&mut self, letter: Letter) -> bool {
        // After the visibility time-out a letter is received again. Only its last receipt is valid.
        self.0.insert(letter.message_id.clone(), letter).is_none()
    }

    /// Makes the letters visible again at once. If that fails, they are visible after a minute.
    pub async fn release(self, client: &Client) {
        let letters: Vec<Letter> = self.0.into_values().collect();
        for chunk in letters.chunks(BATCH) {
            let entry = |(at, letter): (usize, &Letter)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(at.to_string());
                entry.receipt_handle(&letter.receipt).visibility_timeout(0).build().ok()
            };
            let entries = chunk.iter().enumerate().filter_map(entry).collect();
            let url = &chunk[0].queue.url;
            let _ = client.change_message_visibility_batch().queue_url(url).set_entries(Some(entries)).send().await;
        }
    }
}

/// Looks at up to `max` letters of a queue. They are visible again afterwards.
///
/// # Errors
/// [`Failure`] if the queue cannot be read.
pub async fn look(client: &Client, queue: &DeadLetterQueue, max: usize) -> Result<Vec<Letter>, Failure> {
    let mut letters = Vec::new();
    let keep = async |letter: &Letter| {
        letters.push(letter.clone());
        Ok(false)
    };
    each(client, queue, max, keep).await?;
    Ok(letters)
}

/// Calls `take` with up to `max` different letters of a queue, each within seconds of its receipt.
/// Letters for which `take` returns true are gone. All others are visible again at the end.
///
/// # Errors
/// [`Failure`] if the queue cannot be read, or `take` fails.
pub async fn each(
    client: &Client,
    queue: &DeadLetterQueue,
    max: usize,
    mut take: impl AsyncFnMut(&Letter) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let (mut held, mut seen) = (Held::default(), 0);
    let result = async {
        while seen < max {
            let batch = receive(client, queue, BATCH.min(max - seen)).await?;
            let before = seen;
            let new: Vec<Letter> = batch.into_iter().filter(|letter| held.add(letter.clone())).collect();
            seen += new.len();
            for letter in new {
                if take(&letter).await? {
                    held.0.remove(&letter.message_id);
                }
            }
            if seen == before {
                break;
            }
        }
        Ok(())
    };
    let result = result.await;
    held.release(client).await;
    result
}

async fn receive(client: &Client, queue: &DeadLetterQueue, max: usize) -> Result<Vec<Letter>, Failure> {
    let call = client
        .receive_message()
        .queue_url(&queue.url)
        .max_number_of_messages(i32::try_from(max).unwrap_or(1))
        .visibility_timeout(VISIBILITY_SECONDS)
        .wait_time_seconds(WAIT_SECONDS)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All");
    let answer = call.send().await.map_err(|error| {
        let what = format!("receive from {}", queue.url);
        aws_failure(&what, error.code(), &causes(&error))
    })?;
    Ok(answer.messages.unwrap_or_default().into_iter().map(|message| Letter::new(queue, message)).collect())
}

/// About how many letters are in a queue, also those that are invisible; none if SQS does not say.
pub async fn size(client: &Client, queue: &DeadLetterQueue) -> Option<u64> {
    use QueueAttributeName::{ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesNotVisible as Held};
    let call = client.get_queue_attributes().queue_url(&queue.url).attribute_names(Visible).attribute_names(Held);
    let attributes = call.send().await.ok()?.attributes?;
    let count = |name| attributes.get(&name)?.parse::<u64>().ok();
    Some(count(Visible)? + count(Held)?)
}
