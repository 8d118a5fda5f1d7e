//! Postcard's wire format, written and read quickly.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`writer`] | a value into bytes |
//! | [`reader`] | bytes into a value |
//!
//! Every commit writes a whole queue, and every load reads one: some five hundred numbers and short texts.
//! Postcard's own writer pushes each of them byte by byte into a vector that may have to grow at any of
//! them, and its reader takes a number byte by byte. Here, there is room ahead, and a number of any
//! length takes the same time. What is written is the same, byte for byte, and what is read is too: the
//! tests compare them.
//! The format: <https://postcard.jamesmunns.com/wire-format>.

mod reader;
mod writer;

pub(crate) use reader::Reader;
pub(crate) use writer::Writer;

#[cfg(test)]
mod tests;
