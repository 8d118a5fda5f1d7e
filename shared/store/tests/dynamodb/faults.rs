//! Errors of the server: retries, and the errors that callers get.

use std::time::{Duration, Instant};

use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use millrace_domain::{Record, Timestamp, record::Table};
use millrace_servers::{Fault, rules};
use millrace_store::{
    CommitError, MAX_BATCH_ITEMS, QueueStore, RecordStore, Store, StoreError,
    conformance::{load_queue, sample, write_records},
    dynamodb::{DynamoDbSettings, DynamoDbStore},
};

use crate::support::{Proxied, history, players, prefix, settings, versions, without_credentials, writes};

/// The number of attempts if the server refuses a call temporarily.
const ATTEMPTS: u64 = 4;

#[tokio::test]
async fn unprocessed_keys_are_requested_again() {
    let at = Proxied::start().await;
    let (store, writes) = (at.store(), writes(100));
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()); 100]);
    at.proxy.reset_counts();
    at.proxy.set_rule(rules::on_operation("BatchGetItem", Fault::unprocessed_every(3)));
    assert_eq!(versions(&store, &writes).await, vec![1; 100]);
    // Each call leaves a third of its keys unprocessed.
    assert_eq!(at.proxy.count("BatchGetItem"), 5);
    assert_eq!(at.proxy.entries("BatchGetItem"), 100 + 33 + 11 + 3 + 1);
}

#[tokio::test]
async fn keys_that_stay_unprocessed_are_throttled() {
    let at = Proxied::start().await;
    let (store, writes) = (at.store(), writes(3));
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()); 3]);
    let players: Vec<_> = writes.iter().map(|write| write.player_id.clone()).collect();
    let stuck = players[1].as_str().to_owned();
    at.proxy.set_rule(rules::on_operation(
        "BatchGetItem",
        Fault::unprocessed(move |entry| entry.value["playerId"]["S"] == stuck.as_str()),
    ));
    let mut loaded = store.load(&players, &players, &[]).await;
    assert_eq!(loaded.take_queue(&players[1]), Err(at.throttled(Table::Queues)));
    assert_eq!(loaded.take_progress(&players[1]), Err(at.throttled(Table::Progress)));
    for other in [&players[0], &players[2]] {
        let queue = loaded.take_queue(other);
        assert!(matches!(&queue, Ok(Some(row)) if row.version == 1), "{queue:?}");
        assert_eq!(loaded.take_progress(other), Ok(None));
    }
    assert_eq!(loaded.calls, ATTEMPTS);
}

#[tokio::test]
async fn positions_of_unprocessed_rows_are_returned() {
    let at = Proxied::start().await;
    let store = at.store();
    let player = sample::player();
    at.proxy.set_rule(rules::on_operation("BatchWriteItem", Fault::unprocessed_every(4)));
    let rows = history(&player, MAX_BATCH_ITEMS);
    assert_eq!(write_records(&store, Table::History, &rows).await, Ok(vec![3, 7, 11, 15, 19, 23]));
    assert_eq!(at.proxy.count("BatchWriteItem"), 1);
    assert_eq!(store.history(&player, 100, None).await.unwrap().items.len(), 19);

    at.proxy.set_rule(rules::on_operation("BatchWriteItem", Fault::unprocessed_every(1)));
    let rows = [Record::Stats(sample::stats(&player, 1)), Record::Stats(sample::stats(&sample::player(), 1))];
    assert_eq!(write_records(&store, Table::Stats, &rows).await, Ok(vec![0, 1]));
}

