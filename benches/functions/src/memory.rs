//! Memory: the resident size of both functions over 100,000 commands and more.

use std::{fs, time::SystemTime};

use millrace_domain::Timestamp;
use millrace_tests::{Function, load, sqs};

use crate::{
    game::Game,
    subject::{FLOOR, FUNCTION, Servers, Stage, number, started},
    table::{Quartiles, Table, Target},
};

/// Messages of a batch.
const BATCH: usize = 1_000;
/// How many players send them, and after how many batches it is looked at. A queue grows over some two hundred
/// commands, until it remembers as many tasks as it ever does; the last two looks, which are compared, come later.
const RUNS: [(usize, &[usize]); 2] = [(100, &[1, 10, 50, AIMED]), (1_000, &[1, 10, AIMED, 250, 300])];
/// The look that is held against the floor: 100,000 commands.
const AIMED: usize = 100;
/// A look is the median of so many batches, up to the one that it is named after: what a batch has freed is given
/// back some time later, so that one look alone depends on when it comes.
const BATCHES_OF_A_LOOK: usize = 9;
/// How many times as much as the floor it may take.
const LIMIT: f64 = 2.0;
/// How many parts of a hundred more between the last two looks is still flat.
const FLAT_PERCENT: f64 = 5.0;

/// A table for few players and one for many.
pub async fn measure(stage: &Stage) -> String {
    let mut tables = Vec::new();
    for (players, looks) in RUNS {
        tables.push(of_players(stage, players, looks).await.to_string());
    }
    tables.join("\n\n")
}

/// Sends every batch to the function, and the same bytes to the floor, which reads the queues of the
/// batch's players from Redis.
async fn of_players(stage: &Stage, players: usize, at: &[usize]) -> Table {
    let servers = Servers::start().await;
    let function = started(&stage.function(&servers)).await;
    let floor = started(&stage.floor(&servers)).await;
    let mut game = Game::new("memory", players);
    let keys = servers.keys(game.players());
    let heading = format!("Memory, batches of {BATCH} commands of {players} players");
    let columns = ["resident after", FLOOR, FUNCTION, "times", "of it the binary's pages", "of it queues cached"];
    let mut table = Table::new(&heading, &columns);
    let mut resident = [Vec::new(), Vec::new()];
    let figures = |resident: &[Vec<f64>; 2], cached: Option<f64>| {
        let [floor, resident] =
            resident.each_ref().map(|all| median(&all[all.len().saturating_sub(BATCHES_OF_A_LOOK)..]));
        let (times, file) = (resident / floor, memory(&function, "RssFile"));
        let cached = cached.map_or(String::new(), mib);
        (times, resident, [mib(floor), mib(resident), format!("{times:.2}"), mib(file), cached])
    };
    let look = |resident: &mut [Vec<f64>; 2]| {
        for (all, subject) in resident.iter_mut().zip([&floor, &function]) {
            all.push(memory(subject, "VmRSS"));
        }
    };
    look(&mut resident);
    table.row("start", &figures(&resident, None).2);
    resident.iter_mut().for_each(Vec::clear);
    let mut looks = Vec::new();
    for batch in 1..=at.last().copied().unwrap_or_default() {
        let messages: Vec<_> = (0..BATCH / players).flat_map(|_| game.batch(now())).collect();
        let answers = load::send(&function, &messages).await;
        let applied: f64 = answers.iter().map(|answer| number(answer, "/report/commands/applied")).sum();
        assert_eq!(applied, BATCH as f64, "every command is applied once");
        let mut event = sqs::standard(&messages);
        event["keys"] = keys.clone().into();
        let read = floor.invoke(&event).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(number(&read, "/found"), players as f64, "the floor reads what the function has written");
        look(&mut resident);
        if at.contains(&batch) {
            let last = &answers[answers.len() - 1];
            let (times, function, row) = figures(&resident, Some(number(last, "/report/memory/localCacheBytes")));
            looks.push(function);
            let what = format!("{} commands", batch * BATCH);
            eprintln!("memory after {what}: {}", row.join(", "));
            match batch {
                AIMED => {
                    table.aimed(&what, &row, Target::at_most("at most 2 times the floor", times, LIMIT));
                }
                _ => table.row(&what, &row),
            }
        }
    }
    let [.., before, last] = looks[..] else { unreachable!("it was looked at several times") };
    let growth = 100.0 * (last - before) / before;
    let [.., from, to] = at else { unreachable!("it was looked at several times") };
    let (from, to) = (from * BATCH, to * BATCH);
    let row = |figures: [String; 3]| [&figures[..], &[String::new(), String::new()]].concat();
    table.aimed(
        &format!("growth from {from} to {to}"),
        &row([String::new(), format!("{growth:+.1} %"), String::new()]),
        Target::at_most("flat: at most 5 %", growth, FLAT_PERCENT),
    );
    let [least, most] = [&floor, &function].map(|subject| memory(subject, "VmHWM"));
    table.row("the most at any time", &row([mib(least), mib(most), format!("{:.2}", most / least)]));
    table
}

fn median(values: &[f64]) -> f64 {
    Quartiles::of(values).median
}

/// The time by the clock of the machine.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    Timestamp::from_millis(since.as_millis() as u64)
}

/// A line of `/proc/PID/status`, in bytes.
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
