//! How many path parameters a type is made from, found out without any.
//!
//! A type tells its deserialiser what it expects; this one takes note and fails.

use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// The number of path parameters `T` is made from; `None` if it may be any number.
pub(super) fn count<T: DeserializeOwned>() -> Option<usize> {
    match T::deserialize(Probe) {
        Err(Shape::Values(count)) => Some(count),
        Err(Shape::Unknown) | Ok(_) => None,
    }
}

#[derive(Debug)]
enum Shape {
    Values(usize),
    Unknown,
}

struct Probe;

macro_rules! one_value {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Shape> {
            Err(Shape::Values(1))
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Shape;

    one_value! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Shape> {
        Err(Shape::Unknown)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Shape> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Shape> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, _: V) -> Result<V::Value, Shape> {
        Err(Shape::Values(len))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(self, _: &'static str, len: usize, _: V) -> Result<V::Value, Shape> {
        Err(Shape::Values(len))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Shape> {
        Err(Shape::Values(1))
    }

    forward_to_deserialize_any! { unit unit_struct seq map struct identifier ignored_any }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the type was asked for its shape only")
    }
}

impl std::error::Error for Shape {}

impl de::Error for Shape {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Shape::Unknown
    }
}
