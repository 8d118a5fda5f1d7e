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

/// The service that the host of an URL belongs to; none if it is not one of AWS.
pub fn service_of(host: &str) -> Option<&'static str> {
    let is_aws = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn") || host.ends_with(".on.aws");
    if is_aws && host.contains(".execute-api.") {
        Some("execute-api")
    } else if is_aws && host.contains(".lambda-url.") {
        Some("lambda")
    } else {
        None
    }
}

/// Signs a request for a service.
///
/// # Errors
/// [`Failure`] if there are no credentials or no region.
pub async fn sign_request(config: &SdkConfig, service: &str, request: &mut Request<Bytes>) -> Result<(), Failure> {
    let region = config.region().ok_or_else(|| {
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
        .region(region.as_ref())
        .name(service)
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
    fn the_host_of_an_url_names_the_service() {
        assert_eq!(service_of("a1b2.execute-api.eu-central-1.amazonaws.com"), Some("execute-api"));
        assert_eq!(service_of("a1b2.lambda-url.eu-central-1.on.aws"), Some("lambda"));
        for other in ["localhost", "api.example.com", "evil.execute-api.example.com", "s3.amazonaws.com"] {
            assert_eq!(service_of(other), None, "{other}");
        }
    }
}
