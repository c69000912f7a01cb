//! Percent-decoding and deserialising of path parameters.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, EnumAccess, IntoDeserializer, VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use smallvec::SmallVec;

/// Why path parameters are not what the handler takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The client sent a value that does not fit.
    Value { name: Option<String>, reason: String },
    /// The type fits no value of this route.
    Type(String),
}

/// A parameter, decoded.
#[derive(Clone)]
pub(super) struct Param<'a> {
    name: &'a str,
    value: Cow<'a, str>,
}

/// All parameters of a path, in the order of the pattern.
pub(super) type Params<'a> = SmallVec<[Param<'a>; 4]>;

/// Reads a value from all parameters.
pub(super) struct ParamsDeserializer<'a>(pub(super) Params<'a>);

impl<'a> Param<'a> {
    pub(super) fn decode(name: &'a str, raw: &'a str) -> Result<Self, Failure> {
        let failure = |reason: &str| Failure::Value { name: Some(name.to_owned()), reason: reason.to_owned() };
        if !raw.contains('%') {
            return Ok(Param { name, value: raw.into() });
        }
        if !escapes_are_valid(raw) {
            return Err(failure("`%` must be followed by two hexadecimal digits"));
        }
        let value = percent_decode_str(raw).decode_utf8().map_err(|_| failure("is not UTF-8"))?;
        Ok(Param { name, value })
    }

    fn parse<T: FromStr>(&self, expected: &str) -> Result<T, Failure> {
        self.value.parse().map_err(|_| self.failure(format!("`{}` is not {expected}", self.value)))
    }

    fn failure(&self, reason: String) -> Failure {
        Failure::Value { name: Some(self.name.to_owned()), reason }
    }
}

/// Whether two hexadecimal digits follow each percent sign.
fn escapes_are_valid(raw: &str) -> bool {
    let digits = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    raw.split('%').skip(1).all(digits)
}

impl Failure {
    /// The same failure, with a name if it has none.
    fn of(self, param: &str) -> Self {
        match self {
            Failure::Value { name: None, reason } => Failure::Value { name: Some(param.to_owned()), reason },
            named => named,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Value { reason, .. } | Failure::Type(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Failure {}

impl de::Error for Failure {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Failure::Value { name: None, reason: reason.to_string() }
    }

    fn missing_field(field: &'static str) -> Self {
        Failure::Type(format!("the pattern has no parameter `{field}`"))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Self {
        Failure::Type(format!("there is no field for the parameter `{field}`"))
    }

    fn invalid_length(length: usize, expected: &dyn de::Expected) -> Self {
        Failure::Type(format!("there are {length} parameters, expected {expected}"))
    }
}

impl<'a> ParamsDeserializer<'a> {
    fn only(mut self) -> Result<Param<'a>, Failure> {
        match (self.0.pop(), self.0.len()) {
            (Some(param), 0) => Ok(param),
            (_, others) => Err(Failure::Type(format!("one value is expected, the pattern has {}", others + 1))),
        }
    }

    fn exactly(self, count: usize) -> Result<Self, Failure> {
        match self.0.len() {
            len if len == count => Ok(self),
            len => Err(Failure::Type(format!("{count} values are expected, the pattern has {len}"))),
        }
    }
}

/// Methods for everything that is made from one value.
macro_rules! from_the_only_one {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            self.only()?.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for ParamsDeserializer<'_> {
    type Error = Failure;

    from_the_only_one! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.0.len() {
            1 => self.only()?.deserialize_any(visitor),
            _ => self.deserialize_seq(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_seq(SeqDeserializer::new(self.0.into_iter()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Failure> {
        self.exactly(len)?.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_map(MapDeserializer::new(self.0.into_iter().map(|param| (param.name.to_owned(), param))))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }
}

/// Methods for what is parsed from text.
macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty, $expected:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            let value = self.parse::<$type>($expected)?;
            visitor.$visit(value).map_err(|failure: Failure| failure.of(self.name))
        }
    )*};
}

impl<'de> Deserializer<'de> for Param<'_> {
    type Error = Failure;

    parsed! {
        deserialize_bool visit_bool bool, "`true` or `false`";
        deserialize_i8 visit_i8 i8, "a whole number between -128 and 127";
        deserialize_i16 visit_i16 i16, "a whole number of 16 bits";
        deserialize_i32 visit_i32 i32, "a whole number of 32 bits";
        deserialize_i64 visit_i64 i64, "a whole number of 64 bits";
        deserialize_i128 visit_i128 i128, "a whole number of 128 bits";
        deserialize_u8 visit_u8 u8, "a whole number between 0 and 255";
        deserialize_u16 visit_u16 u16, "a whole number between 0 and 65535";
        deserialize_u32 visit_u32 u32, "a whole number of 32 bits that is not negative";
        deserialize_u64 visit_u64 u64, "a whole number of 64 bits that is not negative";
        deserialize_u128 visit_u128 u128, "a whole number of 128 bits that is not negative";
        deserialize_f32 visit_f32 f32, "a number";
        deserialize_f64 visit_f64 f64, "a number";
        deserialize_char visit_char char, "a single character";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_str(&self.value).map_err(|failure: Failure| failure.of(self.name))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let name = self.name;
        visitor.visit_string(self.value.into_owned()).map_err(|failure: Failure| failure.of(name))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        let name = self.name;
        visitor.visit_enum(self).map_err(|failure: Failure| failure.of(name))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        str bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

impl IntoDeserializer<'_, Failure> for Param<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> EnumAccess<'de> for Param<'_> {
    type Error = Failure;
    type Variant = UnitVariant;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, UnitVariant), Failure> {
        Ok((seed.deserialize(self)?, UnitVariant))
    }
}

/// What comes with the name of a variant: nothing.
pub(super) struct UnitVariant;

impl<'de> VariantAccess<'de> for UnitVariant {
    type Error = Failure;

    fn unit_variant(self) -> Result<(), Failure> {
        Ok(())
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Failure> {
        Err(no_data())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Failure> {
        Err(no_data())
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Failure> {
        Err(no_data())
    }
}

fn no_data() -> Failure {
    Failure::Type("a path parameter cannot hold the data of an enum's variant".to_owned())
}
