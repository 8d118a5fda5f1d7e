//! What the server refuses: tried again within bounds, then an error that names it.

use std::time::{Duration, Instant};

use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use millrace_domain::{Record, Timestamp, record::Table};
use millrace_servers::{Fault, rules};
use millrace_store::{
    CommitError, MAX_BATCH_ITEMS, QueueStore, RecordStore, Store, StoreError,
    conformance::sample,
    dynamodb::{DynamoDbSettings, DynamoDbStore},
};

use crate::support::{Proxied, history, players, prefix, settings, versions, without_credentials, writes};

/// How often a call is sent that is refused for the moment.
const TRIES: u64 = 4;

#[tokio::test]
async fn unprocessed_keys_are_asked_for_again() {
    let at = Proxied::start().await;
    let (store, writes) = (at.store(), writes(100));
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()); 100]);
    at.proxy.reset_counts();
    at.proxy.set_rule(rules::on_operation("BatchGetItem", Fault::unprocessed_every(3)));
    assert_eq!(versions(&store, &writes).await, vec![1; 100]);
    // 100, then the third of it that was left, and so on: 33, 11, 3, 1.
    assert_eq!(at.proxy.count("BatchGetItem"), 5);
    assert_eq!(at.proxy.entries("BatchGetItem"), 100 + 33 + 11 + 3 + 1);
}

#[tokio::test]
async fn keys_that_are_never_processed_are_throttled() {
    let at = Proxied::start().await;
    let (store, writes) = (at.store(), writes(3));
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(()); 3]);
    let players: Vec<_> = writes.iter().map(|write| write.player_id.clone()).collect();
    let stuck = players[1].as_str().to_owned();
    at.proxy.set_rule(rules::on_operation(
        "BatchGetItem",
        Fault::unprocessed(move |entry| entry.value["playerId"]["S"] == stuck.as_str()),
    ));
    let loaded = store.load(&players, &players).await;
    assert_eq!(loaded.queues[1], Err(at.throttled(Table::Queues)));
    assert_eq!(loaded.progress[1], Err(at.throttled(Table::Progress)));
    for other in [0, 2] {
        assert!(matches!(&loaded.queues[other], Ok(Some(row)) if row.version == 1), "{:?}", loaded.queues[other]);
        assert_eq!(loaded.progress[other], Ok(None));
    }
    assert_eq!(loaded.calls, TRIES);
}

#[tokio::test]
async fn unprocessed_items_are_handed_back_by_position() {
    let at = Proxied::start().await;
    let store = at.store();
    let player = sample::player();
    at.proxy.set_rule(rules::on_operation("BatchWriteItem", Fault::unprocessed_every(4)));
    let rows = history(&player, MAX_BATCH_ITEMS);
    assert_eq!(store.write(Table::History, &rows).await, Ok(vec![3, 7, 11, 15, 19, 23]));
    assert_eq!(at.proxy.count("BatchWriteItem"), 1);
    assert_eq!(store.history(&player, 100, None).await.unwrap().items.len(), 19);

    at.proxy.set_rule(rules::on_operation("BatchWriteItem", Fault::unprocessed_every(1)));
    let rows = [Record::Stats(sample::stats(&player, 1)), Record::Stats(sample::stats(&sample::player(), 1))];
    assert_eq!(store.write(Table::Stats, &rows).await, Ok(vec![0, 1]));
}

#[tokio::test]
async fn whoever_throttles_is_asked_four_times() {
    let at = Proxied::start().await;
    let store = at.store();
    let player = sample::player();
    let of = |table| at.throttled(table);
    for fault in [Fault::throttled(), Fault::throughput_exceeded()] {
        at.proxy.set_rule(rules::always(fault));
        let expect_calls = |calls: u64, what: &str| {
            assert_eq!(at.proxy.total(), calls, "{what}");
            at.proxy.reset_counts();
        };
        let one = std::slice::from_ref(&player);
        let loaded = store.load(one, one).await;
        assert_eq!(loaded.queues, vec![Err(of(Table::Queues))]);
        assert_eq!(loaded.progress, vec![Err(of(Table::Progress))]);
        assert_eq!(loaded.calls, TRIES);
        expect_calls(TRIES, "load");
        for count in [1, 2] {
            let committed = store.commit(&writes(count)).await;
            assert_eq!(committed.outcomes, vec![Err(CommitError::Store(of(Table::Queues))); count]);
            assert_eq!(committed.calls, TRIES);
            expect_calls(TRIES, "commit");
        }
        assert_eq!(store.history(&player, 1, None).await, Err(of(Table::History)));
        assert_eq!(store.rejections("unknown#1", 1, None).await, Err(of(Table::Rejections)));
        assert_eq!(store.stats(&player).await, Err(of(Table::Stats)));
        let due = store.due(3, Timestamp::from_millis(9), None, 5).await;
        assert_eq!((due.queues, due.more, due.calls), (Err(of(Table::Queues)), false, TRIES));
        expect_calls(4 * TRIES, "reads");
        // The batcher waits better: it knows the deadline and has more to send.
        let rows = history(&player, 3);
        assert_eq!(store.write(Table::History, &rows).await, Err(of(Table::History)));
        expect_calls(1, "write");
    }
}

