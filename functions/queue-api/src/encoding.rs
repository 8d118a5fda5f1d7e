//! Compression with gzip, for clients that accept it.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use lambda_http::http::{HeaderMap, header};

/// The smallest body that is compressed. Below, the header and the work cost more than is saved.
pub const MIN_BYTES: usize = 1_024;
/// JSON of many similar objects is small at any level. This one takes a third of the time of the
/// default.
const LEVEL: u32 = 3;

/// Compresses the bytes.
pub fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::new(LEVEL));
    encoder.write_all(bytes).and_then(|()| encoder.finish()).ok()
}

/// Whether the client accepts gzip, and does not prefer the uncompressed body.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    for one in lists.flat_map(|list| list.split(',')) {
        let mut parts = one.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default().to_ascii_lowercase();
        let Some(quality) = quality(parts) else { continue };
        match coding.as_str() {
            "gzip" | "x-gzip" => gzip = Some(quality),
            "*" => any = Some(quality),
            "identity" => identity = Some(quality),
            _ => {}
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// The quality value in thousandths; none if it is malformed, so that the coding is ignored.
fn quality<'a>(mut parameters: impl Iterator<Item = &'a str>) -> Option<u32> {
    let Some(parameter) = parameters.next() else { return Some(1_000) };
    let (name, value) = parameter.split_once('=')?;
    let value: f64 = value.trim().parse().ok()?;
    (name.trim().eq_ignore_ascii_case("q") && (0.0..=1.0).contains(&value)).then(|| (value * 1_000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use lambda_http::http::HeaderValue;

    use super::*;

    #[test]
    fn quality_values_are_respected() {
        let accepts = |value: &str| {
            accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap())]))
        };
        for wanted in
            ["gzip", "GZIP", "br, gzip;q=0.5", "*", "deflate, *;q=0.1", "gzip;q=1.0, identity; q=0.5", "x-gzip"]
        {
            assert!(accepts(wanted), "{wanted}");
        }
        for unwanted in [
            "",
            "br",
            "identity",
            "gzip;q=0",
            "gzip;q=0, *",
            "*;q=0",
            "gzip;q=0.1, identity;q=0.9",
            "gzip;q=x",
            "gzip;q=2",
        ] {
            assert!(!accepts(unwanted), "{unwanted}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_compressed_body_can_be_read() {
        let bytes = "{\"taskId\":\"t\"}".repeat(500).into_bytes();
        let smaller = gzip(&bytes).unwrap();
        assert!(smaller.len() * 10 < bytes.len());
        let mut read = Vec::new();
        GzDecoder::new(smaller.as_slice()).read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
    }
}
