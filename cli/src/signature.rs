//! Signatures of requests with AWS credentials (Signature Version 4).

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use bytes::Bytes;
use hyper::Request;

use crate::failure::{Exit, Failure};

/// What a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    pub service: &'static str,
    /// The region that the host names; none: that of the configuration.
    pub region: Option<&'a str>,
}

/// The scope of a host such as `ID.execute-api.REGION.amazonaws.com`; none if it is not one of AWS.
pub fn scope_of(host: &str) -> Option<Scope<'_>> {
    let suffixes = [".amazonaws.com", ".amazonaws.com.cn", ".on.aws"];
    let name = suffixes.iter().find_map(|suffix| host.strip_suffix(suffix))?;
    let labels: Vec<&str> = name.split('.').collect();
    let service = match labels.as_slice() {
        [_, "execute-api", _] => "execute-api",
        [_, "lambda-url", _] => "lambda",
        _ => return None,
    };
    Some(Scope { service, region: labels.last().copied() })
}

/// Signs a request.
///
/// # Errors
/// [`Failure`] if there are no credentials or no region.
pub async fn sign_request(config: &SdkConfig, scope: Scope<'_>, request: &mut Request<Bytes>) -> Result<(), Failure> {
    let region = scope.region.or_else(|| Some(config.region()?.as_ref())).ok_or_else(|| {
        not_authorized("the AWS region is unknown").next("set AWS_REGION, or a region in the profile of --profile")
    })?;
    let no_credentials = |detail: &str| {
        not_authorized(format!("no AWS credentials: {detail}"))
            .next("log in to AWS, choose a profile with --profile, or pass a token with --token")
    };
    let provider = config.credentials_provider().ok_or_else(|| no_credentials("no source is configured"))?;
    let credentials = provider.provide_credentials().await.map_err(|error| no_credentials(&error.to_string()))?;
    let failed = |error: &dyn std::fmt::Display| not_authorized(format!("cannot sign the request: {error}"));
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(scope.service)
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .map_err(|error| failed(&error))?
        .into();
    let uri = request.uri().to_string();
    let headers = request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let signable = SignableRequest::new(request.method().as_str(), &uri, headers, SignableBody::Bytes(request.body()))
        .map_err(|error| failed(&error))?;
    let (instructions, _) = sign(signable, &params).map_err(|error| failed(&error))?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}

fn not_authorized(message: impl Into<String>) -> Failure {
    Failure::new(Exit::NotAuthorized, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_url_names_service_and_region() {
        let scope = |service, region| Some(Scope { service, region: Some(region) });
        for (host, expected) in [
            ("a1b2.execute-api.eu-central-1.amazonaws.com", scope("execute-api", "eu-central-1")),
            ("a1b2.execute-api.cn-north-1.amazonaws.com.cn", scope("execute-api", "cn-north-1")),
            ("a1b2.lambda-url.eu-central-1.on.aws", scope("lambda", "eu-central-1")),
            ("localhost", None),
            ("api.example.com", None),
            ("evil.execute-api.example.com", None),
            ("a.execute-api.b.c.amazonaws.com", None),
            ("s3.amazonaws.com", None),
        ] {
            assert_eq!(scope_of(host), expected, "{host}");
        }
    }
}
