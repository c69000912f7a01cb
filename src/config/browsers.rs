//! Values that are told to browsers: origins, methods, header names and policies, read with the grammars of `semantics`.
//! A reader says in half a sentence what is wrong with a text.

use http::{HeaderName, HeaderValue, Method};

use super::value::{duration, list};
use crate::semantics::csp;
use crate::semantics::hsts::Hsts;
use crate::semantics::origin::{OriginError, OriginPattern};

/// Origins, separated by commas.
pub(super) fn origins(text: &str) -> Result<Vec<OriginPattern>, String> {
    let items = list(text);
    let read = |item: &String| match item.as_str() {
        "*" => Err("for all origins set RWS_CONFIG_CORS_ALLOW_ALL=true".to_owned()),
        item => item.parse().map_err(|error: OriginError| error.to_string()),
    };
    let faults: Vec<String> = items.iter().filter_map(|item| read(item).err()).collect();
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    items.iter().map(read).collect()
}

/// Methods, separated by commas. They are told in upper case, since a browser compares them as they are.
pub(super) fn methods(text: &str) -> Result<Vec<Method>, String> {
    let read = |item: &String| {
        let method = Method::from_bytes(item.to_ascii_uppercase().as_bytes());
        method.map_err(|_| format!("{item:?} is no method"))
    };
    list(text).iter().map(read).collect()
}

/// Names of header fields, separated by commas.
pub(super) fn header_names(text: &str) -> Result<Vec<HeaderName>, String> {
    let read = |item: &String| {
        HeaderName::from_bytes(item.as_bytes()).map_err(|_| format!("{item:?} is no name of a header field"))
    };
    list(text).iter().map(read).collect()
}

/// A Content-Security-Policy, word for word; the lines of a YAML block become one. Empty: none.
pub(super) fn policy(text: &str) -> Result<Option<HeaderValue>, String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return Ok(None);
    }
    let value = Some(&line).filter(|line| csp::is_field_value(line)).and_then(|line| HeaderValue::from_str(line).ok());
    value.map(Some).ok_or_else(|| "it holds something else than printable ASCII".to_owned())
}

/// The value of a Strict-Transport-Security field, or the time alone. Empty: none.
pub(super) fn hsts(text: &str) -> Result<Option<Hsts>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let alone = duration(text).map(|age| Hsts { max_age: age.as_secs(), include_subdomains: false, preload: false });
    alone.map_or_else(|| text.parse().map_err(|error| format!("{error}")), Ok).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_every_fault_of_one_is_told() {
        let read = origins(" https://A.example , https://*.b.example:443,,null")
            .map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        assert_eq!(read.as_deref(), Ok("https://a.example https://*.b.example null"));
        assert_eq!(
            origins("a.example, *, https://b.example/"),
            Err("\"a.example\" has no scheme: write https://a.example; for all origins set \
                 RWS_CONFIG_CORS_ALLOW_ALL=true; \"https://b.example/\" has something behind the host, and an origin \
                 has no path: write https://b.example"
                .to_owned())
        );
        assert_eq!(methods("put, Patch"), Ok(vec![Method::PUT, Method::PATCH]));
        assert_eq!(methods("PUT PATCH"), Err("\"PUT PATCH\" is no method".to_owned()));
        assert_eq!(header_names("X-A,*").map(|names| names.len()), Ok(2));
        assert_eq!(header_names("X-A: 1"), Err("\"X-A: 1\" is no name of a header field".to_owned()));
        assert_eq!((origins(""), methods(","), header_names("")), (Ok(vec![]), Ok(vec![]), Ok(vec![])));
    }

    #[test]
    fn a_policy_is_one_line() {
        let read = |text: &str| policy(text).map(|value| value.map(|value| value.to_str().map(str::to_owned).ok()));
        assert_eq!(
            read("default-src 'self';\n  img-src *\n"),
            Ok(Some(Some("default-src 'self'; img-src *".to_owned())))
        );
        assert_eq!(read(" "), Ok(None));
        assert!(read("default-src ‘self’").is_err());
    }

    #[test]
    fn strict_transport_security_is_a_value_or_a_time() {
        let read = |text: &str| hsts(text).map(|hsts| hsts.map(|hsts| hsts.to_string()));
        assert_eq!(read("8760h"), Ok(Some("max-age=31536000".to_owned())));
        assert_eq!(read("31536000"), Ok(Some("max-age=31536000".to_owned())));
        assert_eq!(read("max-age=1;preload"), Ok(Some("max-age=1; preload".to_owned())));
        assert_eq!(read(""), Ok(None));
        assert!(read("true").is_err() && read("1y").is_err());
    }
}
