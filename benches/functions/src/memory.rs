//! The resident memory of both functions over 100,000 commands and more.

use std::{fs, time::SystemTime};

use millrace_domain::Timestamp;
use millrace_tests::{Function, load, sqs};

use crate::{
    game::Game,
    subject::{FLOOR, FUNCTION, Servers, Stage, number, started},
    table::{Quartiles, Table, Target},
};

/// The messages of a batch.
const BATCH: usize = 1_000;
/// The number of players, and the batches after which the memory is sampled.
///
/// A queue grows for some two hundred commands, until it remembers the most tasks. The last two
/// samples, which are compared, come later.
const RUNS: [(usize, &[usize]); 2] = [(100, &[1, 10, 50, COMPARED]), (1_000, &[1, 10, COMPARED, 250, 300])];
/// The sample that is compared with the floor: after 100,000 commands.
const COMPARED: usize = 100;
/// A sample is the median of the last batches, because the allocator returns freed memory with a
/// delay.
const BATCHES_OF_A_SAMPLE: usize = 9;
/// The allowed multiple of the memory of the floor.
const LIMIT: f64 = 2.0;
/// The allowed growth between the last two samples in percent.
const FLAT_PERCENT: f64 = 5.0;

/// Measures with few players and with many, a table for each.
pub async fn measure(stage: &Stage) -> String {
    let mut tables = Vec::new();
    for (players, sampled) in RUNS {
        tables.push(of_players(stage, players, sampled).await.to_string());
    }
    tables.join("\n\n")
}

/// Sends every batch to the function, and the same bytes to the floor, which reads the queues of
/// the players from Redis. Adds a row after each batch in `sampled`.
async fn of_players(stage: &Stage, players: usize, sampled: &[usize]) -> Table {
    let servers = Servers::start().await;
    let mut both = Both::start(stage, &servers).await;
    let mut game = Game::new("memory", players);
    let keys = servers.keys(game.players());
    let heading = format!("Memory, batches of {BATCH} commands of {players} players");
    let columns = ["resident after", FLOOR, FUNCTION, "times", "the binary's pages", "cached queues"];
    let mut table = Table::new(&heading, &columns);
    both.record();
    table.row("start", &both.sample().row(None));
    both.resident.iter_mut().for_each(Vec::clear);
    let mut samples = Vec::new();
    for batch in 1..=sampled.last().copied().unwrap_or_default() {
        let messages: Vec<_> = (0..BATCH / players).flat_map(|_| game.batch(now())).collect();
        let cached = both.process(&messages, &keys).await;
        both.record();
        if !sampled.contains(&batch) {
            continue;
        }
        let sample = both.sample();
        samples.push(sample.function);
        let (name, row) = (format!("{} commands", batch * BATCH), sample.row(Some(cached)));
        eprintln!("memory after {name}: {}", row.join(", "));
        match batch {
            COMPARED => {
                let target = Target::at_most("at most 2 times the floor", sample.times(), LIMIT);
                table.row_with_target(&name, &row, target);
            }
            _ => table.row(&name, &row),
        }
    }
    let ([.., before, last], [.., from, to]) = (&samples[..], sampled) else { panic!("two samples are compared") };
    let growth = 100.0 * (last - before) / before;
    let row = |figures: [String; 3]| [&figures[..], &[String::new(), String::new()]].concat();
    table.row_with_target(
        &format!("growth from {} to {}", from * BATCH, to * BATCH),
        &row([String::new(), format!("{growth:+.1} %"), String::new()]),
        Target::at_most("flat: at most 5 %", growth, FLAT_PERCENT),
    );
    let [floor, function] = [&both.floor, &both.function].map(|function| memory(function, "VmHWM"));
    table.row("highest", &row([mib(floor), mib(function), format!("{:.2}", function / floor)]));
    table
}

/// Both functions, and their resident memory after each batch.
struct Both {
    floor: Function,
    function: Function,
    /// In bytes: of the floor, of the function.
    resident: [Vec<f64>; 2],
}

/// The resident memory of both, in bytes.
struct Sample {
    floor: f64,
    function: f64,
    /// The pages of its binary.
    file: f64,
}

impl Both {
    async fn start(stage: &Stage, servers: &Servers) -> Self {
        let function = started(&stage.function(servers)).await;
        let floor = started(&stage.floor(servers)).await;
        Self { floor, function, resident: [Vec::new(), Vec::new()] }
    }

    /// Lets both process a batch. Returns the bytes in the local cache of the function.
    async fn process(&self, messages: &[sqs::Message], keys: &[String]) -> f64 {
        let answers = load::send(&self.function, messages).await;
        let applied: f64 = answers.iter().map(|answer| number(answer, "/report/commands/applied")).sum();
        assert_eq!(applied, BATCH as f64, "every command is applied once");
        let mut event = sqs::standard(messages);
        event["keys"] = keys.into();
        let read = self.floor.invoke(&event).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(number(&read, "/found"), keys.len() as f64, "the floor reads what the function has written");
        number(&answers[answers.len() - 1], "/report/memory/localCacheBytes")
    }

    fn record(&mut self) {
        for (all, function) in self.resident.iter_mut().zip([&self.floor, &self.function]) {
            all.push(memory(function, "VmRSS"));
        }
    }

    fn sample(&self) -> Sample {
        let last = |all: &Vec<f64>| median(&all[all.len().saturating_sub(BATCHES_OF_A_SAMPLE)..]);
        let [floor, function] = self.resident.each_ref().map(last);
        Sample { floor, function, file: memory(&self.function, "RssFile") }
    }
}

impl Sample {
    fn times(&self) -> f64 {
        self.function / self.floor
    }

    fn row(&self, cached: Option<f64>) -> [String; 5] {
        let cached = cached.map_or(String::new(), mib);
        [mib(self.floor), mib(self.function), format!("{:.2}", self.times()), mib(self.file), cached]
    }
}

fn median(values: &[f64]) -> f64 {
    Quartiles::of(values).median
}

/// The time of the system clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    Timestamp::from_millis(since.as_millis() as u64)
}

/// A value of `/proc/PID/status`, in bytes.
fn memory(function: &Function, name: &str) -> f64 {
    let path = format!("/proc/{}/status", function.pid());
    let status = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse::<f64>().ok());
    1024.0 * kib.unwrap_or_else(|| panic!("{path} has no {name}"))
}

fn mib(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / (1 << 20) as f64)
}
