//! The way through bytes and back.

use millrace_domain::{
    Change, Event, Queue, Record,
    codec::{CachedQueue, Outbox, decode, encode},
};
use proptest::prelude::*;

use crate::{
    any_steps,
    support::{config, new_queue, take},
    watch,
};

proptest! {
    #![proptest_config(config(250))]

    #[test]
    fn a_queue_and_its_records_survive_the_way_through_bytes(steps in any_steps()) {
        let mut queue = new_queue();
        for step in &steps {
            let outcome = take(&mut queue, step);
            let bytes = encode(&queue);
            let decoded: Queue = decode(&bytes).unwrap();
            prop_assert_eq!(&decoded, &queue);
            prop_assert_eq!(encode(&decoded), bytes);
            let records = outcome.events.into_iter().filter_map(|event| match event {
                Event::TaskFinished(record) => Some(Record::History(record)),
                _ => None,
            });
            let outbox = Outbox(records.chain([Record::Stats(queue.stats()), Record::Progress(queue.progress())]).collect());
            prop_assert_eq!(decode::<Outbox>(&encode(&outbox)).unwrap(), outbox);
            let cached = CachedQueue { queue: queue.clone(), progress_known: outcome.change == Change::Decided };
            prop_assert_eq!(decode::<CachedQueue>(&encode(&cached)).unwrap(), cached);
        }
    }

    #[test]
    fn any_damaged_bit_is_found(steps in any_steps(), place in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let (queue, _) = watch(&steps, |_, _| Ok(()))?;
        let mut bytes = encode(&queue);
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode::<Queue>(&bytes).is_err());
    }
}
