//! HTTP/1.1 on the wire (RFC 9112), layer 1, sans-I/O: bytes in, events out.
//! No `std::net`, `std::io`, `std::thread`, no clock.
