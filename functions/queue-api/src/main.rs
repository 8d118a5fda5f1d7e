//! `queue-api`: queues over HTTP. Reads, served from caches first, and commands that are applied
//! before the response.
//!
//! | module | contents |
//! |---|---|
//! | [`handler`] | the way of a request from its bytes to its response |
//! | [`request`] | the bytes of an invocation as a request |
//! | [`routes`] | method and path as a route |
//! | [`auth`] | the caller, by the authorizer context, and what it may do |
//! | [`reads`], [`commands`], [`admin`], [`players`] | the routes |
//! | [`views`] | rows as clients see them |
//! | [`parameters`], [`cursor`] | the query and headers that are allowed; positions in lists |
//! | [`problem`] | errors as RFC 9457 problem details |
//! | [`metrics`] | what a request adds to the line of metrics |
//! | [`answer`], [`etag`], [`encoding`], [`cors`] | a response with its headers |
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
mod metrics;
mod parameters;
mod players;
mod problem;
mod reads;
mod request;
mod routes;
mod views;

use crate::handler::Api;

// As in `process-tasks`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    millrace_lambda::run::<Api>();
}
