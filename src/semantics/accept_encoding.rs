//! Content codings, and how much a client wants each (RFC 9110 sections 8.4.1 and 12.5.3).
//!
//! Knows field values; what there is to choose from is the caller's. Nothing here allocates.

use super::accept::{Item, items};

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coding {
    /// `br` (RFC 7932).
    Brotli,
    /// `zstd` (RFC 8878), with a window of at most 8 MiB (RFC 9659).
    Zstd,
    /// `gzip` (RFC 1952), also called `x-gzip`.
    Gzip,
}

impl Coding {
    /// All of them, in the order in which they are preferred when nothing else decides.
    pub const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    /// Those that this build can make: gzip always, the others with the cargo feature `compression`.
    pub const AVAILABLE: &'static [Coding] = if cfg!(feature = "compression") { &Coding::ALL } else { &[Coding::Gzip] };

    /// Its name in `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// What the name of a file that is coded so ends with, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zst",
            Coding::Gzip => "gz",
        }
    }

    /// The one called `name`, in any case.
    pub fn named(name: &str) -> Option<Coding> {
        let gzip = name.eq_ignore_ascii_case("x-gzip").then_some(Coding::Gzip);
        gzip.or_else(|| Coding::ALL.into_iter().find(|coding| name.eq_ignore_ascii_case(coding.name())))
    }
}

/// The weight of what is named without one, in thousandths.
const FULL: u16 = 1000;

/// What `Accept-Encoding` says of the codings there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// In thousandths, by coding.
    weights: [u16; Coding::ALL.len()],
    /// The weight of no coding at all, if there is one.
    identity: Option<u16>,
}

impl Accepted {
    /// What is accepted without a field, or by an empty one: no coding. Without a field everything would be acceptable, but
    /// who does not ask may have nothing to decode it with.
    pub const NOTHING: Accepted = Accepted { weights: [0; Coding::ALL.len()], identity: None };

