//! The candidate's own request: path, host, headers and fields of a JSON body, on served requests and on copies.
//!
//! A body's fields are set while it streams by; nothing is paused or held. `content-length` is removed then, because the new
//! length is known only at the end. Whether a body can be rewritten is decided by the headers alone, before anything is
//! routed: it has to be JSON, not compressed, of a known length within the policy's bound. Other exchanges stay with
//! control, whichever variant they had drawn, and take no part: what the candidate could not have answered is not compared.
//!
//! Bound: one setter (a key of at most 64 bytes) per request that is being rewritten.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use weir_policy::{FieldSetter, Fields, Policy};

use crate::filter::{Filter, IdHasher};
use crate::headers::Headers;
use crate::host::{Body, Host, Map};
use crate::metrics::{Apart, Count};

/// What the candidate's requests have other than control's.
#[derive(Debug)]
pub(crate) struct Rewriting {
    path: Option<String>,
    host: Option<String>,
    headers: Vec<(String, String)>,
    fields: Option<Rc<Fields>>,
    body_bytes_max: u64,
}

/// Bodies that are being rewritten, by stream.
pub(crate) type Rewrites = HashMap<u32, FieldSetter, BuildHasherDefault<IdHasher>>;

impl Rewriting {
    /// What a policy wants rewritten, if anything.
    pub(crate) fn of(policy: &Policy) -> Option<Self> {
        let request = policy.candidate_request()?;
        let lowercase = |(name, value): (&String, &String)| (name.to_ascii_lowercase(), value.clone());
        Some(Self {
            path: request.path.clone(),
            host: request.host.clone(),
            headers: request.headers.iter().map(lowercase).collect(),
            fields: (!request.body.is_empty()).then(|| Fields::new(&request.body)),
            body_bytes_max: request.body_bytes_max,
        })
    }

    /// The headers that a request with this path has other.
    pub(crate) fn headers_for(&self, path: &[u8]) -> Vec<(String, Vec<u8>)> {
        let new_path = self.path.as_ref().map(|new| (":path".to_owned(), with_query(new, path)));
        let host = self.host.as_ref().map(|host| (":authority".to_owned(), host.as_bytes().to_vec()));
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), value.as_bytes().to_vec()));
        new_path.into_iter().chain(host).chain(headers).collect()
    }

    /// The fields that a body has other.
    pub(crate) fn fields(&self) -> Option<Rc<Fields>> {
        self.fields.clone()
    }

    /// Why a request's body cannot be rewritten. `end`: it has none.
    pub(crate) fn obstacle(&self, headers: Headers<'_>, end: bool) -> Option<Apart> {
        if end || self.fields.is_none() {
            return None;
        }
        let length = headers.get(b"content-length").and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(length) = length.and_then(|digits| digits.parse::<u64>().ok()) else {
            return Some(Apart::BodyLengthUnknown);
        };
        let encoding = headers.get(b"content-encoding").unwrap_or_default();
        if length == 0 {
            None
        } else if length > self.body_bytes_max {
            Some(Apart::BodyTooLarge)
        } else if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"identity") {
            Some(Apart::BodyEncoded)
        } else if !is_json(headers.get(b"content-type").unwrap_or_default()) {
            Some(Apart::BodyNotJson)
        } else {
            None
        }
    }
}

impl<H: Host> Filter<H> {
    /// Rewrites a request's headers, and its body from now on. `path` is the request's own, where it is known.
    pub(crate) fn rewrite(&mut self, context: u32, rewriting: &Rewriting, path: Option<&[u8]>, end: bool) {
        if let Some(new) = &rewriting.path {
            match path {
                Some(old) => self.set_path(new, old),
                None => {
                    let mut old = Vec::new();
                    if self.host.header(Map::Request, ":path", &mut old).is_err() {
                        self.metrics.count(Count::HostRefusals);
                    }
                    self.set_path(new, &old);
                }
            }
        }
        if let Some(host) = &rewriting.host {
            self.set(":authority", host);
        }
        for (name, value) in &rewriting.headers {
            self.set(name, value);
        }
        let Some(fields) = rewriting.fields.as_ref().filter(|_| !end) else { return };
        // With the old length, a longer body would be cut.
        if self.host.remove_header(Map::Request, b"content-length").is_err() {
            self.metrics.count(Count::HostRefusals);
            return;
        }
        self.rewrites.insert(context, FieldSetter::new(Rc::clone(fields)));
    }

    /// Rewrites a chunk of a request's body.
    pub(crate) fn rewrite_body(&mut self, context: u32, size: usize, end: bool) {
        let Some(mut setter) = self.rewrites.remove(&context) else { return };
        if size > 0 {
            let mut chunk = self.take_scratch();
            let mut rewritten = Vec::with_capacity(size + 64);
            let read = self.host.body(Body::Request, 0, size, &mut chunk);
            setter.push(&chunk, &mut rewritten);
            let changed = chunk != rewritten;
            self.return_scratch(chunk);
            if read.is_err() || (changed && self.host.set_request_body(&rewritten).is_err()) {
                self.metrics.count(Count::HostRefusals);
                return;
            }
        }
        if end && !setter.is_done() {
            self.metrics.count(Count::NotRewritten);
        } else if !end && !setter.is_over() {
            self.rewrites.insert(context, setter);
        } else if !setter.is_done() {
            self.metrics.count(Count::NotRewritten);
        }
    }

    fn set_path(&mut self, new: &str, old: &[u8]) {
        let path = with_query(new, old);
        if self.host.set_header(Map::Request, ":path", &path).is_err() {
            self.metrics.count(Count::HostRefusals);
        }
    }
}

/// A path with the query of the old one.
fn with_query(new: &str, old: &[u8]) -> Vec<u8> {
    let mut path = new.as_bytes().to_vec();
    if let Some(query) = old.iter().position(|byte| *byte == b'?') {
        path.extend_from_slice(old.get(query..).unwrap_or_default());
    }
    path
}

/// `application/json` or anything that ends in `+json`, with or without parameters.
fn is_json(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let suffix = essence.len().checked_sub(5).and_then(|start| essence.get(start..));
    essence.eq_ignore_ascii_case(b"application/json")
        || suffix.is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_known_by_its_content_type() {
        for json in
            ["application/json", "Application/JSON; charset=utf-8", "application/ld+json", "x/y+JSON ;a=b"]
        {
            assert!(is_json(json.as_bytes()), "{json}");
        }
        for other in ["", "json", "text/plain", "application/json-seq", "application/x-ndjson", "a;b+json"] {
            assert!(!is_json(other.as_bytes()), "{other}");
        }
    }
}
