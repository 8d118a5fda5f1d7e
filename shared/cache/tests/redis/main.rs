//! The Redis tier against real servers.

mod access;
mod cluster;
mod information;
mod not_serving;
mod outages;
mod round_trips;
mod support;
mod upkeep;
mod values;
mod versions;
