//! What a query and headers may say. Anything else is refused: a parameter that is misspelt would
//! otherwise have no effect, and nobody would know.

use lambda_http::http::{HeaderName, header};
use millrace_domain::{MAX_AMOUNT, PlayerId};

use crate::{cursor, problem::Problem, request::Request};

/// A read is not answered with an older version than this.
pub const X_MIN_QUEUE_VERSION: HeaderName = HeaderName::from_static("x-min-queue-version");
const MIN_VERSION: &str = "X-Min-Queue-Version";

/// Most rows of a page.
pub const MAX_LIMIT: usize = 100;
const DEFAULT_LIMIT: usize = 20;
/// Most bytes of a body of commands, as large as a message of SQS has been for most of its life.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// Which part of a list is asked for.
#[derive(Debug, PartialEq, Eq)]
pub struct PageAsked {
    /// Most rows.
    pub limit: usize,
    /// The sort key behind which it begins.
    pub after: Option<String>,
}

impl PageAsked {
    /// Reads `limit` and `cursor`.
    ///
    /// # Errors
    /// [`Problem`] for anything else.
    pub fn of(request: &Request, route: &str, player: &PlayerId) -> Result<Self, Problem> {
        let [limit, after] = only(request, ["limit", "cursor"])?;
        let limit = match limit {
            None => DEFAULT_LIMIT,
            Some(limit) => whole(limit)
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| (1..=MAX_LIMIT).contains(number))
                .ok_or_else(|| Problem::invalid("limit", limit, format!("a whole number from 1 to {MAX_LIMIT}")))?,
        };
        let after = after.map(|after| {
            let key = cursor::decode(route, player, after);
            key.ok_or_else(|| Problem::invalid("cursor", after, "a nextCursor of this list, as it came"))
        });
        Ok(Self { limit, after: after.transpose()? })
    }
}

/// No parameters.
///
/// # Errors
/// [`Problem`] where there is one.
pub fn none(request: &Request) -> Result<(), Problem> {
    only(request, []).map(|[]| ())
}

/// The parameters of these names, each at most once, and no other.
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

/// The version below which a read is not answered.
///
/// # Errors
/// [`Problem`] where the header is no version.
pub fn min_version(request: &Request) -> Result<u64, Problem> {
    let mut given = request.headers.get_all(&X_MIN_QUEUE_VERSION).iter();
    let Some(value) = given.next() else { return Ok(0) };
    let text = value.to_str().unwrap_or("\u{fffd}");
    let version = whole(text).filter(|version| *version <= MAX_AMOUNT && given.next().is_none());
    version.ok_or_else(|| Problem::invalid(MIN_VERSION, text, format!("one whole number from 0 to {MAX_AMOUNT}")))
}

/// A version was asked for that even the table does not have.
pub fn not_reached(wanted: u64, newest: u64) -> Problem {
    Problem::version_not_reached(MIN_VERSION, wanted, newest)
}

/// The body of commands.
///
/// # Errors
/// [`Problem`] where it is too large or of another type.
pub fn body(request: &Request) -> Result<&[u8], Problem> {
    typed_body(request, MAX_BODY_BYTES)
}

/// A body that may be left out, and then needs no type.
///
/// # Errors
/// [`Problem`] where it is too large or of another type.
pub fn body_or_none(request: &Request, max: usize) -> Result<&[u8], Problem> {
    match &request.body {
        Some(body) if body.is_empty() => Ok(body),
        _ => typed_body(request, max),
    }
}

fn typed_body(request: &Request, max: usize) -> Result<&[u8], Problem> {
    const JSON: &str = "application/json";
    let Some(body) = &request.body else {
        return Err(Problem::malformed("the body is not base64, and the event says it is"));
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

/// Digits only: no sign, no blanks.
fn whole(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}
