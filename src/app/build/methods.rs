//! Which endpoint of a path answers which method.

use http::{HeaderValue, Method};

/// Endpoints by method; 0 stands for none, since endpoint 0 is what no route matched.
#[derive(Debug, Default)]
pub(super) struct MethodTable {
    usual: [u32; USUAL.len()],
    others: Vec<(Method, u32)>,
    any: u32,
}

/// The methods that have a place in the table, in alphabetical order.
const USUAL: [Method; 7] =
    [Method::DELETE, Method::GET, Method::HEAD, Method::OPTIONS, Method::PATCH, Method::POST, Method::PUT];

fn place(method: &Method) -> Option<usize> {
    match *method {
        Method::DELETE => Some(0),
        Method::GET => Some(1),
        Method::HEAD => Some(2),
        Method::OPTIONS => Some(3),
        Method::PATCH => Some(4),
        Method::POST => Some(5),
        Method::PUT => Some(6),
        _ => None,
    }
}

impl MethodTable {
    /// The endpoint for `method`; 0 if there is none.
    pub(super) fn get(&self, method: &Method) -> u32 {
        match place(method) {
            Some(place) => self.usual[place],
            None => self.others.iter().find(|(other, _)| other == method).map_or(self.any, |(_, endpoint)| *endpoint),
        }
    }

    /// Sets the endpoint for a method, or for all that have none.
    pub(super) fn set(&mut self, method: Option<Method>, endpoint: u32) {
        match method.as_ref().map(place) {
            None => self.any = endpoint,
            Some(Some(place)) => self.usual[place] = endpoint,
            Some(None) => self.others.extend(method.map(|method| (method, endpoint))),
        }
    }

    /// Fills the gaps: HEAD is answered as GET, anything else by the handler for any method. The value of `Allow` comes back.
    pub(super) fn finish(&mut self) -> HeaderValue {
        let [_, get, head, ..] = &mut self.usual;
        if *head == 0 {
            *head = *get;
        }
        for endpoint in &mut self.usual {
            if *endpoint == 0 {
                *endpoint = self.any;
            }
        }
        allow_all([&*self])
    }

    fn methods(&self) -> impl Iterator<Item = &str> {
        let usual =
            USUAL.iter().zip(self.usual).filter(|(_, endpoint)| *endpoint != 0).map(|(method, _)| method.as_str());
        usual.chain(self.others.iter().map(|(method, _)| method.as_str()))
    }
}

/// The value of `Allow`: the methods of all `tables` and OPTIONS, which is always answered, in alphabetical order.
pub(super) fn allow_all<'a>(tables: impl IntoIterator<Item = &'a MethodTable>) -> HeaderValue {
    let mut methods: Vec<&str> = tables.into_iter().flat_map(MethodTable::methods).chain(["OPTIONS"]).collect();
    methods.sort_unstable();
    methods.dedup();
    // Method names are tokens, which are valid in a field value.
    HeaderValue::try_from(methods.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn each_usual_method_has_its_place() {
        for (index, method) in USUAL.iter().enumerate() {
            assert_eq!(place(method), Some(index), "{method}");
        }
        assert!(USUAL.is_sorted_by_key(|method| method.as_str().to_owned()));
    }

    #[test]
    fn gaps_are_filled_from_get_and_any() {
        let purge = Method::from_bytes(b"PURGE").unwrap();
        let mut table = MethodTable::default();
        table.set(Some(Method::GET), 1);
        table.set(Some(purge.clone()), 2);
        assert_eq!(table.finish(), "GET, HEAD, OPTIONS, PURGE");
        let found =
            |table: &MethodTable| [Method::GET, Method::HEAD, Method::POST, Method::TRACE].map(|m| table.get(&m));
        assert_eq!((found(&table), table.get(&purge)), ([1, 1, 0, 0], 2));

        table.set(None, 3);
        assert_eq!(table.finish(), "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PURGE, PUT");
        assert_eq!((found(&table), table.get(&purge)), ([1, 1, 3, 3], 2));
    }
}
