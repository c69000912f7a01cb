//! What ConfigMaps and Secrets hold, key by key.

use std::collections::HashSet;

use super::objects::Object;
use super::place::Place;
use super::yaml::Node;

/// One value of a ConfigMap or Secret.
#[derive(Clone, Debug)]
pub(super) struct Datum<'a> {
    pub(super) key: &'a str,
    pub(super) key_place: Place,
    /// `None`: it is not text.
    pub(super) text: Option<String>,
    pub(super) place: Place,
    /// Whether it must not be shown.
    pub(super) secret: bool,
    /// Whether it can become an environment variable.
    pub(super) for_env: bool,
}

/// Everything in a ConfigMap or Secret. `stringData` wins over `data`, as in the API.
pub(super) fn data_of<'a>(object: &Object<'a>) -> Vec<Datum<'a>> {
    let secret = object.kind == "Secret";
    let (mut found, mut keys) = (Vec::new(), HashSet::new());
    let fields: &[(&str, bool, bool)] = if secret {
        &[("stringData", false, true), ("data", true, true)]
    } else {
        &[("data", false, true), ("binaryData", true, false)]
    };
    for (field, encoded, for_env) in fields {
        for (key, value) in object.node.get(field).map_or(&[][..], Node::entries) {
            if !keys.insert(&key.text) {
                continue;
            }
            // A key with nothing behind it is the empty text.
            let text = value.text().unwrap_or_default();
            let text = if *encoded { decode(text) } else { Some(text.to_owned()) };
            let place = if value.is_null() { key.place } else { value.place };
            found.push(Datum { key: &key.text, key_place: key.place, text, place, secret, for_env: *for_env });
        }
    }
    found
}

/// Base64 as RFC 4648 section 4 has it, line breaks forgiven; `None` if it is not, or not of a text.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_or_refused() {
        for (text, expected) in [
            ("", Some("")),
            ("ODA4MA==", Some("8080")),
            ("ODA4\nMA==\n", Some("8080")),
            ("w6k=", Some("é")),
            ("/+8=", None),
            ("no*", None),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text:?}");
        }
    }
}
