//! What a client of AWS needs in its environment to talk to a server of this crate.

/// The region of every emulated service.
pub const REGION: &str = "us-east-1";
/// The access key that the emulators are spoken to with. Twelve digits would be an account for
/// MiniStack.
pub const ACCESS_KEY_ID: &str = "test";
/// The secret that belongs to [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "test";

/// Variables for the environment of a function, to be given to `Command::envs`.
pub type Environment = Vec<(&'static str, String)>;

/// The variables that direct the AWS SDK to an endpoint, and away from everything else.
pub(crate) fn environment(endpoint: &str) -> Environment {
    vec![
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]
}
