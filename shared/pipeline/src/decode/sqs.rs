//! The envelope of an event of SQS: most of the bytes of a batch, and almost none of them are needed.
//!
//! AWS writes it in one form: an object of `Records`, each an object of texts and a few objects of
//! texts. This reader knows that form alone and gives up on any other, which then takes the way of
//! every event. It borrows what it needs from the event and steps over the rest; what is not a plain text
//! it has the JSON library step over. It takes nothing that the library would refuse.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::{Body, SqsAttributes, SqsRecord};

/// Hands the records of `text` to `take`, in their order. None where the event has another form: then
/// what was taken is void.
pub(super) fn read<'a>(text: &'a str, mut take: impl FnMut(SqsRecord<'a>)) -> Option<()> {
    let mut reader = Reader { text, at: 0, unescaped: String::new() };
    reader.open(b'{')?;
    if reader.key()? != "Records" {
        return None;
    }
    reader.open(b'[')?;
    if !reader.closes(b']') {
        loop {
            take(reader.record()?);
            if !reader.goes_on(b']')? {
                break;
            }
        }
    }
    if reader.goes_on(b'}')? {
        return None;
    }
    reader.space();
    (reader.at == text.len()).then_some(())
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The body that is being read, without its escapes.
    unescaped: String,
}

impl<'a> Reader<'a> {
    fn record(&mut self) -> Option<SqsRecord<'a>> {
        let (mut message_id, mut body, mut attributes, mut source_arn) = (None, None, None, None);
        self.object(|reader, key| match key {
            "messageId" => once(&mut message_id, reader.plain()?),
            "body" => once(&mut body, reader.body()?),
            "attributes" => once(&mut attributes, reader.attributes()?),
            "eventSourceARN" => once(&mut source_arn, reader.plain()?),
            _ => reader.skip(),
        })?;
        Some(SqsRecord {
            message_id: Cow::Borrowed(message_id?),
            body: body?,
            attributes: attributes.unwrap_or_default(),
            source_arn: Cow::Borrowed(source_arn.unwrap_or_default()),
        })
    }

    fn attributes(&mut self) -> Option<SqsAttributes<'a>> {
        let (mut sent, mut sequence, mut group) = (None, None, None);
        self.object(|reader, key| match key {
            "SentTimestamp" => once(&mut sent, reader.plain()?),
            "SequenceNumber" => once(&mut sequence, reader.plain()?),
            "MessageGroupId" => once(&mut group, reader.plain()?),
            _ => reader.skip(),
        })?;
        Some(SqsAttributes {
            sent_timestamp: Cow::Borrowed(sent.unwrap_or_default()),
            sequence_number: Cow::Borrowed(sequence.unwrap_or_default()),
            message_group_id: Cow::Borrowed(group.unwrap_or_default()),
        })
    }

    fn object(&mut self, mut field: impl FnMut(&mut Self, &'a str) -> Option<()>) -> Option<()> {
        self.open(b'{')?;
        if self.closes(b'}') {
            return Some(());
        }
        loop {
            let key = self.key()?;
            field(self, key)?;
            if !self.goes_on(b'}')? {
                return Some(());
            }
        }
    }

    fn body(&mut self) -> Option<Body> {
        self.open(b'"')?;
        self.unescaped.clear();
        loop {
            let start = self.at;
            let special = self.special()?;
            let part = &self.text[start..self.at];
            self.at += 1;
            if special == b'"' && self.unescaped.is_empty() {
                return Some(Body::of(part));
            }
            self.unescaped.push_str(part);
            if special == b'"' {
                return Some(Body::of(&self.unescaped));
            }
            let unescaped = match self.peek()? {
                character @ (b'"' | b'\\' | b'/') => char::from(character),
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                // Code points by their number are for the library.
                _ => return None,
            };
            self.at += 1;
            self.unescaped.push(unescaped);
        }
    }

    /// A text without escapes.
    fn plain(&mut self) -> Option<&'a str> {
        self.open(b'"')?;
        let start = self.at;
        if self.special()? != b'"' {
            return None;
        }
        self.at += 1;
        Some(&self.text[start..self.at - 1])
    }

    fn key(&mut self) -> Option<&'a str> {
        let key = self.plain()?;
        self.open(b':')?;
        Some(key)
    }

    /// Steps over a value of any kind.
    fn skip(&mut self) -> Option<()> {
        self.space();
        let start = self.at;
        if self.peek()? == b'"' && self.plain().is_some() {
            return Some(());
        }
        let mut values = serde_json::Deserializer::from_str(&self.text[start..]).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        self.at = start + values.byte_offset();
        Some(())
    }

    /// Goes to the next byte that ends a text or begins an escape; none before a control character,
    /// which no text may have.
    fn special(&mut self) -> Option<u8> {
        const ONES: u64 = u64::MAX / 0xff;
        let bytes = self.text.as_bytes();
        // Eight bytes at once (Mycroft's test for a zero byte): the top bit of the lowest byte that
        // is special is set. Bytes above it may be marked too, for a borrow runs upwards.
        while let Some(chunk) = bytes[self.at..].first_chunk::<8>() {
            let chunk = u64::from_le_bytes(*chunk);
            let (quote, backslash) = (chunk ^ (ONES * u64::from(b'"')), chunk ^ (ONES * u64::from(b'\\')));
            let marked = (quote.wrapping_sub(ONES) & !quote)
                | (backslash.wrapping_sub(ONES) & !backslash)
                | (chunk.wrapping_sub(ONES * 0x20) & !chunk);
            let marked = marked & (ONES << 7);
            if marked != 0 {
                self.at += marked.trailing_zeros() as usize / 8;
                return self.peek().filter(|byte| *byte >= 0x20);
            }
            self.at += 8;
        }
        while let Some(byte) = self.peek() {
            if matches!(byte, b'"' | b'\\' | 0..0x20) {
                return (byte >= 0x20).then_some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Steps over `byte`, which has to come next.
    fn open(&mut self, byte: u8) -> Option<()> {
        self.closes(byte).then_some(())
    }

    /// Steps over `byte`, if it comes next.
    fn closes(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Whether another element follows, or `end`.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        match self.closes(b',') {
            true => Some(true),
            false => self.open(end).map(|()| false),
        }
    }
}

/// Keeps a field's value; a second one is for the library to refuse.
fn once<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

#[cfg(test)]
mod tests;
