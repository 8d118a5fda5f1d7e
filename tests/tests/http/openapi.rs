//! Compares `docs/openapi.yaml` with the running function. Schemathesis sends valid and invalid
//! requests and checks every response.

use std::{collections::BTreeSet, process::Stdio, sync::Arc, time::Duration};

use millrace_servers::schemathesis_python;
use millrace_tests::{api_gateway::ApiGateway, binary::workspace, http::Request};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{Fixture, commands_of, enqueue, grant};

/// The time-out of Schemathesis, which is long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(240);
/// The bearer token of the requests.
const TOKEN: &str = "millrace-test";

#[tokio::test]
async fn the_function_conforms_to_its_openapi_description() {
    let fixture = Fixture::with(|builder| builder.env("MILLRACE_LOG", "error").env("MILLRACE_EVENTS", "table")).await;
    // The examples in the description need this player.
    fixture.apply("player-2001", grant(100)).await;
    fixture.apply("player-2001", enqueue("saw-planks", json!({"units": 40}))).await;
    let complete = json!({"type": "completeTask", "taskId": "saw-planks", "result": {"planks": 40}});
    fixture.apply("player-2001", complete).await;
    let quick = json!({"type": "enqueueTasks", "tasks": [{"taskId": "quarry-stone", "kind": "mine.stone",
        "work": {"durationMs": 1}}]});
    fixture.apply("player-2001", quick).await;
    fixture.apply("player-2001", enqueue("train-guards", json!({"units": 40}))).await;
    let refused = json!({"commands": [{"type": "cancelTask", "taskId": "none"}, {"type": "fly"}]});
    commands_of("player-2001", &refused).trusted().send(&fixture.api).await.expect(200);

    // Schemathesis compares these events with the schema.
    let events: Value = Request::get("/players/player-2001/events").trusted().send(&fixture.api).await.expect(200);
    let types: BTreeSet<_> =
        events["items"].as_array().into_iter().flatten().map(|event| event["type"].as_str()).collect();
    assert!(types.len() >= 4, "{events:#}");

    let Fixture { api, database } = fixture;
    let authorizer = json!({"jwt": {"claims": {"sub": "tester"}, "scopes": ["millrace/commands", "millrace/admin"]}});
    let gateway = ApiGateway::start(Arc::new(api), TOKEN, authorizer).await;
    let folder = workspace().join("tests/tests/http");
    // A new folder, because Schemathesis keeps its findings in the working directory.
    let working_directory = tempfile::tempdir().expect("a temporary folder");
    let run = Command::new(schemathesis_python())
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(folder.join("schemathesis.toml"))
        .arg("run")
        .arg(workspace().join("docs/openapi.yaml"))
        .args(["--url", &gateway.url(), "--header", &format!("Authorization: Bearer {TOKEN}")])
        .current_dir(working_directory.path())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(TIMEOUT, run).await.expect("Schemathesis ends in time").expect("Schemathesis is started");
    let report = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{report}");
    println!("{report}");
    drop(database);
}
