//! One field of a form: its header, and its content as text, bytes, a reader or a file.

use std::fmt;
use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::{Buf, Bytes};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use tempfile::NamedTempFile;

use super::{Multipart, MultipartError};

/// A field of a form, to be read while it arrives. Dropped, it is skipped.
///
/// It is a [`Read`], limited by [`MultipartLimits::max_file_bytes`](super::MultipartLimits::max_file_bytes). Errors of
/// reading it turn back into [`MultipartError`]s with `?`:
///
/// ```
/// use std::io::{BufRead, BufReader};
/// use rws::app::{Multipart, MultipartError};
///
/// fn lines(mut form: Multipart) -> Result<String, MultipartError> {
///     let mut count = 0;
///     while let Some(field) = form.next_field()? {
///         for line in BufReader::new(field).lines() {
///             line?;
///             count += 1;
///         }
///     }
///     Ok(count.to_string())
/// }
/// # let body = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\n2\r\n--x--";
/// # assert_eq!(lines(Multipart::new(body.into(), "x"))?, "2");
/// # Ok::<(), MultipartError>(())
/// ```
pub struct Field<'f> {
    form: &'f mut Multipart,
    name: String,
    file_name: Option<String>,
    headers: HeaderMap,
    limit: Option<u64>,
    /// What was received and not yet read.
    rest: Bytes,
    received: u64,
}

impl<'f> Field<'f> {
    pub(super) fn new(form: &'f mut Multipart, name: String, file_name: Option<String>, headers: HeaderMap) -> Self {
        Field { form, name, file_name, headers, limit: None, rest: Bytes::new(), received: 0 }
    }

    /// The name of the form's input.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file's name as the client gave it, if this is a file. It may contain anything, `../` among it: use
    /// [`Field::safe_file_name`] for what touches a file system. Browsers write quotes and line breaks in it as `%22`, `%0D` and
    /// `%0A`, and percent signs as they are, so nobody can tell what was meant: it is left as it came. `filename*` is not for
    /// forms (RFC 7578 section 4.2) and ignored.
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// What is left of the file's name when it can do no harm as the name of a file: the part after the last `/` or `\`,
    /// without control characters and leading dots, of at most 255 bytes; `None` if nothing is. Two files may have the
    /// same one, and nothing says that its ending is true.
    ///
    /// ```
    /// use rws::app::Multipart;
    ///
    /// let body = "--x\r\nContent-Disposition: form-data; name=a; filename=\"../../.ssh/id\"\r\n\r\n\r\n--x--";
    /// let mut form = Multipart::new(body.into(), "x");
    /// let field = form.next_field()?.ok_or_else(|| std::io::Error::other("a field"))?;
    /// assert_eq!(field.safe_file_name().as_deref(), Some("id"));
    /// # Ok::<(), rws::app::MultipartError>(())
    /// ```
    pub fn safe_file_name(&self) -> Option<String> {
        self.file_name.as_deref().and_then(harmless)
    }

    /// `Content-Type` as the client gave it; without one it is text (RFC 7578 section 4.4).
    pub fn content_type(&self) -> Option<&str> {
        self.headers.get(CONTENT_TYPE)?.to_str().ok()
    }

    /// The header fields of this field.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The same field with a limit of its own, in bytes, whichever way it is read.
    ///
    /// ```
    /// use rws::app::{Multipart, MultipartError};
    ///
    /// let body = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nlong\r\n--x--";
    /// let mut form = Multipart::new(body.into(), "x");
    /// if let Some(field) = form.next_field()? {
    ///     assert!(matches!(field.with_limit(3).text(), Err(MultipartError::TooLarge { limit: 3, .. })));
    /// }
    /// # Ok::<(), MultipartError>(())
    /// ```
    #[must_use]
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = Some(bytes);
        self
    }
}

/// What of a file's name can do no harm.
pub(super) fn harmless(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next()?;
    let mut safe: String = name.chars().filter(|c| !c.is_control()).collect();
    safe.drain(..safe.len() - safe.trim_start_matches(['.', ' ']).len());
    safe.truncate(safe.floor_char_boundary(LONGEST_NAME));
    (!safe.is_empty()).then_some(safe)
}

/// What the file systems of Linux allow.
const LONGEST_NAME: usize = 255;

