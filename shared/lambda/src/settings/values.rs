//! The types of settings that are more than a number.

use std::{fmt, path::PathBuf};

use millrace_cache::redis::RedisMode;
use url::Url;

/// The longest table prefix. A DynamoDB table name has at most 255 characters.
const MAX_PREFIX_LENGTH: usize = 200;

/// The store of queues and records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreChoice {
    /// Amazon DynamoDB.
    DynamoDb,
    /// The embedded store, in this file.
    Sqlite(PathBuf),
}

impl StoreChoice {
    /// Reads `dynamodb` or `sqlite:<path>`.
    pub(super) fn parse(value: &str) -> Option<Self> {
        match value.split_once(':') {
            None if value == "dynamodb" => Some(Self::DynamoDb),
            // An in-memory database would differ from connection to connection.
            Some(("sqlite", path)) if !path.is_empty() && !path.starts_with(":memory:") => {
                Some(Self::Sqlite(PathBuf::from(path)))
            }
            _ => None,
        }
    }
}

/// The shared cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// The server.
    pub url: RedisUrl,
    /// One server or a cluster.
    pub mode: RedisMode,
    /// The certificate authorities to trust; none: those of the system.
    pub ca_file: Option<PathBuf>,
    /// The ElastiCache cache for which IAM tokens are made; none: no tokens.
    pub iam_cache: Option<IamCache>,
}

/// A cache of ElastiCache for which IAM tokens are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IamCache {
    /// Its name, in lower case.
    pub name: String,
    /// What it is. IAM distinguishes the two.
    pub kind: CacheKind,
}

/// The kinds of ElastiCache caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKind {
    /// A replication group of nodes.
    Nodes,
    /// A serverless cache.
    Serverless,
}

/// A `redis://` or `rediss://` URL. It may contain a password, which `Debug` and `Display` leave
/// out.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    pub(super) fn parse(value: &str) -> Option<Self> {
        let url = url(value, ["redis", "rediss"])?;
        let database = url.path().trim_start_matches('/');
        (database.is_empty() || database.parse::<u32>().is_ok()).then(|| Self(value.to_owned()))
    }

    /// The user for whom IAM tokens can be made. Needs TLS, and no password in the URL.
    pub fn token_user(&self) -> Option<&str> {
        let (user_info, _) = self.0.strip_prefix("rediss://")?.rsplit_once('@')?;
        (!user_info.is_empty() && !user_info.contains(':')).then_some(user_info)
    }

    /// The URL with its password, for the client.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The query may contain a secret too.
        let shown = self.0.split(['?', '#']).next().unwrap_or_default();
        match (shown.split_once("://"), shown.rfind('@')) {
            (Some((scheme, _)), Some(at)) => write!(f, "{scheme}://***{}", &shown[at..]),
            _ => f.write_str(shown),
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

/// What becomes of the line of metrics of each invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricLines {
    /// It is not written.
    Off,
    /// It is only logged.
    Logged,
    /// CloudWatch takes the metrics from it.
    Published {
        /// Where CloudWatch puts them.
        namespace: String,
    },
}

/// How HTTP callers are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Authentication {
    /// By the authorizer context of the request.
    #[default]
    Authorizer,
    /// Every request is allowed, for local use.
    None,
}

/// The origins whose pages may use the API in a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// All origins.
    Any,
    /// These origins, as browsers send them.
    Listed(Vec<String>),
}

impl Default for CorsOrigins {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl CorsOrigins {
    /// Reads `*`, or origins separated by commas.
    pub(super) fn parse(value: &str) -> Option<Self> {
        if value == "*" {
            return Some(Self::Any);
        }
        let origins = value.split(',').map(|origin| origin_of(origin.trim()));
        origins.collect::<Option<Vec<String>>>().map(Self::Listed)
    }
}

/// Reads an origin: scheme, host, and a port unless it is the default of the scheme. In lower case,
/// without a path.
fn origin_of(value: &str) -> Option<String> {
    let url = url(value, ["http", "https"])?;
    (url.origin().ascii_serialization() == value).then(|| value.to_owned())
}

/// A rate from 0 to 1.
pub(super) fn rate(value: &str) -> Option<f64> {
    value.parse().ok().filter(|rate| (0.0..=1.0).contains(rate))
}

/// A namespace of CloudWatch, of the characters that it allows. AWS keeps those that begin with
/// `AWS/`.
pub(super) fn namespace(value: &str) -> Option<String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/#:".contains(&byte);
    let allowed = (1..=255).contains(&value.len()) && value.bytes().all(is_allowed) && !value.starts_with("AWS/");
    allowed.then(|| value.to_owned())
}

/// One Redis server or a cluster.
pub(super) fn redis_mode(value: &str) -> Option<RedisMode> {
    match value {
        "standalone" => Some(RedisMode::Standalone),
        "cluster" => Some(RedisMode::Cluster),
        _ => None,
    }
}

/// What the cache of the IAM tokens is.
pub(super) fn cache_kind(value: &str) -> Option<CacheKind> {
    match value {
        "nodes" => Some(CacheKind::Nodes),
        "serverless" => Some(CacheKind::Serverless),
        _ => None,
    }
}

/// The path of a file.
pub(super) fn path(value: &str) -> Option<PathBuf> {
    Some(PathBuf::from(value))
}

/// The name of an ElastiCache cache: 1 to 40 letters, digits and hyphens.
pub(super) fn cache_name(value: &str) -> Option<String> {
    let allowed = (1..=40).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    // ElastiCache stores names in lower case, and signatures must use that form.
    allowed.then(|| value.to_ascii_lowercase())
}

/// A table prefix, of the characters that a DynamoDB table name may have.
pub(super) fn table_prefix(value: &str) -> Option<String> {
    let allowed = value.len() <= MAX_PREFIX_LENGTH
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    allowed.then(|| value.to_owned())
}

/// The segments of a base path, of the characters that API Gateway allows in one.
pub(super) fn base_path(value: &str) -> Option<Vec<String>> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"$-_.+!*'()~".contains(&byte);
    let is_segment = |text: &&str| !matches!(*text, "" | "." | "..") && text.bytes().all(allowed);
    if value == "/" {
        return Some(Vec::new());
    }
    let path = value.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').map(|segment| Some(segment).filter(is_segment).map(str::to_owned)).collect()
}

/// The URL of an SQS queue.
pub(super) fn queue_url(value: &str) -> Option<String> {
    let url = url(value, ["http", "https"])?;
    let well_formed = url.path().len() > 1 && url.query().is_none() && !value.contains(['@', '#']);
    well_formed.then(|| value.to_owned())
}

/// Reads a URL of one of these schemes, with a host, and a valid port or none.
pub(super) fn url(value: &str, schemes: [&str; 2]) -> Option<Url> {
    // The library repairs what is almost a URL: it encodes spaces, and adds missing slashes.
    let needs_repair = !value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') || !value.contains("://");
    let url = Url::parse(value).ok().filter(|_| !needs_repair)?;
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    (schemes.contains(&url.scheme()) && has_host && url.port() != Some(0)).then_some(url)
}
