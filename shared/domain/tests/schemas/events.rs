//! The schema of events accepts every event of random runs, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
};

use millrace_domain::{event::EventType, events::published::PublishedEvent};
use millrace_schemas::{
    mutations::{self, Mutation, with_an_unknown_field, with_another_value, without_a_field},
    schema::EVENT,
};
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use crate::{
    sent::with_allowed_deadlines,
    support::{
        config,
        generators::{Scale, steps},
        steps::{Step, new_queue, player, take},
    },
};

/// Runs whose events have every field that an event can have.
const RUNS: usize = 250;
/// Fields that tell the forms of one type apart: timed and reported work, and two kinds of changes.
const FORMS: [&str; 4] = ["/task/finishAt", "/task/work/durationMs", "/priority", "/movedToFront"];
/// Values that senders choose: any JSON, and amounts by name.
const CHOSEN: [&str; 9] = [
    "/task/payload",
    "/task/costs",
    "/task/rewards",
    "/costs",
    "/rewards",
    "/refunds",
    "/resources",
    "/lost",
    "/result",
];
/// A field that the schema allows and no event has: a failed task gets no refund today.
const RESERVED: [(&str, &str); 1] = [("taskFailed", "/refunds")];

/// The events of steps, in JSON.
fn events(steps: Vec<Step>) -> Vec<Value> {
    let mut queue = new_queue();
    let mut events = Vec::new();
    for step in steps.into_iter().map(with_allowed_deadlines) {
        let result = take(&mut queue, &step);
        let version = queue.version + 1;
        let published = result.events.iter().map(|event| PublishedEvent::new(event, &player(), version).to_json());
        events.extend(published.map(|json| serde_json::from_str::<Value>(&json).unwrap()));
    }
    events
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn every_event_of_a_random_run_is_accepted(steps in steps(Scale { small: false }, 40)) {
        for event in events(steps) {
            EVENT.assert_accepts(&event);
        }
    }
}

/// What the events of one form have in common.
struct Form {
    example: Value,
    /// The fields that all events of the form have, by JSON pointer.
    always: BTreeSet<String>,
    /// The fields that some of them have.
    ever: BTreeSet<String>,
}

/// The forms of events in random runs that are always the same.
static FORMS_OF_EVENTS: LazyLock<BTreeMap<String, Form>> = LazyLock::new(|| {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let runs = (0..RUNS).map(|_| steps(Scale { small: true }, 40).new_tree(&mut runner).unwrap().current());
    let mut forms: BTreeMap<String, Form> = BTreeMap::new();
    for event in runs.flat_map(events) {
        EVENT.assert_accepts(&event);
        let fields = fields(&event);
        let form = FORMS.iter().filter(|pointer| fields.contains(**pointer));
        let name = form.fold(type_of(&event).to_owned(), |name, pointer| name + " " + pointer);
        let form = forms.entry(name).or_insert_with(|| Form {
            example: event.clone(),
            always: fields.clone(),
            ever: BTreeSet::new(),
        });
        form.always.retain(|field| fields.contains(field));
        form.ever.extend(fields);
    }
    forms
});

fn type_of(event: &Value) -> &str {
    event["type"].as_str().expect("an event has a type")
}

/// The fields of an event by JSON pointer, without those that senders choose.
fn fields(event: &Value) -> BTreeSet<String> {
    let is_chosen = |pointer: &str| {
        CHOSEN.iter().any(|chosen| pointer.strip_prefix(chosen).is_some_and(|rest| rest.starts_with('/')))
    };
    let is_item = |pointer: &str| pointer.ends_with(|last: char| last.is_ascii_digit());
    let pointers = mutations::parts(event).into_iter().map(|(pointer, _)| pointer);
    pointers.filter(|pointer| !pointer.is_empty() && !is_chosen(pointer) && !is_item(pointer)).collect()
}

fn assert_refuses(mutations: impl IntoIterator<Item = Mutation>) {
    let mut count = 0;
    for Mutation { pointer, value } in mutations {
        assert!(!EVENT.accepts(&value), "{pointer} in {value:#}");
        count += 1;
    }
    assert!(count > 0, "nothing was changed");
}

#[test]
fn the_runs_have_events_of_every_type() {
    let found: BTreeSet<&str> = FORMS_OF_EVENTS.values().map(|form| type_of(&form.example)).collect();
    assert_eq!(found, EventType::ALL.into_iter().map(EventType::as_str).collect());
    assert_eq!(FORMS_OF_EVENTS.len(), EventType::ALL.len() + 3, "{:?}", FORMS_OF_EVENTS.keys());
}

#[test]
fn an_event_without_a_field_that_it_always_has_is_refused() {
    for form in FORMS_OF_EVENTS.values() {
        let without = without_a_field(&form.example).into_iter();
        assert_refuses(without.filter(|mutation| form.always.contains(&mutation.pointer)));
    }
}

#[test]
fn an_event_with_an_unknown_field_is_refused() {
    for Form { example, .. } in FORMS_OF_EVENTS.values() {
        let with_field = with_an_unknown_field(example).into_iter();
        assert_refuses(with_field.filter(|mutation| !["/task/payload", "/result"].contains(&&*mutation.pointer)));
    }
}

#[test]
fn a_field_of_another_type_of_event_is_refused() {
    let forms = FORMS_OF_EVENTS.values();
    let values: BTreeMap<&String, &Value> = forms
        .flat_map(|form| form.ever.iter().filter_map(|field| Some((field, form.example.pointer(field)?))))
        .collect();
    for Form { example, ever, .. } in FORMS_OF_EVENTS.values() {
        let mut refused = 0;
        for (field, value) in values.iter().filter(|(field, _)| !ever.contains(**field)) {
            let (parent, name) = field.rsplit_once('/').expect("a pointer");
            let mut changed = example.clone();
            let Some(parent) = changed.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
            parent.insert(name.to_owned(), (*value).clone());
            let is_reserved = RESERVED.contains(&(type_of(example), field));
            assert_eq!(EVENT.accepts(&changed), is_reserved, "{field} in {changed:#}");
            refused += 1;
        }
        assert!(refused > 10, "{example:#}");
    }
}

#[test]
fn a_value_of_another_type_is_refused() {
    let others = |value: &Value| {
        let other = if value.is_object() { json!("text") } else { json!({"unknown field": true}) };
        vec![Value::Null, other]
    };
    for Form { example, ever, .. } in FORMS_OF_EVENTS.values() {
        let with_other = with_another_value(example, others).into_iter();
        let is_typed = |mutation: &Mutation| {
            let any_json = ["/task/payload", "/result"].contains(&&*mutation.pointer);
            ever.contains(&mutation.pointer) && !any_json
        };
        assert_refuses(with_other.filter(is_typed));
    }
}