#[tokio::test]
async fn throttled_calls_are_attempted_four_times() {
    let at = Proxied::start().await;
    let store = at.store();
    let player = sample::player();
    let throttled = |table| at.throttled(table);
    for fault in [Fault::throttled(), Fault::throughput_exceeded()] {
        at.proxy.set_rule(rules::always(fault));
        let expect_calls = |calls: u64, what: &str| {
            assert_eq!(at.proxy.total(), calls, "{what}");
            at.proxy.reset_counts();
        };
        let one = std::slice::from_ref(&player);
        let mut loaded = store.load(one, one, &[]).await;
        assert_eq!(loaded.take_queue(&player), Err(throttled(Table::Queues)));
        assert_eq!(loaded.take_progress(&player), Err(throttled(Table::Progress)));
        assert_eq!(loaded.calls, ATTEMPTS);
        expect_calls(ATTEMPTS, "load");
        for count in [1, 2] {
            let committed = store.commit(&writes(count)).await;
            assert_eq!(committed.outcomes, vec![Err(CommitError::Store(throttled(Table::Queues))); count]);
            assert_eq!(committed.calls, ATTEMPTS);
            expect_calls(ATTEMPTS, "commit");
        }
        assert_eq!(store.history(&player, 1, None).await, Err(throttled(Table::History)));
        assert_eq!(store.rejections("unknown#1", 1, None).await, Err(throttled(Table::Rejections)));
        assert_eq!(
            store.load(&[], &[], std::slice::from_ref(&player)).await.take_stats(&player),
            Err(throttled(Table::Stats))
        );
        let due = store.due(3, Timestamp::from_millis(9), None, 5).await;
        assert_eq!((due.queues, due.more, due.calls), (Err(throttled(Table::Queues)), false, ATTEMPTS));
        expect_calls(4 * ATTEMPTS, "reads");
        // The batch writer retries records, because it knows the deadline.
        let rows = history(&player, 3);
        assert_eq!(write_records(&store, Table::History, &rows).await, Err(throttled(Table::History)));
        expect_calls(1, "write");
    }
}

#[tokio::test]
async fn throttled_table_does_not_affect_other_tables() {
    let at = Proxied::start().await;
    let (store, writes, player) = (at.store(), writes(1), sample::player());
    at.proxy.set_rule(rules::on_table(&at.name(Table::History), Fault::throttled()));
    assert_eq!(write_records(&store, Table::History, &history(&player, 1)).await, Err(at.throttled(Table::History)));
    assert_eq!(write_records(&store, Table::Stats, &[Record::Stats(sample::stats(&player, 1))]).await, Ok(vec![]));
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(())]);
    assert_eq!(versions(&store, &writes).await, [1]);
}

#[tokio::test]
async fn short_throttling_and_server_errors_are_retried() {
    let at = Proxied::start().await;
    let store = at.store();
    for fault in [Fault::throttled(), Fault::internal_server_error(), Fault::error(503, "ServiceUnavailable", "")] {
        for count in [1, 25] {
            let writes = writes(count);
            at.proxy.set_rule(rules::first(ATTEMPTS - 1, |_| true, fault.clone()));
            let committed = store.commit(&writes).await;
            assert_eq!(committed.outcomes, vec![Ok(()); count], "{fault:?}");
            assert_eq!(committed.calls, ATTEMPTS);
            at.proxy.set_rule(rules::first(ATTEMPTS - 1, |_| true, fault.clone()));
            assert_eq!(versions(&store, &writes).await, vec![1; count]);
            at.proxy.set_rule(rules::first(ATTEMPTS - 1, |_| true, fault.clone()));
            assert_eq!(store.ping().await, Ok(()));
        }
    }
}

#[tokio::test]
async fn lasting_server_error_is_reported() {
    let at = Proxied::start().await;
    let store = at.store();
    at.proxy.set_rule(rules::always(Fault::internal_server_error()));
    let detail = "InternalServerError: Internal server error".to_owned();
    assert_eq!(store.ping().await, Err(StoreError::Unavailable { detail }));
    assert_eq!(at.proxy.total(), ATTEMPTS);
}

#[tokio::test]
async fn only_throttled_statements_are_retried() {
    let at = Proxied::start().await;
    let store = at.store();
    for code in ["ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "InternalServerError"] {
        at.proxy.reset_counts();
        at.proxy.set_rule(rules::first(1, |_| true, Fault::entry_errors_every(2, code)));
        let writes = writes(MAX_BATCH_ITEMS);
        let committed = store.commit(&writes).await;
        assert_eq!(committed.outcomes, vec![Ok(()); MAX_BATCH_ITEMS], "{code}");
        assert_eq!((committed.calls, at.proxy.entries("BatchExecuteStatement")), (2, 25 + 12), "{code}");
        assert_eq!(versions(&store, &writes).await, vec![1; MAX_BATCH_ITEMS]);
    }
}

