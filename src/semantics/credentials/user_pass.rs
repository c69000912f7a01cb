//! The user and the password that the scheme Basic (RFC 7617) has in its token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smallvec::SmallVec;

/// Bytes that a user and a password may have together: what is hashed for a stranger must not be long.
const LONGEST: usize = 768;

/// The user and the password in the token68 of the scheme Basic.
#[derive(Clone, PartialEq, Eq)]
pub struct UserPass {
    text: SmallVec<[u8; 96]>,
    colon: usize,
}

impl UserPass {
    /// Base64 in the one spelling that RFC 4648 section 4 allows, of UTF-8 without control characters, with a colon behind
    /// the user; the password may have more of them.
    pub fn decode(token: &str) -> Option<Self> {
        let mut text = SmallVec::from_elem(0, (token.len() / 4 + 1) * 3);
        if text.len() > LONGEST {
            return None;
        }
        let length = STANDARD.decode_slice(token, &mut text).ok()?;
        text.truncate(length);
        let decoded = core::str::from_utf8(&text).ok()?;
        let colon = decoded.find(':')?;
        let is_fine = !decoded.chars().any(char::is_control);
        is_fine.then_some(UserPass { text, colon })
    }

    /// Who it is said to be; may be empty.
    pub fn user(&self) -> &str {
        core::str::from_utf8(&self.text[..self.colon]).unwrap_or_default()
    }

    /// What proves it; may be empty.
    pub fn password(&self) -> &str {
        core::str::from_utf8(&self.text[self.colon + 1..]).unwrap_or_default()
    }
}

impl core::fmt::Debug for UserPass {
    /// Without the password.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UserPass").field("user", &self.user()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn basic_credentials_have_one_spelling() {
        let cases = [
            // The example of RFC 7617 section 2, and that of section 2.1 with a pound sign.
            ("QWxhZGRpbjpvcGVuIHNlc2FtZQ==", Some(("Aladdin", "open sesame"))),
            ("dGVzdDoxMjPCow==", Some(("test", "123£"))),
            ("YTpiOmM6", Some(("a", "b:c:"))),
            ("Og==", Some(("", ""))),
            // No colon; ISO 8859-1; a line break; NUL; DEL.
            ("YWJj", None),
            ("dGVzdDoxMjOj", None),
            ("YTpiCg==", None),
            ("YTpiAA==", None),
            ("YTpifw==", None),
            // Without padding, with too much, with bits that are not zero, of the URL's alphabet, nothing.
            ("Og", None),
            ("Og=", None),
            ("Og===", None),
            ("Oh==", None),
            ("YTo_Pz8_", None),
            ("", None),
        ];
        for (token, expected) in cases {
            let decoded = UserPass::decode(token);
            assert_eq!(decoded.as_ref().map(|both| (both.user(), both.password())), expected, "{token}");
        }
    }

    #[test]
    fn a_password_is_not_shown_and_not_of_any_length() {
        let both = UserPass::decode("QWxhZGRpbjpvcGVuIHNlc2FtZQ==").unwrap();
        assert!(!format!("{both:?}").contains("sesame"));
        let long = |length: usize| UserPass::decode(&STANDARD.encode(format!("a:{}", "b".repeat(length))));
        assert!(long(700).is_some());
        assert!(long(LONGEST).is_none() && long(1 << 20).is_none());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(user in "[^:\\p{Cc}]{0,40}", password in "\\P{Cc}{0,80}") {
            let both = UserPass::decode(&STANDARD.encode(format!("{user}:{password}"))).unwrap();
            prop_assert_eq!((both.user(), both.password()), (&*user, &*password));
        }

        #[test]
        fn any_text_is_decoded_or_not(token: String) {
            let _ = UserPass::decode(&token);
        }
    }
}
