//! The rules, one in each file.

pub mod file_length;
pub mod forbidden_words;
pub mod functions;
pub mod import_cycles;
pub mod layers;
pub mod prose_width;
pub mod steps;
pub mod waivers;