    /// Reads the `Accept-Encoding` fields of a request.
    ///
    /// Members that are none, or whose weight is none, are passed over. Of a coding that is named twice the lower weight
    /// holds: what is not coded can be read by everybody.
    pub fn of<'a>(fields: impl Iterator<Item = &'a [u8]>) -> Accepted {
        let (mut named, mut identity, mut star) = ([None; Coding::ALL.len()], None, None);
        for item in fields.flat_map(items).filter_map(Item::parse) {
            let place = match Coding::named(item.name) {
                Some(coding) => &mut named[coding as usize],
                None if item.name == "*" => &mut star,
                None if item.name.eq_ignore_ascii_case("identity") => &mut identity,
                None => continue,
            };
            *place = Some(place.map_or(item.weight, |before: u16| before.min(item.weight)));
        }
        // A star forbids what is not named, but that somebody likes every coding is no wish for none.
        let identity = identity.or(star.filter(|&weight| weight == 0));
        Accepted { weights: named.map(|weight| weight.or(star).unwrap_or(0)), identity }
    }

    /// How much `coding` is wanted, in thousandths; 0: not at all.
    pub fn weight(&self, coding: Coding) -> u16 {
        self.weights[coding as usize]
    }

    /// Whether a representation without a coding is acceptable.
    pub fn identity(&self) -> bool {
        self.identity != Some(0)
    }

    /// Whether no coding at all is wanted.
    pub fn is_nothing(&self) -> bool {
        self.weights == [0; Coding::ALL.len()]
    }

    /// Those of `offered` that are acceptable, and no less wanted than no coding: the most wanted first, and among equals in
    /// the order of `offered`.
    pub fn ranked(self, offered: &[Coding]) -> impl Iterator<Item = Coding> + use<> {
        let least = self.identity.unwrap_or(0).max(1);
        let mut ranked = [None; Coding::ALL.len()];
        let mut count = 0;
        for &coding in offered {
            let known = ranked[..count].contains(&Some(coding));
            if self.weight(coding) >= least && !known {
                ranked[count] = Some(coding);
                count += 1;
            }
        }
        // Stable, so among equals the order stays.
        ranked[..count].sort_by_key(|coding| coding.map_or(0, |coding| FULL - self.weight(coding)));
        ranked.into_iter().flatten()
    }

    /// The first of [`ranked`](Self::ranked).
    pub fn best(self, offered: &[Coding]) -> Option<Coding> {
        self.ranked(offered).next()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Coding::{Brotli, Gzip, Zstd};
    use super::*;

    fn accepted(fields: &[&str]) -> Accepted {
        Accepted::of(fields.iter().map(|field| field.as_bytes()))
    }

    #[test]
    fn codings_have_to_be_asked_for() {
        /// Fields, weights of br, zstd and gzip, whether identity is acceptable.
        type Case = (&'static [&'static str], [u16; 3], bool);
        let cases: &[Case] = &[
            (&[], [0, 0, 0], true),
            (&[""], [0, 0, 0], true),
            (&[" ,\t, "], [0, 0, 0], true),
            (&["gzip"], [0, 0, 1000], true),
            (&["x-gzip"], [0, 0, 1000], true),
            (&["X-GZip;Q=0.5"], [0, 0, 500], true),
            (&["gzip, deflate, br, zstd"], [1000, 1000, 1000], true),
            (&["br;q=1.0, gzip;q=0.8, *;q=0.1"], [1000, 100, 800], true),
            (&["gzip", "br;q=0.25"], [250, 0, 1000], true),
            (&["gzip ; q=0.123 ,BR\t;\tq=0.001"], [1, 0, 123], true),
            (&["*"], [1000, 1000, 1000], true),
            (&["*;q=0"], [0, 0, 0], false),
            (&["*;q=0, identity"], [0, 0, 0], true),
            (&["*;q=0, gzip"], [0, 0, 1000], false),
            (&["gzip;q=0, *"], [1000, 1000, 0], true),
            (&["identity"], [0, 0, 0], true),
            (&["identity;q=0"], [0, 0, 0], false),
            (&["gzip, identity;q=0"], [0, 0, 1000], false),
            (&["gzip, identity;q=0.000"], [0, 0, 1000], false),
            (&["gzip;q=0"], [0, 0, 0], true),
            (&["gzip;q=0, x-gzip"], [0, 0, 0], true),
            (&["gzip, gzip;q=0.3"], [0, 0, 300], true),
            // What is none is passed over, and the rest holds.
            (&["gzip;q=2, br"], [1000, 0, 0], true),
            (&["gzip;q=0.1234, br;q=1.001, zstd;q=-1"], [0, 0, 0], true),
            (&["gzip;q=.5, br;q=, zstd;q=a"], [0, 0, 0], true),
            (&["gzip;q=1.000, br;q=0., zstd;q=1."], [0, 1000, 1000], true),
            (&["gz ip, br"], [1000, 0, 0], true),
            (&["gzipp, xgzip, \u{e9}, \"gzip\""], [0, 0, 0], true),
            (&["gzip;level=9"], [0, 0, 1000], true),
            (&["deflate, compress"], [0, 0, 0], true),
        ];
        for (fields, weights, identity) in cases {
            let accepted = accepted(fields);
            assert_eq!(Coding::ALL.map(|coding| accepted.weight(coding)), *weights, "{fields:?}");
            assert_eq!(accepted.identity(), *identity, "{fields:?}");
            assert_eq!(accepted.is_nothing(), *weights == [0, 0, 0], "{fields:?}");
        }
        assert_eq!(accepted(&[]), Accepted::NOTHING);
        assert_eq!(Accepted::of([b"gzip, \xff".as_slice()].into_iter()).weight(Gzip), 1000);
    }

    #[test]
    fn the_most_wanted_first_and_the_offer_decides_among_equals() {
        let cases: &[(&str, &[Coding], &[Coding])] = &[
            ("gzip, deflate, br, zstd", &[Brotli, Zstd, Gzip], &[Brotli, Zstd, Gzip]),
            ("gzip, deflate, br, zstd", &[Zstd, Gzip], &[Zstd, Gzip]),
            ("gzip, deflate, br, zstd", &[Gzip, Brotli], &[Gzip, Brotli]),
            ("gzip, deflate, br, zstd", &[Gzip, Gzip, Brotli, Gzip], &[Gzip, Brotli]),
            ("gzip;q=0.5, br;q=0.4, zstd;q=0.6", &[Brotli, Zstd, Gzip], &[Zstd, Gzip, Brotli]),
            ("gzip;q=0.5, br;q=0.5, zstd;q=0.6", &[Gzip, Brotli, Zstd], &[Zstd, Gzip, Brotli]),
            ("gzip", &[Brotli, Zstd], &[]),
            ("gzip", &[], &[]),
            ("*", &[Zstd, Gzip], &[Zstd, Gzip]),
            ("*, zstd;q=0", &[Zstd, Gzip], &[Gzip]),
            // No coding may be wanted more than some.
            ("identity, gzip", &[Gzip], &[Gzip]),
            ("identity, gzip;q=0.9", &[Gzip], &[]),
            ("identity;q=0.5, gzip;q=0.4, br;q=0.6", &[Gzip, Brotli], &[Brotli]),
            ("*;q=0.5, gzip;q=0.4", &[Gzip], &[Gzip]),
            ("identity;q=0, gzip;q=0.001", &[Gzip], &[Gzip]),
            ("*;q=0", &[Gzip], &[]),
        ];
        for (field, offered, expected) in cases {
            let ranked: Vec<_> = accepted(&[field]).ranked(offered).collect();
            assert_eq!(ranked, *expected, "{field} {offered:?}");
            assert_eq!(accepted(&[field]).best(offered), expected.first().copied(), "{field} {offered:?}");
        }
    }

    #[test]
    fn names_lead_back_to_their_codings() {
        for coding in Coding::ALL {
            assert_eq!(Coding::named(coding.name()), Some(coding));
            assert_eq!(Coding::ALL[coding as usize], coding);
        }
        assert_eq!(Coding::named("X-GZIP"), Some(Gzip));
        assert_eq!(Coding::named("deflate"), None);
    }

    /// A member as its grammar has it, and what it says.
    fn member() -> impl Strategy<Value = (String, &'static str, u16)> {
        let names = prop::sample::select(vec!["br", "zstd", "gzip", "identity", "*", "deflate"]);
        let spaces = prop::sample::select(vec!["", " ", "\t", " \t "]);
        (names, 0u16..=1000, spaces, any::<bool>()).prop_map(|(name, weight, space, upper)| {
            let shown = if upper { name.to_uppercase() } else { name.to_owned() };
            let weight_text = format!("{}.{:03}", weight / 1000, weight % 1000);
            (format!("{space}{shown}{space};{space}q={weight_text}{space}"), name, weight)
        })
    }

    proptest! {
        #[test]
        fn no_field_makes_it_panic_and_only_what_is_wanted_is_ranked(fields: Vec<Vec<u8>>) {
            let accepted = Accepted::of(fields.iter().map(Vec::as_slice));
            for coding in accepted.ranked(&Coding::ALL) {
                prop_assert!((1..=1000).contains(&accepted.weight(coding)));
            }
        }

        #[test]
        fn what_is_written_is_read(members in prop::collection::vec(member(), 0..8), several: bool) {
            let texts: Vec<_> = members.iter().map(|(text, ..)| text.as_str()).collect();
            let joined = [texts.join(",")];
            let fields = if several { texts } else { vec![joined[0].as_str()] };
            let accepted = accepted(&fields);
            let lowest = |name: &str| members.iter().filter(|(_, n, _)| *n == name).map(|(.., weight)| *weight).min();
            for coding in Coding::ALL {
                let expected = lowest(coding.name()).or(lowest("*")).unwrap_or(0);
                prop_assert_eq!(accepted.weight(coding), expected);
            }
            let identity = lowest("identity").or(lowest("*")).unwrap_or(1);
            prop_assert_eq!(accepted.identity(), identity > 0);
            let ranked: Vec<_> = accepted.ranked(&Coding::ALL).map(|coding| accepted.weight(coding)).collect();
            prop_assert!(ranked.is_sorted_by(|a, b| a >= b));
        }
    }
}
