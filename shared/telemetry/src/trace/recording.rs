//! The spans of one invocation.

use std::{
    num::{NonZeroU64, NonZeroU128},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use super::{
    context::TraceContext,
    span::{FieldValue, Fields, Span},
};

/// The most spans of an invocation that are kept. Later ones are counted only.
const MAX_SPANS: usize = 1_000;
/// The most links of an invocation, as OpenTelemetry limits them.
const MAX_LINKS: usize = 128;

/// How many spans are beyond the limit, as a field of the span of the invocation.
const DROPPED_SPANS: &str = "millrace.dropped_spans";

/// The spans of one invocation that is recorded.
#[derive(Debug)]
pub(super) struct Recording {
    /// The span of the invocation.
    pub(super) root: NonZeroU64,
    started: Instant,
    started_nanos: u64,
    /// The trace that Lambda names.
    given: Option<TraceContext>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The trace, once it is decided: a trace that was passed on cannot be another one later.
    trace: Option<Trace>,
    /// The traces of what the invocation handles, each once.
    links: Vec<TraceContext>,
    /// All fields of the span of the invocation.
    root_fields: Fields,
    spans: Vec<Span>,
    dropped: i64,
}

/// Which trace the invocation is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trace {
    pub(super) id: NonZeroU128,
    /// The span outside the process that led to the invocation.
    pub(super) parent: Option<NonZeroU64>,
    pub(super) is_sampled: bool,
}

/// What is exported of an invocation that has ended.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) trace: Trace,
    /// The span of the invocation.
    pub(super) root: Span,
    /// All others, in the order in which they ended.
    pub(super) spans: Vec<Span>,
    /// Other traces that led to the invocation.
    pub(super) links: Vec<TraceContext>,
}

