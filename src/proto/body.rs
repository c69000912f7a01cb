//! Taking a request body off the wire, whatever its framing.

use super::chunked::{Decoder, Step};
use super::error::ProtoError;
use super::framing::BodyLength;

/// Finds the payload of one body in the bytes of a connection, and its end.
#[derive(Clone, Debug)]
pub struct BodyDecoder(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// Bytes still to come.
    Length(u64),
    Chunked(Decoder),
}

impl BodyDecoder {
    /// A decoder for a body of this framing.
    pub fn new(length: BodyLength) -> Self {
        BodyDecoder(match length {
            BodyLength::None => Kind::Length(0),
            BodyLength::Length(bytes) => Kind::Length(bytes),
            BodyLength::Chunked => Kind::Chunked(Decoder::default()),
        })
    }

    /// Deals with the start of `input`, as [`Decoder::decode`] does; never takes a byte beyond the end of the body.
    pub fn decode(&mut self, input: &[u8]) -> Result<Step, ProtoError> {
        match &mut self.0 {
            Kind::Length(remaining) => {
                let taken = usize::try_from(*remaining).unwrap_or(usize::MAX).min(input.len());
                *remaining -= taken as u64;
                Ok(Step { consumed: taken, data: 0..taken, done: *remaining == 0 })
            }
            Kind::Chunked(decoder) => decoder.decode(input),
        }
    }

    /// Whether the whole body has been read.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Kind::Length(remaining) => *remaining == 0,
            Kind::Chunked(decoder) => decoder.is_done(),
        }
    }

    /// How many bytes of payload are still to come, if that is known.
    pub fn remaining(&self) -> Option<u64> {
        match &self.0 {
            Kind::Length(remaining) => Some(*remaining),
            Kind::Chunked(decoder) => decoder.is_done().then_some(0),
        }
    }
}

impl Default for BodyDecoder {
    fn default() -> Self {
        BodyDecoder::new(BodyLength::None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::three_ways::decode_body;
    use super::*;

    #[test]
    fn a_length_takes_exactly_that_many_bytes() {
        let input = b"hello";
        assert_eq!(decode_body(BodyLength::Length(5), input), Ok(Some((input.to_vec(), 5))));
        assert_eq!(decode_body(BodyLength::Length(4), input), Ok(Some((b"hell".to_vec(), 4))));
        assert_eq!(decode_body(BodyLength::Length(6), input), Ok(None));
        assert_eq!(decode_body(BodyLength::Length(u64::MAX), input), Ok(None));
    }

    #[test]
    fn no_body_takes_nothing() {
        for length in [BodyLength::None, BodyLength::Length(0)] {
            let mut decoder = BodyDecoder::new(length);
            assert!(decoder.is_done());
            assert_eq!(decoder.decode(b"GET /"), Ok(Step { consumed: 0, data: 0..0, done: true }));
        }
    }

    #[test]
    fn what_remains_is_known_for_a_length_only() {
        let mut length = BodyDecoder::new(BodyLength::Length(5));
        assert!(length.decode(b"he").is_ok());
        assert_eq!((length.remaining(), length.is_done()), (Some(3), false));
        let mut chunked = BodyDecoder::new(BodyLength::Chunked);
        assert_eq!((chunked.remaining(), chunked.is_done()), (None, false));
        assert!(chunked.decode(b"0\r\n\r\n").is_ok());
        assert_eq!((chunked.remaining(), chunked.is_done()), (Some(0), true));
    }
}
