//! `millrace doctor` against broken set-ups. Each names its cause and the correction.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_sqs::types::QueueAttributeName;
use hyper::Response;
use millrace_servers::{AwsProxy, Fault, Redis, rules};
use millrace_store::dynamodb::create_tables;
use millrace_tests::http_server::HttpServer;
use serde_json::Value;

use crate::support::{Finished, Program, Server, aws::Aws};

/// What the doctor is asked about.
struct Setup {
    aws: Aws,
    server: Server,
    prefix: String,
    settings: Vec<(String, String)>,
}

impl Setup {
    /// Tables that are as they should be, and no Redis.
    async fn new(name: &str) -> Self {
        let prefix = format!("doctor-{name}-");
        let setup = Self::without_tables(&prefix).await;
        create_tables(&setup.dynamodb(), &prefix).await.expect("the tables are created");
        setup
    }

    async fn without_tables(prefix: &str) -> Self {
        let (aws, server) = (Aws::start().await, Server::start().await);
        let settings = [("MILLRACE_STORE", "dynamodb"), ("MILLRACE_TABLE_PREFIX", prefix)];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { aws, server, prefix: prefix.to_owned(), settings }
    }

    fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.aws.config)
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    fn program(&self) -> (Program, tempfile::NamedTempFile) {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let lines: Vec<String> = self.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        std::fs::write(file.path(), lines.join("\n")).expect("the file is written");
        let path = file.path().display().to_string();
        let program = self.aws.millrace(&["doctor", "--json", "--settings", &path]);
        (program.env("MILLRACE_ENDPOINT", &self.server.url()), file)
    }

    async fn run(&self) -> Finished {
        let (program, _file) = self.program();
        program.run().await
    }

    /// Asserts that the doctor names exactly this problem, as an error or a warning.
    async fn finds(&self, level: &str, check: &str, detail: &str, correction: &str) {
        finds(self.run().await, level, check, detail, correction);
    }
}

fn finds(run: Finished, level: &str, check: &str, detail: &str, correction: &str) {
    assert_eq!(run.code, i32::from(level == "error"), "{run:?}");
    let findings: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let problems: Vec<&Value> = findings
        .as_array()
        .into_iter()
        .flatten()
        .filter(|finding| finding["level"] == "error" || finding["level"] == "warning")
        .collect();
    let text = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let is_expected = |finding: &&&Value| {
        finding["level"] == level
            && text(finding, "check").contains(check)
            && text(finding, "detail").contains(detail)
            && text(finding, "correction").contains(correction)
    };
    assert_eq!(problems.iter().filter(is_expected).count(), 1, "no {detail:?} in {problems:#?}");
    assert_eq!(problems.len(), 1, "no other problem: {problems:#?}");
}

