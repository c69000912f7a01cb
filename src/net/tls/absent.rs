//! What stands in for TLS in a build without it: nothing can be made of these types.

use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;

/// What secures connections: there is none in this build.
#[derive(Debug)]
pub enum Acceptor {}

/// Why a handshake failed, if the client's certificate is to blame: no handshake takes place in this build.
pub fn refused_client(_: &io::Error) -> Option<String> {
    None
}

/// A secured connection: there is none in this build.
pub(in crate::net) enum Session {}

impl Session {
    pub(in crate::net) fn new(acceptor: Arc<Acceptor>) -> Box<Self> {
        match *acceptor {}
    }

    pub(in crate::net) fn is_waiting(&self) -> bool {
        match *self {}
    }

    pub(in crate::net) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(in crate::net) fn peer_certificate(&self) -> Option<&[u8]> {
        match *self {}
    }

    pub(in crate::net) fn holds_input(&self) -> bool {
        match *self {}
    }

    pub(in crate::net) fn has_unsent(&self) -> bool {
        match *self {}
    }

    pub(in crate::net) fn is_full(&self) -> bool {
        match *self {}
    }

    pub(in crate::net) fn read(&mut self, _: &TcpStream, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(in crate::net) fn write(&mut self, _: &TcpStream, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(in crate::net) fn buffer(&mut self, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    pub(in crate::net) fn write_file(&mut self, _: &TcpStream, _: &File, _: u64, _: u64) -> io::Result<usize> {
        match *self {}
    }

    pub(in crate::net) fn flush(&mut self, _: &TcpStream) -> io::Result<()> {
        match *self {}
    }

    pub(in crate::net) fn shut_down_writing(&mut self, _: &TcpStream) -> io::Result<()> {
        match *self {}
    }

    pub(in crate::net) fn finish(&mut self, _: &TcpStream) {
        match *self {}
    }

    pub(in crate::net) fn cut_short(&mut self) {
        match *self {}
    }

    pub(in crate::net) fn discard(&mut self) {
        match *self {}
    }

    pub(in crate::net) fn rest(&mut self) {
        match *self {}
    }
}
