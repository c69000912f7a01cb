//! Signals as messages.

use std::io;
use std::thread;

use crossbeam_channel::{Receiver, unbounded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

/// A signal the server acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: drain.
    Terminate,
    /// SIGINT: drain without the delay.
    Interrupt,
    /// SIGQUIT: stop at once.
    Quit,
    /// SIGHUP: reload.
    HangUp,
}

impl Signal {
    /// The signal's number, as in the exit code 128+n.
    pub fn number(self) -> i32 {
        match self {
            Signal::Terminate => SIGTERM,
            Signal::Interrupt => SIGINT,
            Signal::Quit => SIGQUIT,
            Signal::HangUp => SIGHUP,
        }
    }
}

/// Starts to receive signals, also as PID 1, where the kernel ignores every signal that has no handler.
/// SIGPIPE is caught and dropped: a closed pipe is an error of the write that met it.
///
/// # Errors
/// The operating system's.
pub fn receive() -> io::Result<Receiver<Signal>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGPIPE])?;
    let (sender, receiver) = unbounded();
    thread::Builder::new().name("rws-signals".into()).spawn(move || {
        for number in signals.forever() {
            let signal = match number {
                SIGTERM => Signal::Terminate,
                SIGINT => Signal::Interrupt,
                SIGQUIT => Signal::Quit,
                SIGHUP => Signal::HangUp,
                _ => continue,
            };
            if sender.send(signal).is_err() {
                return;
            }
        }
    })?;
    Ok(receiver)
}