impl Field<'_> {
    /// All of it as text, which must be UTF-8 (400 otherwise), of at most
    /// [`max_text_bytes`](super::MultipartLimits::max_text_bytes).
    pub fn text(mut self) -> Result<String, MultipartError> {
        let bytes = self.whole(self.form.limits.max_text)?;
        String::from_utf8(bytes).map_err(|error| MultipartError::Invalid {
            status: StatusCode::BAD_REQUEST,
            field: self.name,
            detail: format!("is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()),
        })
    }

    /// All of it, of at most [`max_field_bytes`](super::MultipartLimits::max_field_bytes).
    pub fn bytes(mut self) -> Result<Bytes, MultipartError> {
        self.whole(self.form.limits.max_bytes).map(Bytes::from)
    }

    fn whole(&mut self, limit: u64) -> Result<Vec<u8>, MultipartError> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.next_chunk(limit)? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }

    /// The next piece of it, as it arrived, or `None` at the end; never an empty one. All of them are limited by
    /// [`max_file_bytes`](super::MultipartLimits::max_file_bytes).
    pub fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        self.next_chunk(self.form.limits.max_file)
    }

    fn next_chunk(&mut self, limit: u64) -> Result<Option<Bytes>, MultipartError> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        // The parser gives an empty one before some boundaries.
        while let Some(chunk) = self.form.chunk()? {
            if !chunk.is_empty() {
                return self.within(limit, chunk).map(Some);
            }
        }
        Ok(None)
    }

    fn within(&mut self, limit: u64, chunk: Bytes) -> Result<Bytes, MultipartError> {
        let limit = self.limit.unwrap_or(limit);
        self.received += chunk.len() as u64;
        if self.received > limit {
            return Err(MultipartError::TooLarge { field: self.name.clone(), limit });
        }
        Ok(chunk)
    }

    /// Writes what is left of it, and says how many bytes that were. An error of the writer is [`MultipartError::Io`].
    pub fn copy_to(&mut self, writer: &mut (impl Write + ?Sized)) -> Result<u64, MultipartError> {
        let mut written = 0;
        while let Some(chunk) = self.chunk()? {
            writer.write_all(&chunk).map_err(MultipartError::Io)?;
            written += chunk.len() as u64;
        }
        Ok(written)
    }

    /// Stores what is left of it as the file `path`, and says how many bytes that were. A file that is there already is
    /// replaced.
    ///
    /// It is written beside it under a name of its own, which becomes `path` once everything is there; after an error
    /// nothing is left. A crash of the machine soon afterwards may lose it: [`save_to_synced`](Self::save_to_synced) waits for the
    /// disk. Do not make `path` of [`Field::file_name`].
    ///
    /// ```
    /// use rws::app::{Multipart, MultipartError, Problem};
    ///
    /// fn avatar(mut form: Multipart) -> Result<&'static str, Problem> {
    ///     while let Some(mut field) = form.next_field()? {
    ///         if field.name() == "avatar" {
    ///             field.save_to("/var/lib/shop/avatars/7.png")?;
    ///         }
    ///     }
    ///     Ok("saved")
    /// }
    /// # drop(avatar);
    /// ```
    pub fn save_to(&mut self, path: impl AsRef<Path>) -> Result<u64, MultipartError> {
        self.save(path.as_ref(), false)
    }

    /// Stores what is left of it as [`save_to`](Self::save_to) does, and returns once the file and its name are on the disk
    /// (fsync(2) of the file, and of the directory after the renaming). What was answered for then outlives a crash of the
    /// machine; it takes as long as the disk does, milliseconds to seconds.
    ///
    /// An error of syncing the directory leaves the file in its place: whether it would outlive a crash is unknown then.
    ///
    /// ```
    /// use rws::app::Multipart;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("contract.pdf");
    /// let body = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nsigned\r\n--x--";
    /// let mut form = Multipart::new(body.into(), "x");
    /// if let Some(mut field) = form.next_field()? {
    ///     assert_eq!(field.save_to_synced(&path)?, 6);
    /// }
    /// # assert_eq!(std::fs::read(path)?, b"signed");
    /// # Ok::<(), rws::app::MultipartError>(())
    /// ```
    pub fn save_to_synced(&mut self, path: impl AsRef<Path>) -> Result<u64, MultipartError> {
        self.save(path.as_ref(), true)
    }

    fn save(&mut self, path: &Path, is_synced: bool) -> Result<u64, MultipartError> {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // As any new file has them: the umask applies.
        let (file, written) = self.store(dir, 0o666)?;
        if is_synced {
            file.as_file().sync_all().map_err(|error| MultipartError::of_path(path, &error))?;
        }
        file.persist(path).map_err(|error| MultipartError::of_path(path, &error.error))?;
        if is_synced {
            let synced = File::open(dir).and_then(|dir| dir.sync_all());
            synced.map_err(|error| MultipartError::of_path(dir, &error))?;
        }
        Ok(written)
    }

    /// Stores what is left of it in the directory `dir`, under a name that nobody can guess, for nobody but this
    /// process' user to read. The file vanishes with the value unless it is [persisted](NamedTempFile::persist). Nothing is synced
    /// to the disk: before and after persisting what must outlive a crash, call `sync_all` on the file and on its directory.
    ///
    /// ```
    /// use rws::app::{Multipart, MultipartError};
    ///
    /// let body = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\nlong\r\n--x--";
    /// let mut form = Multipart::new(body.into(), "x");
    /// if let Some(mut field) = form.next_field()? {
    ///     let file = field.save_to_temp(std::env::temp_dir())?;
    ///     assert_eq!(std::fs::read(file.path())?, b"long");
    /// }
    /// # Ok::<(), MultipartError>(())
    /// ```
    pub fn save_to_temp(&mut self, dir: impl AsRef<Path>) -> Result<NamedTempFile, MultipartError> {
        self.store(dir.as_ref(), 0o600).map(|(file, _)| file)
    }

    fn store(&mut self, dir: &Path, mode: u32) -> Result<(NamedTempFile, u64), MultipartError> {
        let permissions = Permissions::from_mode(mode);
        let new = tempfile::Builder::new().prefix(".upload-").permissions(permissions).tempfile_in(dir);
        let mut file = new.map_err(MultipartError::Io)?;
        // Its errors name the file, those of the file in it do not.
        let written = self.copy_to(&mut file)?;
        Ok((file, written))
    }
}

impl Read for Field<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.chunk()?.unwrap_or_default();
        }
        let n = self.rest.len().min(buffer.len());
        self.rest.copy_to_slice(&mut buffer[..n]);
        Ok(n)
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Field { name, file_name, .. } = self;
        f.debug_struct("Field").field("name", name).field("file_name", file_name).finish_non_exhaustive()
    }
}
