//! One connection's encryption: records in, plaintext out, and the reverse.
//!
//! rustls neither reads nor buffers here: ciphertext that has arrived is in `incoming`, what waits to be sent in
//! `outgoing`, and both are given back while the connection rests. Nothing in here ever waits.

mod outgoing;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustix::buffer::spare_capacity;
use rustix::io::pread;
use rustix::net::{RecvFlags, recv};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};

use self::outgoing::{OVERHEAD, Outgoing};
use super::Acceptor;

/// The most plaintext in one record (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;
/// How much ciphertext to read at once: one record with its header and tag.
const READ: usize = RECORD + 512;
/// How much ciphertext may wait for the rest of a message: more than any record, and than a handshake message should be.
const MOST_INCOMING: usize = 64 * 1024;
/// How much plaintext is encrypted for one offer to the socket: four records, so that a large file is sent with few system
/// calls, and a reader who is slow has no more than that kept.
const BATCH: usize = 4 * RECORD;

/// The encryption of one connection.
pub(in crate::net) struct Session {
    state: State,
    /// Ciphertext that has arrived; what is before `used` has been dealt with.
    incoming: Vec<u8>,
    used: usize,
    /// The last read got as much as it asked for.
    more_to_read: bool,
    /// Something has come.
    heard: bool,
    /// Plaintext that nobody had room for yet.
    plain: Vec<u8>,
    plain_used: usize,
    /// Ciphertext to be sent.
    outgoing: Outgoing,
    /// The peer will send no more.
    ended: bool,
    /// Somebody has been cut off in the middle; an end in good order must not be pretended.
    cut_short: bool,
    /// Close the sending side when all is sent.
    closing: bool,
}

enum State {
    /// Nothing has come yet.
    Waiting(Arc<Acceptor>),
    Talking(Box<UnbufferedServerConnection>),
    /// It broke a rule. What is to be told it of that is in the output.
    Failed(rustls::Error),
    /// Whatever still comes is of no interest.
    Deaf,
}

/// What to encrypt.
#[derive(Clone, Copy)]
enum Say<'a> {
    Nothing,
    Data(&'a [u8]),
    /// That nothing more follows.
    Goodbye,
}

impl Session {
    /// A session that begins with the first byte, on the terms that the acceptor then has.
    pub(in crate::net) fn new(acceptor: Arc<Acceptor>) -> Box<Self> {
        Box::new(Session {
            state: State::Waiting(acceptor),
            incoming: Vec::new(),
            used: 0,
            more_to_read: false,
            heard: false,
            plain: Vec::new(),
            plain_used: 0,
            outgoing: Outgoing::default(),
            ended: false,
            cut_short: false,
            closing: false,
        })
    }

    /// Whether nothing has come yet.
    pub(in crate::net) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// Whether the peers have not agreed yet.
    pub(in crate::net) fn is_handshaking(&self) -> bool {
        match &self.state {
            State::Waiting(_) => true,
            State::Talking(tls) => tls.is_handshaking(),
            State::Failed(_) | State::Deaf => false,
        }
    }

    /// The certificate that the peer has shown to be its own (DER), also in a session that this one resumes.
    pub(in crate::net) fn peer_certificate(&self) -> Option<&[u8]> {
        match &self.state {
            State::Talking(tls) => tls.peer_certificates()?.first().map(AsRef::as_ref),
            State::Waiting(_) | State::Failed(_) | State::Deaf => None,
        }
    }

    /// Whether something that arrived was not handed out yet: maybe only the beginning of a record, or the end.
    pub(in crate::net) fn holds_input(&self) -> bool {
        self.used < self.incoming.len() || self.plain_used < self.plain.len() || self.more_to_read || self.ended
    }

