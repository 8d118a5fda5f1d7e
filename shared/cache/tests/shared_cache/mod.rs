//! The Redis cache against real servers of one program.

mod access;
mod cluster;
mod cluster_faults;
mod not_serving;
mod outages;
mod pages;
mod performance;
mod refused_writes;
mod round_trips;
mod server_information;
pub mod support;
mod upkeep;
mod upkeep_clear;
mod upkeep_cluster;
mod upkeep_statistics;
mod values;
mod versions;
