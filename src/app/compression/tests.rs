use std::io::{self, Read};

use proptest::prelude::*;

use super::*;
use crate::app::permits::Permits;

/// Text that looks like text to an encoder, of `length` bytes.
pub(crate) fn text(length: usize) -> Vec<u8> {
    let words =
        (0u32..).map(|n| format!("<p class=\"item\">number {} of {}</p>\n", n, n.wrapping_mul(2_654_435_761) >> 20));
    words.flat_map(String::into_bytes).take(length).collect()
}

fn stream(source: impl Read, may_wait: bool, coding: Coding) -> Compressing<impl Read> {
    let compressing = Levels::EACH_TIME.of(coding).stream(source, Permits::new(1).try_acquire().unwrap());
    if may_wait { compressing } else { compressing.without_flushing() }
}

fn coder(coding: Coding) -> Coder {
    Coder::new(Levels::EACH_TIME.of(coding), Permits::new(1).try_acquire().unwrap())
}

/// Gives its content so many bytes at a time.
struct Trickle<'a>(&'a [u8], usize);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn whole_bodies_decode_to_what_they_were_and_are_shorter() {
    for &coding in Coding::AVAILABLE {
        for levels in [Levels::EACH_TIME, Levels::ONCE] {
            for length in [100, 1024, 4096, 70_000, 300_000] {
                let content = text(length);
                let coded = levels.of(coding).whole(&content).unwrap().unwrap();
                assert!(coded.len() < content.len());
                assert_eq!(decompressed(coding, &coded, length).unwrap(), content, "{coding:?} {length}");
            }
        }
    }
}

#[test]
fn what_gets_no_shorter_is_not_coded() {
    for &coding in Coding::AVAILABLE {
        assert_eq!(Levels::EACH_TIME.of(coding).whole(b"").unwrap(), None);
        assert_eq!(Levels::EACH_TIME.of(coding).whole(b"abc").unwrap(), None);
        let dense = Compressor { coding, level: 1 }.whole(&text(4096)).unwrap().unwrap();
        assert_eq!(Levels::EACH_TIME.of(coding).whole(&dense).unwrap(), None, "{coding:?}");
    }
}

#[test]
fn streams_decode_to_what_they_were_however_they_are_read() {
    for &coding in Coding::AVAILABLE {
        for (length, at_once) in [(0, 1), (1, 1), (50, 1), (5000, 700), (100_000, 100_000), (100_000, 8192)] {
            for may_wait in [true, false] {
                let content = text(length);
                let mut reader = stream(Trickle(&content, at_once), may_wait, coding);
                let mut coded = Vec::new();
                reader.read_to_end(&mut coded).unwrap();
                assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0, "the end stays the end");
                assert_eq!(decompressed(coding, &coded, length).unwrap(), content, "{coding:?} {length} {at_once}");
            }
        }
    }
}

#[test]
fn what_was_read_of_a_source_that_may_wait_can_be_decoded_before_more_is_asked_for() {
    /// Checks at each read that all it gave before has come out.
    struct Lines<'a> {
        given: &'a std::cell::Cell<usize>,
        seen: &'a std::cell::RefCell<Vec<u8>>,
        coding: Coding,
    }
    impl Read for Lines<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let given = self.given.get();
            let partial = readable(self.coding, &self.seen.borrow());
            assert_eq!(partial.len(), given * 5, "{:?}: held back", self.coding);
            if given == 20 {
                return Ok(0);
            }
            self.given.set(given + 1);
            buffer[..5].copy_from_slice(b"line\n");
            Ok(5)
        }
    }
    for &coding in Coding::AVAILABLE {
        let (given, seen) = (std::cell::Cell::new(0), std::cell::RefCell::new(Vec::new()));
        let mut reader = stream(Lines { given: &given, seen: &seen, coding }, true, coding);
        let mut buffer = [0; 7];
        loop {
            let count = reader.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            seen.borrow_mut().extend_from_slice(&buffer[..count]);
        }
        assert_eq!(decompressed(coding, &seen.borrow(), 100).unwrap(), b"line\n".repeat(20));
    }
}

/// As much as can be decoded of a stream that has not ended.
pub(in crate::app) fn readable(coding: Coding, coded: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut reader: Box<dyn Read + '_> = match coding {
        Coding::Gzip => Box::new(flate2::read::GzDecoder::new(coded)),
        #[cfg(feature = "compression")]
        Coding::Brotli => Box::new(brotli::Decompressor::new(coded, 4096)),
        #[cfg(feature = "compression")]
        Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(coded).unwrap()),
        #[cfg(not(feature = "compression"))]
        Coding::Brotli | Coding::Zstd => unreachable!("not in this build"),
    };
    let mut buffer = [0; 64];
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        content.extend_from_slice(&buffer[..count]);
    }
    content
}

/// Where a function writes: what came, in how large pieces, and how often it was flushed.
#[derive(Default)]
struct Sink {
    all: Vec<u8>,
    largest: usize,
    flushes: usize,
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.largest = self.largest.max(bytes.len());
        self.all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes += 1;
        Ok(())
    }
}

#[test]
fn what_is_written_decodes_to_what_it_was_and_comes_out_in_small_pieces() {
    for &coding in Coding::AVAILABLE {
        for (length, at_once) in [(0, 1), (1, 1), (5000, 700), (3_000_000, 3_000_000), (100_000, 8192)] {
            let content = text(length);
            let mut sink = Sink::default();
            let write = |out: &mut dyn io::Write| content.chunks(at_once).try_for_each(|piece| out.write_all(piece));
            coder(coding).around(write)(&mut sink).unwrap();
            assert_eq!(decompressed(coding, &sink.all, length).unwrap(), content, "{coding:?} {length} {at_once}");
            assert!(sink.largest < 300_000, "{coding:?}: {} bytes at once", sink.largest);
        }
    }
}

