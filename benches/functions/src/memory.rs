//! The resident memory of both functions over 100,000 commands and more.

use std::{fs, time::SystemTime};

use millrace_domain::Timestamp;
use millrace_tests::{Function, load, sqs};

use crate::{
    game::Game,
    subject::{Binaries, FLOOR, FUNCTION, Servers, number, start},
    table::{Quartiles, Table, Target},
};

/// The number of messages in a batch.
const BATCH: usize = 1_000;
/// The number of players, and the batches after which the memory is reported. A queue grows for
/// about 200 commands, until it remembers the greatest number of tasks. The last two reports, which
/// are compared for growth, come later.
const RUNS: [(usize, &[usize]); 2] = [(100, &[1, 10, 50, TARGET_BATCH]), (1_000, &[1, 10, TARGET_BATCH, 250, 300])];
/// The report that is compared with the floor: after 100,000 commands.
const TARGET_BATCH: usize = 100;
/// A report is the median of this many batches. A single measurement depends on its moment, because
/// the allocator returns freed memory some time later.
const BATCHES_OF_A_REPORT: usize = 9;
/// The target for the memory of the function, as a multiple of the floor.
const LIMIT: f64 = 2.0;
/// The target for the growth between the last two reports, in percent.
const FLAT_PERCENT: f64 = 5.0;

/// Measures few players and many players. Returns a table for each.
pub async fn measure(binaries: &Binaries) -> String {
    let mut tables = Vec::new();
    for (players, batches) in RUNS {
        tables.push(with_players(binaries, players, batches).await.to_string());
    }
    tables.join("\n\n")
}

/// Sends every batch to the function. Sends the same bytes to the floor, which reads the queues of
/// the players from Redis.
async fn with_players(binaries: &Binaries, players: usize, report_after: &[usize]) -> Table {
    let servers = Servers::start().await;
    let function = start(&binaries.function(&servers)).await;
    let floor = start(&binaries.floor(&servers)).await;
    let mut game = Game::new("memory", players);
    let keys = servers.keys(game.players());
    let heading = format!("Memory, batches of {BATCH} commands of {players} players");
    let columns = ["resident after", FLOOR, FUNCTION, "times", "of which binary pages", "of which cached queues"];
    let mut table = Table::new(&heading, &columns);
    let mut resident = [Vec::new(), Vec::new()];
    let cells = |resident: &[Vec<f64>; 2], cached: Option<f64>| {
        let [floor, resident] =
            resident.each_ref().map(|all| median(&all[all.len().saturating_sub(BATCHES_OF_A_REPORT)..]));
        let (times, file) = (resident / floor, memory(&function, "RssFile"));
        let cached = cached.map_or(String::new(), mib);
        (times, resident, [mib(floor), mib(resident), format!("{times:.2}"), mib(file), cached])
    };
    let measure = |resident: &mut [Vec<f64>; 2]| {
        for (all, subject) in resident.iter_mut().zip([&floor, &function]) {
            all.push(memory(subject, "VmRSS"));
        }
    };
    measure(&mut resident);
    table.row("start", &cells(&resident, None).2);
    resident.iter_mut().for_each(Vec::clear);
    let mut reported = Vec::new();
    for batch in 1..=report_after.last().copied().unwrap_or_default() {
        let messages: Vec<_> = (0..BATCH / players).flat_map(|_| game.batch(now())).collect();
        let answers = load::send(&function, &messages).await;
        let applied: f64 = answers.iter().map(|answer| number(answer, "/report/commands/applied")).sum();
        assert_eq!(applied, BATCH as f64, "every command is applied once");
        let mut payload = sqs::standard(&messages);
        payload["keys"] = keys.clone().into();
        let read = floor.answer(&payload).await;
        assert_eq!(number(&read, "/found"), players as f64, "the floor reads what the function wrote");
        measure(&mut resident);
        if report_after.contains(&batch) {
            let last = &answers[answers.len() - 1];
            let (times, function, row) = cells(&resident, Some(number(last, "/report/memory/localCacheBytes")));
            reported.push(function);
            let label = format!("{} commands", batch * BATCH);
            eprintln!("memory after {label}: {}", row.join(", "));
            match batch {
                TARGET_BATCH => {
                    table.row_with_target(&label, &row, Target::at_most("at most 2 times the floor", times, LIMIT));
                }
                _ => table.row(&label, &row),
            }
        }
    }
    let [.., before, last] = reported[..] else { unreachable!("there are several reports") };
    let growth = 100.0 * (last - before) / before;
    let [.., from, to] = report_after else { unreachable!("there are several reports") };
    let (from, to) = (from * BATCH, to * BATCH);
    let row = |cells: [String; 3]| [&cells[..], &[String::new(), String::new()]].concat();
    table.row_with_target(
        &format!("growth from {from} to {to}"),
        &row([String::new(), format!("{growth:+.1} %"), String::new()]),
        Target::at_most("flat: at most 5 %", growth, FLAT_PERCENT),
    );
    let [floor_peak, function_peak] = [&floor, &function].map(|subject| memory(subject, "VmHWM"));
    table.row("peak", &row([mib(floor_peak), mib(function_peak), format!("{:.2}", function_peak / floor_peak)]));
    table
}

fn median(values: &[f64]) -> f64 {
    Quartiles::of(values).median
}

/// The current time of the machine.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is past 1970");
    Timestamp::from_millis(since.as_millis() as u64)
}

/// The field `name` of `/proc/PID/status`, in bytes.
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
