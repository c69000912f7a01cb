//! The secret that cookies are signed and encrypted with.

use std::fmt;
use std::sync::Arc;

use cookie::Key;

/// What [`SignedCookies`](super::SignedCookies) and [`PrivateCookies`](super::PrivateCookies) are sealed with; a state of the
/// application.
///
/// All replicas need the same one, so it comes from a Secret. Half of it signs (HMAC-SHA256), the other half encrypts
/// (AES-256-GCM).
///
/// ```
/// use rws::app::cookies::CookieKey;
///
/// let secret = [7; 32]; // from a file; 32 random bytes at least
/// let key = CookieKey::derive_from(&secret)?;
/// assert_eq!(
///     CookieKey::derive_from(b"password").unwrap_err().to_string(),
///     "a key for cookies is derived from 32 random bytes or more, and these are 8"
/// );
///
/// // A rotation: cookies are sealed with the new key, and those of the old one are still taken.
/// let rotated = CookieKey::derive_from(&[8; 32])?.or_older(key);
/// # Ok::<(), rws::app::cookies::CookieKeyError>(())
/// ```
#[derive(Clone)]
pub struct CookieKey(Arc<[Key]>);

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CookieKeyError {
    /// Too few bytes to use as they are.
    TooShort {
        /// How many there are.
        bytes: usize,
    },
    /// Too few bytes to derive a key from.
    TooShortToDerive {
        /// How many there are.
        bytes: usize,
    },
    /// The operating system has no random bytes.
    NoRandomness,
}

impl CookieKey {
    /// These bytes, which must be random: the first 64 are used.
    ///
    /// # Errors
    /// Fewer than 64.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CookieKeyError> {
        Key::try_from(bytes).map(Self::of).map_err(|_| CookieKeyError::TooShort { bytes: bytes.len() })
    }

    /// Derived from random bytes (HKDF, RFC 5869); not for passwords.
    ///
    /// # Errors
    /// Fewer than 32.
    pub fn derive_from(secret: &[u8]) -> Result<Self, CookieKeyError> {
        if secret.len() < 32 {
            return Err(CookieKeyError::TooShortToDerive { bytes: secret.len() });
        }
        Ok(Self::of(Key::derive_from(secret)))
    }

    /// A random one, for tests: no other replica reads its cookies, nor does this one once it was restarted.
    ///
    /// # Errors
    /// The operating system has no random bytes.
    pub fn generate() -> Result<Self, CookieKeyError> {
        Key::try_generate().map(Self::of).ok_or(CookieKeyError::NoRandomness)
    }

    /// This one for new cookies, while cookies that were sealed with `older` are still read.
    #[must_use]
    pub fn or_older(&self, older: CookieKey) -> Self {
        CookieKey(self.0.iter().chain(older.0.iter()).cloned().collect())
    }

    fn of(key: Key) -> Self {
        CookieKey([key].into())
    }

    /// What new cookies are sealed with.
    pub(super) fn newest(&self) -> &Key {
        &self.0[0]
    }

    /// All of them, the newest first.
    pub(super) fn all(&self) -> &[Key] {
        &self.0
    }
}

/// Without the secret.
impl fmt::Debug for CookieKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieKey")
    }
}

impl fmt::Display for CookieKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CookieKeyError::TooShort { bytes } => {
                write!(f, "a key for cookies has 64 random bytes or more, and this has {bytes}")
            }
            CookieKeyError::TooShortToDerive { bytes } => {
                write!(f, "a key for cookies is derived from 32 random bytes or more, and these are {bytes}")
            }
            CookieKeyError::NoRandomness => {
                f.write_str("the operating system has no random bytes for a key for cookies")
            }
        }
    }
}

impl std::error::Error for CookieKeyError {}
