//! Listening sockets: binding, accepting without a second system call, and closing without a reset.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;

use libc::{IP_MINTTL, IPPROTO_IP, IPPROTO_IPV6, IPV6_MINHOPCOUNT, c_int};
use nix::setsockopt_impl;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetStruct;
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

use super::stream::Stream;

/// How many connections the kernel holds for us before we accept them (it caps this at net.core.somaxconn).
const BACKLOG: i32 = 4096;

/// Binds a non-blocking listener. An IPv6 wildcard takes IPv4 as well.
///
/// # Errors
/// The operating system's: the address is in use, not ours, or not permitted.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    prepare(&listener)?;
    Ok(listener)
}

/// Prepares a listener that somebody else bound: non-blocking, and without Nagle's delay on what it accepts
/// (Linux copies TCP_NODELAY from the listener, which saves a system call per connection). If another server has
/// [refused](refuse_new) new connections on a clone of it, they may come again.
///
/// # Errors
/// The operating system's.
pub fn prepare(listener: &TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    // There is seldom anything to lift.
    let _ = SockRef::from(listener).detach_filter();
    let _ = demand_ttl(listener, 0);
    SockRef::from(listener).set_tcp_nodelay(true)
}

/// Accepts one connection, already non-blocking.
///
/// # Errors
/// `WouldBlock` when none is waiting; else the operating system's.
pub fn accept(listener: &TcpListener) -> io::Result<(Stream, SocketAddr)> {
    let (socket, address) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let address = address
        .and_then(|any| SocketAddr::try_from(any).ok())
        .ok_or_else(|| io::Error::other("a peer without an IP address"))?;
    Ok((Stream::plain(socket), address))
}

/// From now on, drops new connection requests (their clients try again within a second, and find the listener
/// closed), while those whose handshake has begun still get through; each of those must be [admitted](admit).
///
/// Closing a listening socket resets every connection in its queue. After this call the queue only empties.
///
/// # Errors
/// The operating system's, where neither of the two ways is allowed.
pub fn refuse_new(listener: &TcpListener) -> io::Result<()> {
    // Some kernels want CAP_NET_ADMIN for a filter, which a container does not have.
    filter_syns(listener).or_else(|_| demand_ttl(listener, 255))
}

fn filter_syns(listener: &TcpListener) -> io::Result<()> {
    // Classic BPF on the TCP header: load byte 13 (the flags), keep SYN and ACK; SYN alone is dropped.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let program = [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(AND, 0, 0, 0x12),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, 0x02),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ];
    SockRef::from(listener).attach_filter(&program)
}

/// The least TTL of the IPv4 packets that a socket takes.
#[derive(Clone, Copy)]
struct MinTtl;
setsockopt_impl!(MinTtl, IPPROTO_IP, IP_MINTTL, c_int, SetStruct<c_int>);

/// The same for IPv6.
#[derive(Clone, Copy)]
struct MinHopCount;
setsockopt_impl!(MinHopCount, IPPROTO_IPV6, IPV6_MINHOPCOUNT, c_int, SetStruct<c_int>);

/// Drops packets that come with a lower TTL. Hardly any client sends 255, and after one router none has it. Linux looks
/// at it when a handshake begins, but not when it ends.
fn demand_ttl(socket: &impl AsFd, least: c_int) -> io::Result<()> {
    let v4 = setsockopt(socket, MinTtl, &least);
    // An IPv4 socket does not know this option.
    let v6 = setsockopt(socket, MinHopCount, &least);
    Ok(v4.or(v6)?)
}

/// Lets a connection talk that was accepted after [`refuse_new`]: it inherits what its listener demands.
///
/// # Errors
/// The operating system's.
pub fn admit(stream: &Stream) -> io::Result<()> {
    demand_ttl(stream, 0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    #[test]
    fn refusing_new_connections_keeps_those_in_the_backlog() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            keeps_the_backlog(address, filter_syns);
            keeps_the_backlog(address, |listener| demand_ttl(listener, 255));
        }
    }

    /// Skips what this machine does not have or allow.
    fn keeps_the_backlog(address: &str, refuse: impl Fn(&TcpListener) -> io::Result<()>) {
        let Ok(listener) = bind(address.parse().unwrap()) else { return };
        let address = listener.local_addr().unwrap();
        let mut early = TcpStream::connect(address).unwrap();
        match refuse(&listener) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return,
            result => result.unwrap(),
        }
        let late = TcpStream::connect_timeout(&address, Duration::from_millis(50));
        assert_eq!(late.unwrap_err().kind(), io::ErrorKind::TimedOut);

        let (mut accepted, _) = accept(&listener).unwrap();
        admit(&accepted).unwrap();
        assert_eq!(accept(&listener).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(listener);
        early.write_all(b"still here").unwrap();
        let mut buffer = [0; 10];
        assert!(accepted.wait_readable(Duration::from_secs(5)).unwrap());
        assert_eq!(accepted.read(&mut buffer).unwrap(), 10);
        accepted.write(b"yes").unwrap();
        drop(accepted);
        let mut answer = String::new();
        early.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "yes");
    }

    #[test]
    fn a_clone_takes_new_connections_again_once_it_is_prepared() {
        let ways: [fn(&TcpListener) -> io::Result<()>; 2] = [filter_syns, |listener| demand_ttl(listener, 255)];
        for (address, refuse) in
            ["127.0.0.1:0", "[::1]:0"].into_iter().flat_map(|address| ways.map(|way| (address, way)))
        {
            let Ok(listener) = bind(address.parse().unwrap()) else { continue };
            let (address, clone) = (listener.local_addr().unwrap(), listener.try_clone().unwrap());
            match refuse(&listener) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
                result => result.unwrap(),
            }
            drop(listener);
            assert!(TcpStream::connect_timeout(&address, Duration::from_millis(50)).is_err());
            prepare(&clone).unwrap();
            TcpStream::connect_timeout(&address, Duration::from_secs(5)).unwrap();
        }
    }

    #[test]
    fn accepted_sockets_do_not_delay_small_writes() {
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = accept(&listener).unwrap();
        assert!(SockRef::from(&accepted).tcp_nodelay().unwrap());
    }
}
