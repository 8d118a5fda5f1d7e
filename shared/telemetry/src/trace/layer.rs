//! Collects the spans of the invocations that are recorded.

use std::{cell::Cell, num::NonZeroU64, sync::Arc};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::{LookupSpan, Registry},
};

use super::{
    context::TraceContext,
    recording::{Recording, random_span_id},
    span::{Fields, Span},
    target::TARGET,
};

/// The name of the span of an invocation.
pub(super) const INVOCATION: &str = "invocation";

thread_local! {
    /// How many spans of traces are entered. Outside of all of them nothing is recorded.
    static ENTERED: Cell<u32> = const { Cell::new(0) };
}

/// A span of the registry that has not ended.
struct OpenSpan {
    recording: Arc<Recording>,
    id: NonZeroU64,
    parent: Option<NonZeroU64>,
    name: &'static str,
    fields: Fields,
    start_nanos: u64,
}

/// The layer that collects spans. Its filter lets only spans of traces pass.
#[derive(Debug, Clone, Copy)]
pub struct TraceLayer;

impl TraceLayer {
    /// The layer with its filter.
    pub fn filtered<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> + Send + Sync {
        Self.with_filter(TraceFilter)
    }
}

/// Lets the span of an invocation pass, and everything inside of it.
struct TraceFilter;

impl<S> Filter<S> for TraceFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.target() == TARGET && (ENTERED.get() > 0 || metadata.name() == INVOCATION)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == TARGET { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TraceLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // The span of an invocation has no parent here. `record_invocation` adds its recording.
        let Some(parent) = span.parent() else { return };
        let (recording, parent) = match parent.extensions().get::<OpenSpan>() {
            Some(parent) => (Arc::clone(&parent.recording), parent.id),
            None => return,
        };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let start_nanos = recording.now_nanos();
        let open =
            OpenSpan { recording, id: random_span_id(), parent: Some(parent), name: span.name(), fields, start_nanos };
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut extensions = span.extensions_mut();
        let Some(open) = extensions.get_mut::<OpenSpan>() else { return };
        match open.parent {
            Some(_) => values.record(&mut open.fields),
            None => open.recording.record_root(|fields| values.record(fields)),
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.lookup_current() else { return };
        let extensions = span.extensions();
        let Some(open) = extensions.get::<OpenSpan>() else { return };
        event.record(&mut LinkVisitor(&open.recording));
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        ENTERED.set(ENTERED.get() + 1);
    }

    fn on_exit(&self, _: &Id, _: Context<'_, S>) {
        ENTERED.set(ENTERED.get().saturating_sub(1));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<OpenSpan>() else { return };
        let OpenSpan { recording, id, parent, name, fields, start_nanos } = open;
        // The span of the invocation ends with its recording.
        if parent.is_some() {
            let end_nanos = recording.now_nanos();
            recording.add(Span { id, parent, name, fields, start_nanos, end_nanos });
        }
    }
}

/// Reads the links of an event.
struct LinkVisitor<'a>(&'a Recording);

impl Visit for LinkVisitor<'_> {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        if let Some(context) = TraceContext::parse_xray(&format!("{value:?}")) {
            self.0.link(context);
        }
    }
}

/// Tells the invocation that is recorded that something it handles is part of this trace.
pub fn link(context: TraceContext) {
    tracing::info!(target: TARGET, link = %context);
}

/// The context that a call inside of `span` passes on; none if the invocation is not recorded.
pub fn context_of(span: &tracing::Span) -> Option<TraceContext> {
    let context = |id: &Id, registry: &Registry| {
        let span = registry.span(id)?;
        let extensions = span.extensions();
        let open = extensions.get::<OpenSpan>()?;
        Some(open.recording.context(open.id))
    };
    span.with_subscriber(|(id, dispatch)| context(id, dispatch.downcast_ref()?)).flatten()
}

/// A span of an invocation whose spans are recorded; disabled if no layer is installed.
pub(super) fn invocation_span(recording: &Arc<Recording>) -> tracing::Span {
    let span = tracing::info_span!(
        target: TARGET,
        INVOCATION,
        faas.invocation_id = tracing::field::Empty,
        faas.coldstart = tracing::field::Empty,
        "error.type" = tracing::field::Empty,
    );
    span.with_subscriber(|(id, dispatch)| {
        let registry: &Registry = dispatch.downcast_ref()?;
        let open = OpenSpan {
            recording: Arc::clone(recording),
            id: recording.root,
            parent: None,
            name: INVOCATION,
            fields: Fields::default(),
            start_nanos: recording.now_nanos(),
        };
        registry.span(id)?.extensions_mut().insert(open);
        Some(())
    });
    span
}
