//! The start-up and the Lambda glue, run as Lambda runs them: `examples/echo.rs` as a process, with
//! a fake Runtime API.

mod function;
mod runtime_api;

use std::time::{Duration, Instant};

use function::{Function, store_in};
use runtime_api::{Extensions, RuntimeApi};

#[tokio::test]
async fn the_handler_gets_the_payload_unchanged() {
    let api = RuntimeApi::start(Extensions::Known).await;
    let function = Function::start(&api, &[]);
    for payload in [&b"{\"a\": 1}"[..], b"no { json", b"", b"null", b"\xff\xfe\x00", &[b'x'; 1 << 20]] {
        let answer = api.invoke(payload).await;
        assert_eq!(answer.kind, "response", "{answer:?}");
        assert_eq!(answer.body["bytes"], payload.len());
        assert_eq!(answer.body["payload"], String::from_utf8_lossy(payload).as_ref());
        assert_eq!(answer.body["requestId"], answer.request_id.as_str());
        let left = runtime_api::DEADLINE_MS - millrace_lambda::clock::now().as_millis();
        assert!(answer.body["secondsLeft"].as_u64().unwrap().abs_diff(left / 1_000) <= 1, "{answer:?}");
    }
    function.end().await;
}

#[tokio::test]
async fn only_the_first_invocation_is_a_cold_start() {
    let api = RuntimeApi::start(Extensions::Known).await;
    let function = Function::start(&api, &[]);
    assert_eq!(api.invoke(b"1").await.body["coldStart"], true);
    assert_eq!(api.invoke(b"2").await.body["coldStart"], false);
    function.end().await;
}

#[tokio::test]
async fn errors_and_panics_have_stable_types_and_do_not_affect_later_invocations() {
    let api = RuntimeApi::start(Extensions::Known).await;
    let function = Function::start(&api, &[]);
    let failed = api.invoke(b"fail").await;
    assert_eq!(failed.kind, "error");
    assert_eq!(failed.body["errorType"], "EchoFailed");
    assert_eq!(failed.body["errorMessage"], "it was asked to fail");
    let panicked = api.invoke(b"panic").await;
    assert_eq!(panicked.kind, "error");
    assert_eq!(panicked.body["errorType"], "HandlerPanicked");
    assert_eq!(panicked.body["errorMessage"], "the handler panicked: it was asked to panic");
    assert_eq!(api.invoke(b"again").await.kind, "response");

    let (_, logs) = function.end().await;
    for request_id in [&failed.request_id, &panicked.request_id] {
        let errors = logs.iter().filter(|line| line["level"] == "ERROR" && line["request_id"] == request_id.as_str());
        assert!(errors.count() > 0, "{request_id} in {logs:?}");
    }
    let panics: Vec<_> = logs.iter().filter(|line| line["target"] == "panic").collect();
    assert_eq!(panics.len(), 1, "{logs:?}");
    assert_eq!(panics[0]["message"], "it was asked to panic");
    assert_eq!(panics[0]["request_id"], panicked.request_id.as_str());
    assert!(panics[0]["location"].as_str().is_some_and(|location| location.contains("echo.rs:")));
}

#[tokio::test]
async fn concurrent_invocations_keep_their_own_payloads() {
    let api = RuntimeApi::start(Extensions::Known).await;
    let function = Function::start(&api, &[("AWS_LAMBDA_MAX_CONCURRENCY", "4")]);
    api.invoke(b"warm").await;
    let start = Instant::now();
    let slow = (0..4).map(|_| api.invoke(b"slow"));
    let quick: Vec<Vec<u8>> = (0..40).map(|n: u32| format!("payload {n}").into_bytes()).collect();
    for answer in futures::future::join_all(slow).await {
        assert_eq!(answer.body["payload"], "slow");
    }
    assert!(
        start.elapsed() < Duration::from_millis(750),
        "four at 200 ms each, one after another? {:?}",
        start.elapsed()
    );
    let answers = futures::future::join_all(quick.iter().map(|payload| api.invoke(payload))).await;
    for (payload, answer) in quick.iter().zip(answers) {
        assert_eq!(answer.body["payload"], String::from_utf8_lossy(payload).as_ref());
        assert_eq!(answer.body["requestId"], answer.request_id.as_str());
    }
    function.end().await;
}

#[tokio::test]
async fn signals_close_the_store_and_end_with_exit_code_0() {
    for signal in ["TERM", "INT"] {
        for extensions in [Extensions::Known, Extensions::Unknown] {
            let api = RuntimeApi::start(extensions).await;
            let function = Function::start(&api, &[]);
            assert_eq!(api.invoke(b"x").await.kind, "response");
            assert_eq!(api.extension_is_waiting(), extensions == Extensions::Known);
            let start = Instant::now();
            let (status, logs) = function.signal(signal).await;
            assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
            assert_eq!(status.code(), Some(0), "{status:?}");
            let closed = logs.iter().find(|line| line["message"] == "closed").expect("the store is closed");
            assert_eq!(closed["signal"], format!("SIG{signal}"));
        }
    }
}

#[tokio::test]
async fn a_runtime_api_without_extensions_delays_the_start_only_briefly() {
    let start = Instant::now();
    for (extensions, limit) in [(Extensions::Unknown, 950), (Extensions::Garbled, 950), (Extensions::Silent, 1_900)] {
        let api = RuntimeApi::start(extensions).await;
        // Built before the clock starts.
        function::build();
        let begun = Instant::now();
        let function = Function::start(&api, &[]);
        assert_eq!(api.invoke(b"x").await.kind, "response");
        assert!(begun.elapsed() < Duration::from_millis(limit), "{extensions:?}: {:?}", begun.elapsed());
        let (status, _) = function.signal("TERM").await;
        assert_eq!(status.code(), Some(0), "{extensions:?}: signals are handled all the same");
    }
    assert!(start.elapsed() > Duration::from_secs(1), "the start waits for one that does not answer");
}

#[tokio::test]
async fn a_failing_start_is_one_line_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_in(&folder);
    let cases = [
        (
            vec![("MILLRACE_STORE", store.as_str()), ("MILLRACE_BATCH_MAX_ITEMS", "26")],
            "MILLRACE_BATCH_MAX_ITEMS=26 is not allowed; allowed: a whole number from 1 to 25",
        ),
        (
            // Neither a profile nor EC2 metadata may supply a region.
            vec![
                ("MILLRACE_STORE", "dynamodb"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("AWS_CONFIG_FILE", "/dev/null"),
            ],
            "AWS_REGION is not set; allowed: the region of the tables and queues",
        ),
        (
            vec![("MILLRACE_STORE", store.as_str())],
            "AWS_LAMBDA_RUNTIME_API is not set as Lambda sets it; allowed: started by Lambda or by an emulator such as `cargo lambda watch`",
        ),
    ];
    for (vars, expected) in cases {
        let output = function::run_alone(&vars).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("{expected}\n"));
    }
}

#[tokio::test]
async fn an_unreachable_runtime_api_ends_the_function() {
    let folder = tempfile::tempdir().unwrap();
    let store = store_in(&folder);
    // A free port: nothing listens there.
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    let output = function::run_alone(&[
        ("MILLRACE_STORE", &store),
        ("AWS_LAMBDA_RUNTIME_API", &free),
        ("AWS_LAMBDA_FUNCTION_NAME", "echo"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ])
    .await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = String::from_utf8(output.stderr).unwrap();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.starts_with("the Lambda Runtime API failed: ") && line.contains("refused"), "{line}");
}
