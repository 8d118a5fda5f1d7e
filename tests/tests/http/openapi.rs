//! `docs/openapi.yaml` against the running function: Schemathesis sends what the description allows, and
//! what it does not, and holds every answer against it.

use std::{process::Stdio, sync::Arc, time::Duration};

use millrace_servers::schemathesis_python;
use millrace_tests::{binary::workspace, front::Front};
use serde_json::json;
use tokio::process::Command;

use crate::{Scene, commands_of, enqueue, grant};

/// Longer than it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);
/// What requests bring along. API Gateway would check it.
const TOKEN: &str = "millrace-test";

#[tokio::test]
async fn the_function_is_what_its_description_says() {
    let scene = Scene::with(|setup| setup.env("MILLRACE_LOG", "error")).await;
    // The players of the description's examples.
    scene.apply("player-2001", grant(100)).await;
    let quick = json!({"type": "enqueueTasks", "tasks": [{"taskId": "quarry-stone", "kind": "mine.stone",
        "work": {"durationMs": 1}}]});
    scene.apply("player-2001", quick).await;
    scene.apply("player-2001", enqueue("train-guards", json!({"units": 40}))).await;
    let refused = json!({"commands": [{"type": "cancelTask", "taskId": "none"}, {"type": "fly"}]});
    commands_of("player-2001", &refused).trusted().send(&scene.api).await.expect(200);

    let Scene { api, database } = scene;
    let authorizer = json!({"jwt": {"claims": {"sub": "tester"}, "scopes": ["millrace/commands", "millrace/admin"]}});
    let front = Front::start(Arc::new(api), TOKEN, authorizer).await;
    let folder = workspace().join("tests/tests/http");
    // Nothing of a run before decides on this one: it keeps what it has found where it runs.
    let place = tempfile::tempdir().expect("a temporary folder");
    let run = Command::new(schemathesis_python())
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(folder.join("schemathesis.toml"))
        .arg("run")
        .arg(workspace().join("docs/openapi.yaml"))
        .args(["--url", &front.url(), "--header", &format!("Authorization: Bearer {TOKEN}")])
        .current_dir(place.path())
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await.expect("it ends in time").expect("it can be started");
    let report = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{report}");
    println!("{report}");
    drop(database);
}
