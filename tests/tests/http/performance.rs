//! The performance history over HTTP: spans, bad parameters, sources, and the depth of queues.

use millrace_domain::Timestamp;
use millrace_servers::MiniStack;
use millrace_tests::{
    Function,
    backends::Backends,
    clock::ClockFile,
    database::Database,
    http::Request,
    sqs::{self, Message},
};
use serde_json::{Value, json};

use crate::{Fixture, apply, enqueue, grant, queue_of};

const DAY: &str = "2026-11-20";

fn at(time: &str) -> Timestamp {
    Timestamp::parse(&format!("{DAY}T{time}Z")).expect("a time")
}

async fn performance(api: &Function, query: &str) -> Value {
    Request::get(&format!("/admin/performance{query}")).trusted().send(api).await.expect(200)
}

#[tokio::test]
async fn a_day_of_two_functions_is_answered_in_steps() {
    let (database, clock) = (Database::new(), ClockFile::at(at("00:00:10")));
    let process_tasks = database.process_tasks().env("MILLRACE_CLOCK_FILE", clock.path()).started().await;
    let api = database.queue_api().env("MILLRACE_CLOCK_FILE", clock.path()).started().await;
    for hour in 0..24 {
        clock.set(at(&format!("{hour:02}:30:00")));
        let command = json!({"type": "grantResources", "playerId": "p-1", "resources": {"gold": 1}});
        process_tasks.answer(&sqs::standard(&[Message::new(hour, command)])).await;
        queue_of("p-1").trusted().send(&api).await.expect(200);
    }
    let report = performance(&api, &format!("?from={DAY}T00:00:00Z&step=60")).await;
    assert_eq!(report["asOf"], format!("{DAY}T23:30:00.000Z"));
    let history = &report["history"];
    assert_eq!((&history["source"], &history["stepMinutes"]), (&json!("store"), &json!(60)));
    assert_eq!((&history["from"], &history["to"]), (&json!(at("00:00:00")), &json!(at("23:30:00"))));
    let totals = &history["totals"];
    assert_eq!((&totals["commands"]["applied"], &totals["invocations"]), (&json!(24), &json!(48)), "{totals:#}");
    assert_eq!((&totals["cache"]["lookups"], &totals["requests"]["received"]), (&json!(48), &json!(24)));
    let series = history["series"].as_array().expect("points");
    assert_eq!(series.len(), 24);
    for (hour, point) in series.iter().enumerate() {
        assert_eq!(point["at"], json!(at(&format!("{hour:02}:00:00"))));
        assert_eq!((&point["commands"]["applied"], &point["commits"]["committed"]), (&json!(1), &json!(1)));
        for kind in ["commands", "reads"] {
            let times = &point["processingTimeMs"][kind];
            assert!(
                times["count"] == 1 && times["p50"].as_f64() > Some(0.0) && times["p50"] == times["max"],
                "{times}"
            );
        }
    }
    // The last hour has one point a minute.
    let hour = performance(&api, "").await["history"].clone();
    assert_eq!((hour["series"].as_array().map(Vec::len), &hour["stepMinutes"]), (Some(60), &json!(1)));
    assert_eq!(hour["totals"]["commands"]["applied"], 1);
    let part = performance(&api, &format!("?from={DAY}T05:00:00Z&to={DAY}T07:59:59Z")).await["history"].clone();
    assert_eq!((&part["totals"]["commands"]["applied"], &part["stepMinutes"]), (&json!(3), &json!(3)));
    assert_eq!(part["to"], json!(at("08:00:00")));
}

