//! Flags of every subcommand.

use clap::Args;

/// The endpoint without `--endpoint` and `--stage`: `make dev`.
pub const DEFAULT_ENDPOINT: &str = "http://localhost:9000";

/// Flags of every subcommand.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Base URL of the HTTP API [default: the API of --stage, or http://localhost:9000]
    #[arg(long, global = true, env = "MILLRACE_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub endpoint: Option<String>,
    /// Deployment to use: names come from the outputs of the stack millrace-STAGE
    #[arg(long, global = true, env = "MILLRACE_STAGE", hide_env_values = true)]
    pub stage: Option<String>,
    /// Profile of the AWS configuration files
    #[arg(long, global = true, env = "AWS_PROFILE", hide_env_values = true)]
    pub profile: Option<String>,
    /// Bearer token (JWT) for the HTTP API; without it, requests to AWS are signed with IAM
    #[arg(long, global = true, env = "MILLRACE_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no progress and no hints
    #[arg(long, short, global = true)]
    pub quiet: bool,
}
