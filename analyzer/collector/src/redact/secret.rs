//! The kinds of secrets, how often each was found, and what is done with a find.

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secret {
    /// A value at a JSON path that the operator named.
    Field,
    /// A PEM private key.
    PrivateKey,
    /// A JSON Web Token.
    Jwt,
    /// A provider's key or token, or the value of a setting that is named like one.
    ApiKey,
    /// The token of an `Authorization: Bearer` line.
    Bearer,
    /// User and password of an `Authorization: Basic` line.
    Basic,
    /// The password within a URL.
    Password,
    /// A match of the operator's own pattern.
    Pattern,
    /// An international bank account number with valid check digits.
    Iban,
    /// A payment card number with a valid check digit.
    Card,
    /// An e-mail address.
    Email,
    /// A hardware address.
    Mac,
    /// An IPv4 or IPv6 address.
    Ip,
    /// A telephone number.
    Phone,
}

weir_document::choice! {
    /// What is done with a find.
    pub enum Action {
        /// It becomes `[redacted:KIND]`.
        Mask = "mask",
        /// It becomes `[KIND:HASH]`, a keyed hash that is equal for equal values.
        Hash = "hash",
        /// It is taken out without a mark.
        Drop = "drop",
        /// It stays.
        Keep = "keep",
    }
}

/// How often each kind was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Finds([u64; Secret::ALL.len()]);

impl Secret {
    /// Every kind; where finds overlap, the first of them names the whole.
    pub const ALL: [Self; 14] = [
        Self::Field,
        Self::PrivateKey,
        Self::Jwt,
        Self::ApiKey,
        Self::Bearer,
        Self::Basic,
        Self::Password,
        Self::Pattern,
        Self::Iban,
        Self::Card,
        Self::Email,
        Self::Mac,
        Self::Ip,
        Self::Phone,
    ];

    /// The name in marks and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::PrivateKey => "private_key",
            Self::Jwt => "jwt",
            Self::ApiKey => "api_key",
            Self::Bearer => "bearer",
            Self::Basic => "basic",
            Self::Password => "password",
            Self::Pattern => "pattern",
            Self::Iban => "iban",
            Self::Card => "card",
            Self::Email => "email",
            Self::Mac => "mac",
            Self::Ip => "ip",
            Self::Phone => "phone",
        }
    }
}

impl Finds {
    /// Finds of one kind.
    pub fn of(&self, secret: Secret) -> u64 {
        self.0.get(secret as usize).copied().unwrap_or(0)
    }

    /// Finds of all kinds.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    pub(super) fn count(&mut self, secret: Secret) {
        if let Some(count) = self.0.get_mut(secret as usize) {
            *count += 1;
        }
    }
}
