//! Gives generated commands their task ids, times and FIFO positions.
//!
//! Task ids come from a counter. A queue that takes the same steps tells which tasks there are, so
//! that most commands name one that they can change. What the tests expect never comes from that
//! queue.

use std::collections::BTreeMap;

use millrace_domain::{
    Command, CommandId, Delivery, FifoPlace, FifoPosition, FifoQueueId, Queue, ResourceName, Resources, Sender, Task,
    TaskId, TaskKind, TaskSpec, Work,
    task::{FinishedTask, Outcome},
};

use super::{
    steps::{FIFO_QUEUES, RESOURCES, Step, new_queue, player, take, time},
    unnamed::{Path, Target, UnnamedAttempt, UnnamedCommand, UnnamedId, UnnamedStep, UnnamedTask},
};

/// Turns unnamed steps into steps.
pub struct Naming {
    /// Takes all steps.
    queue: Queue,
    now: i64,
    given_ids: u32,
    /// The last sequence number of each FIFO queue.
    last_sequences: [u128; FIFO_QUEUES],
    unique_resources: u32,
    sent: Vec<Delivery>,
}

impl Naming {
    pub fn new() -> Self {
        Self {
            queue: new_queue(),
            now: 0,
            given_ids: 0,
            // The numbers of one queue say nothing about those of another.
            last_sequences: [900, 5, 70_000, 60, 1, 300],
            unique_resources: 0,
            sent: Vec::new(),
        }
    }

    pub fn name(mut self, unnamed: Vec<UnnamedStep>) -> Vec<Step> {
        let mut steps = Vec::with_capacity(unnamed.len());
        for unnamed in unnamed {
            for step in self.steps(unnamed) {
                take(&mut self.queue, &step);
                steps.push(step);
            }
        }
        steps
    }

    /// The steps of one unnamed step. Those after the first one follow at the same moment.
    fn steps(&mut self, unnamed: UnnamedStep) -> Vec<Step> {
        self.now = (self.now + unnamed.gap).max(0);
        let now = time(self.now as u64);
        let repeat = |delivery: Option<&Delivery>| match delivery {
            Some(delivery) => Step::Deliver { delivery: delivery.clone(), now },
            None => Step::Tick { now },
        };
        let commands = match unnamed.command {
            UnnamedCommand::Tick => return vec![Step::Tick { now }],
            UnnamedCommand::Repeat(ago) => return vec![repeat(self.sent.iter().rev().nth(ago - 1))],
            UnnamedCommand::RepeatAny(_) if self.sent.is_empty() => return vec![Step::Tick { now }],
            UnnamedCommand::RepeatAny(index) => return vec![repeat(Some(index.get(&self.sent)))],
            UnnamedCommand::PauseAndResume(times) => {
                (0..times).flat_map(|_| [Command::PauseQueue, Command::ResumeQueue]).collect()
            }
            UnnamedCommand::Replace(target, task) => {
                let task_id = self.task(target, |_| true);
                let replacement = TaskSpec { task_id: task_id.clone(), ..self.spec(*task, &[]) };
                vec![Command::CancelTask { task_id }, Command::EnqueueTasks { tasks: vec![replacement] }]
            }
            other => vec![self.command(other)],
        };
        let sent_at = (self.now - unnamed.lag).max(0) as u64;
        let deliveries = commands.into_iter().map(|command| {
            let delivery = self.delivery(unnamed.path, sent_at, command);
            self.sent.push(delivery.clone());
            Step::Deliver { delivery, now }
        });
        deliveries.collect()
    }

