//! A list that is read again and again, so that new rows appear at its end.

use std::{collections::HashSet, time::Duration};

use clap::Args;
use serde_json::Value;

use crate::{api::Api, context::Context, failure::Failure, pages};

/// The most rows of one read. More new ones between two reads are not shown.
const MAX_NEW: usize = 1_000;

/// Flags of lists that can be followed.
#[derive(Debug, Args)]
pub struct Follow {
    /// Wait for further ones, until Ctrl-C
    #[arg(long, short)]
    pub follow: bool,
    /// Seconds between two reads of --follow
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

impl Follow {
    /// Waits until the next read.
    pub async fn wait(&self) {
        tokio::time::sleep(Duration::from_secs(self.interval)).await;
    }
}

/// Prints the newest `limit` rows of a list that has the newest first, the oldest of them first.
/// Then prints each new row, until Ctrl-C.
///
/// # Errors
/// [`Failure`] if the first read fails, or a later one fails for a reason that does not pass.
pub async fn follow(
    context: &Context,
    api: &Api<'_>,
    segments: &[&str],
    limit: usize,
    flags: &Follow,
    print: impl Fn(&Value) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // A whole page is known from the start. So no later page has rows that are old and unknown.
    let first = pages::read(api, segments, &[], limit.max(pages::PAGE)).await?;
    let mut rows = first.items;
    let mut seen: HashSet<String> = rows.iter().skip(limit).map(Value::to_string).collect();
    loop {
        for row in rows.iter().rev() {
            if seen.insert(row.to_string()) {
                print(row)?;
            }
        }
        flags.wait().await;
        rows = match pages::read_until(api, segments, MAX_NEW, |row| seen.contains(&row.to_string())).await {
            Ok(rows) => rows,
            // A follower outlives a server that is away for a while.
            Err(failure) if failure.is_passing() => {
                context.output.note(&failure);
                Vec::new()
            }
            Err(failure) => return Err(failure),
        };
    }
}