#[test]
fn what_is_flushed_can_be_decoded_before_more_is_written() {
    /// Flushes, and looks at what has come out by then.
    struct Watched(std::rc::Rc<std::cell::RefCell<Sink>>);
    impl io::Write for Watched {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.borrow_mut().flush()
        }
    }
    for &coding in Coding::AVAILABLE {
        let sink = std::rc::Rc::<std::cell::RefCell<Sink>>::default();
        let seen = sink.clone();
        let write = |out: &mut dyn io::Write| {
            out.flush()?;
            assert!(seen.borrow().all.is_empty(), "nothing was written yet");
            for line in 1..=20 {
                out.write_all(b"line\n")?;
                out.flush()?;
                assert_eq!(readable(coding, &seen.borrow().all), b"line\n".repeat(line), "{coding:?}");
            }
            out.write_all(b"more")?;
            Err(io::Error::other("on purpose"))
        };
        let error = coder(coding).around(write)(&mut Watched(sink.clone())).unwrap_err();
        assert_eq!(error.to_string(), "on purpose");
        assert!(readable(coding, &sink.borrow().all).ends_with(b"line\nmore"), "what came before a failure is sent");
        assert!(sink.borrow().flushes >= 21);
        assert_ne!(
            decompressed(coding, &sink.borrow().all, 1000).ok().map(|all| all.len()),
            Some(104),
            "it seems to be whole"
        );
    }
}

#[test]
fn an_error_of_the_source_is_an_error_and_no_end() {
    struct Broken(bool);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                return Err(io::Error::other("disk"));
            }
            buffer[0] = b'x';
            Ok(1)
        }
    }
    for &coding in Coding::AVAILABLE {
        let mut coded = Vec::new();
        let error = stream(Broken(false), true, coding).read_to_end(&mut coded).unwrap_err();
        assert_eq!(error.to_string(), "disk");
        assert_ne!(
            decompressed(coding, &coded, 10).ok().as_deref(),
            Some(&b"x"[..]),
            "{coding:?}: it seems to be whole"
        );
    }
}

#[test]
fn a_stream_gives_its_permit_back_at_its_end() {
    let permits = Permits::new(1);
    let gzip = Compressor::each_time(Coding::Gzip).unwrap();
    let mut reader = gzip.stream(io::empty(), permits.try_acquire().unwrap());
    assert!(permits.try_acquire().is_none());
    io::copy(&mut reader, &mut io::sink()).unwrap();
    assert!(permits.try_acquire().is_some(), "although the reader is still there");
}

#[test]
fn what_cannot_be_is_told_when_the_compressor_is_made() {
    for &coding in Coding::AVAILABLE {
        let compressor = Compressor::once(coding).unwrap();
        assert_eq!(compressor.coding(), coding);
        let (least, most) = match coding {
            Coding::Brotli => (0, 11),
            Coding::Zstd => (1, 19),
            Coding::Gzip => (1, 9),
        };
        for level in [least, most] {
            let content = text(2000);
            let coded = compressor.level(level).unwrap().whole(&content).unwrap().unwrap();
            assert_eq!(decompressed(coding, &coded, 2000).unwrap(), content, "{coding:?} {level}");
        }
        let error = CompressionError::Level { coding, level: most + 1, least, most };
        assert_eq!(compressor.level(most + 1), Err(error));
    }
    let lacking = [Coding::Brotli, Coding::Zstd].into_iter().filter(|coding| !Coding::AVAILABLE.contains(coding));
    for coding in lacking {
        assert_eq!(Compressor::each_time(coding), Err(CompressionError::NotBuilt(coding)));
        assert_eq!(decompressed(coding, b"", 1).unwrap_err().kind(), io::ErrorKind::Unsupported);
    }
}

#[test]
fn what_is_damaged_cut_off_or_too_long_is_an_error_and_no_content() {
    let content = text(5000);
    for &coding in Coding::AVAILABLE {
        let coded = Levels::ONCE.of(coding).whole(&content).unwrap().unwrap();
        assert_eq!(decompressed(coding, &coded, 5000).unwrap(), content, "{coding:?}");
        assert_eq!(decompressed(coding, &coded, 4999).unwrap_err().kind(), io::ErrorKind::FileTooLarge, "{coding:?}");
        for end in [1, coded.len() / 2, coded.len() - 1] {
            assert!(decompressed(coding, &coded[..end], 5000).is_err(), "{coding:?} cut off after {end}");
        }
        assert!(decompressed(coding, b"this is no compressed text", 5000).is_err(), "{coding:?}");
    }
    let gzip = |part: &[u8]| Levels::ONCE.of(Coding::Gzip).whole(part).unwrap().unwrap();
    let members = [gzip(&content[..2500]), gzip(&content[2500..])].concat();
    assert_eq!(decompressed(Coding::Gzip, &members, 5000).unwrap(), content, "RFC 1952 section 2.2");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_content_comes_back(content in prop::collection::vec(0u8..8, 0..3000), at_once in 1usize..4000, may_wait: bool) {
        for &coding in Coding::AVAILABLE {
            let mut coded = Vec::new();
            stream(Trickle(&content, at_once), may_wait, coding).read_to_end(&mut coded).unwrap();
            prop_assert_eq!(&decompressed(coding, &coded, content.len()).unwrap(), &content);
            if let Some(coded) = Levels::EACH_TIME.of(coding).whole(&content).unwrap() {
                prop_assert_eq!(&decompressed(coding, &coded, content.len()).unwrap(), &content);
            }
        }
    }
}