    /// Whether something waits to be sent.
    pub(in crate::net) fn has_unsent(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether what waits must be sent before anything is added.
    pub(in crate::net) fn is_full(&self) -> bool {
        self.outgoing.is_blocked() || self.outgoing.len() >= BATCH
    }

    /// Reads plaintext; `Ok(0)` is the end. Whatever must be answered on the way is left to [`flush`](Self::flush).
    ///
    /// # Errors
    /// `WouldBlock` when the socket is empty and no record is complete; `InvalidData` when the peer broke a rule of
    /// TLS; `UnexpectedEof` when it left during the handshake.
    pub(in crate::net) fn read(&mut self, socket: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
        match &self.state {
            State::Waiting(acceptor) => self.state = State::Talking(Box::new(acceptor.accept()?)),
            State::Deaf => return Ok(recv(socket, room, RecvFlags::empty())?.0),
            State::Failed(_) | State::Talking(_) => {}
        }
        loop {
            let n = self.exchange(room, Say::Nothing)?;
            if n > 0 || self.ended || room.is_empty() {
                return Ok(n);
            }
            if self.receive(socket)? == 0 {
                // Without a goodbye. HTTP knows by itself whether something is missing.
                self.ended = true;
                let early = self.is_handshaking() && self.heard;
                return if early { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(0) };
            }
        }
    }

    fn receive(&mut self, socket: &TcpStream) -> io::Result<usize> {
        self.incoming.drain(..self.used);
        self.used = 0;
        if self.incoming.len() >= MOST_INCOMING {
            return Err(self.fail(rustls::Error::General("a handshake message of more than 64 KiB".into())));
        }
        self.more_to_read = false;
        self.incoming.reserve(READ);
        let asked = self.incoming.capacity() - self.incoming.len();
        let (n, _) = recv(socket, spare_capacity(&mut self.incoming), RecvFlags::empty())?;
        self.more_to_read = n == asked;
        self.heard |= n > 0;
        Ok(n)
    }

    /// Works through what has arrived until `room` is full or nothing is left, then encrypts what there is to say.
    /// Returns how much plaintext is in `room`.
    fn exchange(&mut self, room: &mut [u8], say: Say<'_>) -> io::Result<usize> {
        let mut filled = self.take_plain(room);
        let error = loop {
            if matches!(say, Say::Nothing) && filled == room.len() {
                return Ok(filled);
            }
            let tls = match &mut self.state {
                State::Talking(tls) => tls,
                State::Failed(error) if filled == 0 => return Err(invalid(error.clone())),
                _ => return Ok(filled),
            };
            let UnbufferedStatus { discard, state } = tls.process_tls_records(&mut self.incoming[self.used..]);
            let done = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        let now = record.payload.len().min(room.len() - filled);
                        room[filled..filled + now].copy_from_slice(&record.payload[..now]);
                        filled += now;
                        self.plain.extend_from_slice(&record.payload[now..]);
                    }
                    false
                }
                Ok(ConnectionState::EncodeTlsData(mut record)) => {
                    self.outgoing.append(0, |room| record.encode(room).map_err(size_of_handshake))?;
                    false
                }
                Ok(ConnectionState::TransmitTlsData(record)) => {
                    // It is in the output, in its place.
                    record.done();
                    false
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.ended = true;
                    false
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    encrypt(&mut self.outgoing, &mut traffic, say)?;
                    true
                }
                Ok(_) if matches!(say, Say::Nothing) => true,
                Ok(_) => return Err(ErrorKind::NotConnected.into()),
                Err(error) => {
                    self.used += discard;
                    break error;
                }
            };
            self.used += discard;
            if self.ended {
                // Whatever follows a goodbye does not count (RFC 8446 section 6.1).
                self.used = self.incoming.len();
                self.more_to_read = false;
            }
            if done {
                return Ok(filled);
            }
        };
        let error = self.fail(error);
        if filled > 0 { Ok(filled) } else { Err(error) }
    }

    /// Gives up: the last record is the alert that tells why, if there is one.
    fn fail(&mut self, error: rustls::Error) -> io::Error {
        if let State::Talking(tls) = &mut self.state {
            // Not once more than that: rustls would look at the bad record again.
            while tls.wants_write() {
                let state = tls.process_tls_records(&mut self.incoming[self.used..]).state;
                let Ok(ConnectionState::EncodeTlsData(mut alert)) = state else { break };
                if self.outgoing.append(0, |room| alert.encode(room).map_err(size_of_handshake)).is_err() {
                    break;
                }
            }
        }
        self.state = State::Failed(error.clone());
        self.cut_short = true;
        (self.incoming, self.used, self.more_to_read) = (Vec::new(), 0, false);
        invalid(error)
    }

    fn take_plain(&mut self, room: &mut [u8]) -> usize {
        let waiting = &self.plain[self.plain_used..];
        let n = waiting.len().min(room.len());
        room[..n].copy_from_slice(&waiting[..n]);
        self.plain_used += n;
        if self.plain_used == self.plain.len() {
            self.plain.clear();
            self.plain_used = 0;
        }
        n
    }

    /// Encrypts the first of `bytes`, as far as there is room, and sends what the socket takes. Returns how many.
    ///
    /// # Errors
    /// As those of [`flush`](Self::flush), but for `WouldBlock`; and when there is no connection to write to.
    pub(in crate::net) fn write(&mut self, socket: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        let n = self.buffer(bytes)?;
        self.send_now(socket)?;
        Ok(n)
    }

    /// As [`write`](Self::write), without sending.
    pub(in crate::net) fn buffer(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_handshaking() || !matches!(self.state, State::Talking(_)) {
            return Err(ErrorKind::NotConnected.into());
        }
        let bytes = &bytes[..bytes.len().min(self.room())];
        self.exchange(&mut [], Say::Data(bytes))?;
        Ok(bytes.len())
    }

    /// How much plaintext may be encrypted before something is sent.
    fn room(&self) -> usize {
        BATCH.saturating_sub(self.outgoing.len()).next_multiple_of(RECORD)
    }

    /// Encrypts and sends the first of `length` bytes of `file` from `offset`, as far as there is room, which
    /// there must be. Returns how many; `Ok(0)` means that the file ended.
    pub(in crate::net) fn write_file(
        &mut self,
        socket: &TcpStream,
        file: &File,
        offset: u64,
        length: u64,
    ) -> io::Result<usize> {
        let most = length.min(self.room() as u64) as usize;
        let mut piece = Vec::with_capacity(most);
        pread(file, spare_capacity(&mut piece), offset)?;
        self.write(socket, &piece[..piece.len().min(most)])
    }

    /// Sends what the socket takes of what waits, at once and with nothing to wait for.
    fn send_now(&mut self, socket: &TcpStream) -> io::Result<()> {
        match self.flush(socket) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            result => result,
        }
    }

    /// Sends some of what waits.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes nothing; else the operating system's.
    pub(in crate::net) fn flush(&mut self, socket: &TcpStream) -> io::Result<()> {
        self.outgoing.send(socket)?;
        if self.closing && !self.has_unsent() {
            self.closing = false;
            socket.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }

    /// Says that nothing more follows, and that whatever the peer still sends is of no interest.
    ///
    /// # Errors
    /// As those of [`flush`](Self::flush), but for `WouldBlock`: then the goodbye waits with the rest.
    pub(in crate::net) fn shut_down_writing(&mut self, socket: &TcpStream) -> io::Result<()> {
        self.say_goodbye();
        self.closing = true;
        self.send_now(socket)
    }

    /// Says goodbye if that is true and can be said at once.
    pub(in crate::net) fn finish(&mut self, socket: &TcpStream) {
        if !matches!(self.state, State::Deaf) {
            self.say_goodbye();
            // Whoever is gone already need not be told.
            let _ = self.send_now(socket);
        }
    }

    fn say_goodbye(&mut self) {
        if !self.cut_short && !self.is_handshaking() {
            // A session that cannot say it any more has failed, and that was said.
            let _ = self.exchange(&mut [], Say::Goodbye);
        }
        (self.state, self.ended) = (State::Deaf, false);
        (self.incoming, self.used, self.more_to_read) = (Vec::new(), 0, false);
        (self.plain, self.plain_used) = (Vec::new(), 0);
    }

    /// From now on, an end in good order would be a lie.
    pub(in crate::net) fn cut_short(&mut self) {
        self.cut_short = true;
    }

    /// Gives up what waits to be sent.
    pub(in crate::net) fn discard(&mut self) {
        self.outgoing.clear();
        self.cut_short = true;
    }

    /// Frees what memory a connection that waits does not need.
    pub(in crate::net) fn rest(&mut self) {
        self.outgoing.rest();
        if self.plain.is_empty() {
            self.plain = Vec::new();
        }
        self.incoming.drain(..self.used);
        self.used = 0;
        self.incoming.shrink_to_fit();
    }
}

/// Appends what there is to say, as records.
fn encrypt(
    outgoing: &mut Outgoing,
    traffic: &mut WriteTraffic<'_, ServerConnectionData>,
    say: Say<'_>,
) -> io::Result<()> {
    match say {
        Say::Nothing => Ok(()),
        Say::Data(bytes) => {
            outgoing.reserve(bytes.len() + bytes.len().div_ceil(RECORD) * OVERHEAD);
            bytes.chunks(RECORD).try_for_each(|piece| {
                outgoing.append(piece.len() + OVERHEAD, |room| traffic.encrypt(piece, room).map_err(size_of_data))
            })
        }
        Say::Goodbye => outgoing.append(OVERHEAD, |room| traffic.queue_close_notify(room).map_err(size_of_data)),
    }
}

fn size_of_handshake(error: EncodeError) -> Option<usize> {
    match error {
        EncodeError::InsufficientSize(size) => Some(size.required_size),
        EncodeError::AlreadyEncoded => None,
    }
}

fn size_of_data(error: EncryptError) -> Option<usize> {
    match error {
        EncryptError::InsufficientSize(size) => Some(size.required_size),
        EncryptError::EncryptExhausted => None,
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