#[tokio::test]
async fn throttled_statements_do_not_affect_other_statements() {
    let at = Proxied::start().await;
    let store = at.store();
    at.proxy.set_rule(rules::on_operation("BatchExecuteStatement", Fault::entry_errors_every(2, "ThrottlingError")));
    let writes = writes(MAX_BATCH_ITEMS);
    let committed = store.commit(&writes).await;
    // Each call throttles every second statement, and one is left after the last call.
    assert_eq!((committed.calls, at.proxy.entries("BatchExecuteStatement")), (ATTEMPTS, 25 + 12 + 6 + 3));
    let refused: Vec<_> = committed.outcomes.iter().filter(|outcome| outcome.is_err()).collect();
    assert_eq!(refused, [&Err(CommitError::Store(at.throttled(Table::Queues)))]);
    for (outcome, version) in committed.outcomes.iter().zip(versions(&store, &writes).await) {
        assert_eq!(version, u64::from(outcome.is_ok()), "{outcome:?}");
    }
}

#[tokio::test]
async fn statement_errors_are_mapped() {
    let at = Proxied::start().await;
    let store = at.store();
    let access = StoreError::AccessDenied { detail: "AccessDenied: Answered by a test".to_owned() };
    let table = at.name(Table::Queues);
    let detail = "ValidationException: Answered by a test".to_owned();
    for (code, error) in [
        ("ConditionalCheckFailed", CommitError::Conflict),
        ("DuplicateItem", CommitError::Conflict),
        ("AccessDenied", access.into()),
        ("ResourceNotFound", StoreError::NoSuchTable { table: table.clone() }.into()),
        ("ValidationError", StoreError::InvalidBatch { table: table.clone(), detail }.into()),
    ] {
        at.proxy.set_rule(rules::always(Fault::entry_errors(code, |entry| entry.index == 1)));
        let committed = store.commit(&writes(3)).await;
        assert_eq!(committed.outcomes, vec![Ok(()), Err(error), Ok(())], "{code}");
        assert_eq!(committed.calls, 1, "{code}");
    }
}

#[tokio::test]
async fn slow_call_times_out_and_is_not_retried() {
    let at = Proxied::start().await;
    let store = at.store_with(DynamoDbSettings { call_timeout: Duration::from_millis(300), ..at.settings() });
    assert_eq!(store.ping().await, Ok(()));
    at.proxy.reset_counts();
    at.proxy.set_rule(rules::always(Fault::delay(Duration::from_secs(2))));
    let error = StoreError::TimedOut { millis: 300 };
    let started = Instant::now();
    let players = players(150);
    let loaded = store.load(&players, &[], &[]).await;
    assert!(loaded.queues.values().all(|row| *row == Err(error.clone())), "{:?}", loaded.queues);
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
    assert_eq!(loaded.calls, 2, "a call that timed out was sent again");
    let committed = store.commit(&writes(2)).await;
    assert_eq!(committed.outcomes, vec![Err(CommitError::Store(error.clone())); 2]);
    assert_eq!(
        write_records(&store, Table::Progress, &[Record::Progress(sample::progress(&players[0], 1))]).await,
        Err(error)
    );
    at.proxy.clear_rule();
    assert_eq!(store.ping().await, Ok(()));
}

