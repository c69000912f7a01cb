//! The small fields of a form, by name.

use std::fmt::Display;
use std::str::FromStr;

use http::StatusCode;

use super::{Field, MultipartError};

/// The text fields of a form, collected beside its files. What is missing or wrong is answered with 422, naming the field.
///
/// ```
/// use rws::app::multipart::{Multipart, MultipartError, TextFields};
///
/// fn order(mut form: Multipart) -> Result<String, MultipartError> {
///     let mut texts = TextFields::default();
///     while let Some(mut field) = form.next_field()? {
///         match field.name() {
///             "photo" => drop(field.save_to_temp(std::env::temp_dir())?),
///             _ => texts.add(field)?,
///         }
///     }
///     let amount: u32 = texts.parse("amount")?;
///     Ok(format!("{amount} of {}, {:?}", texts.require("item")?, texts.get("note")))
/// }
/// # let part = |name, text| format!("--x\r\nContent-Disposition: form-data; name={name}\r\n\r\n{text}\r\n");
/// # let body = [part("item", "cup"), part("amount", "7"), "--x--".to_owned()].concat();
/// # assert_eq!(order(Multipart::new(body.into(), "x"))?, "7 of cup, None");
/// # Ok::<(), MultipartError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextFields(Vec<(String, String)>);

impl TextFields {
    /// Reads a field and keeps it.
    pub fn add(&mut self, field: Field<'_>) -> Result<(), MultipartError> {
        let name = field.name().to_owned();
        self.0.push((name, field.text()?));
        Ok(())
    }

    /// The first field called `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(this, _)| this == name).map(|(_, text)| &**text)
    }

    /// All fields called `name`, in the order of the form.
    pub fn all<'t>(&'t self, name: &'t str) -> impl Iterator<Item = &'t str> {
        self.0.iter().filter(move |(this, _)| this == name).map(|(_, text)| &**text)
    }

    /// The first field called `name`; there must be one.
    pub fn require(&self, name: &str) -> Result<&str, MultipartError> {
        self.get(name).ok_or_else(|| invalid(name, "is missing".to_owned()))
    }

    /// The first field called `name` as a `T`.
    pub fn parse<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T, MultipartError> {
        self.require(name)?.parse().map_err(|error| invalid(name, format!("is wrong: {error}")))
    }
}

fn invalid(name: &str, detail: String) -> MultipartError {
    MultipartError::Invalid { status: StatusCode::UNPROCESSABLE_ENTITY, field: name.to_owned(), detail }
}
