//! Encodes and decodes the same queues with the codec of rows and with other crates.
//!
//! ```sh
//! cargo bench -p millrace-domain --bench codec
//! ```
//!
//! The candidates take turns. Each figure is the median of all turns, in CPU time of this process.
//! "With conversion" includes the conversion between the types of the crate and those of the
//! domain.

mod plain_types;

use std::{hint::black_box, time::Duration};

use cpu_time::ProcessTime;
use millrace_domain::{
    Command, CommandId, Delivery, FifoPlace, FifoPosition, FifoQueueId, PlayerId, Priority, Queue, ResourceName,
    Resources, Rules, Sender, TaskId, TaskKind, TaskSpec, Timestamp, Verdict, Work,
    codec::{decode, encode},
};
use plain_types::PlainQueue;

/// The allocator of the functions.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BEGIN: u64 = 1_768_471_200_000;
const TURNS: usize = 501;
const CALLS_PER_TURN: u32 = 20;
/// The size of the header, which only the codec of rows writes.
const HEADER: usize = 6;

/// Sends one command a second to a queue, through the FIFO group of the player.
struct Player {
    queue: Queue,
    commands: u64,
}

impl Player {
    fn send(&mut self, command: Command) {
        let at = Timestamp::from_millis(BEGIN + 1_000 * self.commands);
        let delivery = Delivery {
            player_id: self.queue.player_id.clone(),
            command_id: CommandId::new(&format!("059f36b4-87a3-44ab-{:012}:0", self.commands)).unwrap(),
            sender: Sender::Trusted,
            sent_at: at,
            fifo: Some(FifoPlace {
                queue: FifoQueueId::of("arn:aws:sqs:eu-central-1:123456789012:commands.fifo"),
                position: FifoPosition { sequence: (1 << 64) + u128::from(self.commands), index: 0 },
            }),
            command,
        };
        let (verdict, _) = self.queue.deliver(&delivery, at, Rules::default(), &mut Vec::new());
        assert_eq!(verdict, Verdict::Applied);
        self.queue.command_memory.trim([delivery].iter());
        self.commands += 1;
    }
}

fn amount(name: &str, amount: u64) -> Resources {
    Resources::from_iter([(ResourceName::new(name).unwrap(), amount)])
}

/// A queue with so many finished and unfinished tasks that remembers at least so many commands.
fn queue(finished: usize, unfinished: usize, commands: usize) -> Queue {
    let queue = Queue::new(PlayerId::new("player-004711").unwrap(), Timestamp::from_millis(BEGIN));
    let mut player = Player { queue, commands: 0 };
    player.send(Command::ConfigureQueue { slots: Some(2), max_tasks: Some(200) });
    player.send(Command::GrantResources { resources: amount("gold", 1_000_000_000) });
    for n in 0..finished + unfinished {
        let work = match n {
            _ if n < finished => Work::DurationMs(500),
            _ if n == finished => Work::DurationMs(86_400_000),
            _ => Work::units(1_000),
        };
        let spec = TaskSpec {
            task_id: TaskId::new(&format!("task-{:08x}", 0x5bd1_e995_u32.wrapping_mul(n as u32 + 1))).unwrap(),
            kind: TaskKind::new(["harvest.wood", "harvest.stone", "build.house", "research.metal"][n % 4]).unwrap(),
            priority: Priority::Normal,
            work,
            payload: None,
            not_before: None,
            prerequisites: Vec::new(),
            costs: amount("gold", 5),
            rewards: amount(["wood", "stone", "gold", "metal"][n % 4], 10),
            max_retries: 3,
            retry_delay_ms: 1_000,
        };
        player.send(Command::EnqueueTasks { tasks: vec![spec] });
    }
    while player.queue.command_memory.len() < commands {
        player.send(Command::GrantResources { resources: amount("gold", 1) });
    }
    player.queue.version = 4_711;
    player.queue
}

/// Encodes or decodes once.
type Call<'a> = Box<dyn FnMut() + 'a>;

struct Candidate<'a> {
    name: &'a str,
    bytes: usize,
    encode: Call<'a>,
    decode: Call<'a>,
}

fn candidate<'a, A, B>(
    name: &'a str,
    bytes: usize,
    mut encode: impl FnMut() -> A + 'a,
    mut decode: impl FnMut() -> B + 'a,
) -> Candidate<'a> {
    let encode = Box::new(move || drop(black_box(encode())));
    Candidate { name, bytes, encode, decode: Box::new(move || drop(black_box(decode()))) }
}

fn time(call: &mut Call<'_>) -> Duration {
    let started = ProcessTime::now();
    for _ in 0..CALLS_PER_TURN {
        call();
    }
    started.elapsed() / CALLS_PER_TURN
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_nanos() as f64 / 1_000.0
}

fn compare(title: &str, queue: &Queue) {
    let plain = PlainQueue::from(queue);
    let own = encode(queue);
    let prost = prost::Message::encode_to_vec(&plain);
    let bilrost = bilrost::Message::encode_to_vec(&plain);
    let postcard = postcard::to_allocvec(&plain).unwrap();
    let from_prost = || <PlainQueue as prost::Message>::decode(&prost[..]).unwrap();
    let from_bilrost = || <PlainQueue as bilrost::OwnedMessage>::decode(&bilrost[..]).unwrap();
    let from_postcard = || postcard::from_bytes::<PlainQueue>(&postcard).unwrap();
    let mut candidates = [
        candidate("minicbor, the codec of rows", own.len(), || encode(queue), || decode::<Queue>(&own).unwrap()),
        candidate("prost", prost.len() + HEADER, || prost::Message::encode_to_vec(&plain), from_prost),
        candidate(
            "prost, with conversion",
            prost.len() + HEADER,
            || prost::Message::encode_to_vec(&PlainQueue::from(queue)),
            || from_prost().into_queue(),
        ),
        candidate("bilrost", bilrost.len() + HEADER, || bilrost::Message::encode_to_vec(&plain), from_bilrost),
        candidate(
            "bilrost, with conversion",
            bilrost.len() + HEADER,
            || bilrost::Message::encode_to_vec(&PlainQueue::from(queue)),
            || from_bilrost().into_queue(),
        ),
        candidate("postcard", postcard.len() + HEADER, || postcard::to_allocvec(&plain).unwrap(), from_postcard),
        candidate(
            "postcard, with conversion",
            postcard.len() + HEADER,
            || postcard::to_allocvec(&PlainQueue::from(queue)).unwrap(),
            || from_postcard().into_queue(),
        ),
    ];
    let mut times: Vec<(Vec<Duration>, Vec<Duration>)> = candidates.iter().map(|_| Default::default()).collect();
    for _ in 0..TURNS {
        for (candidate, (encodes, decodes)) in candidates.iter_mut().zip(&mut times) {
            encodes.push(time(&mut candidate.encode));
            decodes.push(time(&mut candidate.decode));
        }
    }
    println!("| {title} | encode | decode | bytes |\n|---|---:|---:|---:|");
    for (candidate, (encodes, decodes)) in candidates.iter().zip(times) {
        let (name, bytes) = (candidate.name, candidate.bytes);
        println!("| {name} | {:.2} µs | {:.2} µs | {bytes} |", median(encodes), median(decodes));
    }
    println!();
}

fn main() {
    compare("10 tasks, 12 remembered commands", &queue(0, 10, 12));
    compare("10 tasks, 64 remembered commands, 64 finished tasks", &queue(64, 10, 64));
    compare("200 tasks, 64 remembered commands, 64 finished tasks", &queue(64, 200, 64));
}
