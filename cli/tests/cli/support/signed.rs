//! Verifies signatures of AWS (Signature Version 4), independently of the library that makes them.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::Request;
use sha2::{Digest as _, Sha256};

const BLOCK: usize = 64;

/// Whose requests are accepted, and what their signatures must be for.
#[derive(Debug, Clone, Copy)]
pub struct Verifier {
    pub access_key: &'static str,
    pub secret_key: &'static str,
    pub session_token: Option<&'static str>,
    pub region: &'static str,
    pub service: &'static str,
}

impl Verifier {
    /// Whether the request has the signature that follows from what was received.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, request: &Request<Bytes>) -> Result<(), String> {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let fields = Fields::parse(header("authorization").ok_or("not signed")?).ok_or("the header is malformed")?;
        let date = header("x-amz-date").ok_or("no date")?;
        let scope = format!("{}/{}/{}/aws4_request", &date[..8], self.region, self.service);
        if fields.credential != format!("{}/{scope}", self.access_key) {
            return Err(format!("the credential is {}", fields.credential));
        }
        if header("x-amz-security-token") != self.session_token {
            return Err("another session token".to_owned());
        }
        for required in ["host", "x-amz-date"].into_iter().chain(self.session_token.map(|_| "x-amz-security-token")) {
            if !fields.signed_headers.split(';').any(|name| name == required) {
                return Err(format!("{required} is not signed"));
            }
        }
        let body = hex(&Sha256::digest(request.body()));
        if header("x-amz-content-sha256").is_some_and(|sent| sent != body) {
            return Err("another body was signed".to_owned());
        }
        let canonical = canonical_request(request, fields.signed_headers, &body).ok_or("a signed header is missing")?;
        let signature = self.signature(date, &scope, &canonical);
        if signature == fields.signature { Ok(()) } else { Err("the signature is wrong".to_owned()) }
    }

    fn signature(&self, date: &str, scope: &str, canonical: &str) -> String {
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let secret = format!("AWS4{}", self.secret_key).into_bytes();
        let key = scope.split('/').fold(secret, |key, part| hmac(&key, part.as_bytes()).to_vec());
        hex(&hmac(&key, text.as_bytes()))
    }
}

/// The parts of the header `authorization`.
struct Fields<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

impl<'a> Fields<'a> {
    fn parse(header: &'a str) -> Option<Self> {
        let parts = header.strip_prefix("AWS4-HMAC-SHA256 ")?.split(',').map(str::trim);
        let parts: BTreeMap<&str, &str> = parts.filter_map(|part| part.split_once('=')).collect();
        let part = |name| parts.get(name).copied();
        let (credential, signed_headers) = (part("Credential")?, part("SignedHeaders")?);
        Some(Self { credential, signed_headers, signature: part("Signature")? })
    }
}

fn canonical_request(request: &Request<Bytes>, signed_headers: &str, body: &str) -> Option<String> {
    // Services other than S3 encode the path that was sent once more.
    let path = request.uri().path().split('/').map(|segment| encoded(segment.as_bytes())).collect::<Vec<_>>().join("/");
    let query = request.uri().query().unwrap_or_default();
    let mut query: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(&decoded(name)), encoded(&decoded(value))))
        .collect();
    query.sort();
    let query = query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
    let mut headers = String::new();
    for name in signed_headers.split(';') {
        let value = request.headers().get(name)?.to_str().ok()?;
        headers.push_str(&format!("{name}:{}\n", value.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    Some(format!("{}\n{path}\n{query}\n{headers}\n{signed_headers}\n{body}", request.method()))
}

fn encoded(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

/// Undoes percent-encoding. A `+` stays, as in everything but forms.
fn decoded(text: &str) -> Vec<u8> {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two digits follow a %"));
        bytes.extend(&part.as_bytes()[2..]);
    }
    bytes
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    assert!(key.len() <= BLOCK);
    let padded = |pad: u8| -> Vec<u8> { (0..BLOCK).map(|at| key.get(at).copied().unwrap_or(0) ^ pad).collect() };
    let inner = Sha256::digest([padded(0x36).as_slice(), text].concat());
    Sha256::digest([padded(0x5c).as_slice(), inner.as_slice()].concat()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
