//! Whether the stand-in does what a kubelet does: without that, the other tests prove nothing.
