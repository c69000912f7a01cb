//! How much of a form is taken.

/// How much a [`Multipart`](super::Multipart) takes of a form; more is answered with 413. All sizes are in bytes.
///
/// The route's body limit holds besides. For one route, give them to [`Multipart::with_limits`](super::Multipart::with_limits);
/// for several, have middleware put them into [`Request::extensions_mut`](crate::app::Request::extensions_mut); for the
/// whole application, make them its state.
///
/// ```
/// use rws::app::MultipartLimits;
///
/// let limits = MultipartLimits::default().max_fields(3).max_file_bytes(10 << 20);
/// assert_ne!(limits, MultipartLimits::default());
/// ```
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultipartLimits {
    pub(super) max_fields: usize,
    pub(super) max_text: u64,
    pub(super) max_bytes: u64,
    pub(super) max_file: u64,
}

impl Default for MultipartLimits {
    fn default() -> Self {
        MultipartLimits { max_fields: 128, max_text: 64 << 10, max_bytes: 1 << 20, max_file: u64::MAX }
    }
}

impl MultipartLimits {
    /// How many fields a form may have, files included: 128 by default.
    pub fn max_fields(mut self, fields: usize) -> Self {
        self.max_fields = fields;
        self
    }

    /// How long a field may be that is taken as [text](super::Field::text): 64 KiB by default.
    pub fn max_text_bytes(mut self, bytes: u64) -> Self {
        self.max_text = bytes;
        self
    }

    /// How long a field may be that is taken [into memory](super::Field::bytes): 1 MiB by default.
    pub fn max_field_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a field may be that is read piece by piece, as [`Field::save_to`](super::Field::save_to),
    /// [`Field::copy_to`](super::Field::copy_to) and [`Read`](std::io::Read) do: by default only the body limit holds.
    pub fn max_file_bytes(mut self, bytes: u64) -> Self {
        self.max_file = bytes;
        self
    }
}
