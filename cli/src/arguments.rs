//! The command line: the subcommands.

use clap::{Parser, Subcommand};

use crate::{
    commands::{
        completions, dlq, doctor, events, explain, history, load, manual, perf, players, queue, rejections, send,
    },
    global::Global,
};

/// Send commands, look at queues, and operate a deployment of Millrace
#[derive(Debug, Parser)]
#[command(name = "millrace", version, after_help = AFTER_HELP, propagate_version = true, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 something was refused or failed, 2 usage, 3 unreachable, 4 not authorized,
5 not found, 6 error of the service. Data goes to standard output, messages to standard error.";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the queue of a player: tasks, why they wait, balances
    Queue(queue::QueueArguments),
    /// Send commands from a file, standard input or flags
    Send(send::SendArguments),
    /// Say what the commands of a file are and would do, without sending them
    Explain(explain::ExplainArguments),
    /// Show the finished tasks of a player, newest first
    History(history::HistoryArguments),
    /// Show the events of a player in order
    Events(events::EventsArguments),
    /// Show the refused commands of a player, and send them again
    Rejections(rejections::RejectionsArguments),
    /// Show, redrive and drop dead letters
    Dlq(dlq::DlqArguments),
    /// List players by status, by what their tasks wait for, or by id
    Players(players::PlayersArguments),
    /// Show the performance history with sparklines, queues, and thresholds that are passed
    Perf(perf::PerfArguments),
    /// Find out what is wrong with a deployment, and how to correct it
    Doctor(doctor::DoctorArguments),
    /// Generate a load, and check that every command took effect once
    Load(load::LoadArguments),
    /// Print a completion script for a shell
    Completions(completions::CompletionsArguments),
    /// Write the manual pages
    Manual(manual::ManualArguments),
}
