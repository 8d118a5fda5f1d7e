//! The routes that read.

use lambda_http::http::{HeaderValue, StatusCode};
use millrace_domain::{
    FailureReason, PlayerId, TaskId, Timestamp,
    view::{TaskDetails, TaskView},
};
use millrace_pipeline::{Invocation, Platform};
use millrace_queries::{
    EventsRequest, PageRead, PageRequest, QueueRead, ReadError, ReadReport, read_events, read_finished_task,
    read_history, read_queue, read_rejections,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    answer::{Answer, X_QUEUE_VERSION, cache_name},
    cursor, etag,
    parameters::{self, MIN_VERSION, Page},
    problem::Problem,
    request::Request,
    views::{EventList, HistoryItem, List, OneTask, RejectionItem, Stats, TaskState},
};

/// The context of a read.
pub struct Reader<'a> {
    /// What all invocations share.
    pub platform: &'a Platform,
    /// The request.
    pub request: &'a Request,
    /// The invocation, with its deadline.
    pub invocation: &'a Invocation,
    /// The player whose queue is read.
    pub player: &'a PlayerId,
}

impl Reader<'_> {
    /// The queue as of now.
    pub async fn queue(&self) -> Result<Answer, Problem> {
        let read = self.read().await?;
        let view = read.view();
        let mut tagged = view.clone();
        tagged.as_of = Timestamp::default();
        tagged.tasks.iter_mut().for_each(|task| *task = timeless(task));
        Ok(self.tagged(&view, &tagged, view.version, &read.report))
    }

    /// One task as of now.
    pub async fn task(&self, id: &TaskId) -> Result<Answer, Problem> {
        let mut read = self.read().await?;
        let view = read.view();
        let answer = |as_of, task| OneTask { player_id: self.player, version: view.version, as_of, task };
        let nothing = Timestamp::default();
        if let Some(task) = view.tasks.iter().find(|task| task.task_id == *id) {
            let details = TaskDetails::of(&read.advanced(), id);
            let shown = answer(view.as_of, TaskState::Unfinished { task, details: &details });
            let still = timeless(task);
            let tagged = answer(nothing, TaskState::Unfinished { task: &still, details: &details });
            return Ok(self.tagged(&shown, &tagged, view.version, &read.report));
        }
        let Some(finished) = view.recent.iter().find(|finished| finished.task_id == *id) else {
            return Err(Problem::unknown_task(id.as_str()));
        };
        // A finished task does not change, so its history row is not part of the tag, and a client
        // that has the answer costs no read of the history. In emergency mode the answer lacks it.
        let emergency = self.platform.cache.emergency(read.now).is_some();
        let tag = etag::of(view.version, &(answer(nothing, TaskState::finished(finished, None)), emergency));
        let row = match etag::matches(&self.request.headers, &tag) {
            true => None,
            false => read_finished_task(self.platform, &mut read, id, self.invocation)
                .await
                .map_err(|error| self.problem(error))?,
        };
        let shown = answer(view.as_of, TaskState::finished(finished, row));
        Ok(self.with_tag(tag, &shown, view.version, &read.report))
    }

    /// The totals as of now.
    pub async fn stats(&self) -> Result<Answer, Problem> {
        let read = self.read().await?;
        let queue = read.advanced();
        let (player_id, version) = (self.player, queue.version);
        let stats = |as_of| Stats { player_id, version, as_of, totals: &queue.totals };
        Ok(self.tagged(&stats(queue.advanced_to), &stats(Timestamp::default()), version, &read.report))
    }

    /// Finished tasks, newest first.
    pub async fn history(&self) -> Result<Answer, Problem> {
        const ROUTE: &str = "history";
        let page = Page::of(self.request, ROUTE, self.player.as_str())?;
        let read = read_history(self.platform, self.page_request(&page)?, self.invocation).await;
        self.list::<_, HistoryItem>(ROUTE, read)
    }

    /// Refused commands, newest first.
    pub async fn rejections(&self) -> Result<Answer, Problem> {
        const ROUTE: &str = "rejections";
        let page = Page::of(self.request, ROUTE, self.player.as_str())?;
        let read = read_rejections(self.platform, self.page_request(&page)?, self.invocation).await;
        self.list::<_, RejectionItem>(ROUTE, read)
    }

    /// Events in order.
    pub async fn events(&self) -> Result<Answer, Problem> {
        let (after, limit) = parameters::events(self.request)?;
        let at_least = parameters::min_version(self.request)?;
        let request = EventsRequest { player_id: self.player, after, limit, at_least };
        let read = read_events(self.platform, request, self.invocation).await.map_err(|error| self.problem(error))?;
        let items: Result<_, _> = read.events.into_iter().map(|event| RawValue::from_string(event.json)).collect();
        let items = items.map_err(|error| {
            tracing::error!(player_id = %self.player, %error, "an event is no JSON");
            Problem::of_failure(FailureReason::RowUnreadable)
        })?;
        let found = read.report.found;
        let answer = Answer::json(StatusCode::OK, &EventList { items }).found_in(found);
        Ok(answer.timed(read.report.processing_time, Some(cache_name(found)), None))
    }

    async fn read(&self) -> Result<QueueRead, Problem> {
        parameters::none(self.request)?;
        let at_least = parameters::min_version(self.request)?;
        let read = read_queue(self.platform, self.player, at_least, self.invocation).await;
        read.map_err(|error| self.problem(error))
    }

    fn page_request<'p>(&self, page: &'p Page) -> Result<PageRequest<'p>, Problem>
    where
        Self: 'p,
    {
        let at_least = parameters::min_version(self.request)?;
        Ok(PageRequest { player_id: self.player, limit: page.limit, after: page.after.as_deref(), at_least })
    }

    /// The response with `shown`. Its entity tag is that of `tagged`: the same without values that
    /// change as time passes.
    fn tagged(&self, shown: &impl Serialize, tagged: &impl Serialize, version: u64, report: &ReadReport) -> Answer {
        self.with_tag(etag::of(version, tagged), shown, version, report)
    }

    /// The response with `shown`, or none if the client has the one with this tag.
    fn with_tag(&self, tag: HeaderValue, shown: &impl Serialize, version: u64, report: &ReadReport) -> Answer {
        let known = etag::matches(&self.request.headers, &tag);
        let answer = Answer::json(StatusCode::OK, shown)
            .tagged(tag)
            .with(X_QUEUE_VERSION, &version.to_string())
            .found_in(report.found)
            .timed(report.processing_time, Some(cache_name(report.found)), report.hit_rate());
        if known { answer.not_modified() } else { answer }
    }

    fn list<R, T: From<R> + Serialize>(
        &self,
        route: &str,
        read: Result<PageRead<R>, ReadError>,
    ) -> Result<Answer, Problem> {
        let PageRead { page, found, report } = read.map_err(|error| self.problem(error))?;
        let list = List {
            player_id: self.player,
            items: page.items.into_iter().map(T::from).collect(),
            next_cursor: page.next.map(|key| cursor::encode(route, self.player.as_str(), &key)),
        };
        let cache = Some(cache_name(found));
        let answer = Answer::json(StatusCode::OK, &list).found_in(found);
        Ok(answer.timed(report.processing_time, cache, report.hit_rate()))
    }

    fn problem(&self, error: ReadError) -> Problem {
        match error {
            ReadError::UnknownPlayer => Problem::unknown_player(self.player.as_str()),
            ReadError::VersionNotReached { requested, newest } => {
                Problem::version_not_reached(MIN_VERSION, requested, newest)
            }
            ReadError::EventsNotKept => Problem::events_not_kept(),
            ReadError::EventsGone { oldest } => Problem::events_gone(oldest),
            ReadError::Failed(failure) => {
                tracing::warn!(player_id = %self.player, reason = failure.reason.code(), detail = %failure.detail, "a read failed");
                Problem::of_failure(failure.reason)
            }
            // The enum is non-exhaustive.
            other => {
                tracing::error!(player_id = %self.player, error = %other, "a read failed");
                Problem::of_failure(FailureReason::InternalError)
            }
        }
    }
}

/// The task without the progress of timed work, which changes as time passes.
fn timeless(task: &TaskView) -> TaskView {
    let progress = task.progress.filter(|_| task.units_done.is_some());
    TaskView { progress, ..task.clone() }
}
