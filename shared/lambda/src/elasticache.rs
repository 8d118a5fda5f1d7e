//! IAM tokens for ElastiCache: passwords made from the AWS credentials of the function.
//!
//! A token is the query of a presigned request `connect`, valid for 15 minutes. A connection that
//! was opened with one lives up to 12 hours.
//! <https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html>

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::Region;
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider, error::CredentialsError},
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign},
    sign::v4,
};
use millrace_cache::redis::{self, RedisCredentials};

use crate::settings::{CacheKind, IamCache};

/// How long a token can be used to log in. ElastiCache allows no more.
const VALIDITY: Duration = Duration::from_secs(900);

/// Why a token cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The region is unknown.
    #[error("AWS_REGION is not set; allowed: the region of the cache")]
    NoRegion,
    /// There are no credentials.
    #[error("no AWS credentials: {0}")]
    Credentials(#[from] CredentialsError),
    /// The request cannot be signed.
    #[error("cannot sign the token: {0}")]
    Signing(String),
}

/// Makes the tokens of one user of one cache.
#[derive(Debug, Clone)]
pub struct TokenSigner {
    cache: IamCache,
    user: String,
    region: Region,
    credentials: SharedCredentialsProvider,
}

impl TokenSigner {
    /// A signer for `user` of `cache`.
    ///
    /// # Errors
    /// [`TokenError`] if the configuration has no region or no source of credentials.
    pub fn new(config: &aws_config::SdkConfig, cache: &IamCache, user: &str) -> Result<Self, TokenError> {
        Ok(Self {
            cache: cache.clone(),
            user: user.to_owned(),
            region: config.region().cloned().ok_or(TokenError::NoRegion)?,
            credentials: config
                .credentials_provider()
                .ok_or_else(|| CredentialsError::not_loaded("no source of credentials is configured"))?,
        })
    }
}

#[async_trait]
impl RedisCredentials for TokenSigner {
    /// A new token for each connection to the shared cache.
    async fn credentials(&self) -> Result<redis::Credentials, Box<dyn std::error::Error + Send + Sync>> {
        let credentials = self.credentials.provide_credentials().await.map_err(TokenError::Credentials)?;
        let password = token(credentials, &self.region, &self.cache, &self.user, SystemTime::now())?;
        Ok(redis::Credentials { user: self.user.clone(), password })
    }
}

fn token(
    credentials: Credentials,
    region: &Region,
    cache: &IamCache,
    user: &str,
    now: SystemTime,
) -> Result<String, TokenError> {
    let signing = |error: &dyn std::fmt::Display| TokenError::Signing(error.to_string());
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(VALIDITY);
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region.as_ref())
        .name("elasticache")
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| signing(&error))?
        .into();
    let resource_type = match cache.kind {
        CacheKind::Nodes => "",
        CacheKind::Serverless => "&ResourceType=ServerlessCache",
    };
    let uri = format!("http://{}/?Action=connect&User={user}{resource_type}", cache.name);
    let request = SignableRequest::new("GET", &uri, std::iter::empty(), SignableBody::empty())
        .map_err(|error| signing(&error))?;
    let (instructions, _) = sign(request, &params).map_err(|error| signing(&error))?.into_parts();
    let mut signed = http::Request::get(&uri).body(()).map_err(|error| signing(&error))?;
    instructions.apply_to_request_http1x(&mut signed);
    let signed = signed.uri().to_string();
    Ok(signed.strip_prefix("http://").unwrap_or(&signed).to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The session token, if any, as text and as part of a query.
    type Session = Option<(&'static str, &'static str)>;

    const SESSION: Session = Some(("session/token+1=", "&X-Amz-Security-Token=session%2Ftoken%2B1%3D"));
    const IN_QUERY_OF_SERVERLESS: &str = "&ResourceType=ServerlessCache";

    /// The signatures of `SigV4QueryAuth` in botocore for the same input.
    const REFERENCE: [(CacheKind, Session, &str); 4] = [
        (CacheKind::Nodes, None, "8b4938074a2b72cacc490e13fcdacff580c1a77a547d04ef50b64d13701bc5b9"),
        (CacheKind::Nodes, SESSION, "da1e59057e4c57347756d1849045400e40bd5e79cd06a2d8d8955ab6a461817e"),
        (CacheKind::Serverless, None, "b2bd9ea134cf270a52faf26037c6c3fd5f0e86404a468a1b6aea76714762d513"),
        (CacheKind::Serverless, SESSION, "f075b4a187e55ad3e4bbea8c865e4f4f3b26ba09a0f5306e5345524004366f13"),
    ];

    fn cache(kind: CacheKind) -> IamCache {
        IamCache { name: "millrace".to_owned(), kind }
    }

    #[test]
    fn tokens_are_those_of_the_reference_implementation() {
        // 2026-11-20T12:00:00Z
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_176_000);
        for (kind, session, signature) in REFERENCE {
            let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            let session_token = session.map(|(token, _)| token.to_owned());
            let credentials = Credentials::new("AKIDEXAMPLE", secret, session_token, None, "test");
            let token = token(credentials, &Region::new("eu-west-1"), &cache(kind), "app", now).unwrap();
            let session_in_query = session.map_or("", |(_, in_query)| in_query);
            let resource_type = if kind == CacheKind::Serverless { IN_QUERY_OF_SERVERLESS } else { "" };
            let expected = format!(
                "Action=connect&User=app{resource_type}&X-Amz-Algorithm=AWS4-HMAC-SHA256\
                 &X-Amz-Credential=AKIDEXAMPLE%2F20261120%2Feu-west-1%2Felasticache%2Faws4_request\
                 &X-Amz-Date=20261120T120000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host{session_in_query}\
                 &X-Amz-Signature={signature}"
            );
            let query = token.strip_prefix("millrace/?").unwrap_or_else(|| panic!("{token}"));
            // The order of the query does not matter: its sorted form is signed.
            let parts = |query: &str| query.split('&').map(str::to_owned).collect::<BTreeSet<_>>();
            assert_eq!(parts(query), parts(&expected));
        }
    }

    #[test]
    fn without_a_region_there_is_no_signer() {
        let config = aws_config::SdkConfig::builder().build();
        let error = TokenSigner::new(&config, &cache(CacheKind::Nodes), "app").unwrap_err().to_string();
        assert_eq!(error, "AWS_REGION is not set; allowed: the region of the cache");
    }
}
