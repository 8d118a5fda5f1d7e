//! `queue-api`: queues over HTTP. Reads, cache first, and commands that are applied before the answer.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`request`] | an invocation's bytes into a request |
//! | [`routes`] | method and path into a route |
//! | [`auth`] | who asks, by the request's authorizer context, and what that allows |
//! | [`handler`] | a route's answer |
//! | [`reads`], [`commands`], [`admin`] | the routes |
//! | [`views`] | rows the way readers see them |
//! | [`parameters`], [`cursor`] | what a query and headers may say; where a page goes on |
//! | [`problem`] | errors as RFC 9457 problem details |
//! | [`answer`], [`etag`], [`encoding`], [`cors`] | an answer with its headers, compressed where asked for |
#![deny(missing_docs)]

mod admin;
mod answer;
mod auth;
mod commands;
mod cors;
mod cursor;
mod encoding;
mod etag;
mod handler;
mod parameters;
mod problem;
mod reads;
mod request;
mod routes;
mod views;

use std::sync::Arc;

use millrace_lambda::{Settings, StartError, compose, logs, runtime, start, start::BackEnds};

use crate::handler::Api;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

async fn run() -> Result<(), StartError> {
    let settings = Settings::from_env()?;
    logs::init(&settings.log)?;
    settings.warn_of_unknown();
    let BackEnds { store, cache } = start::open(&settings).await?;
    let service = compose::invoked_once_service(&settings, Arc::clone(&store), cache, compose::random_seed());
    let api = Arc::new(Api::new(service, &settings));
    runtime::close_on_signal(async move || store.close().await).await?;
    runtime::run(move |invocation| {
        let api = Arc::clone(&api);
        async move { api.answer(&invocation).await }
    })
    .await?;
    Ok(())
}

// One thread: see `process-tasks`.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run().await {
        start::fail(&error);
    }
}