impl Recording {
    /// A recording that begins now. `given` is the trace that Lambda names.
    pub(super) fn new(given: Option<TraceContext>) -> Self {
        let started_nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        Self {
            root: random_span_id(),
            started: Instant::now(),
            started_nanos: started_nanos as u64,
            given,
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time now, in nanoseconds since the Unix epoch. It never goes backwards.
    pub(super) fn now_nanos(&self) -> u64 {
        self.started_nanos + self.started.elapsed().as_nanos() as u64
    }

    /// Adds the trace of something that the invocation handles.
    pub(super) fn link(&self, context: TraceContext) {
        let links = &mut self.lock().links;
        if links.len() < MAX_LINKS && !links.contains(&context) {
            links.push(context);
        }
    }

    /// Adds a span that has ended.
    pub(super) fn add(&self, span: Span) {
        let mut state = self.lock();
        match state.spans.len() < MAX_SPANS {
            true => state.spans.push(span),
            false => state.dropped += 1,
        }
    }

    /// Records fields of the span of the invocation.
    pub(super) fn record_root(&self, record: impl FnOnce(&mut Fields)) {
        record(&mut self.lock().root_fields);
    }

    /// The trace that the invocation is part of, as a context whose parent is the span `id`.
    pub(super) fn context(&self, id: NonZeroU64) -> TraceContext {
        let trace = self.lock().trace(self.given);
        TraceContext { trace_id: trace.id, parent: Some(id), sampled: Some(trace.is_sampled) }
    }

    /// Ends the recording.
    pub(super) fn finish(&self, name: &'static str) -> Finished {
        let mut state = self.lock();
        let trace = state.trace(self.given);
        let mut links = std::mem::take(&mut state.links);
        // The enclosing span is the parent already.
        links.retain(|link| (link.trace_id, link.parent) != (trace.id, trace.parent));
        let mut fields = std::mem::take(&mut state.root_fields);
        if state.dropped > 0 {
            fields.add(DROPPED_SPANS, FieldValue::Integer(state.dropped));
        }
        let root = Span {
            id: self.root,
            parent: None,
            name,
            fields,
            start_nanos: self.started_nanos,
            end_nanos: self.now_nanos(),
        };
        Finished { trace, root, spans: std::mem::take(&mut state.spans), links }
    }
}

impl State {
    /// The trace of Lambda, else the one trace of all that the invocation handles, else a new one.
    fn trace(&mut self, given: Option<TraceContext>) -> Trace {
        if let Some(trace) = self.trace {
            return trace;
        }
        let first = self.links.first().copied();
        let only = first.filter(|first| self.links.iter().all(|link| link.trace_id == first.trace_id));
        let trace = match given.or(only) {
            Some(context) => Trace {
                id: context.trace_id,
                // Messages of one trace may come from several spans of it.
                parent: context.parent.filter(|_| given.is_some() || self.links.len() == 1),
                is_sampled: context.sampled != Some(false),
            },
            None => Trace { id: random_trace_id(), parent: None, is_sampled: true },
        };
        *self.trace.insert(trace)
    }
}

/// A new span id.
pub(super) fn random_span_id() -> NonZeroU64 {
    NonZeroU64::new(fastrand::u64(1..)).unwrap_or(NonZeroU64::MIN)
}

/// A new trace id. X-Ray demands that it begins with the seconds since the Unix epoch.
fn random_trace_id() -> NonZeroU128 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let id = u128::from(seconds) << 96 | (fastrand::u128(..) >> 32);
    NonZeroU128::new(id).unwrap_or(NonZeroU128::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(trace_id: u128, parent: u64, sampled: bool) -> TraceContext {
        let trace_id = NonZeroU128::new(trace_id).unwrap();
        TraceContext { trace_id, parent: NonZeroU64::new(parent), sampled: Some(sampled) }
    }

    fn finished(given: Option<TraceContext>, links: &[TraceContext]) -> Finished {
        let recording = Recording::new(given);
        links.iter().for_each(|link| recording.link(*link));
        recording.finish("invocation")
    }

    #[test]
    fn the_trace_of_lambda_is_continued_and_other_traces_are_links() {
        let lambda = context(1, 10, true);
        let finished = finished(Some(lambda), &[context(2, 20, true), context(2, 20, true), context(3, 30, false)]);
        assert_eq!(finished.trace, Trace { id: lambda.trace_id, parent: lambda.parent, is_sampled: true });
        assert_eq!(finished.links, [context(2, 20, true), context(3, 30, false)]);
    }

    #[test]
    fn without_lambda_the_one_trace_of_all_messages_is_continued() {
        for (links, parent) in [(vec![context(2, 20, true)], 20), (vec![context(2, 20, true), context(2, 21, true)], 0)]
        {
            let finished = finished(None, &links);
            assert_eq!((finished.trace.id.get(), finished.trace.parent), (2, NonZeroU64::new(parent)));
        }
        assert!(!finished(None, &[context(2, 20, false)]).trace.is_sampled);
    }

    #[test]
    fn messages_of_several_traces_begin_a_new_one() {
        let links = [context(2, 20, true), context(3, 30, true)];
        let finished = finished(None, &links);
        assert!(finished.trace.id.get() > u128::from(u64::MAX) && finished.trace.parent.is_none());
        assert_eq!(finished.links, links);
    }

    #[test]
    fn a_trace_that_was_passed_on_stays_the_same() {
        let recording = Recording::new(None);
        let passed_on = recording.context(recording.root);
        recording.link(context(2, 20, true));
        assert_eq!(recording.finish("invocation").trace.id, passed_on.trace_id);
    }

    #[test]
    fn spans_beyond_the_limit_are_counted() {
        let recording = Recording::new(None);
        let span = recording.finish("invocation").root;
        (0..MAX_SPANS + 3).for_each(|_| recording.add(span.clone()));
        let finished = recording.finish("invocation");
        assert_eq!(finished.spans.len(), MAX_SPANS);
        let fields: Vec<_> = finished.root.fields.attributes().collect();
        assert_eq!(fields, [(DROPPED_SPANS, &FieldValue::Integer(3))]);
    }
}