#[tokio::test]
async fn nothing_is_wrong_with_a_good_setup() {
    let redis = Redis::builder().maxmemory("20mb", "allkeys-lru").start().await;
    let setup = Setup::new("good").await.set("MILLRACE_REDIS_URL", &redis.url());
    let run = setup.run().await;
    let text = run.stdout.clone();
    run.succeeded();
    for part in
        ["all values are allowed", "store up", "doctor-good-events", "median of 11", "maxmemory-policy is allkeys-lru"]
    {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let (_, file) = setup.program();
    let path = file.path().display().to_string();
    let table = setup.aws.millrace(&["doctor", "--settings", &path]).env("MILLRACE_ENDPOINT", &setup.server.url());
    let table = table.run().await.succeeded();
    assert!(table.contains("HOW TO CORRECT IT") && table.ends_with("0 errors, 0 warnings\n"), "{table}");
    setup
        .server
        .millrace(&["doctor", "--settings", "/nonexistent"])
        .run()
        .await
        .failed(2, &["cannot read /nonexistent"]);
}

#[tokio::test]
async fn a_value_that_is_not_allowed() {
    let server = Server::start().await;
    let run =
        server.millrace(&["doctor", "--json"]).env("MILLRACE_STORE", "sqlite:x").env("MILLRACE_BATCH_MAX_ITEMS", "99");
    finds(run.run().await, "error", "settings", "MILLRACE_BATCH_MAX_ITEMS=99", "docs/settings.md");
}

#[tokio::test]
async fn a_misspelt_setting() {
    let server = Server::start().await;
    let run = server.millrace(&["doctor", "--json"]).env("MILLRACE_STORE", "sqlite:x").env("MILLRACE_REDIS_URI", "x");
    finds(run.run().await, "warning", "settings", "MILLRACE_REDIS_URI is not a setting", "correct the name");
}

#[tokio::test]
async fn an_api_that_does_not_answer() {
    let run = Program::new(&["doctor", "--json", "--endpoint", "http://127.0.0.1:1"]).run().await;
    finds(run, "error", "HTTP API", "does not answer", "check --endpoint");
}

#[tokio::test]
async fn a_clock_that_is_wrong() {
    let server = HttpServer::start(|_| async {
        let body = r#"{"status": "ok", "store": {"state": "up"}, "cache": {"state": "off"}}"#;
        Response::builder().header("date", "Sun, 06 Nov 1994 08:49:37 GMT").body(body.into()).expect("a response")
    })
    .await;
    let run = Program::new(&["doctor", "--json", "--endpoint", &format!("http://{}", server.address)]).run().await;
    finds(run, "error", "clock", "ahead of the clock of the API", "NTP");
}

#[tokio::test]
async fn a_missing_table() {
    let setup = Setup::new("missing").await;
    let name = format!("{}stats", setup.prefix);
    setup.dynamodb().delete_table().table_name(&name).send().await.expect("the table is deleted");
    setup.finds("error", &name, "the table does not exist", "docs/deploying.md").await;
}

async fn replace(setup: &Setup, table: &str, key: &str) {
    let (client, name) = (setup.dynamodb(), format!("{}{table}", setup.prefix));
    client.delete_table().table_name(&name).send().await.expect("the table is deleted");
    let attribute = AttributeDefinition::builder().attribute_name(key).attribute_type(ScalarAttributeType::S).build();
    let schema = KeySchemaElement::builder().attribute_name(key).key_type(KeyType::Hash).build();
    let create = client.create_table().table_name(&name).billing_mode(BillingMode::PayPerRequest);
    let create = create.attribute_definitions(attribute.expect("valid")).key_schema(schema.expect("valid"));
    create.send().await.expect("the table is created");
}

#[tokio::test]
async fn a_missing_index() {
    let setup = Setup::new("index").await;
    replace(&setup, "queues", "playerId").await;
    setup.finds("error", "queues", "the index due does not exist", "dueShard, dueAt").await;
}

#[tokio::test]
async fn a_table_with_another_key() {
    let setup = Setup::new("key").await;
    replace(&setup, "progress", "id").await;
    setup.finds("error", "progress", "the key is id, not playerId", "create the table again").await;
}

#[tokio::test]
async fn rows_that_do_not_expire() {
    let setup = Setup::new("expiry").await;
    let off = TimeToLiveSpecification::builder().enabled(false).attribute_name("expiresAt").build().expect("valid");
    let name = format!("{}history", setup.prefix);
    let update = setup.dynamodb().update_time_to_live().table_name(&name).time_to_live_specification(off);
    update.send().await.expect("time to live is disabled");
    setup.finds("warning", "history", "rows do not expire", "expiresAt").await;
}

#[tokio::test]
async fn a_missing_permission() {
    let setup = Setup::new("denied").await;
    let proxy = AwsProxy::start(setup.aws.endpoint()).await;
    let table = format!("{}events", setup.prefix);
    proxy.set_rule(rules::only(move |call| call.operation == "GetItem" && call.names(&table), Fault::access_denied()));
    let (program, _file) = setup.program();
    let run = program.env("AWS_ENDPOINT_URL", &proxy.endpoint()).run().await;
    finds(run, "error", "events", "dynamodb:GetItem is not allowed", "allow dynamodb:GetItem");
}

#[tokio::test]
async fn a_redis_that_does_not_listen() {
    let setup = Setup::new("closed").await.set("MILLRACE_REDIS_URL", "redis://127.0.0.1:1");
    setup.finds("error", "Redis", "no connection", "check MILLRACE_REDIS_URL").await;
}

#[tokio::test]
async fn a_redis_password_that_is_wrong() {
    let redis = Redis::builder().requirepass("secret").start().await;
    let url = redis.url_as("default", "wrong");
    let setup = Setup::new("password").await.set("MILLRACE_REDIS_URL", &url);
    setup.finds("error", "Redis", "the login is refused", "check user and password").await;
}

#[tokio::test]
async fn a_redis_user_without_rights() {
    let redis = Redis::builder()
        .maxmemory("20mb", "allkeys-lru")
        .user("app", "on >secret ~other* +ping +info +set +get +getex +mget +getrange +del +script|load")
        .start()
        .await;
    let setup = Setup::new("acl").await.set("MILLRACE_REDIS_URL", &redis.url_as("app", "secret"));
    setup.finds("error", "Redis", "refuses SET, GET, GETEX, MGET, GETRANGE, DEL on keys", "ACL SETUSER").await;
}

#[tokio::test]
async fn a_redis_that_never_evicts() {
    let redis = Redis::builder().maxmemory("20mb", "noeviction").start().await;
    let setup = Setup::new("eviction").await.set("MILLRACE_REDIS_URL", &redis.url());
    setup.finds("error", "Redis", "noeviction", "allkeys-lru").await;
}

#[tokio::test]
async fn a_queue_that_does_not_exist() {
    let setup = Setup::new("queue").await;
    let url = format!("{}-none", setup.aws.queue("doctor-some").await);
    let setup = setup.set("MILLRACE_TICKS_QUEUE_URL", &url);
    setup.finds("error", "doctor-some-none", "the queue does not exist", "check the URL").await;
}

#[tokio::test]
async fn a_queue_without_dead_letters() {
    let setup = Setup::new("redrive").await;
    let url = setup.aws.queue("doctor-redrive").await;
    let setup = setup.set("MILLRACE_TICKS_QUEUE_URL", &url);
    setup.finds("error", "doctor-redrive", "no queue of dead letters", "redrive policy").await;
}

#[tokio::test]
async fn dead_letters_of_a_stage() {
    let setup = Setup::new("letters").await;
    let dead = setup.aws.queue("doctor-dead.fifo").await;
    setup.aws.send(&dead, "{}".to_owned(), Some(("p", "d"))).await;
    let arn = setup.aws.sqs.get_queue_attributes().queue_url(&dead).attribute_names(QueueAttributeName::QueueArn);
    let arn =
        arn.send().await.expect("attributes").attributes.expect("attributes")[&QueueAttributeName::QueueArn].clone();
    let commands = setup.aws.queue("doctor-commands.fifo").await;
    let policy = format!(r#"{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": 5}}"#);
    let set = setup.aws.sqs.set_queue_attributes().queue_url(&commands);
    set.attributes(QueueAttributeName::RedrivePolicy, policy).send().await.expect("the policy is set");
    let outputs = [
        ("ApiUrl", setup.server.url()),
        ("TablePrefix", setup.prefix.clone()),
        ("CommandsQueueUrl", commands),
        ("CommandsDeadLettersUrl", dead),
        ("BusName", "default".to_owned()),
    ];
    let outputs: Vec<(&str, &str)> = outputs.iter().map(|(name, value)| (*name, value.as_str())).collect();
    setup.aws.stack("millrace-doctor", &outputs).await;
    let run = setup.aws.millrace(&["doctor", "--json", "--stage", "doctor"]).run().await;
    finds(run, "warning", "doctor-dead.fifo", "1 dead letters", "millrace dlq list");
}

#[tokio::test]
async fn an_event_bus_that_does_not_exist() {
    let setup = Setup::new("bus").await.set("MILLRACE_EVENTS", "eventbridge:doctor-none,table");
    setup.finds("error", "event bus doctor-none", "does not exist", "correct MILLRACE_EVENTS").await;
}
