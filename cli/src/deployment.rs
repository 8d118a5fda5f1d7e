//! What the flags point at: the HTTP API, AWS, the outputs of the stack.

use std::collections::BTreeMap;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_cloudformation::error::{DisplayErrorContext, ProvideErrorMetadata as _};
use tokio::sync::OnceCell;
use url::Url;

use crate::{
    failure::{Exit, Failure},
    global::{DEFAULT_ENDPOINT, Global},
};

/// A deployment, or the functions of `make dev`. Everything is looked up when it is first needed.
#[derive(Debug)]
pub struct Deployment {
    global: Global,
    aws: OnceCell<SdkConfig>,
    outputs: OnceCell<BTreeMap<String, String>>,
}

impl Deployment {
    pub fn new(global: Global) -> Self {
        Self { global, aws: OnceCell::new(), outputs: OnceCell::new() }
    }

    /// The token of `--token`.
    pub fn token(&self) -> Option<&str> {
        self.global.token.as_deref()
    }

    /// Whether nothing but `make dev` is meant.
    pub fn is_local(&self) -> bool {
        self.global.endpoint.is_none() && self.global.stage.is_none()
    }

    /// Whether the HTTP API is the one of a stack, whose authorizer takes a token or a signature.
    pub fn is_api_of_stack(&self) -> bool {
        self.global.endpoint.is_none() && self.global.stage.is_some()
    }

    /// Whether `--stage` names a stack.
    pub fn has_stage(&self) -> bool {
        self.global.stage.is_some()
    }

    /// The AWS configuration.
    pub async fn aws(&self) -> &SdkConfig {
        let load = || async {
            let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
            if let Some(profile) = &self.global.profile {
                loader = loader.profile_name(profile);
            }
            loader.load().await
        };
        self.aws.get_or_init(load).await
    }

    /// The base URL of the HTTP API, without a slash at the end.
    ///
    /// # Errors
    /// [`Failure`] if `--endpoint` is not a URL, or the stack cannot be read.
    pub async fn api_url(&self) -> Result<Url, Failure> {
        let text = match &self.global.endpoint {
            Some(endpoint) => endpoint.clone(),
            None if self.global.stage.is_some() => self.output("ApiUrl").await?,
            None => DEFAULT_ENDPOINT.to_owned(),
        };
        let wrong = |detail: &str| {
            Failure::usage(format!("--endpoint: `{text}` is not allowed: {detail}"))
                .next(format!("pass the URL of the HTTP API, such as {DEFAULT_ENDPOINT}, or --stage"))
        };
        let url = Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
        match url.scheme() {
            "http" | "https" if url.has_host() => Ok(url),
            _ => Err(wrong("a URL with http or https")),
        }
    }

    /// An output of the stack of `--stage`.
    ///
    /// # Errors
    /// [`Failure`] if `--stage` is not given, the stack cannot be read, or it has no such output.
    pub async fn output(&self, name: &str) -> Result<String, Failure> {
        let found = self.optional_output(name).await?;
        found.ok_or_else(|| {
            let stack = self.stack_name().unwrap_or_default();
            Failure::not_found(format!("the stack {stack} has no output {name}"))
                .next("deploy this version of the stack, see docs/deploying.md")
        })
    }

    /// The same; none if the stack has no such output.
    ///
    /// # Errors
    /// [`Failure`] if `--stage` is not given, or the stack cannot be read.
    pub async fn optional_output(&self, name: &str) -> Result<Option<String>, Failure> {
        let stack = self.stack_name().ok_or_else(|| {
            Failure::usage(format!("without --stage, the output {name} of the stack is unknown"))
                .next("pass --stage, or the flag that names the resource")
        })?;
        let outputs = self.outputs.get_or_try_init(|| self.read_outputs(&stack)).await?;
        Ok(outputs.get(name).cloned())
    }

    fn stack_name(&self) -> Option<String> {
        Some(format!("millrace-{}", self.global.stage.as_ref()?))
    }

    async fn read_outputs(&self, stack: &str) -> Result<BTreeMap<String, String>, Failure> {
        let client = aws_sdk_cloudformation::Client::new(self.aws().await);
        let answer = client.describe_stacks().stack_name(stack).send().await.map_err(|error| {
            let detail = error.message().unwrap_or_default();
            match error.code() {
                // CloudFormation has no special code for a stack that does not exist.
                Some("ValidationError") if detail.contains("does not exist") => {
                    Failure::not_found(format!("the stack {stack} does not exist in this account and region"))
                        .next("check --stage, --profile and AWS_REGION")
                }
                code => aws_failure("read the outputs of the stack", code, &DisplayErrorContext(&error).to_string()),
            }
        })?;
        let outputs = answer.stacks().iter().flat_map(|stack| stack.outputs());
        Ok(outputs.filter_map(|one| Some((one.output_key()?.to_owned(), one.output_value()?.to_owned()))).collect())
    }
}

/// The failure of a call to AWS. `code` is the code of the service, if it answered.
pub fn aws_failure(what: &str, code: Option<&str>, detail: &str) -> Failure {
    let message = format!("cannot {what}: {detail}");
    match code {
        None if detail.contains("credentials") || detail.contains("Credentials") => {
            Failure::new(Exit::NotAuthorized, message).next("log in to AWS, or choose a profile with --profile")
        }
        None => Failure::new(Exit::Unreachable, message).next("check the network, AWS_REGION and AWS_ENDPOINT_URL"),
        Some(code) if is_refusal(code) => {
            Failure::new(Exit::NotAuthorized, message).next("use a profile that has this permission, with --profile")
        }
        Some(code) if code.contains("NonExistent") || code.contains("NotFound") => {
            Failure::not_found(message).next("check --stage, the profile and the region")
        }
        Some(_) => Failure::internal(message),
    }
}

fn is_refusal(code: &str) -> bool {
    ["AccessDenied", "UnrecognizedClient", "ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch"]
        .iter()
        .any(|refusal| code.contains(refusal))
}
