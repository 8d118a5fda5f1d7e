//! `millrace doctor`: what is wrong with a deployment, and how to correct it.

use clap::Args;
use millrace_lambda::settings::{EventTarget, Settings, StoreChoice};

use crate::{
    api::Api,
    context::Context,
    doctor::{
        findings::{Findings, Level},
        http,
        queues::{self, ExpectedQueue, Role},
        redis, settings, tables,
    },
    failure::Failure,
    tables::{render, table},
    text::{count, printable},
};

/// Queues of the stack, by their outputs.
const STACK_QUEUES: [(&str, bool, Role); 8] = [
    ("CommandsQueueUrl", true, Role::Input),
    ("ProgressQueueUrl", false, Role::Input),
    ("TicksQueueUrl", false, Role::Input),
    ("CommandsDeadLettersUrl", true, Role::DeadLetters),
    ("ProgressDeadLettersUrl", false, Role::DeadLetters),
    ("TicksDeadLettersUrl", false, Role::DeadLetters),
    ("EventsDeadLettersUrl", true, Role::DeadLetters),
    ("UndeliveredUrl", false, Role::DeadLetters),
];

/// Find out what is wrong with a deployment, and how to correct it
#[derive(Debug, Args)]
pub struct DoctorArguments {
    /// File with the settings of the functions, NAME=VALUE in each line [default: the environment]
    #[arg(long, value_name = "FILE")]
    settings: Option<String>,
}

pub async fn run(context: &Context, arguments: DoctorArguments) -> Result<(), Failure> {
    let mut findings = Findings::default();
    let settings = settings::check(arguments.settings.as_deref(), &mut findings)?;
    http::check(&Api::of(&context.deployment).await?, &mut findings).await;
    check_tables(context, settings.as_ref(), &mut findings).await?;
    check_redis(settings.as_ref(), &mut findings).await;
    check_queues(context, settings.as_ref(), &mut findings).await?;
    print(context, &findings)?;
    if findings.count(Level::Error) == 0 { Ok(()) } else { Err(Failure::refused()) }
}

async fn check_tables(context: &Context, settings: Option<&Settings>, findings: &mut Findings) -> Result<(), Failure> {
    let prefix = match settings {
        Some(settings) if settings.store == StoreChoice::DynamoDb => Some(settings.table_prefix.clone()),
        Some(_) => None,
        None if context.deployment.has_stage() => context.deployment.optional_output("TablePrefix").await?,
        None => None,
    };
    match prefix {
        Some(prefix) => {
            let client = aws_sdk_dynamodb::Client::new(context.deployment.aws().await);
            tables::check(&client, &prefix, findings).await;
        }
        None => findings.skipped("tables", "no tables of DynamoDB are named", "pass --stage, or --settings"),
    }
    Ok(())
}

async fn check_redis(settings: Option<&Settings>, findings: &mut Findings) {
    let redis = settings.and_then(|settings| Some((settings.redis.as_ref()?, &settings.table_prefix)));
    match redis {
        Some((redis, _)) if redis.iam_cache.is_some() => {
            findings.skipped("Redis", "the cache takes IAM tokens of the functions only", "see the HTTP API above");
        }
        Some((redis, prefix)) => self::redis::check(redis.url.expose(), prefix, findings).await,
        None => findings.skipped("Redis", "no shared cache is named", "set MILLRACE_REDIS_URL in --settings"),
    }
}

async fn check_queues(context: &Context, settings: Option<&Settings>, findings: &mut Findings) -> Result<(), Failure> {
    let (mut queues, mut buses) = (Vec::new(), Vec::new());
    if let Some(settings) = settings {
        let ticks = settings.ticks_queue_url.iter();
        queues.extend(ticks.map(|url| ExpectedQueue { url: url.clone(), is_fifo: false, role: Role::Input }));
        for target in &settings.events.targets {
            match target {
                EventTarget::Queue(url) => {
                    queues.push(ExpectedQueue { url: url.clone(), is_fifo: true, role: Role::Input });
                }
                EventTarget::Bus(bus) => buses.push(bus.clone()),
                EventTarget::Table => {}
            }
        }
    }
    if context.deployment.has_stage() {
        for (output, is_fifo, role) in STACK_QUEUES {
            let url = context.deployment.optional_output(output).await?;
            queues.extend(url.map(|url| ExpectedQueue { url, is_fifo, role }));
        }
        buses.extend(context.deployment.optional_output("BusName").await?);
    }
    if queues.is_empty() && buses.is_empty() {
        findings.skipped("queues", "no queues are named", "pass --stage, or --settings");
        return Ok(());
    }
    let config = context.deployment.aws().await;
    let client = aws_sdk_sqs::Client::new(config);
    for queue in &queues {
        queues::check(&client, queue, findings).await;
    }
    let client = aws_sdk_eventbridge::Client::new(config);
    for bus in &buses {
        queues::check_bus(&client, bus, findings).await;
    }
    Ok(())
}

fn print(context: &Context, findings: &Findings) -> Result<(), Failure> {
    if context.output.json {
        return context.output.json_document(&findings.all());
    }
    let mut rows = table(&["check", "result", "found", "how to correct it"]);
    for finding in findings.all() {
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Skipped => "skipped",
            Level::Warning => "warning",
            Level::Error => "ERROR",
        };
        rows.add_row([&printable(&finding.check), level, &printable(&finding.detail), &printable(&finding.correction)]);
    }
    context.output.line(render(&rows))?;
    let [errors, warnings] = [Level::Error, Level::Warning].map(|level| findings.count(level));
    context.output.line(format!("{}, {}", count(errors, "error"), count(warnings, "warning")))
}