    fn delivery(&mut self, path: Path, sent_at: u64, command: Command) -> Delivery {
        let sender = if matches!(path, Path::Player) { Sender::Player } else { Sender::Trusted };
        let fifo = match path {
            Path::Fifo { queue, passed } => {
                let sequence = &mut self.last_sequences[queue];
                *sequence += u128::from(!passed);
                let position = FifoPosition { sequence: *sequence - u128::from(passed), index: 0 };
                Some(FifoPlace { queue: FifoQueueId::of(&format!("queue-{queue}")), position })
            }
            Path::Standard | Path::Player => None,
        };
        // Each sender counts its own commands, so both give the same ids.
        let number = self.sent.iter().filter(|delivery| delivery.sender == sender).count();
        Delivery {
            player_id: player(),
            command_id: CommandId::new(&format!("c-{number}")).unwrap(),
            sender,
            sent_at: time(sent_at),
            fifo,
            command,
        }
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

    /// The attempt that a command names, from 1.
    fn attempt(&self, task_id: &TaskId, attempt: UnnamedAttempt) -> Option<u64> {
        let current = self.queue.position(task_id).map_or(1, |at| self.queue.tasks[at].attempt());
        match attempt {
            UnnamedAttempt::None => None,
            UnnamedAttempt::Current => Some(current),
            UnnamedAttempt::Other(offset) => Some(current.saturating_add_signed(offset).max(1)),
        }
    }

    /// The id of a new task.
    fn new_id(&mut self, id: UnnamedId) -> TaskId {
        let freed =
            self.queue.finished_tasks.newest_first().into_iter().filter(|task| task.outcome != Outcome::Completed);
        let freed: Vec<TaskId> = freed.map(|task| task.task_id).collect();
        match id {
            UnnamedId::Ago(ago) => self.id_given(ago),
            UnnamedId::Freed(index) if !freed.is_empty() => index.get(&freed).clone(),
            UnnamedId::New | UnnamedId::Freed(_) => {
                self.given_ids += 1;
                self.id_given(1)
            }
        }
    }

    /// Amounts, with so many of resources that were not named before.
    fn amounts(&mut self, amounts: &[(usize, u64)], unique: u32) -> Resources {
        let mut amounts = resources(amounts);
        for _ in 0..unique {
            self.unique_resources += 1;
            amounts.add(&ResourceName::new(&format!("trophy-{:057}", self.unique_resources)).unwrap(), 1);
        }
        amounts
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
            UnnamedCommand::Report(target, thousandths, attempt) => {
                let task_id = self.task(target, |task| task.is_active() && task.work.is_reported());
                let attempt = self.attempt(&task_id, attempt);
                let units = match self.queue.position(&task_id).map(|at| self.queue.tasks[at].work) {
                    Some(Work::Units { units, .. }) => units,
                    _ => 1_000,
                };
                Command::ReportProgress { task_id, units_done: units * thousandths / 1_000, attempt }
            }
            UnnamedCommand::Complete(target, attempt, result) => {
                let task_id = self.task(target, |task| task.is_active() && task.work.is_reported());
                let attempt = self.attempt(&task_id, attempt);
                Command::CompleteTask { task_id, attempt, result }
            }
            UnnamedCommand::Fail(target, attempt, retry) => {
                let task_id = self.task(target, Task::is_active);
                let attempt = self.attempt(&task_id, attempt);
                Command::FailTask { task_id, reason: "broken".to_owned(), attempt, retry }
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
            UnnamedCommand::Tick
            | UnnamedCommand::Repeat(_)
            | UnnamedCommand::RepeatAny(_)
            | UnnamedCommand::Replace(..)
            | UnnamedCommand::PauseAndResume(_) => unreachable!("these are not single new commands"),
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
        let task_id = self.new_id(unnamed.id);
        let costs = self.amounts(&unnamed.costs, unnamed.unique_costs);
        let rewards = self.amounts(&unnamed.rewards, unnamed.unique_rewards);
        TaskSpec {
            task_id,
            kind: TaskKind::new("test").unwrap(),
            priority: unnamed.priority,
            work: unnamed.work,
            payload: unnamed.payload,
            not_before: unnamed.not_before.map(|offset| time((self.now + offset).max(0) as u64)),
            prerequisites,
            costs,
            rewards,
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
