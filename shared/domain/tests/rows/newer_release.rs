//! The types of a later release, which has more fields and more variants.

use millrace_domain::{
    PlayerId, Queue, RejectionReason, ResourceName, Resources, TaskId, TaskKind, Timestamp, codec::FORMAT_VERSION,
    command_memory::hash,
};
use minicbor::{Decode, Encode};

use crate::samples::{BEGIN, amounts, at, id};

/// A row with this content: the header, then the encoding.
pub fn row(kind: u8, content: &impl Encode<()>) -> Vec<u8> {
    let mut row = vec![kind, FORMAT_VERSION, 0, 0, 0, 0];
    minicbor::encode(content, &mut row).unwrap();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&row[..2]);
    checksum.update(&row[6..]);
    row[2..6].copy_from_slice(&checksum.finalize().to_le_bytes());
    row
}

/// Content that no field of this release has: nested lists and maps, fractions, bytes.
#[derive(Encode, Clone)]
#[cbor(map)]
pub struct NewContent {
    #[n(0)]
    lists: Vec<Vec<Option<f64>>>,
    #[cbor(n(900), with = "minicbor::bytes")]
    bytes: Vec<u8>,
    #[n(7)]
    text: String,
}

fn new_content() -> NewContent {
    NewContent { lists: vec![vec![Some(0.5), None], vec![]], bytes: vec![0xff; 300], text: "new".to_owned() }
}

#[derive(Encode, Clone)]
#[cbor(map)]
pub struct NewerTotals {
    #[n(0)]
    completed: u64,
    #[n(1)]
    failed: u64,
    #[n(2)]
    cancelled: u64,
    #[n(3)]
    time_spent_ms: u64,
    #[n(5)]
    new: NewContent,
}

#[derive(Encode, Clone)]
#[cbor(flat)]
pub enum NewerWork {
    #[n(1)]
    Units(#[n(0)] u64, #[n(1)] Option<u32>, #[n(2)] Option<u32>, #[n(3)] NewContent),
    #[n(2)]
    Repeated(#[n(0)] u64),
}

#[derive(Encode, Clone)]
#[cbor(flat)]
pub enum NewerState {
    #[n(0)]
    Pending,
    #[n(1)]
    Active {
        #[n(0)]
        started_at: Timestamp,
        #[n(1)]
        paused_ms: u64,
        #[n(2)]
        reported_ms: u64,
        #[n(3)]
        new: NewContent,
    },
    #[n(2)]
    Leased {
        #[n(0)]
        until: u64,
    },
}

#[derive(Encode, Clone)]
#[cbor(map)]
pub struct NewerTask {
    #[n(0)]
    id: TaskId,
    #[n(1)]
    kind: TaskKind,
    #[n(2)]
    priority: u8,
    #[n(3)]
    pub work: NewerWork,
    #[n(8)]
    rewards: Resources,
    #[n(9)]
    max_retries: u8,
    #[n(10)]
    retry_delay_ms: u32,
    #[n(12)]
    paid: bool,
    #[n(13)]
    enqueued_at: Timestamp,
    #[n(14)]
    pub state: NewerState,
    #[n(18)]
    new: NewContent,
    #[n(1_000)]
    far_number: u64,
}

#[derive(Encode, Decode, Clone)]
#[cbor(map)]
pub struct NewerFinishedTasks {
    #[cbor(n(0), with = "minicbor::bytes")]
    bytes: Vec<u8>,
    #[n(1)]
    new: Option<u64>,
}

#[derive(Encode, Decode, Clone)]
#[cbor(map)]
pub struct NewerCommandMemory {
    #[cbor(n(0), with = "minicbor::bytes")]
    trusted: Vec<u8>,
    #[cbor(n(1), with = "minicbor::bytes")]
    player: Vec<u8>,
    #[cbor(n(2), with = "minicbor::bytes")]
    fifo: Vec<u8>,
    #[n(3)]
    new: Option<Vec<u64>>,
}

#[derive(Encode, Clone)]
#[cbor(map)]
pub struct NewerQueue {
    #[n(0)]
    player_id: PlayerId,
    #[n(1)]
    version: u64,
    #[n(2)]
    advanced_to: Timestamp,
    #[n(3)]
    active_at: Timestamp,
    #[n(5)]
    slots: u8,
    #[n(6)]
    max_tasks: u16,
    #[n(7)]
    balances: Resources,
    #[n(8)]
    totals: NewerTotals,
    #[n(9)]
    pub tasks: Vec<NewerTask>,
    #[n(10)]
    finished_tasks: NewerFinishedTasks,
    #[n(11)]
    command_memory: NewerCommandMemory,
    #[n(12)]
    event_sequence: u64,
    #[n(13)]
    new: NewContent,
}

#[derive(Encode)]
#[cbor(map)]
pub struct NewerCachedQueue {
    #[n(0)]
    queue: NewerQueue,
    #[n(1)]
    progress_known: bool,
    #[n(2)]
    new: NewContent,
}

#[derive(Encode)]
#[cbor(map)]
pub struct NewerOutbox {
    #[n(0)]
    records: Vec<NewerRecord>,
    #[n(2)]
    new: NewContent,
}

/// A known record, a history record with these numbers, or a kind that this release does not know.
pub enum NewerRecord {
    Known,
    History { priority: u8, outcome: u8 },
    Event { sequence: u64 },
}

impl<C> Encode<C> for NewerRecord {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Known => {
                encoder.array(2)?.u8(3)?.map(4)?.u8(0)?.str("p-1")?.u8(1)?.u8(41)?.u8(2)?.array(0)?.u8(3)?;
                new_content().encode(encoder, context)
            }
            Self::History { priority, outcome } => {
                encoder
                    .array(2)?
                    .u8(0)?
                    .map(10)?
                    .u8(0)?
                    .str("p-1")?
                    .u8(1)?
                    .str("t-1")?
                    .u8(2)?
                    .u8(1)?
                    .u8(3)?
                    .str("k")?;
                encoder.u8(4)?.u8(*priority)?.u8(5)?.u8(*outcome)?.u8(8)?.array(2)?.u8(1)?.u8(100)?;
                encoder.u8(10)?.u64(BEGIN)?.u8(12)?.u64(BEGIN)?.u8(13)?.u8(0)?.ok()
            }
            Self::Event { sequence } => encoder.array(2)?.u8(99)?.u64(*sequence)?.ok(),
        }
    }
}

