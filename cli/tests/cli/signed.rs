//! Requests to the HTTP API of a stack with IAM authorization.

use bytes::Bytes;
use hyper::{Request, Response};
use millrace_servers::REGION;
use millrace_tests::http_server::HttpServer;
use serde_json::{Value, json};

use crate::support::{Program, Server, aws::Aws, signed::Verifier};

const VERIFIER: Verifier = Verifier {
    access_key: "AKIAOFTHETEST",
    secret_key: "secret/of+the/test",
    session_token: Some("token-of-a-session"),
    region: REGION,
    service: "execute-api",
};

/// As API Gateway does it: requests with a wrong signature do not reach the function.
fn authorize(request: &Request<Bytes>) -> Option<Value> {
    VERIFIER.verify(request).ok()?;
    Some(
        json!({"iam": {"userArn": "arn:aws:sts::123456789012:assumed-role/operator/session", "accountId": "123456789012"}}),
    )
}

/// A stack whose API accepts the requests of the verifier.
struct Stack {
    aws: Aws,
    server: Server,
    stage: String,
}

impl Stack {
    async fn new(stage: &str) -> Self {
        let (aws, server) = (Aws::start().await, Server::authorized_by(authorize).await);
        aws.stack(&format!("millrace-{stage}"), &[("ApiUrl", &server.url())]).await;
        Self { aws, server, stage: stage.to_owned() }
    }

    fn millrace(&self, arguments: &[&str]) -> Program {
        let program = self.aws.millrace(&[arguments, &["--stage", &self.stage]].concat());
        let program = program.env("AWS_REGION", VERIFIER.region).env("AWS_ACCESS_KEY_ID", VERIFIER.access_key);
        let program = program.env("AWS_SECRET_ACCESS_KEY", VERIFIER.secret_key);
        program.env("AWS_SESSION_TOKEN", VERIFIER.session_token.expect("a token"))
    }
}

#[tokio::test]
async fn commands_and_reads_are_signed() {
    let stack = Stack::new("signed").await;
    // Every character that an id may have.
    let player = "aZ09._:-|@+=~";
    let grant = r#"{"type": "grantResources", "commandId": "c-1", "resources": {"gold": 5}}"#;
    let send = ["send", "--player", player, "--command", grant];
    assert_eq!(stack.millrace(&send).run().await.succeeded(), "1 command: 1 applied\n");
    let queue = stack.millrace(&["queue", player, "--json"]).run().await.json();
    assert_eq!((&queue["playerId"], &queue["balances"]["gold"]), (&json!(player), &json!(5)));
    let players = stack.millrace(&["players", "--prefix", player, "--json"]).run().await;
    assert_eq!(players.json_lines()[0]["playerId"], player);
    let trial = stack.millrace(&["explain", "-", "--player", player, "--current"]).input(grant).run().await;
    assert!(trial.succeeded().contains("duplicate"));
    let history = stack.millrace(&["perf", "--step", "5", "--json"]).run().await.json();
    assert_eq!(history["history"]["totals"]["commands"]["applied"], 1);
}

#[tokio::test]
async fn a_wrong_signature_is_refused() {
    let stack = Stack::new("refused").await;
    for (name, value) in [
        ("AWS_SECRET_ACCESS_KEY", "another-secret"),
        ("AWS_ACCESS_KEY_ID", "AKIAOFANOTHER"),
        ("AWS_SESSION_TOKEN", "another-token"),
    ] {
        let run = stack.millrace(&["players"]).env(name, value).run().await;
        run.failed(4, &["403 Forbidden", "next:  use a token with this scope, or AWS credentials"]);
    }
    let with_token = stack.millrace(&["players", "--token", "jwt"]).run().await;
    with_token.failed(4, &["403 Forbidden"]);
    assert!(stack.server.database.queue("p-1").await.is_none());
}

#[tokio::test]
async fn a_profile_names_credentials_and_region() {
    let stack = Stack::new("profile").await;
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let Verifier { access_key, secret_key, session_token, region, .. } = VERIFIER;
    let token = session_token.expect("a token");
    let profile = format!(
        "[profile operator]\nregion = {region}\naws_access_key_id = {access_key}\n\
         aws_secret_access_key = {secret_key}\naws_session_token = {token}\n"
    );
    std::fs::write(file.path(), profile).expect("the file is written");
    let run = |name: &str| {
        let program = Program::new(&["players", "--json", "--stage", "profile", "--profile", name]);
        let program = program.env("AWS_ENDPOINT_URL", stack.aws.endpoint());
        program.env("AWS_CONFIG_FILE", &file.path().display().to_string()).run()
    };
    run("operator").await.succeeded();
    run("another").await.failed(4, &["cannot read the outputs of the stack", "next:  log in to AWS"]);
}

#[tokio::test]
async fn another_endpoint_gets_no_credentials() {
    let server = HttpServer::start(|request: Request<Bytes>| async move {
        assert!(!request.headers().keys().any(|name| name == "authorization" || name.as_str().starts_with("x-amz")));
        Response::new(r#"{"items": []}"#.into())
    })
    .await;
    let aws = Aws::start().await;
    let run = aws.millrace(&["players", "--endpoint", &format!("http://{}", server.address)]).run().await;
    run.succeeded();
}

/// The example of the documentation of AWS, and what must not pass.
#[test]
fn the_verifier_knows_right_and_wrong_signatures() {
    let verifier = Verifier {
        access_key: "AKIDEXAMPLE",
        secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        session_token: None,
        region: "us-east-1",
        service: "service",
    };
    let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
    let request = |target: &str, body: &'static str, signature: &str| {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        let request = Request::builder().uri(target).header("host", "example.amazonaws.com");
        let request = request.header("x-amz-date", "20150830T123600Z").header("authorization", authorization);
        request.body(Bytes::from(body)).expect("a valid request")
    };
    assert_eq!(verifier.verify(&request("/", "", signature)), Ok(()));
    for wrong in [
        request("/", "", &signature.replace('5', "6")),
        request("/other", "", signature),
        request("/?limit=1", "", signature),
        request("/", "body", signature),
    ] {
        assert_eq!(verifier.verify(&wrong), Err("the signature is wrong".to_owned()));
    }
}
