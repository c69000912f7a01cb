//! Deserialising of pairs of names and values, where a name that comes several times is a list.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::value::{CowStrDeserializer, Error, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use smallvec::SmallVec;

/// A name, a value, and how many pairs came before.
type Pair<'a> = (usize, Cow<'a, str>, Cow<'a, str>);

/// All pairs, those of one name next to each other and otherwise in their order.
pub(super) struct Pairs<'a>(SmallVec<[Pair<'a>; 8]>);

/// The values of one name, at least one.
#[derive(Clone, Copy)]
struct Values<'p> {
    pairs: &'p [Pair<'p>],
    /// Whether a single value may be one of several: the last.
    is_last_taken: bool,
}

impl<'a> Pairs<'a> {
    pub(super) fn parse(input: &'a [u8]) -> Self {
        let pairs = form_urlencoded::parse(input).enumerate();
        let mut pairs: SmallVec<[Pair<'a>; 8]> = pairs.map(|(place, (name, value))| (place, name, value)).collect();
        pairs.sort_by(|(_, one, _), (_, other, _)| one.cmp(other));
        Pairs(pairs)
    }

    /// Each name with its values, in the order in which the names came first.
    fn by_name(&self, is_last_taken: bool) -> impl Iterator<Item = (&str, Values<'_>)> {
        let mut groups: SmallVec<[&[Pair<'_>]; 8]> = self.0.chunk_by(|one, other| one.1 == other.1).collect();
        groups.sort_by_key(|pairs| pairs[0].0);
        groups.into_iter().map(move |pairs| (&*pairs[0].1, Values { pairs, is_last_taken }))
    }

    /// Each pair by itself, in the order in which they came.
    fn one_by_one(&self) -> impl Iterator<Item = (&str, Values<'_>)> {
        let mut all: SmallVec<[&Pair<'_>; 8]> = self.0.iter().collect();
        all.sort_by_key(|pair| pair.0);
        all.into_iter().map(|pair| (&*pair.1, Values { pairs: std::slice::from_ref(pair), is_last_taken: false }))
    }
}

impl<'de> Deserializer<'de> for &Pairs<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(MapDeserializer::new(self.by_name(true)))
    }

    /// Here two values where there is one member are a mistake.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(MapDeserializer::new(self.by_name(false)))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        MapDeserializer::new(self.one_by_one()).deserialize_seq(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Error> {
        MapDeserializer::new(self.one_by_one()).deserialize_tuple(len, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit_struct tuple_struct
        enum identifier ignored_any
    }
}

impl<'p> Values<'p> {
    /// The one value, where there is to be one.
    fn one(self) -> Result<&'p str, Error> {
        match self.pairs {
            [.., (_, _, value)] if self.is_last_taken || self.pairs.len() == 1 => Ok(value),
            [(_, name, _), ..] => Err(Error::custom(format_args!("duplicate field `{name}`"))),
            [] => Err(Error::custom("no value")),
        }
    }

    fn parse<T: FromStr<Err: Display>>(self) -> Result<T, Error> {
        self.one()?.parse().map_err(Error::custom)
    }
}

/// Methods for what is parsed from text.
macro_rules! parsed {
    ($($method:ident $visit:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.parse()?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Values<'_> {
    type Error = Error;

    parsed! {
        deserialize_bool visit_bool
        deserialize_i8 visit_i8 deserialize_i16 visit_i16 deserialize_i32 visit_i32 deserialize_i64 visit_i64
        deserialize_i128 visit_i128 deserialize_u8 visit_u8 deserialize_u16 visit_u16 deserialize_u32 visit_u32
        deserialize_u64 visit_u64 deserialize_u128 visit_u128 deserialize_f32 visit_f32 deserialize_f64 visit_f64
    }

    /// What takes anything gets a list only where there is one.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.pairs {
            [_, _, ..] if !self.is_last_taken => self.deserialize_seq(visitor),
            _ => visitor.visit_str(self.one()?),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.one()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let each = self.pairs.iter().map(std::slice::from_ref);
        visitor.visit_seq(SeqDeserializer::new(each.map(|pairs| Values { pairs, ..self })))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let value: CowStrDeserializer<'_, Error> = Cow::Borrowed(self.one()?).into_deserializer();
        value.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple_struct map struct identifier
    }
}

impl IntoDeserializer<'_, Error> for Values<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
