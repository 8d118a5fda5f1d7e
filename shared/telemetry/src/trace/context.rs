//! Which trace a piece of work belongs to, in the formats of X-Ray and W3C.

use std::{
    fmt,
    num::{NonZeroU64, NonZeroU128},
};

/// Which trace a piece of work belongs to, and which span led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: NonZeroU128,
    /// The span that led to the work; none: the trace begins with it.
    pub parent: Option<NonZeroU64>,
    /// Whether the trace is recorded; none: that is not decided yet.
    pub sampled: Option<bool>,
}

impl TraceContext {
    /// Reads a `traceparent` of W3C or a trace header of X-Ray. None if it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_traceparent(text).or_else(|| Self::parse_xray(text))
    }

    /// Reads a trace header of X-Ray, such as
    /// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`. The order is
    /// free, and other keys are ignored. None without a valid root.
    pub fn parse_xray(text: &str) -> Option<Self> {
        let (mut trace_id, mut parent, mut sampled) = (None, None, None);
        for (key, value) in text.split(';').filter_map(|part| part.split_once('=')) {
            let value = value.trim();
            match key.trim() {
                "Root" => trace_id = Some(parse_root(value)?),
                "Parent" => parent = hex(value, 16).and_then(|id| NonZeroU64::new(id as u64)),
                "Sampled" => {
                    sampled = match value {
                        "1" => Some(true),
                        "0" => Some(false),
                        _ => None,
                    }
                }
                _ => {}
            }
        }
        Some(Self { trace_id: trace_id?, parent, sampled })
    }

    /// Reads a `traceparent` of W3C, such as
    /// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`. None if it is not valid.
    pub fn parse_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace_id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // A later version may add parts. Version 255 is forbidden.
        let version = hex(version, 2).filter(|version| *version != 0xff)?;
        if version == 0 && parts.next().is_some() {
            return None;
        }
        Some(Self {
            trace_id: NonZeroU128::new(hex(trace_id, 32)?)?,
            parent: Some(NonZeroU64::new(hex(parent, 16)? as u64)?),
            sampled: Some(hex(flags, 2)? & 1 == 1),
        })
    }

    /// The root of the trace in the format of X-Ray, such as
    /// `1-5759e988-bd862e3fe1be46a994272793`.
    pub fn root(self) -> impl fmt::Display {
        let id = self.trace_id.get();
        fmt::from_fn(move |f| write!(f, "1-{:08x}-{:024x}", id >> 96, id & (u128::MAX >> 32)))
    }
}

/// The trace header of X-Ray.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root={}", self.root())?;
        if let Some(parent) = self.parent {
            write!(f, ";Parent={parent:016x}")?;
        }
        match self.sampled {
            Some(sampled) => write!(f, ";Sampled={}", u8::from(sampled)),
            None => Ok(()),
        }
    }
}

fn parse_root(value: &str) -> Option<NonZeroU128> {
    let (seconds, rest) = value.strip_prefix("1-")?.split_once('-')?;
    NonZeroU128::new(hex(seconds, 8)? << 96 | hex(rest, 24)?)
}

/// Reads exactly so many hexadecimal digits. Both formats use lower case; upper case is accepted.
fn hex(text: &str, digits: usize) -> Option<u128> {
    // `from_str_radix` would accept a sign.
    let is_hex = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "Root=1-5759e988-bd862e3fe1be46a994272793";

    fn context(parent: u64, sampled: Option<bool>) -> TraceContext {
        let trace_id = NonZeroU128::new(0x5759_e988_bd86_2e3f_e1be_46a9_9427_2793).unwrap();
        TraceContext { trace_id, parent: NonZeroU64::new(parent), sampled }
    }

    #[test]
    fn a_header_of_xray_is_read_and_written() {
        for (rest, expected) in [
            ("", context(0, None)),
            (";Sampled=1", context(0, Some(true))),
            (";Parent=53995c3f42cd8ad8", context(0x5399_5c3f_42cd_8ad8, None)),
            (";Parent=53995c3f42cd8ad8;Sampled=0", context(0x5399_5c3f_42cd_8ad8, Some(false))),
        ] {
            let header = format!("{ROOT}{rest}");
            assert_eq!(TraceContext::parse(&header), Some(expected), "{header}");
            assert_eq!(expected.to_string(), header);
        }
    }

    #[test]
    fn other_forms_of_the_header_are_read() {
        let expected = Some(context(0x5399_5c3f_42cd_8ad8, Some(true)));
        for header in [
            format!("Self=1-5759e988-000000000000000000000001;Sampled=1;{ROOT};Parent=53995c3f42cd8ad8"),
            format!(" {ROOT} ; Parent=53995C3F42CD8AD8; Sampled=1;Lineage=a87bd80c:1|68fd508a:5"),
        ] {
            assert_eq!(TraceContext::parse(&header), expected, "{header}");
        }
        assert_eq!(TraceContext::parse(&format!("{ROOT};Parent=x;Sampled=?")), Some(context(0, None)));
    }

    #[test]
    fn a_traceparent_is_read() {
        let expected = |sampled| Some(context(0x00f0_67aa_0ba9_02b7, Some(sampled)));
        let ids = "5759e988bd862e3fe1be46a994272793-00f067aa0ba902b7";
        for (text, expected) in [
            (format!("00-{ids}-01"), expected(true)),
            (format!("00-{ids}-00"), expected(false)),
            (format!("00-{ids}-03"), expected(true)),
            (format!("cc-{ids}-01-what-comes-later"), expected(true)),
            (format!("00-{ids}-01-what-comes-later"), None),
            (format!("ff-{ids}-01"), None),
            (format!("00-{ids}"), None),
            (format!("00-{ids}-1"), None),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(), None),
            ("00-5759e988bd862e3fe1be46a994272793-0000000000000000-01".to_owned(), None),
        ] {
            assert_eq!(TraceContext::parse(&text), expected, "{text}");
        }
    }

    #[test]
    fn what_names_no_trace_is_no_context() {
        for text in [
            "",
            "Root=",
            "Sampled=1;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988-bd862e3fe1be46a99427279",
            "Root=2-5759e988-bd862e3fe1be46a994272793",
            "Root=1-00000000-000000000000000000000000",
            "Root=1-+759e988-bd862e3fe1be46a994272793",
            "Root=1-5759e98\u{fc}-bd862e3fe1be46a994272793",
        ] {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }
}
