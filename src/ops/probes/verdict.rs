//! How a check is, and what may be said about it.

use std::borrow::Cow;

use http::StatusCode;

/// How a check is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well.
    Pass,
    /// Not well, but no reason to fail the probe.
    Degraded(Reason),
    /// Fails the probe with 503.
    Fail(Reason),
    /// Fails the probe with a status of its own, unless another check fails it with 503. A status below 400
    /// counts as [`Verdict::Degraded`].
    FailWith(StatusCode, Reason),
}

/// Why a check is not well: a short text that anybody may read, and perhaps more for the log and for those who have
/// switched details on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    public: Cow<'static, str>,
    detail: Option<String>,
}

impl Reason {
    /// A reason that may hold what not everybody should read, such as addresses.
    pub fn withheld(detail: String) -> Self {
        Reason { public: "reason withheld".into(), detail: Some(detail) }
    }

    /// The same reason with more to it.
    #[must_use]
    pub fn with_detail(self, detail: String) -> Self {
        Reason { detail: Some(detail), ..self }
    }

    /// What anybody may read.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// All of it.
    pub fn full(&self) -> &str {
        self.detail.as_deref().unwrap_or(&self.public)
    }
}

impl From<&'static str> for Reason {
    fn from(public: &'static str) -> Self {
        Reason { public: public.into(), detail: None }
    }
}

impl From<String> for Reason {
    fn from(public: String) -> Self {
        Reason { public: public.into(), detail: None }
    }
}
