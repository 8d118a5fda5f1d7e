//! Query parameters and headers. Unknown parameters are refused, so that a misspelt one does not go
//! unnoticed.

use lambda_http::http::{HeaderName, header};
use millrace_domain::{CommandId, MAX_AMOUNT, PlayerId};

use crate::{cursor, problem::Problem, request::Request};

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
    pub fn of(request: &Request, route: &str, player: &PlayerId) -> Result<Self, Problem> {
        let [limit, after] = only(request, ["limit", "cursor"])?;
        let limit = limit.map_or(Ok(DEFAULT_LIMIT), |limit| limit_of(limit, MAX_LIMIT))?;
        let after = after.map(|after| {
            let key = cursor::decode(route, player, after);
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
