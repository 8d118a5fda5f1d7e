//! Query parameters and headers. Unknown parameters are refused, so that a misspelt one does not go
//! unnoticed.

use lambda_http::http::{HeaderName, header};
use millrace_domain::{
    CommandId, MAX_AMOUNT, PlayerId, Timestamp,
    view::{BlockedBy, Status},
};
use millrace_performance::{Span, history::NotAllowed};

use crate::{
    cursor,
    problem::{ID_ALLOWED, Problem},
    request::Request,
};

/// The header with the oldest version of a queue that a read may answer.
pub const X_MIN_QUEUE_VERSION: HeaderName = HeaderName::from_static("x-min-queue-version");
/// Its name in problems.
pub const MIN_VERSION: &str = "X-Min-Queue-Version";

/// The header that names the commands of a request.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The keys with which `<key>:<index>` is an identifier for each command of a request.
const KEY_ALLOWED: &str = "1 to 125 characters of A-Z a-z 0-9 . _ : - | @ + = ~";
/// The index of the last command of the longest request.
const LAST_INDEX: usize = 99;

/// The allowed times.
const TIME_ALLOWED: &str = "an RFC 3339 UTC time such as 2026-11-20T12:00:00.000Z";
/// The allowed steps, whatever the span.
const STEP_ALLOWED: &str = "a whole number of minutes from 1 to 1440";

/// The most rows of a page.
pub const MAX_LIMIT: usize = 100;
const DEFAULT_LIMIT: usize = 20;
/// The most events of one answer.
const MAX_EVENTS: usize = 1_000;
const DEFAULT_EVENTS: usize = 100;

/// The page of a list that is requested.
#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    /// The most rows.
    pub limit: usize,
    /// The sort key after which the page begins.
    pub after: Option<String>,
}

impl Page {
    /// Reads `limit` and `cursor`.
    ///
    /// # Errors
    /// [`Problem`] if a parameter is unknown or not allowed.
    pub fn of(request: &Request, route: &str, list: &str) -> Result<Self, Problem> {
        let [limit, after] = only(request, ["limit", "cursor"])?;
        Self::read(limit, after, route, list)
    }

    fn read(limit: Option<&str>, after: Option<&str>, route: &str, list: &str) -> Result<Self, Problem> {
        let limit = limit.map_or(Ok(DEFAULT_LIMIT), |limit| limit_of(limit, MAX_LIMIT))?;
        let after = after.map(|after| {
            let key = cursor::decode(route, list, after);
            key.ok_or_else(|| Problem::invalid("cursor", after, "a nextCursor of this list, unchanged"))
        });
        Ok(Self { limit, after: after.transpose()? })
    }
}

/// The events that are requested: the sequence after which they begin, and how many at most.
///
/// # Errors
/// [`Problem`] if a parameter is unknown or not allowed.
pub fn events(request: &Request) -> Result<(Option<u64>, usize), Problem> {
    let [after, limit] = only(request, ["after", "limit"])?;
    let limit = limit.map_or(Ok(DEFAULT_EVENTS), |limit| limit_of(limit, MAX_EVENTS))?;
    let after = after.map(|after| {
        let sequence = whole(after).filter(|sequence| *sequence <= MAX_AMOUNT);
        sequence.ok_or_else(|| Problem::invalid("after", after, format!("a whole number from 0 to {MAX_AMOUNT}")))
    });
    Ok((after.transpose()?, limit))
}

/// The span of the performance history that is requested.
///
/// # Errors
/// [`Problem`] if a parameter is unknown or not allowed.
pub fn span(request: &Request, now: Timestamp) -> Result<Span, Problem> {
    let texts = only(request, ["from", "to", "step"])?;
    let [from, to, step] = texts;
    let time = |field, text: Option<&str>| {
        let parsed = text.map(|text| Timestamp::parse(text).map_err(|_| Problem::invalid(field, text, TIME_ALLOWED)));
        parsed.transpose()
    };
    let (from_time, to_time) = (time("from", from)?, time("to", to)?);
    // A number that is too large for a step is not allowed either.
    let minutes =
        step.map(|step| whole(step).ok_or_else(|| Problem::invalid("step", step, STEP_ALLOWED))).transpose()?;
    Span::new(from_time, to_time, minutes, now).map_err(|NotAllowed { field, allowed }| {
        let text =
            ["from", "to", "step"].iter().zip(texts).find(|(name, _)| **name == field).and_then(|(_, text)| text);
        Problem::invalid(field, text.unwrap_or_default(), allowed)
    })
}

/// The players that are requested.
#[derive(Debug, PartialEq, Eq)]
pub struct PlayersQuery {
    /// The page.
    pub page: Page,
    /// The status of their queue.
    pub status: Option<Status>,
    /// What a pending task waits for.
    pub blocked_by: Option<BlockedBy>,
    /// What their id begins with.
    pub prefix: String,
}

/// Reads which players are requested.
///
/// # Errors
/// [`Problem`] if a parameter is unknown or not allowed.
pub fn players(request: &Request, route: &str) -> Result<PlayersQuery, Problem> {
    let [limit, cursor, status, blocked_by, prefix] =
        only(request, ["limit", "cursor", "status", "blockedBy", "prefix"])?;
    let prefix = prefix.map(|prefix| {
        PlayerId::new(prefix).map(|_| prefix).map_err(|_| Problem::invalid("prefix", prefix, ID_ALLOWED))
    });
    Ok(PlayersQuery {
        page: Page::read(limit, cursor, route, "")?,
        status: one_of("status", status, &Status::ALL, Status::as_str)?,
        blocked_by: one_of("blockedBy", blocked_by, &BlockedBy::ALL, BlockedBy::as_str)?,
        prefix: prefix.transpose()?.unwrap_or_default().to_owned(),
    })
}

