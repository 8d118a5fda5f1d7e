//! Commands through a queue of SQS. A FIFO queue gets the player as the message group.

use std::{collections::HashSet, time::Duration};

use aws_sdk_sqs::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata as _},
    types::SendMessageBatchRequestEntry,
};

use sha2::{Digest as _, Sha256};

use crate::{
    deployment::aws_failure,
    failure::Failure,
    send::{batches::batches, outcomes::Outcomes, portions::Portion},
};

/// How often an entry is sent that SQS does not take.
const ATTEMPTS: u32 = 4;
const WAIT: Duration = Duration::from_millis(300);

/// Sends the portions of all players. `progress` is called with the number of commands sent.
///
/// # Errors
/// [`Failure`] if the queue takes nothing at all.
pub async fn send(
    client: &Client,
    queue_url: &str,
    players: &[Vec<Portion>],
    outcomes: &mut Outcomes,
    progress: impl Fn(u64),
) -> Result<(), Failure> {
    let is_fifo = queue_url.ends_with(".fifo");
    let mut stopped: HashSet<&str> = HashSet::new();
    for batch in batches(players) {
        let mut left: Vec<&Portion> = Vec::new();
        for portion in batch {
            match stopped.contains(portion.player.as_str()) {
                true => outcomes.fail(portion, "not_sent", "an earlier message of this player was not taken"),
                false => left.push(portion),
            }
        }
        let mut refused = String::new();
        for attempt in 0..ATTEMPTS {
            if left.is_empty() {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(WAIT * attempt).await;
            }
            (left, refused) = send_batch(client, queue_url, is_fifo, left, outcomes, &progress).await?;
        }
        for portion in left {
            stopped.insert(&portion.player);
            outcomes.fail(portion, "not_sent", &refused);
        }
    }
    Ok(())
}

/// Sends one batch. Returns the portions that were not taken, and why.
async fn send_batch<'a>(
    client: &Client,
    queue_url: &str,
    is_fifo: bool,
    batch: Vec<&'a Portion>,
    outcomes: &mut Outcomes,
    progress: &impl Fn(u64),
) -> Result<(Vec<&'a Portion>, String), Failure> {
    let entries = batch.iter().enumerate().map(|(at, portion)| {
        let body = portion.body();
        // The queue drops a message only if one with the same ids and commands came before.
        let content = base16(&Sha256::digest(&body));
        let entry = SendMessageBatchRequestEntry::builder().id(at.to_string()).message_body(body);
        match is_fifo {
            true => entry.message_group_id(&portion.player).message_deduplication_id(content),
            false => entry,
        }
        .build()
        .map_err(|error| Failure::internal(error.to_string()))
    });
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    let answer = client.send_message_batch().queue_url(queue_url).set_entries(Some(entries)).send().await;
    let answer = answer
        .map_err(|error| aws_failure("send to the queue", error.code(), &DisplayErrorContext(&error).to_string()))?;
    let failed = answer.failed();
    let is_failed = |at: usize| failed.iter().any(|entry| entry.id() == at.to_string());
    let reason = failed.first().and_then(|entry| entry.message()).unwrap_or("the queue did not take it");
    let (left, taken): (Vec<_>, Vec<_>) = batch.into_iter().enumerate().partition(|(at, _)| is_failed(*at));
    for (_, portion) in taken {
        outcomes.accept(portion);
        progress(portion.commands.len() as u64);
    }
    Ok((left.into_iter().map(|(_, portion)| portion).collect(), reason.to_owned()))
}

fn base16(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
