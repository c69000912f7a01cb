//! Feeding the parsers as a network would: whole, byte by byte, and with the next request behind.
