//! What the process around a server does to it at both ends of its life: declares it ready, and hears of signals that
//! come after the drain.

use std::cell::Cell;
use std::net::SocketAddr;
use std::time::Instant;

use crossbeam_channel::{Receiver, at, never, select};

use super::drain::Command;
use super::lifecycle::{Lifecycle, State};
use super::role::Role;

/// What a server is told by [`Stop`](super::Stop) once it has ended.
#[derive(Debug)]
pub struct Interruption {
    commands: Receiver<Command>,
    signal: Cell<Option<i32>>,
}

impl Interruption {
    pub(super) fn new(commands: Receiver<Command>) -> Self {
        Interruption { commands, signal: Cell::new(None) }
    }

    /// Waits for `result` until `deadline`, or until somebody loses patience.
    pub fn wait_for<T>(&self, result: &Receiver<T>, deadline: Instant) -> Option<T> {
        if self.signal().is_some() {
            return None;
        }
        let mut commands = self.commands.clone();
        loop {
            select! {
                recv(result) -> value => return value.ok(),
                recv(at(deadline)) -> _ => return None,
                recv(commands) -> command => match command {
                    Ok(Command::Drain { signal, .. } | Command::Abort { signal }) => {
                        self.signal.set(Some(signal));
                        return None;
                    }
                    Ok(Command::Fail) => {}
                    // Nobody is left who could tell us anything.
                    Err(_) => commands = never(),
                },
            }
        }
    }

    /// The number of the signal by which somebody has lost patience.
    pub fn signal(&self) -> Option<i32> {
        self.signal.get()
    }
}

/// Declares a server ready that [waits](super::Server::waits_to_be_ready) for it.
#[derive(Clone, Debug)]
pub struct Readiness {
    lifecycle: Lifecycle,
    role: Role,
    address: SocketAddr,
    reactors: usize,
}

impl Readiness {
    pub(super) fn new(lifecycle: Lifecycle, role: Role, address: SocketAddr, reactors: usize) -> Self {
        Readiness { lifecycle, role, address, reactors }
    }

    /// From now on the server is ready, unless it has been told to stop meanwhile.
    pub fn ready(&self) {
        if self.lifecycle.advance(State::Ready) && self.role.is_logged() {
            let Readiness { address, reactors, .. } = self;
            tracing::info!(state = State::Ready.name(), %address, reactors, "life cycle");
        }
    }
}
