//! A request in memory, for tools and tests: what `weir assign` is told of a request.

use std::borrow::Cow;

use crate::{Claim, RequestView};

/// Headers, claims and the client's address of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Names (in any case) and values, in order; `:path` and other pseudo-headers too.
    pub headers: Vec<(String, String)>,
    /// Names and values of the claims of a verified token.
    pub claims: Vec<(String, String)>,
    /// The client's address, with or without port.
    pub client_address: Option<String>,
}

impl RequestView for Request {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.header(name)
    }

    fn claim(&self, claim: &Claim) -> Option<Cow<'_, [u8]>> {
        self.claims
            .iter()
            .find(|(name, _)| *name == claim.name)
            .map(|(_, value)| Cow::Borrowed(value.as_bytes()))
    }

    fn client_address(&self) -> Option<Cow<'_, [u8]>> {
        self.client_address.as_ref().map(|address| Cow::Borrowed(address.as_bytes()))
    }
}
