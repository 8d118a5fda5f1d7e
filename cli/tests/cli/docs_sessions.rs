//! The sessions of the documentation are real: each command is run, and its output compared.
//!
//! Times, ids of messages and measurements differ in each run. They are compared by their form.

use std::{env, fs, path::Path, process::Command};

use millrace_domain::Timestamp;
use millrace_tests::{binary::workspace, clock::ClockFile};
use serde_json::{Value, json};

use crate::support::{Program, Server, aws::Aws};

const START: &str = "```console\n";
const END: &str = "```\n";
const SHOWN_ENDPOINT: &str = "http://localhost:9000";
/// What selects the fields of a JSON document that a session shows.
const SERIES: &str = " --json | jq -c '.history.series[] | {at, commands: .commands.applied}'";

/// What the commands of the sessions find.
struct Stage {
    aws: Aws,
    clock: ClockFile,
    /// Functions whose time stands still, except where a session goes on later.
    functions: Server,
    /// Functions with the time of the machine.
    live: Server,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let clock = ClockFile::at(Timestamp::parse("2026-11-28T08:24:05.418Z").expect("a time"));
        let functions =
            Server::with(|builder| builder.env("MILLRACE_AUTH", "none").env("MILLRACE_CLOCK_FILE", clock.path()));
        let (aws, functions, live) = (Aws::start().await, functions.await, Server::start().await);
        Self { aws, clock, functions, live, folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// What happened before a command of a session.
    async fn prepare(&self, command: &str) {
        let later = |millis: u64| self.clock.set(self.clock.now() + millis);
        match command {
            "millrace queue p-2" => later(4_277),
            "millrace history p-2" => {
                later(8_000);
                self.functions.apply("p-2", json!({"type": "grantResources", "resources": {"gold": 7}})).await;
                later(3_000);
                let complete = json!({"type": "completeTask", "taskId": "wall", "result": {"height": 3}});
                self.functions.apply("p-2", complete).await;
            }
            "millrace dlq list --stage demo" => self.add_dead_letters().await,
            "millrace players" => {
                let task = |more: Value| {
                    let mut task = json!({"taskId": "t-1", "kind": "build.gate", "work": {"durationMs": 90000}});
                    task.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
                    json!({"type": "enqueueTasks", "tasks": [task]})
                };
                self.functions.apply("p-1", task(json!({}))).await;
                self.functions.apply("p-3", json!([task(json!({"costs": {"gold": 5}})), {"type": "pauseQueue"}])).await;
            }
            "millrace perf" => {
                for minute in 0..60_u64 {
                    later(60_000);
                    for _ in 0..=(minute * minute % 7) {
                        let grant = json!({"type": "grantResources", "playerId": "p-4", "resources": {"gold": 1}});
                        self.functions.post("p-4", &grant.to_string()).await;
                    }
                }
            }
            _ => {}
        }
    }

    async fn add_dead_letters(&self) {
        let source = self.aws.queue("demo-commands.fifo").await;
        let dead = self.aws.queue("demo-commands-dead-letters.fifo").await;
        let outputs = [("CommandsQueueUrl", source.as_str()), ("CommandsDeadLettersUrl", dead.as_str())];
        self.aws.stack("millrace-demo", &outputs).await;
        for (id, body) in [
            ("d-1", json!({"type": "grantResources", "playerId": "p-2", "resources": {"gold": 5}})),
            ("d-2", json!({"type": "cancelTask", "playerId": "p-2", "commandId": "c-2", "taskId": "none"})),
        ] {
            self.aws.send(&dead, body.to_string(), Some(("p-2", id))).await;
        }
    }

    /// Runs a command, and returns what it prints on both outputs, in the order of printing.
    async fn run(&self, command: &str) -> String {
        self.prepare(command).await;
        let (arguments, is_series) = match command.strip_suffix(SERIES) {
            Some(arguments) => (format!("{arguments} --json"), true),
            None => (command.to_owned(), false),
        };
        let is_live = ["load", "doctor"].iter().any(|name| command.starts_with(&format!("millrace {name}")));
        let server = if is_live { &self.live } else { &self.functions };
        let arguments: Vec<&str> = arguments.split_whitespace().skip(1).collect();
        let program = self.aws.millrace(&arguments).env("MILLRACE_ENDPOINT", &server.url());
        let text = printed(&program, self.folder.path()).await.replace(&server.url(), SHOWN_ENDPOINT);
        if is_series { series(&text) } else { text }
    }
}

async fn printed(program: &Program, folder: &Path) -> String {
    let (arguments, environment) = (program.arguments().to_vec(), program.environment());
    let (folder, file) = (folder.to_owned(), folder.join("printed"));
    let run = move || {
        let out = fs::File::create(&file).expect("the file is created");
        let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
        command.args(arguments).env_clear().envs(environment).current_dir(folder);
        command.stderr(out.try_clone().expect("a second handle")).stdout(out).status().expect("the program ends");
        fs::read_to_string(&file).expect("the file is readable")
    };
    tokio::task::spawn_blocking(run).await.expect("the run does not panic")
}

/// What `jq` makes of the performance history.
fn series(text: &str) -> String {
    let document: Value = serde_json::from_str(text).expect("JSON");
    let points = document["history"]["series"].as_array().expect("points").iter();
    points.map(|point| format!("{{\"at\":{},\"commands\":{}}}\n", point["at"], point["commands"]["applied"])).collect()
}

/// The form of an output: without times and ids, and for measurements without any number.
fn form(command: &str, output: &str) -> String {
    let is_measured = ["perf", "load", "doctor"].iter().any(|name| command.starts_with(&format!("millrace {name}")));
    let line = |line: &str| -> String {
        let words = line.split(' ').map(|word| match word {
            word if word.len() == 24 && word.ends_with('Z') => "TIME".to_owned(),
            word if is_measured => word.replace(|one: char| one.is_ascii_digit() || ('▁'..='█').contains(&one), ""),
            word => ids_replaced(word),
        });
        let words: Vec<String> = words.collect();
        match is_measured && !command.ends_with(SERIES) {
            true => {
                words.into_iter().filter(|word| word.chars().any(char::is_alphabetic)).collect::<Vec<_>>().join(" ")
            }
            false => words.join(" "),
        }
    };
    output.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A word in which the id of a message is replaced.
fn ids_replaced(word: &str) -> String {
    let is_id = |part: &str| part.len() == 36 && part.matches('-').count() == 4;
    match word.get(..36) {
        Some(start) if is_id(start) => format!("ID{}", &word[36..]),
        _ => word.to_owned(),
    }
}

/// The sessions of a page, each as commands with their outputs.
fn sessions(page: &str) -> Vec<Vec<(&str, &str)>> {
    let blocks = page.split(START).skip(1).filter_map(|rest| rest.split_once(END)).map(|(block, _)| block);
    blocks.map(|block| block.split("$ ").filter_map(|part| part.split_once('\n')).collect()).collect()
}

async fn check(stage: &Stage, name: &str) {
    let path = workspace().join(name);
    let page = fs::read_to_string(&path).expect("the page is readable");
    let mut corrected = page.clone();
    for session in sessions(&page) {
        let (mut old, mut new, mut is_outdated) = (String::new(), String::new(), false);
        for (command, shown) in session {
            let real = match command.strip_prefix("cat ") {
                Some(file) => {
                    fs::write(stage.folder.path().join(file), shown).expect("the file is written");
                    shown.to_owned()
                }
                None if command.starts_with("millrace ") => stage.run(command).await,
                None => shown.to_owned(),
            };
            is_outdated |= form(command, &real) != form(command, shown);
            old.push_str(&format!("$ {command}\n{shown}"));
            new.push_str(&format!("$ {command}\n{real}"));
        }
        if is_outdated {
            eprintln!("{name} should show\n{new}");
            corrected = corrected.replace(&old, &new);
        }
    }
    if env::var_os("MILLRACE_UPDATE_DOCS").is_some() {
        fs::write(&path, &corrected).expect("the page is writable");
    } else {
        assert!(page == corrected, "{name} is outdated: run this test with MILLRACE_UPDATE_DOCS=1");
    }
}

/// With `MILLRACE_UPDATE_DOCS` in its environment, this test corrects the pages.
#[tokio::test]
async fn the_sessions_of_the_documentation_are_real() {
    let stage = Stage::new().await;
    // The pages go on from each other.
    for page in ["docs/cli.md", "docs/performance.md"] {
        check(&stage, page).await;
    }
    let read = |name: &str| fs::read_to_string(workspace().join(name)).expect("the page is readable");
    let (page, readme) = (read("docs/cli.md"), read("README.md"));
    let is_own = |session: &&Vec<(&str, &str)>| session.iter().any(|(command, _)| command.starts_with("millrace "));
    for (command, shown) in sessions(&readme).iter().filter(is_own).flatten() {
        assert!(page.contains(&format!("$ {command}\n{shown}")), "README.md shows another output of {command}");
    }
}
