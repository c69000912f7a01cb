//! What the Autobahn test suite sends to a server that echoes (its cases 1 to 7, and 9 with smaller sizes), and what must
//! come back. The numbers are those of its case list.

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    Ping(Vec<u8>),
    /// With its code, if there is one.
    Close(Option<u16>),
}

pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) sent: Vec<u8>,
    pub(crate) expected: Vec<Seen>,
}

pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = FIN | 8;
pub(crate) const PING: u8 = FIN | 9;
pub(crate) const PONG: u8 = FIN | 10;

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame as a client sends it; `first` is its first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..65536 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// What a client says goodbye with.
pub(crate) fn goodbye(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(CLOSE, &[&code.to_be_bytes(), reason].concat())
}

/// Takes apart what a server has sent: frames, and how many bytes they were.
pub(crate) fn parse(mut bytes: &[u8]) -> (Vec<Seen>, usize) {
    let (mut seen, all) = (Vec::new(), bytes.len());
    while let [first, second, rest @ ..] = bytes {
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let (length, rest) = match second {
            126 => match rest.split_first_chunk::<2>() {
                Some((length, rest)) => (u16::from_be_bytes(*length) as usize, rest),
                None => break,
            },
            127 => match rest.split_first_chunk::<8>() {
                Some((length, rest)) => (u64::from_be_bytes(*length) as usize, rest),
                None => break,
            },
            length => (usize::from(*length), rest),
        };
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        seen.push(match *first {
            0x81 => Seen::Text(payload.to_vec()),
            0x82 => Seen::Binary(payload.to_vec()),
            CLOSE => Seen::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code))),
            PING => Seen::Ping(payload.to_vec()),
            PONG => Seen::Pong(payload.to_vec()),
            other => panic!("a frame that begins with {other:#x}"),
        });
        bytes = rest;
    }
    (seen, all - bytes.len())
}

/// All of them. Each ends with the end of the connection.
pub(crate) fn cases() -> Vec<Case> {
    let mut table = Table(Vec::new());
    table.sizes();
    table.pings();
    table.reserved();
    table.fragments();
    table.utf8();
    table.closing();
    table.limits();
    table.0
}

/// The longest message that the server under test takes.
pub(crate) const MAX_MESSAGE: usize = 100_000;

struct Table(Vec<Case>);

impl Table {
    /// A case that ends with the client's goodbye, well.
    fn fine(&mut self, id: impl Into<String>, frames: &[Vec<u8>], expected: &[Seen]) {
        let sent = [frames.concat(), goodbye(1000, b"")].concat();
        self.0.push(Case { id: id.into(), sent, expected: [expected, &[Seen::Close(Some(1000))]].concat() });
    }

    /// A case that the server ends.
    fn failing(&mut self, id: impl Into<String>, frames: &[Vec<u8>], expected: &[Seen], code: u16) {
        let expected = [expected, &[Seen::Close(Some(code))]].concat();
        self.0.push(Case { id: id.into(), sent: frames.concat(), expected });
    }

    fn sizes(&mut self) {
        for (n, length) in [0, 125, 126, 127, 128, 65535, 65536].into_iter().enumerate() {
            let text = vec![b'*'; length];
            self.fine(format!("1.1.{}", n + 1), &[frame(FIN | TEXT, &text)], &[Seen::Text(text)]);
            let bytes = vec![0xfe; length];
            self.fine(format!("1.2.{}", n + 1), &[frame(FIN | BINARY, &bytes)], &[Seen::Binary(bytes)]);
        }
    }

