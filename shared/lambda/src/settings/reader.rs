//! Reads one variable as one value.

use std::{path::PathBuf, time::Duration};

use millrace_cache::redis::RedisMode;
use millrace_domain::FeatureSwitch;

use super::{
    error::SettingsError,
    reference::{Spec, Values, table},
    values::{self, Authentication, CacheKind, IamCache, RedisSettings, RedisUrl, StoreChoice},
};

/// The memory of the function in MiB, as Lambda sets it.
const FUNCTION_MEMORY: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
/// The variables with which every AWS SDK sends DynamoDB calls to another endpoint.
const ENDPOINT_OVERRIDES: [&str; 2] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];
/// Makes the AWS SDKs ignore [`ENDPOINT_OVERRIDES`].
const IGNORE_ENDPOINTS: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";

/// Where settings are allowed that must not be used in production.
const OUTSIDE_AWS: &str =
    "with AWS_ENDPOINT_URL_DYNAMODB or AWS_ENDPOINT_URL set, or with MILLRACE_STORE=sqlite:<path of a file>";

/// Reads settings by their rows in the table.
pub(super) struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }

    fn raw(&self, spec: &Spec) -> Option<String> {
        (self.lookup)(spec.name)
    }

    /// A variable that is no setting of this project; none if it is unset or empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    /// A required setting.
    pub(super) fn required<T>(&self, spec: &Spec, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, SettingsError> {
        let value = self.raw(spec).ok_or_else(|| SettingsError::missing(spec))?;
        parsed(spec, &value, parse)
    }

    /// Text with a default.
    pub(super) fn text<T>(&self, spec: &Spec, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, SettingsError> {
        let value = self.raw(spec).or_else(|| spec.default()).ok_or_else(|| SettingsError::missing(spec))?;
        parsed(spec, &value, parse)
    }

    /// Optional text. Empty text counts as unset, because templates write it for absent values.
    pub(super) fn optional<T>(
        &self,
        spec: &Spec,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        match self.raw(spec) {
            Some(value) if !value.is_empty() => parsed(spec, &value, parse).map(Some),
            _ => Ok(None),
        }
    }

    /// A whole number.
    pub(super) fn whole(&self, spec: &Spec) -> Result<u64, SettingsError> {
        let Values::Whole { default, min, max, .. } = spec.values else { return Err(SettingsError::missing(spec)) };
        match self.raw(spec) {
            None => Ok(default),
            Some(value) => {
                parsed(spec, &value, |value| whole_number(value).filter(|number| (min..=max).contains(number)))
            }
        }
    }

    /// A whole number of a narrower type. The maximum of the row fits into it.
    pub(super) fn narrow<T: TryFrom<u64>>(&self, spec: &Spec) -> Result<T, SettingsError> {
        let number = self.whole(spec)?;
        T::try_from(number).map_err(|_| SettingsError::not_allowed(spec, &number.to_string(), spec.allowed()))
    }

    pub(super) fn millis(&self, spec: &Spec) -> Result<Duration, SettingsError> {
        self.whole(spec).map(Duration::from_millis)
    }

    pub(super) fn seconds(&self, spec: &Spec) -> Result<Duration, SettingsError> {
        self.whole(spec).map(Duration::from_secs)
    }

    pub(super) fn hours(&self, spec: &Spec) -> Result<Duration, SettingsError> {
        self.whole(spec).map(|hours| Duration::from_secs(hours * 60 * 60))
    }

    pub(super) fn days(&self, spec: &Spec) -> Result<Duration, SettingsError> {
        self.whole(spec).map(|days| Duration::from_secs(days * 24 * 60 * 60))
    }

    /// `on` or `off`.
    pub(super) fn switch(&self, spec: &Spec) -> Result<bool, SettingsError> {
        self.text(spec, |value| match value {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        })
    }

    /// A switch and its rollout percentage.
    pub(super) fn feature(&self, switch: &Spec, rollout: &Spec) -> Result<FeatureSwitch, SettingsError> {
        let enabled = self.switch(switch)?;
        Ok(FeatureSwitch { enabled, rollout_percent: self.narrow(rollout)? })
    }

    /// The shared cache, if there is one.
    pub(super) fn redis(&self) -> Result<Option<RedisSettings>, SettingsError> {
        let url = self.optional(&table::REDIS_URL, RedisUrl::parse)?;
        let mode = self.text(&table::REDIS_MODE, values::redis_mode)?;
        let ca_file = self.optional(&table::REDIS_CA_FILE, values::path)?;
        let spec = &table::REDIS_IAM_CACHE_NAME;
        let iam_cache_name = self.optional(spec, values::cache_name)?;
        let kind = self.text(&table::REDIS_IAM_CACHE_KIND, |value| {
            values::cache_kind(value).filter(|kind| *kind == CacheKind::Nodes || mode == RedisMode::Cluster)
        })?;
        let Some(url) = url else { return Ok(None) };
        // A token is a password: it is made for one user, and must only be sent encrypted.
        if let Some(name) = iam_cache_name.as_deref().filter(|_| url.token_user().is_none()) {
            let allowed = format!("{}; MILLRACE_REDIS_URL=rediss://user@host", spec.allowed());
            return Err(SettingsError::not_allowed(spec, name, allowed));
        }
        let iam_cache = iam_cache_name.map(|name| IamCache { name, kind });
        Ok(Some(RedisSettings { url, mode, ca_file, iam_cache }))
    }

    /// `none` would open a production API to every caller. Therefore the store must be outside AWS.
    pub(super) fn authentication(&self, store: &StoreChoice) -> Result<Authentication, SettingsError> {
        let spec = &table::AUTH;
        let chosen = self.optional(spec, |value| (value == "none").then_some(Authentication::None))?;
        if chosen == Some(Authentication::None) && self.is_in_aws(store) {
            return Err(SettingsError::not_allowed(spec, "none", format!("unset, or none {OUTSIDE_AWS}")));
        }
        Ok(chosen.unwrap_or_default())
    }

    /// A moved clock would complete all tasks of a production store. Therefore the store must be
    /// outside AWS.
    pub(super) fn clock_file(&self, store: &StoreChoice) -> Result<Option<PathBuf>, SettingsError> {
        let spec = &table::CLOCK_FILE;
        let chosen = self.optional(spec, values::path)?;
        match &chosen {
            Some(path) if self.is_in_aws(store) => {
                let allowed = format!("unset, or the path of a file {OUTSIDE_AWS}");
                Err(SettingsError::not_allowed(spec, &path.to_string_lossy(), allowed))
            }
            _ => Ok(chosen),
        }
    }

    fn is_in_aws(&self, store: &StoreChoice) -> bool {
        *store == StoreChoice::DynamoDb && !self.endpoint_overridden()
    }

    fn endpoint_overridden(&self) -> bool {
        let ignored = (self.lookup)(IGNORE_ENDPOINTS).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        !ignored && ENDPOINT_OVERRIDES.iter().any(|name| (self.lookup)(name).is_some_and(|url| !url.is_empty()))
    }

    /// The memory threshold. Its default is a share of the memory that Lambda reports.
    pub(super) fn memory_threshold(&self) -> Result<u64, SettingsError> {
        let spec = &table::MEMORY_THRESHOLD_BYTES;
        let Values::Whole { min, max, .. } = spec.values else { return self.whole(spec) };
        match (self.raw(spec), (self.lookup)(FUNCTION_MEMORY)) {
            (None, Some(mebibytes)) => whole_number(&mebibytes)
                .filter(|number| (1..=1 << 20).contains(number))
                .map(|number| (number * (1 << 20) / 5 * 4).clamp(min, max))
                .ok_or_else(|| SettingsError::NotAllowed {
                    name: FUNCTION_MEMORY,
                    value: super::error::Shown::text(&mebibytes),
                    allowed: "a whole number of MiB, as Lambda sets it".to_owned(),
                }),
            _ => self.whole(spec),
        }
    }
}

fn parsed<T>(spec: &Spec, value: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, SettingsError> {
    parse(value).ok_or_else(|| SettingsError::not_allowed(spec, value, spec.allowed()))
}

/// Only digits: no sign, no spaces.
fn whole_number(value: &str) -> Option<u64> {
    value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok())?
}
