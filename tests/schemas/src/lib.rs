//! The JSON Schemas in `docs/schemas/`, and values that they must refuse.
//!
//! | module | content |
//! |---|---|
//! | [`schema`] | a schema, or one of its definitions, as a validator |
//! | [`mutations`] | a JSON value with one change: a field less, an unknown field, another value |

pub mod mutations;
pub mod schema;

pub use schema::Schema;