    fn pings(&mut self) {
        for (id, payload) in [
            ("2.1", vec![]),
            ("2.2", b"Hello, world!".to_vec()),
            ("2.3", vec![0, 255, 254, 253, 252, 251, 0, 255]),
            ("2.4", vec![254; 125]),
        ] {
            self.fine(id, &[frame(PING, &payload)], &[Seen::Pong(payload)]);
        }
        self.failing("2.5", &[frame(PING, &[254; 126])], &[], 1002);
        self.fine("2.7", &[frame(PONG, b"")], &[]);
        self.fine("2.8", &[frame(PONG, b"unsolicited")], &[]);
        self.fine("2.9", &[frame(PONG, b"unsolicited"), frame(PING, b"ping")], &[Seen::Pong(b"ping".to_vec())]);
        let payloads: Vec<Vec<u8>> = (0..10).map(|n| format!("payload-{n}").into_bytes()).collect();
        let pings: Vec<Vec<u8>> = payloads.iter().map(|payload| frame(PING, payload)).collect();
        self.fine("2.10", &pings, &payloads.into_iter().map(Seen::Pong).collect::<Vec<_>>());
    }

    fn reserved(&mut self) {
        for (n, bits) in (1..=7).enumerate() {
            let before = frame(FIN | TEXT, b"before");
            let wrong = frame(FIN | bits << 4 | TEXT, b"*");
            let echo = [Seen::Text(b"before".to_vec())];
            self.failing(format!("3.{}", n + 1), &[before, wrong, frame(PING, b"")], &echo, 1002);
        }
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            let kind = if opcode < 8 { 1 } else { 2 };
            self.failing(format!("4.{kind}, {opcode}"), &[frame(FIN | opcode, b"")], &[], 1002);
            self.failing(format!("4.{kind}, {opcode} with payload"), &[frame(FIN | opcode, b"reserved")], &[], 1002);
        }
    }

    fn fragments(&mut self) {
        let first = || frame(TEXT, b"fragment1");
        let last = || frame(FIN | CONTINUATION, b"fragment2");
        let whole = || Seen::Text(b"fragment1fragment2".to_vec());
        let pong = || Seen::Pong(b"ping".to_vec());
        let ping = || frame(PING, b"ping");
        self.failing("5.1", &[frame(9, b"fragment1"), last()], &[], 1002);
        self.failing("5.2", &[frame(10, b"fragment1"), last()], &[], 1002);
        self.fine("5.3", &[first(), last()], &[whole()]);
        self.fine("5.6", &[first(), ping(), last()], &[pong(), whole()]);
        self.failing("5.9", &[last(), frame(FIN | TEXT, b"Hello")], &[], 1002);
        self.failing("5.12", &[frame(CONTINUATION, b"x"), frame(FIN | TEXT, b"Hello")], &[], 1002);
        self.fine("5.15", &[first(), last()], &[whole()]);
        self.failing("5.15, continued", &[first(), last(), frame(CONTINUATION, b"x")], &[whole()], 1002);
        self.failing("5.18", &[first(), frame(FIN | TEXT, b"fragment2")], &[], 1002);
        let five = [first(), frame(0, b"f2"), ping(), frame(0, b"f3"), frame(0, b""), ping(), frame(FIN, b"f5")];
        self.fine("5.19", &five, &[pong(), pong(), Seen::Text(b"fragment1f2f3f5".to_vec())]);
        self.fine("6.1.2", &[frame(TEXT, b""), frame(0, b""), frame(FIN, b"")], &[Seen::Text(Vec::new())]);
    }

    fn utf8(&mut self) {
        for (id, text) in [
            ("6.2", "Hello-µ@ßöäüàá-UTF-8!!"),
            ("6.5", "κόσμε"),
            ("6.7", "\0"),
            ("6.9", "\u{7f}\u{7ff}\u{ffff}\u{10ffff}"),
            ("6.11", "\u{d7ff}\u{e000}\u{fffd}"),
            ("6.23", "\u{fffe}\u{ffff}\u{1fffe}"),
        ] {
            let echo = [Seen::Text(text.as_bytes().to_vec())];
            self.fine(id, &[frame(FIN | TEXT, text.as_bytes())], &echo);
            let mut pieces: Vec<Vec<u8>> = text.as_bytes().chunks(1).map(|byte| frame(0, byte)).collect();
            pieces[0][0] = TEXT;
            pieces.push(frame(FIN, b""));
            self.fine(format!("{id} in octets"), &pieces, &echo);
        }
        for (id, bytes) in [
            ("6.3", &b"\xce\xba\xcf\x8c\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"[..]),
            ("6.6, cut off", b"\xce\xba\xce"),
            ("6.8, five bytes", b"\xf8\x88\x80\x80\x80"),
            ("6.10, above the last", b"\xf4\x90\x80\x80"),
            ("6.12, alone", b"\x80"),
            ("6.14, begun", b"\xc0 \xc1 "),
            ("6.18, overlong", b"\xe0\x80\xaf"),
            ("6.20, surrogate", b"\xed\xa0\x80"),
            ("6.21, pair", b"\xed\xa0\x80\xed\xb0\x80"),
        ] {
            self.failing(id, &[frame(FIN | TEXT, bytes)], &[], 1007);
            self.failing(format!("{id}, in pieces"), &[frame(TEXT, &bytes[..1]), frame(FIN, &bytes[1..])], &[], 1007);
        }
        // Told before the message is whole.
        self.failing("6.4", &[frame(TEXT, "κόσμε".as_bytes()), frame(0, b"\xf4\x90\x80\x80")], &[], 1007);
    }

    fn closing(&mut self) {
        let echo = Seen::Text(b"Hello World!".to_vec());
        self.fine("7.1.1", &[frame(FIN | TEXT, b"Hello World!")], std::slice::from_ref(&echo));
        let after = [goodbye(1000, b""), goodbye(1000, b""), frame(FIN | TEXT, b"late"), frame(PING, b"")];
        self.failing("7.1.2 to 7.1.5", &after, &[], 1000);
        self.failing("7.1.5", &[frame(TEXT, b"fragment1"), goodbye(1000, b"")], &[], 1000);
        self.0.push(Case { id: "7.3.1".into(), sent: frame(CLOSE, b""), expected: vec![Seen::Close(None)] });
        self.failing("7.3.2", &[frame(CLOSE, b"a")], &[], 1002);
        self.failing("7.3.4", &[goodbye(1000, b"Hello World!")], &[], 1000);
        self.failing("7.3.5", &[goodbye(1000, &[b'*'; 123])], &[], 1000);
        self.failing("7.3.6", &[goodbye(1000, &[b'*'; 124])], &[], 1002);
        self.failing("7.5.1", &[goodbye(1000, b"\xce\xba\xed\xa0\x80")], &[], 1007);
        for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
            self.failing(format!("7.7, {code}"), &[goodbye(code, b"")], &[], code);
        }
        for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535] {
            self.failing(format!("7.9, {code}"), &[goodbye(code, b"")], &[], 1002);
        }
    }

    fn limits(&mut self) {
        let most = vec![b'x'; MAX_MESSAGE];
        self.fine("9.1", &[frame(FIN | TEXT, &most)], &[Seen::Text(most.clone())]);
        let mut pieces: Vec<Vec<u8>> = most.chunks(1000).map(|piece| frame(0, piece)).collect();
        pieces[0][0] = BINARY;
        pieces.push(frame(FIN, b""));
        self.fine("9.4", &pieces, &[Seen::Binary(most.clone())]);
        self.failing("9, too long", &[frame(FIN | TEXT, &vec![b'x'; MAX_MESSAGE + 1])], &[], 1009);
        *pieces.last_mut().expect("there are some") = frame(FIN, b"x");
        self.failing("9, too long in pieces", &pieces, &[], 1009);
        let header = [&[FIN | BINARY, 0xff], &u64::MAX.to_be_bytes()[..], &[0; 4]].concat();
        self.failing("9, as long as can be said", &[header], &[], 1009);
        self.failing("not masked", &[vec![FIN | TEXT, 1, b'x']], &[], 1002);
    }
}
