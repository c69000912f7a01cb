//! A stand-in for the kubelet, and with it the outages that rws is made to prevent: manifests are applied to a node of
//! network, mount and process namespaces, and what a person would see in `kubectl describe` and `kubectl logs` is
//! held against what they should see.
//!
//! Every test runs in a node of its own (see `node.rs`), so nothing is left behind, whatever happens. It needs
//! `unshare`, `nsenter`, `setpriv` (util-linux), `ip` (iproute2) and user namespaces, or root; where they are missing the
//! tests say that they are skipped. RWS_BINARY names another binary than the one just built.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test may panic, and says what it measured"
)]

#[path = "kubelet/behaviour.rs"]
mod behaviour;
#[path = "kubelet/container.rs"]
mod container;
#[path = "kubelet/environment.rs"]
mod environment;
#[path = "kubelet/events.rs"]
mod events;
#[path = "kubelet/manifest.rs"]
mod manifest;
#[path = "kubelet/node.rs"]
mod node;
#[path = "kubelet/outages.rs"]
mod outages;
#[path = "kubelet/pod.rs"]
mod pod;
#[path = "kubelet/probe.rs"]
mod probe;
#[path = "kubelet/shipped.rs"]
mod shipped;
#[path = "kubelet/volume.rs"]
mod volume;
#[path = "kubelet/worker.rs"]
mod worker;