/// Reads `limit` alone.
///
/// # Errors
/// [`Problem`] if a parameter is unknown or not allowed.
pub fn limit(request: &Request) -> Result<usize, Problem> {
    let [limit] = only(request, ["limit"])?;
    limit.map_or(Ok(DEFAULT_LIMIT), |limit| limit_of(limit, MAX_LIMIT))
}

/// Reads a value by its name.
fn one_of<T: Copy>(
    field: &'static str,
    text: Option<&str>,
    values: &[T],
    name: fn(T) -> &'static str,
) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let found = values.iter().copied().find(|value| name(*value) == text);
    let allowed = || values.iter().map(|value| name(*value)).collect::<Vec<_>>().join(", ");
    found.map(Some).ok_or_else(|| Problem::invalid(field, text, allowed()))
}

/// Whether commands are only tried: the parameter `dryRun`.
///
/// # Errors
/// [`Problem`] if a parameter is unknown or not allowed.
pub fn dry_run(request: &Request) -> Result<bool, Problem> {
    let [dry_run] = only(request, ["dryRun"])?;
    match dry_run {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(other) => Err(Problem::invalid("dryRun", other, "true, false")),
    }
}

fn limit_of(text: &str, max: usize) -> Result<usize, Problem> {
    let limit = whole(text).and_then(|number| usize::try_from(number).ok());
    let limit = limit.filter(|number| (1..=max).contains(number));
    limit.ok_or_else(|| Problem::invalid("limit", text, format!("a whole number from 1 to {max}")))
}

/// Refuses all query parameters.
///
/// # Errors
/// [`Problem`] if there is one.
pub fn none(request: &Request) -> Result<(), Problem> {
    only(request, []).map(|[]| ())
}

/// Reads the parameters with these names. Each may be given once, and no others.
fn only<'a, const N: usize>(request: &'a Request, names: [&'static str; N]) -> Result<[Option<&'a str>; N], Problem> {
    let mut values = [None; N];
    for (name, value) in &request.query {
        let Some(at) = names.iter().position(|known| known == name) else {
            let allowed = if N == 0 { "no parameters".to_owned() } else { names.join(", ") };
            return Err(Problem::invalid("query", name, allowed));
        };
        if values[at].replace(value.as_str()).is_some() {
            return Err(Problem::invalid(names[at], value, "given once"));
        }
    }
    Ok(values)
}

/// The oldest version that a read may answer.
///
/// # Errors
/// [`Problem`] if the header is not a version.
pub fn min_version(request: &Request) -> Result<u64, Problem> {
    let mut given = request.headers.get_all(&X_MIN_QUEUE_VERSION).iter();
    let Some(value) = given.next() else { return Ok(0) };
    let text = value.to_str().unwrap_or("\u{fffd}");
    let version = whole(text).filter(|version| *version <= MAX_AMOUNT && given.next().is_none());
    version.ok_or_else(|| Problem::invalid(MIN_VERSION, text, format!("one whole number from 0 to {MAX_AMOUNT}")))
}

/// The key that names the commands of the request; none if the header is missing.
///
/// # Errors
/// [`Problem`] if no command can be named by it.
pub fn idempotency_key(request: &Request) -> Result<Option<&str>, Problem> {
    let Some(value) = request.headers.get(&IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = std::str::from_utf8(value.as_bytes()).unwrap_or("\u{fffd}");
    match CommandId::with_index(key, LAST_INDEX) {
        Ok(_) if !key.is_empty() => Ok(Some(key)),
        _ => Err(Problem::invalid("Idempotency-Key", key, KEY_ALLOWED)),
    }
}

/// An optional body. An empty one needs no type.
///
/// # Errors
/// [`Problem`] if it is too large or has another type.
pub fn body_or_none(request: &Request, max: usize) -> Result<&[u8], Problem> {
    match &request.body {
        Some(body) if body.is_empty() => Ok(body),
        _ => body(request, max),
    }
}

/// The body, in JSON.
///
/// # Errors
/// [`Problem`] if it is too large or has another type.
pub fn body(request: &Request, max: usize) -> Result<&[u8], Problem> {
    const JSON: &str = "application/json";
    let Some(body) = &request.body else {
        return Err(Problem::malformed("the body of the event is neither text nor the base64 that it is marked as"));
    };
    if body.len() > max {
        return Err(Problem::too_large(body.len(), max));
    }
    let coding = request.header(&header::CONTENT_ENCODING).unwrap_or("identity");
    if !coding.trim().eq_ignore_ascii_case("identity") {
        return Err(Problem::unsupported_media_type("Content-Encoding", coding, "identity"));
    }
    let given = request.header(&header::CONTENT_TYPE).unwrap_or_default();
    if !given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(JSON) {
        return Err(Problem::unsupported_media_type("Content-Type", given, JSON));
    }
    Ok(body)
}

/// Only digits: no sign, no spaces.
fn whole(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}
