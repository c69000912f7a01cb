//! How many connections each address has (MAX_CONNECTIONS_PER_IP).
//!
//! Only the accept loop looks addresses up, so nothing is locked. Whoever was let in holds a [`Seat`], which counts itself
//! out when it is dropped: a connection takes it along wherever it goes and however it ends.
//!
//! Knows addresses; knows neither sockets nor whom the limit is for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::semantics::forwarded::client_network;

/// Addresses below which it is not worth looking for those that have gone.
const FEW: usize = 64;

/// The connections of each address that has any, and of some that had.
#[derive(Debug)]
pub(super) struct Seats {
    taken: HashMap<IpAddr, Arc<AtomicUsize>>,
    /// The number of addresses at which those that have gone are forgotten.
    crowd: usize,
}

impl Default for Seats {
    fn default() -> Self {
        Seats { taken: HashMap::new(), crowd: FEW }
    }
}

impl Seats {
    /// A seat for one more connection from `address`, unless it has `most` already. All of an IPv6 /64 is one address.
    pub(super) fn take(&mut self, address: IpAddr, most: usize) -> Option<Seat> {
        if self.taken.len() >= self.crowd {
            self.forget_the_gone();
        }
        let count = self.taken.entry(client_network(address)).or_default();
        // Nobody else adds to it.
        if count.load(Ordering::Acquire) >= most {
            return None;
        }
        count.fetch_add(1, Ordering::AcqRel);
        Some(Seat(count.clone()))
    }

    /// So that no more addresses are kept than twice those that are connected.
    fn forget_the_gone(&mut self) {
        self.taken.retain(|_, count| count.load(Ordering::Acquire) > 0);
        self.crowd = (2 * self.taken.len()).max(FEW);
    }
}

/// The place of one connection among those of its address, until it is dropped.
#[derive(Debug)]
pub(in crate::server) struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn addresses_are_counted_apart_and_networks_of_ipv6_together() {
        let groups = [
            &["192.0.2.1", "::ffff:192.0.2.1"][..],
            &["192.0.2.2"],
            &["2001:db8::1", "2001:db8::ffff:0:0:1"],
            &["2001:db8:0:1::1"],
        ];
        let mut seats = Seats::default();
        let mut held = Vec::new();
        for (group, other) in groups.iter().flat_map(|group| group.iter().map(move |address| (group, address))) {
            held.extend(seats.take(ip(other), group.len()));
        }
        assert_eq!(held.len(), groups.iter().map(|group| group.len()).sum::<usize>());
        for (group, address) in groups.iter().flat_map(|group| group.iter().map(move |address| (group, address))) {
            assert!(seats.take(ip(address), group.len()).is_none(), "{address}");
            assert!(seats.take(ip(address), group.len() + 1).is_some(), "{address}");
        }
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let mut seats = Seats::default();
        let stays = seats.take(ip("10.255.255.255"), 1);
        for number in 0..100_000u32 {
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
            assert!(seats.take(address, 1).is_some());
        }
        assert!(seats.taken.len() <= FEW, "{} addresses", seats.taken.len());
        assert!(seats.take(ip("10.255.255.255"), 1).is_none());
        drop(stays);
        assert!(seats.take(ip("10.255.255.255"), 1).is_some());
    }

    proptest! {
        /// Beside a plain count of who sits where.
        #[test]
        fn nobody_gets_more_than_the_limit_nor_less(
            steps in proptest::collection::vec((0u8..200, proptest::bool::weighted(0.6)), 0..600),
            most in 1usize..5,
        ) {
            let mut seats = Seats::default();
            let mut held: Vec<Vec<Seat>> = (0..200).map(|_| Vec::new()).collect();
            for (who, comes) in steps {
                let sitting = &mut held[usize::from(who)];
                if comes {
                    let seat = seats.take(IpAddr::from([10, 0, 0, who]), most);
                    prop_assert_eq!(seat.is_some(), sitting.len() < most);
                    sitting.extend(seat);
                } else {
                    sitting.pop();
                }
            }
            held.clear();
            seats.forget_the_gone();
            prop_assert!(seats.taken.is_empty());
        }
    }
}