#[tokio::test]
async fn a_table_that_throttles_harms_no_other() {
    let at = Proxied::start().await;
    let (store, writes, player) = (at.store(), writes(1), sample::player());
    at.proxy.set_rule(rules::on_table(&at.name(Table::History), Fault::throttled()));
    assert_eq!(store.write(Table::History, &history(&player, 1)).await, Err(at.throttled(Table::History)));
    assert_eq!(store.write(Table::Stats, &[Record::Stats(sample::stats(&player, 1))]).await, Ok(vec![]));
    assert_eq!(store.commit(&writes).await.outcomes, vec![Ok(())]);
    assert_eq!(versions(&store, &writes).await, [1]);
}

#[tokio::test]
async fn a_moment_of_throttling_or_of_errors_goes_unnoticed() {
    let at = Proxied::start().await;
    let store = at.store();
    for fault in [Fault::throttled(), Fault::internal_server_error(), Fault::error(503, "ServiceUnavailable", "")] {
        for count in [1, 25] {
            let writes = writes(count);
            at.proxy.set_rule(rules::first(TRIES - 1, |_| true, fault.clone()));
            let committed = store.commit(&writes).await;
            assert_eq!(committed.outcomes, vec![Ok(()); count], "{fault:?}");
            assert_eq!(committed.calls, TRIES);
            at.proxy.set_rule(rules::first(TRIES - 1, |_| true, fault.clone()));
            assert_eq!(versions(&store, &writes).await, vec![1; count]);
            at.proxy.set_rule(rules::first(TRIES - 1, |_| true, fault.clone()));
            assert_eq!(store.ping().await, Ok(()));
        }
    }
}

#[tokio::test]
async fn errors_of_the_server_that_last_are_named() {
    let at = Proxied::start().await;
    let store = at.store();
    at.proxy.set_rule(rules::always(Fault::internal_server_error()));
    let detail = "InternalServerError: Internal server error".to_owned();
    assert_eq!(store.ping().await, Err(StoreError::Unavailable { detail }));
    assert_eq!(at.proxy.total(), TRIES);
}

#[tokio::test]
async fn half_of_the_statements_throttled_go_again_without_the_others() {
    let at = Proxied::start().await;
    let store = at.store();
    for code in ["ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded", "InternalServerError"] {
        at.proxy.reset_counts();
        at.proxy.set_rule(rules::first(1, |_| true, Fault::statement_errors_every(2, code)));
        let writes = writes(MAX_BATCH_ITEMS);
        let committed = store.commit(&writes).await;
        assert_eq!(committed.outcomes, vec![Ok(()); MAX_BATCH_ITEMS], "{code}");
        assert_eq!((committed.calls, at.proxy.entries("BatchExecuteStatement")), (2, 25 + 12), "{code}");
        assert_eq!(versions(&store, &writes).await, vec![1; MAX_BATCH_ITEMS]);
    }
}