fn task(name: &str, priority: u8, state: NewerState) -> NewerTask {
    NewerTask {
        id: id(name),
        kind: TaskKind::new("harvest.wood").unwrap(),
        priority,
        work: NewerWork::Units(100, Some(60_000), None, new_content()),
        rewards: amounts(&[("gold", 10)]),
        max_retries: 3,
        retry_delay_ms: 1_000,
        paid: true,
        enqueued_at: at(0),
        state,
        new: new_content(),
        far_number: 1,
    }
}

fn remembered_command(name: &str, reason: u8) -> Vec<u8> {
    [&hash(&name.parse().unwrap())[..], &[reason]].concat()
}

fn finished_task(name: &str, outcome: u8) -> Vec<u8> {
    [&[name.len() as u8], name.as_bytes(), &[outcome], &BEGIN.to_le_bytes()[..6]].concat()
}

pub fn queue() -> NewerQueue {
    let active = NewerState::Active { started_at: at(0), paused_ms: 0, reported_ms: 0, new: new_content() };
    NewerQueue {
        player_id: PlayerId::new("p-1").unwrap(),
        version: 41,
        advanced_to: at(0),
        active_at: at(0),
        slots: 1,
        max_tasks: 50,
        balances: Resources::from_iter([(ResourceName::new("gold").unwrap(), 3)]),
        totals: NewerTotals { completed: 7, failed: 0, cancelled: 1, time_spent_ms: 0, new: new_content() },
        tasks: vec![task("active", 1, active), task("urgent", 4, NewerState::Pending)],
        finished_tasks: NewerFinishedTasks { bytes: finished_task("skipped", 9), new: Some(1) },
        command_memory: NewerCommandMemory {
            trusted: [
                remembered_command("c-unknown-reason", 200),
                remembered_command("c-known-reason", RejectionReason::QueueFull as u8),
            ]
            .concat(),
            player: remembered_command("c-of-the-player", 0),
            // A queue, a sequence number and an index.
            fifo: [&7_u64.to_be_bytes()[..], &8_u128.to_be_bytes(), &0_u16.to_be_bytes()].concat(),
            new: Some(vec![1, 2]),
        },
        event_sequence: 42,
        new: new_content(),
    }
}

pub fn cached_queue() -> NewerCachedQueue {
    NewerCachedQueue { queue: queue(), progress_known: true, new: new_content() }
}

pub fn outbox(records: Vec<NewerRecord>) -> NewerOutbox {
    NewerOutbox { records, new: new_content() }
}

/// What the newer release reads in a row that this release has written.
pub struct NewerView {
    pub queue: Queue,
    finished_tasks: NewerFinishedTasks,
    command_memory: NewerCommandMemory,
}

#[derive(Decode)]
#[cbor(map)]
struct Memories {
    #[n(10)]
    finished_tasks: NewerFinishedTasks,
    #[n(11)]
    command_memory: NewerCommandMemory,
}

pub fn read(row: &[u8]) -> NewerView {
    let Memories { finished_tasks, command_memory } = minicbor::decode(&row[6..]).unwrap();
    NewerView { queue: millrace_domain::codec::decode(row).unwrap(), finished_tasks, command_memory }
}

impl NewerView {
    /// The numbers of the outcomes of all remembered tasks, oldest first.
    pub fn finished_outcomes(&self) -> Vec<u8> {
        let (mut rest, mut outcomes) = (self.finished_tasks.bytes.as_slice(), Vec::new());
        while let [length, following @ ..] = rest {
            let (_, tail) = following.split_at(usize::from(*length));
            outcomes.push(tail[0]);
            rest = &tail[7..];
        }
        outcomes
    }

    /// The numbers of the rejection reasons of all remembered commands of trusted senders, oldest
    /// first.
    pub fn command_reasons(&self) -> Vec<u8> {
        self.command_memory.trusted.chunks(17).map(|entry| entry[16]).collect()
    }
}
