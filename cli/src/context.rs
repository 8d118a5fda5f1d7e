//! What every subcommand needs.

use crate::{deployment::Deployment, global::Global, output::Output};

/// The deployment that the flags name, and how to print.
#[derive(Debug)]
pub struct Context {
    pub deployment: Deployment,
    pub output: Output,
}

impl Context {
    pub fn new(global: Global) -> Self {
        let output = Output { json: global.json, quiet: global.quiet };
        Self { deployment: Deployment::new(global), output }
    }
}