#[tokio::test]
async fn parameters_that_are_not_allowed_are_named_with_what_is() {
    let clock = ClockFile::at(at("12:00:30"));
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_CLOCK_FILE", clock.path())).await;
    let now = format!("{DAY}T12:00:30.000Z");
    let oldest = "2026-11-19T12:01:00.000Z";
    let time = "an RFC 3339 UTC time such as 2026-11-20T12:00:00.000Z".to_owned();
    let steps = "a whole number of minutes from 1 to 1440".to_owned();
    let points =
        |from: u64| format!("a whole number of minutes from {from} to 1440, so that the series has at most 360 points");
    for (query, field, value, allowed) in [
        ("from=noon", "from", "noon", time.clone()),
        ("from=", "from", "", time.clone()),
        ("to=2026-11-20T12:00:00%2B01:00", "to", "2026-11-20T12:00:00+01:00", time.clone()),
        ("to=1763640000", "to", "1763640000", time),
        ("from=2026-11-19T12:00:59Z", "from", "2026-11-19T12:00:59Z", format!("a time from {oldest} to {now}")),
        ("from=2026-11-20T12:01:00Z", "from", "2026-11-20T12:01:00Z", format!("a time from {oldest} to {now}")),
        (
            "from=2026-11-20T11:00:00Z&to=2026-11-20T10:00:00Z",
            "from",
            "2026-11-20T11:00:00Z",
            format!("a time from {oldest} to 2026-11-20T10:00:00.000Z"),
        ),
        ("to=2026-11-20T12:01:00Z", "to", "2026-11-20T12:01:00Z", format!("a time from {oldest} to {now}")),
        ("to=2026-11-19T12:00:00Z", "to", "2026-11-19T12:00:00Z", format!("a time from {oldest} to {now}")),
        ("step=", "step", "", steps.clone()),
        ("step=-1", "step", "-1", steps.clone()),
        ("step=1.5", "step", "1.5", steps.clone()),
        ("step=PT5M", "step", "PT5M", steps.clone()),
        ("step=99999999999999999999", "step", "99999999999999999999", steps),
        ("step=0", "step", "0", points(1)),
        ("step=1441", "step", "1441", points(1)),
        ("from=2026-11-19T12:01:00Z&step=3", "step", "3", points(4)),
        ("step=1&step=2", "step", "2", "given once".to_owned()),
        ("steps=1", "query", "steps", "from, to, step".to_owned()),
    ] {
        let response = Request::get(&format!("/admin/performance?{query}")).trusted().send(&fixture.api).await;
        let problem = response.problem(400, "invalid_parameter");
        assert_eq!((&problem["field"], &problem["value"]), (&json!(field), &json!(value)), "{query}");
        assert_eq!(problem["allowed"], allowed, "{query}");
    }
    let whole_day = performance(&fixture.api, "?from=2026-11-19T12:01:00Z&step=4").await;
    assert_eq!(whole_day["history"]["series"].as_array().map(Vec::len), Some(360));
}

#[tokio::test]
async fn requests_are_counted_by_status() {
    let fixture = Fixture::new().await;
    fixture.apply("p-1", grant(1)).await;
    queue_of("unknown").trusted().send(&fixture.api).await.problem(404, "unknown_player");
    queue_of("p-1").send(&fixture.api).await.problem(401, "unauthorized");
    let report = performance(&fixture.api, "").await;
    assert_eq!(report["history"]["totals"]["requests"], json!({"received": 3, "refused": 2, "failed": 0}));
    let thresholds = report["thresholds"].as_array().expect("thresholds");
    assert!(thresholds.len() >= 7 && thresholds.iter().all(|threshold| threshold["state"] == "ok"), "{thresholds:#?}");
}

