//! What is kept of secrets: digests under a key of this process. They are all of one length, so comparing them tells
//! neither how long a secret is nor how much of it was right.

use std::hash::{BuildHasher, RandomState};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// The digest of a secret.
#[derive(Clone, Copy)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// Whether both are of the same secret. Takes the same time either way.
    pub(super) fn is(&self, other: &Digest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Makes digests that no other process makes.
pub(super) struct Digester([u8; 32]);

impl Digester {
    pub(super) fn new() -> Self {
        let mut key = [0; 32];
        for (index, part) in key.chunks_exact_mut(8).enumerate() {
            part.copy_from_slice(&RandomState::new().hash_one(index).to_ne_bytes());
        }
        Digester(key)
    }

    pub(super) fn digest(&self, secret: &str) -> Digest {
        Digest(Sha256::new_with_prefix(self.0).chain_update(secret).finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_equal_if_secrets_and_keys_are() {
        let (one, other) = (Digester::new(), Digester::new());
        assert!(one.digest("a").is(&one.digest("a")));
        assert!(!one.digest("a").is(&one.digest("b")));
        assert!(!one.digest("").is(&one.digest("\0")));
        assert!(!one.digest("a").is(&other.digest("a")), "the key is part of it");
    }
}
