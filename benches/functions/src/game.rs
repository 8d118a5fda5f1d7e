//! The commands that players send. Of ten commands, three enqueue a task, five report progress and
//! two cancel a task. One of the five reports completes its task. So queues keep about ten tasks.

use std::collections::VecDeque;

use millrace_domain::Timestamp;
use millrace_tests::sqs::Message;
use serde_json::{Value, json};

/// The number of tasks that a queue starts with.
pub const TASKS: usize = 10;
/// The number of commands that prepare the queue of a player.
const SETUP: usize = 3;
/// The units of a task.
const UNITS: u64 = 1_000;

/// Players and their tasks.
pub struct Game {
    name: &'static str,
    players: Vec<Player>,
    messages: u64,
}

#[derive(Clone, Default)]
struct Player {
    commands: usize,
    /// The reported tasks, the active one first.
    tasks: VecDeque<usize>,
    units_done: u64,
    made: usize,
}

impl Game {
    /// A game with new players. Games need different names.
    pub fn new(name: &'static str, players: usize) -> Self {
        Self { name, players: vec![Player::default(); players], messages: 0 }
    }

    /// The ids of the players.
    pub fn players(&self) -> impl Iterator<Item = String> {
        (0..self.players.len()).map(|at| id(self.name, at))
    }

    /// The next command of every player.
    pub fn batch(&mut self, now: Timestamp) -> Vec<Message> {
        let name = self.name;
        let messages = self.players.iter_mut().enumerate().map(|(at, player)| {
            self.messages += 1;
            let mut command = player.command(at);
            let id = id(name, at);
            command["playerId"] = id.as_str().into();
            Message::new(self.messages, command).group(&id).sent_at(now)
        });
        messages.collect()
    }
}

fn id(name: &str, at: usize) -> String {
    format!("{name}-{at:06}")
}

impl Player {
    fn command(&mut self, at: usize) -> Value {
        let turn = self.commands;
        self.commands += 1;
        match turn {
            0 => return json!({"type": "grantResources", "resources": {"gold": 1_000_000_000, "wood": 80}}),
            // One slot for the timed task and one for a reported task.
            1 => return json!({"type": "configureQueue", "slots": 2}),
            2 => {
                let timed = task(0, &json!({"durationMs": 86_400_000}));
                let mut tasks = vec![timed];
                tasks.extend((1..TASKS).map(|n| task(n, &json!({"units": UNITS}))));
                self.tasks = (1..TASKS).collect();
                self.made = TASKS;
                return json!({"type": "enqueueTasks", "tasks": tasks});
            }
            _ => {}
        }
        // Each player starts at another one of the ten commands.
        match (turn - SETUP + at) % 10 {
            0 | 3 | 6 => {
                self.made += 1;
                self.tasks.push_back(self.made);
                json!({"type": "enqueueTasks", "tasks": [task(self.made, &json!({"units": UNITS}))]})
            }
            5 | 8 => {
                let last = self.tasks.pop_back().expect("as many are queued as end");
                json!({"type": "cancelTask", "taskId": task_id(last)})
            }
            9 => {
                self.units_done = 0;
                let first = self.tasks.pop_front().expect("as many are queued as end");
                json!({"type": "reportProgress", "taskId": task_id(first), "unitsDone": UNITS})
            }
            _ => {
                self.units_done += 20;
                let first = *self.tasks.front().expect("as many are queued as end");
                json!({"type": "reportProgress", "taskId": task_id(first), "unitsDone": self.units_done})
            }
        }
    }
}

fn task_id(n: usize) -> String {
    format!("t-{n}")
}

fn task(n: usize, work: &Value) -> Value {
    json!({"taskId": task_id(n), "kind": "harvest.wood", "work": work, "costs": {"gold": 5}, "rewards": {"wood": 10}})
}
