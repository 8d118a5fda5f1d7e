//! Gives generated commands their task ids, times and FIFO positions.
//!
//! Task ids come from a counter. A queue that takes the same steps tells which tasks there are, so
//! that most commands name one that they can change. What the tests expect never comes from that
//! queue.

use std::collections::BTreeMap;

use millrace_domain::{
    Command, CommandId, Delivery, FifoPosition, Queue, ResourceName, Resources, Task, TaskId, TaskKind, TaskSpec, Work,
    task::{FinishedTask, Outcome},
};

use super::{
    steps::{RESOURCES, Step, new_queue, player, take, time},
    unnamed::{Target, UnnamedCommand, UnnamedStep, UnnamedTask},
};

/// Turns unnamed steps into steps.
pub struct Naming {
    /// Takes all steps.
    queue: Queue,
    now: i64,
    given_ids: u32,
    last_sequence: u128,
    sent: Vec<Delivery>,
}

impl Naming {
    pub fn new() -> Self {
        Self { queue: new_queue(), now: 0, given_ids: 0, last_sequence: 0, sent: Vec::new() }
    }

    pub fn name(mut self, unnamed: Vec<UnnamedStep>) -> Vec<Step> {
        let mut steps = Vec::with_capacity(unnamed.len());
        for unnamed in unnamed {
            let step = self.step(unnamed);
            take(&mut self.queue, &step);
            steps.push(step);
        }
        steps
    }

    fn step(&mut self, unnamed: UnnamedStep) -> Step {
        self.now = (self.now + unnamed.gap).max(0);
        let now = time(self.now as u64);
        let command = match unnamed.command {
            UnnamedCommand::Tick => return Step::Tick { now },
            UnnamedCommand::Repeat(ago) => match self.sent.iter().rev().nth(ago - 1) {
                Some(delivery) => return Step::Deliver { delivery: delivery.clone(), now },
                None => return Step::Tick { now },
            },
            other => self.command(other),
        };
        let position = unnamed.fifo.map(|passed| match passed {
            true => FifoPosition { sequence: self.last_sequence.saturating_sub(1), index: 0 },
            false => {
                self.last_sequence += 1;
                FifoPosition { sequence: self.last_sequence, index: 0 }
            }
        });
        let delivery = Delivery {
            player_id: player(),
            command_id: CommandId::new(&format!("c-{}", self.sent.len())).unwrap(),
            sent_at: time((self.now - unnamed.lag).max(0) as u64),
            position,
            command,
        };
        self.sent.push(delivery.clone());
        Step::Deliver { delivery, now }
    }

    /// The id that was given so many tasks ago. 0 is an id that is never given.
    fn id_given(&self, ago: u32) -> TaskId {
        let name = match ago {
            0 => "t-none".to_owned(),
            ago => format!("t-{}", self.given_ids.saturating_sub(ago)),
        };
        TaskId::new(&name).unwrap()
    }

    /// The task that a command names: one of those that fit, if there are any.
    fn task(&self, target: Target, fits: impl Fn(&Task) -> bool) -> TaskId {
        let fitting: Vec<_> = self.queue.tasks.iter().filter(|task| fits(task)).map(|task| &task.id).collect();
        match target {
            Target::Fitting(index) if !fitting.is_empty() => (*index.get(&fitting)).clone(),
            Target::Fitting(index) => self.id_given(1 + index.index(8) as u32),
            Target::Ago(ago) => self.id_given(ago),
        }
    }

    fn command(&mut self, unnamed: UnnamedCommand) -> Command {
        match unnamed {
            UnnamedCommand::Enqueue(tasks) => {
                let mut specs = Vec::new();
                for task in tasks {
                    let spec = self.spec(task, &specs);
                    specs.push(spec);
                }
                Command::EnqueueTasks { tasks: specs }
            }
            UnnamedCommand::Report(target, thousandths) => {
                let task_id = self.task(target, |task| task.is_active() && task.work.is_reported());
                let units = match self.queue.position(&task_id).map(|at| self.queue.tasks[at].work) {
                    Some(Work::Units(units)) => units,
                    _ => 1_000,
                };
                Command::ReportProgress { task_id, units_done: units * thousandths / 1_000 }
            }
            UnnamedCommand::Fail(target) => {
                Command::FailTask { task_id: self.task(target, Task::is_active), reason: "broken".to_owned() }
            }
            UnnamedCommand::Cancel(target) => Command::CancelTask { task_id: self.task(target, |_| true) },
            UnnamedCommand::SetPriority(target, priority) => {
                Command::SetPriority { task_id: self.task(target, |_| true), priority }
            }
            UnnamedCommand::MoveToFront(target) => {
                Command::MoveToFront { task_id: self.task(target, |task| !task.is_active()) }
            }
            UnnamedCommand::Pause => Command::PauseQueue,
            UnnamedCommand::Resume => Command::ResumeQueue,
            UnnamedCommand::Clear => Command::ClearQueue,
            UnnamedCommand::Grant(amounts) => Command::GrantResources { resources: resources(&amounts) },
            UnnamedCommand::Configure(slots, max_tasks) => Command::ConfigureQueue { slots, max_tasks },
            UnnamedCommand::Tick | UnnamedCommand::Repeat(_) => unreachable!("these are no new commands"),
        }
    }

    fn spec(&mut self, unnamed: UnnamedTask, earlier: &[TaskSpec]) -> TaskSpec {
        let completed = |finished: &FinishedTask| finished.outcome == Outcome::Completed;
        let finished = self.queue.finished_tasks.newest_first().into_iter().filter(completed).take(3);
        let possible: Vec<TaskId> = (self.queue.tasks.iter().map(|task| &task.id))
            .chain(earlier.iter().map(|spec| &spec.task_id))
            .cloned()
            .chain(finished.map(|finished| finished.task_id))
            .collect();
        let prerequisites = unnamed.prerequisites.into_iter().filter_map(|target| match target {
            Target::Fitting(_) if possible.is_empty() => None,
            Target::Fitting(index) => Some(index.get(&possible).clone()),
            Target::Ago(ago) => Some(self.id_given(ago)),
        });
        let prerequisites = prerequisites.collect();
        let task_id = match unnamed.reused_id {
            Some(ago) => self.id_given(ago),
            None => {
                self.given_ids += 1;
                self.id_given(1)
            }
        };
        TaskSpec {
            task_id,
            kind: TaskKind::new("test").unwrap(),
            priority: unnamed.priority,
            work: unnamed.work,
            not_before: unnamed.not_before.map(|offset| time((self.now + offset).max(0) as u64)),
            prerequisites,
            costs: resources(&unnamed.costs),
            rewards: resources(&unnamed.rewards),
            max_retries: unnamed.max_retries,
            retry_delay_ms: unnamed.retry_delay_ms,
        }
    }
}

/// Amounts by name. A resource that is named twice keeps its last amount.
fn resources(amounts: &[(usize, u64)]) -> Resources {
    let amounts: BTreeMap<_, _> = amounts.iter().map(|(name, amount)| (RESOURCES[*name], *amount)).collect();
    amounts.into_iter().map(|(name, amount)| (ResourceName::new(name).unwrap(), amount)).collect()
}
