//! Distinguished names as text, from which nobody can be taken for somebody else: what has a meaning in the text is
//! escaped where it is part of a value (RFC 4514 section 2.4), and what is no text is shown as `#` and its bytes.
//!
//! Unlike there, the parts are in the order of the certificate and have a space behind their comma, as openssl and
//! browsers show them.

use x509_parser::der_parser::ber::Tag;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::hexadecimal;

/// `C=DE, O=Shop\, Inc, CN=cart`.
pub(super) fn shown(name: &X509Name<'_>) -> String {
    let parts = name.iter_rdn().map(|part| part.iter().map(attribute).collect::<Vec<_>>().join(" + "));
    parts.collect::<Vec<_>>().join(", ")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = attribute.attr_type();
    let kind = oid2abbrev(kind, oid_registry()).map_or_else(|_| kind.to_id_string(), str::to_owned);
    let value = match text(attribute) {
        Some(text) => escaped(&text),
        None => format!("#{}", hexadecimal(attribute.as_slice())),
    };
    format!("{kind}={value}")
}

/// The value, if it is a text.
pub(super) fn text(attribute: &AttributeTypeAndValue<'_>) -> Option<String> {
    let bytes = attribute.as_slice();
    match attribute.attr_value().tag() {
        Tag::BmpString if bytes.len().is_multiple_of(2) => {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]])).collect();
            String::from_utf16(&units).ok()
        }
        Tag::UniversalString if bytes.len().is_multiple_of(4) => {
            let unit = |unit: &[u8]| char::from_u32(u32::from_be_bytes([unit[0], unit[1], unit[2], unit[3]]));
            bytes.chunks_exact(4).map(unit).collect()
        }
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString
        | Tag::GeneralString
        | Tag::T61String => String::from_utf8(bytes.to_owned()).ok(),
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    for (i, c) in text.char_indices() {
        match c {
            '\0' => escaped.push_str("\\00"),
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => escaped.extend(['\\', c]),
            '#' if i == 0 => escaped.push_str("\\#"),
            ' ' if i == 0 || i == last => escaped.push_str("\\ "),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use rcgen::string::BmpString;
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair};
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;

    fn shown_of(attributes: Vec<(DnType, DnValue)>) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        attributes.into_iter().for_each(|(kind, value)| params.distinguished_name.push(kind, value));
        let made = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        shown(X509Certificate::from_der(made.der()).expect("it can be read").1.subject())
    }

    #[test]
    fn no_value_reads_like_more_than_one() {
        let cases = [
            ("cart", "CN=cart"),
            ("cart, O=Shop", "CN=cart\\, O=Shop"),
            ("cart + CN=admin", "CN=cart \\+ CN=admin"),
            ("a\\, b", "CN=a\\\\\\, b"),
            (" #a# ", "CN=\\ #a#\\ "),
            ("#00", "CN=\\#00"),
            (" ", "CN=\\ "),
            ("", "CN="),
            ("a\0b\n\"c\";<d>", "CN=a\\00b\n\\\"c\\\"\\;\\<d\\>"),
            ("Jürgen 😀", "CN=Jürgen 😀"),
        ];
        for (value, expected) in cases {
            assert_eq!(shown_of(vec![(DnType::CommonName, value.into())]), expected, "{value:?}");
        }
        let two = vec![(DnType::OrganizationName, "Shop".into()), (DnType::CommonName, "cart".into())];
        assert_eq!(shown_of(two), "O=Shop, CN=cart");
        assert_eq!(shown_of(Vec::new()), "");
        let unknown = DnType::CustomDnType(vec![1, 2, 3, 4]);
        assert_eq!(shown_of(vec![(unknown, "a,b".into())]), "1.2.3.4=a\\,b");
    }

    #[test]
    fn old_kinds_of_text_are_text() {
        let wide = DnValue::BmpString(BmpString::try_from("Köln, 你").expect("it has no surrogates"));
        assert_eq!(shown_of(vec![(DnType::CommonName, wide)]), "CN=Köln\\, 你");
    }
}