#[tokio::test]
async fn redis_merges_the_figures_of_all_functions() {
    let backends = Backends::start().await;
    let (one, other) =
        tokio::join!(async { backends.queue_api().started().await }, async { backends.queue_api().started().await });
    let process_tasks = backends.process_tasks().started().await;
    for (round, api) in [&one, &other].into_iter().enumerate() {
        apply(api, "p-1", grant(1)).await;
        queue_of("p-1").trusted().send(api).await.expect(200);
        let command = json!({"type": "grantResources", "playerId": "p-2", "resources": {"gold": 1}});
        process_tasks.answer(&sqs::standard(&[Message::new(round as u64, command)])).await;
    }
    let advance = backends.function("advance-queues");
    let advance = advance.env("MILLRACE_REDIS_URL", backends.redis.url()).started().await;
    advance.answer("{}").await;
    // A process that ends sends its last figures.
    for function in [other, process_tasks] {
        function.terminate().await;
    }
    let history = performance(&one, "").await["history"].clone();
    let totals = &history["totals"];
    assert_eq!((&history["source"], &totals["commands"]["applied"]), (&json!("redis"), &json!(4)), "{totals:#}");
    let times = &totals["processingTimeMs"];
    let counts = ["commands", "reads", "runs"].map(|kind| times[kind]["count"].clone());
    assert_eq!(counts, [json!(4), json!(2), json!(1)], "{times:#}");
    assert_eq!((&totals["coldStarts"], &totals["requests"]["received"]), (&json!(4), &json!(4)), "{totals:#}");
    assert_eq!(totals["cache"]["redis"]["hits"].as_u64(), Some(1), "{totals:#}");
    backends.redis.kill();
    let report = performance(&one, "").await;
    assert_eq!((&report["history"], &report["thresholds"]), (&Value::Null, &Value::Null), "{report:#}");
    assert!(report["memory"]["residentBytes"].is_u64());
}

#[tokio::test]
async fn without_redis_a_process_answers_its_own_figures() {
    let backends = Backends::start().await;
    let (one, other) = (backends.function("queue-api").started().await, backends.function("queue-api").started().await);
    apply(&one, "p-1", grant(1)).await;
    apply(&other, "p-1", grant(1)).await;
    let history = performance(&one, "").await["history"].clone();
    assert_eq!((&history["source"], &history["totals"]["commands"]["applied"]), (&json!("process"), &json!(1)));
}

#[tokio::test]
async fn queues_have_their_depth_or_a_reason() {
    let backends = Backends::start().await;
    let client = sqs::client(&MiniStack::shared().await.endpoint());
    let name = format!("{}monitored", backends.prefix());
    let url = client.create_queue().queue_name(&name).send().await.expect("a queue").queue_url.expect("a URL");
    for body in ["1", "2", "3"] {
        client.send_message().queue_url(&url).message_body(body).send().await.expect("it is sent");
    }
    client.receive_message().queue_url(&url).max_number_of_messages(1).send().await.expect("it is received");
    let missing = url.replace("monitored", "missing");
    let api = backends.queue_api().env("MILLRACE_MONITORED_QUEUES", format!("{url},{missing}")).started().await;
    let queues = performance(&api, "").await["queues"].clone();
    let missing = format!("{}missing", backends.prefix());
    assert_eq!(
        queues,
        json!([
            {"name": name, "depth": {"waiting": 2, "inFlight": 1, "delayed": 0}, "reason": null},
            {"name": missing, "depth": null, "reason": "no_such_queue"},
        ])
    );
}

#[tokio::test]
async fn reading_the_history_takes_one_round_trip_for_four_hours() {
    let backends = Backends::start().await;
    let api = backends.queue_api().started().await;
    apply(&api, "p-1", enqueue("t-1", json!({"units": 1}))).await;
    let upkeep = async |query: &str| {
        performance(&api, query).await;
        let after = performance(&api, "").await;
        after.pointer("/statistics/redis/upkeep/roundTrips").and_then(Value::as_u64).expect("a count")
    };
    // Each answer also reads the minutes of the thresholds, and the samples of the upkeep.
    let first = upkeep("").await;
    assert_eq!(upkeep("").await - first, 6);
    let second = upkeep("").await;
    let day_ago = Timestamp::from_millis(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time").as_millis() as u64
            - 1_438 * 60_000,
    );
    assert_eq!(upkeep(&format!("?from={day_ago}")).await - second, 11, "six for the day instead of one");
}