#[tokio::test]
async fn statements_that_are_always_throttled_fail_alone() {
    let at = Proxied::start().await;
    let store = at.store();
    at.proxy
        .set_rule(rules::on_operation("BatchExecuteStatement", Fault::statement_errors_every(2, "ThrottlingError")));
    let writes = writes(MAX_BATCH_ITEMS);
    let committed = store.commit(&writes).await;
    // 25, 12, 6 and 3 statements; of the last ones the second.
    assert_eq!((committed.calls, at.proxy.entries("BatchExecuteStatement")), (TRIES, 25 + 12 + 6 + 3));
    let refused: Vec<_> = committed.outcomes.iter().filter(|outcome| outcome.is_err()).collect();
    assert_eq!(refused, [&Err(CommitError::Store(at.throttled(Table::Queues)))]);
    for (outcome, version) in committed.outcomes.iter().zip(versions(&store, &writes).await) {
        assert_eq!(version, u64::from(outcome.is_ok()), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_errors_of_statements_have_their_names() {
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
        at.proxy.set_rule(rules::always(Fault::statement_errors(code, |entry| entry.index == 1)));
        let committed = store.commit(&writes(3)).await;
        assert_eq!(committed.outcomes, vec![Ok(()), Err(error), Ok(())], "{code}");
        assert_eq!(committed.calls, 1, "{code}");
    }
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_so_long() {
    let at = Proxied::start().await;
    let store = at.store_with(DynamoDbSettings { call_timeout: Duration::from_millis(300), ..at.settings() });
    assert_eq!(store.ping().await, Ok(()));
    at.proxy.reset_counts();
    at.proxy.set_rule(rules::always(Fault::delay(Duration::from_secs(2))));
    let error = StoreError::TimedOut { millis: 300 };
    let started = Instant::now();
    let players = players(150);
    let loaded = store.load(&players, &[]).await;
    assert!(loaded.queues.iter().all(|row| *row == Err(error.clone())), "{:?}", loaded.queues);
    assert!(started.elapsed() < Duration::from_millis(1500), "{:?}", started.elapsed());
    assert_eq!(loaded.calls, 2, "a call that timed out was sent again");
    let committed = store.commit(&writes(2)).await;
    assert_eq!(committed.outcomes, vec![Err(CommitError::Store(error.clone())); 2]);
    assert_eq!(store.write(Table::Progress, &[Record::Progress(sample::progress(&players[0], 1))]).await, Err(error));
    at.proxy.clear_rule();
    assert_eq!(store.ping().await, Ok(()));
}

#[tokio::test]
async fn refused_access_says_what_the_server_said() {
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

/// Credentials that cannot be had, for one reason or another.
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
async fn missing_credentials_are_no_access() {
    let at = Proxied::start().await;
    let none = without_credentials(&at.proxy.endpoint());
    let not_loaded = NoCredentials(|| CredentialsError::not_loaded("the environment has none"));
    let invalid = NoCredentials(|| CredentialsError::invalid_configuration("the profile is a loop"));
    let slow = NoCredentials(|| CredentialsError::provider_timed_out(Duration::from_secs(1)));
    for (config, refused) in [
        (none.clone().credentials_provider(not_loaded), true),
        (none.clone().credentials_provider(invalid), true),
        // Whoever hands them out may do so a little later.
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
async fn a_missing_table_is_named() {
    let at = Proxied::start().await;
    let prefix = prefix();
    let store = at.store_with(settings(&prefix));
    let none = |table: Table| StoreError::NoSuchTable { table: format!("{prefix}{}", table.as_str()) };
    let player = sample::player();
    let one = std::slice::from_ref(&player);
    assert_eq!(store.ping().await, Err(none(Table::Queues)));
    assert_eq!(store.load(one, &[]).await.queues, vec![Err(none(Table::Queues))]);
    assert_eq!(store.load(&[], one).await.progress, vec![Err(none(Table::Progress))]);
    for count in [1, 2] {
        let committed = store.commit(&writes(count)).await;
        assert_eq!(committed.outcomes, vec![Err(CommitError::Store(none(Table::Queues))); count]);
    }
    assert_eq!(store.write(Table::History, &history(&player, 1)).await, Err(none(Table::History)));
    assert_eq!(store.history(&player, 1, None).await, Err(none(Table::History)));
    assert_eq!(store.stats(&player).await, Err(none(Table::Stats)));
    // A call for two tables does not say which of them it misses.
    let both = StoreError::NoSuchTable { table: format!("{prefix}queues or {prefix}progress") };
    let loaded = store.load(one, one).await;
    assert_eq!((loaded.queues, loaded.progress), (vec![Err(both.clone())], vec![Err(both)]));
}

#[tokio::test]
async fn a_failed_call_of_a_load_harms_no_other() {
    let at = Proxied::start().await;
    let store = at.store();
    let players = players(250);
    let unlucky = players[130].as_str().to_owned();
    let has_unlucky = move |call: &millrace_servers::Call| call.body.to_string().contains(&unlucky);
    at.proxy.set_rule(rules::only(has_unlucky, Fault::access_denied()));
    let loaded = store.load(&players, &[]).await;
    for (n, row) in loaded.queues.iter().enumerate() {
        assert_eq!(matches!(row, Err(StoreError::AccessDenied { .. })), (100..200).contains(&n), "at {n}: {row:?}");
    }
    assert_eq!(loaded.calls, 3);
}

#[tokio::test]
async fn a_row_that_the_server_finds_too_large_is_too_large() {
    let at = Proxied::start().await;
    let store = at.store();
    let write = &writes(1)[0];
    let said = "Item size has exceeded the maximum allowed size";
    at.proxy.set_rule(rules::always(Fault::error(400, "ValidationException", said)));
    let committed = store.commit(std::slice::from_ref(write)).await;
    match &committed.outcomes[0] {
        Err(CommitError::Store(StoreError::TooLarge { table, bytes, .. })) => {
            assert_eq!((table, *bytes), (&at.name(Table::Queues), write.size()));
        }
        other => panic!("{other:?}"),
    }
}
