//! The lines of metrics of a function.

use serde_json::Value;

use crate::function::Function;

impl Function {
    /// The lines of metrics so far: one for each invocation.
    pub fn metrics(&self) -> Vec<Value> {
        self.log().into_iter().filter(|line| line.get("_aws").is_some()).collect()
    }
}