#[tokio::test]
async fn denied_access_has_the_message_of_the_server() {
    let at = Proxied::start().await;
    let store = at.store();
    at.proxy.set_rule(rules::always(Fault::access_denied()));
    match store.ping().await {
        Err(StoreError::AccessDenied { detail }) => {
            assert!(detail.starts_with("AccessDeniedException: User is not authorized"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    for code in ["UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException"] {
        at.proxy.set_rule(rules::always(Fault::error(400, code, "The security token is invalid.")));
        let committed = store.commit(&writes(1)).await;
        let detail = format!("{code}: The security token is invalid.");
        assert_eq!(committed.outcomes, vec![Err(CommitError::Store(StoreError::AccessDenied { detail }))]);
        assert_eq!(committed.calls, 1);
    }
}

/// Credentials that cannot be loaded.
#[derive(Debug)]
struct NoCredentials(fn() -> CredentialsError);

impl ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err((self.0)()))
    }
}

#[tokio::test]
async fn missing_credentials_deny_access() {
    let at = Proxied::start().await;
    let none = without_credentials(&at.proxy.endpoint());
    let not_loaded = NoCredentials(|| CredentialsError::not_loaded("the environment has none"));
    let invalid = NoCredentials(|| CredentialsError::invalid_configuration("the profile is a loop"));
    let slow = NoCredentials(|| CredentialsError::provider_timed_out(Duration::from_secs(1)));
    for (config, refused) in [
        (none.clone().credentials_provider(not_loaded), true),
        (none.clone().credentials_provider(invalid), true),
        // The provider may answer later.
        (none.credentials_provider(slow), false),
    ] {
        let error = DynamoDbStore::new(config, at.settings()).ping().await.unwrap_err();
        assert_eq!(error.reason().is_passing(), !refused, "{error}");
        assert_eq!(matches!(error, StoreError::AccessDenied { .. }), refused, "{error}");
        let text = error.to_string();
        assert!(text.contains("credentials") && !text.contains('{') && text.len() < 300, "{text}");
    }
    assert_eq!(at.proxy.total(), 0);
}

#[tokio::test]
async fn error_names_a_missing_table() {
    let at = Proxied::start().await;
    let prefix = prefix();
    let store = at.store_with(settings(&prefix));
    let missing = |table: Table| StoreError::NoSuchTable { table: format!("{prefix}{}", table.as_str()) };
    let player = sample::player();
    let one = std::slice::from_ref(&player);
    assert_eq!(store.ping().await, Err(missing(Table::Queues)));
    assert_eq!(load_queue(&store, &player).await, Err(missing(Table::Queues)));
    assert_eq!(store.load(&[], one, &[]).await.take_progress(&player), Err(missing(Table::Progress)));
    for count in [1, 2] {
        let committed = store.commit(&writes(count)).await;
        assert_eq!(committed.outcomes, vec![Err(CommitError::Store(missing(Table::Queues))); count]);
    }
    assert_eq!(write_records(&store, Table::History, &history(&player, 1)).await, Err(missing(Table::History)));
    assert_eq!(store.history(&player, 1, None).await, Err(missing(Table::History)));
    assert_eq!(
        store.load(&[], &[], std::slice::from_ref(&player)).await.take_stats(&player),
        Err(missing(Table::Stats))
    );
    // The answer to a call for two tables does not say which one is missing.
    let both = StoreError::NoSuchTable { table: format!("{prefix}queues or {prefix}progress") };
    let mut loaded = store.load(one, one, &[]).await;
    assert_eq!(loaded.take_queue(&player), Err(both.clone()));
    assert_eq!(loaded.take_progress(&player), Err(both));
}

#[tokio::test]
async fn failed_call_of_a_load_does_not_affect_other_calls() {
    let at = Proxied::start().await;
    let store = at.store();
    let players = players(250);
    let refused = players[130].as_str().to_owned();
    let is_refused = move |call: &millrace_servers::Call| call.body.to_string().contains(&refused);
    at.proxy.set_rule(rules::only(is_refused, Fault::access_denied()));
    let mut loaded = store.load(&players, &[], &[]).await;
    for (n, player) in players.iter().enumerate() {
        let row = loaded.take_queue(player);
        assert_eq!(matches!(row, Err(StoreError::AccessDenied { .. })), (100..200).contains(&n), "at {n}: {row:?}");
    }
    assert_eq!(loaded.calls, 3);
}

#[tokio::test]
async fn item_size_error_of_the_server_is_too_large() {
    let at = Proxied::start().await;
    let store = at.store();
    let write = &writes(1)[0];
    let message = "Item size has exceeded the maximum allowed size";
    at.proxy.set_rule(rules::always(Fault::error(400, "ValidationException", message)));
    let committed = store.commit(std::slice::from_ref(write)).await;
    match &committed.outcomes[0] {
        Err(CommitError::Store(StoreError::TooLarge { table, bytes, .. })) => {
            assert_eq!((table, *bytes), (&at.name(Table::Queues), write.size()));
        }
        other => panic!("{other:?}"),
    }
}
