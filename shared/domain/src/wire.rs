//! What stands in rows and in the cache: values as bytes, in postcard's wire format.
//!
//! | module | what lives in it |
//! |---|---|
//! | [`writer`] | numbers and texts into bytes |
//! | [`reader`] | bytes into numbers and texts |
//! | [`forms`] | lists, choices, structures of them |
//!
//! Every commit writes a whole queue, and every load reads one: some five hundred numbers and short texts. A
//! load that finds its queues in the cache does little else than that, so it decides how long a warm batch
//! takes. Postcard's own writer pushes each byte into a vector that may have to grow at any of them, and
//! between it and the values stands serde, which moves each of them several times and asks after each
//! whether something failed. Here there is room ahead, a number of any length takes the same time, values are
//! made where they stay, and a reader that fails remembers why and reads nothing more: whoever reads asks once,
//! at the end. What is written is the same, byte for byte: the tests compare them.
//! The format: <https://postcard.jamesmunns.com/wire-format>.

mod forms;
mod reader;
mod writer;

pub(crate) use forms::{fields, positions};
pub(crate) use reader::{Reader, Unreadable};
pub(crate) use writer::Writer;

/// A value that is written and read.
pub trait Wire {
    /// Appends the value.
    fn write(&self, writer: &mut Writer);

    /// Takes the next value. Where the bytes are none, [`Reader::failed`] says so, and what is returned is
    /// any value: it is not to be used.
    fn read(reader: &mut Reader<'_>) -> Self;
}

#[cfg(test)]
mod tests;
