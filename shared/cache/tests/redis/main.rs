//! The Redis tier against real servers.

mod access;
mod cluster;
mod outages;
mod round_trips;
mod support;
mod values;
mod versions;
