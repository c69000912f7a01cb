//! Run with `cargo run --example upload`, then open <http://localhost:7878/> or:
//!
//! ```text
//! curl -F title=Cups -F file=@cup.png localhost:7878/
//! curl -T film.mkv localhost:7878/raw/film.mkv
//! ```
//!
//! Files of any size go to the directory UPLOAD_DIR (./uploads) while they arrive: a large one costs no more memory than a
//! small one, and a slow client holds a thread of its own but no event loop. What is too large is answered with 413, and
//! nothing of an upload that broke off is left.

use std::env;
use std::fmt::Write;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use rws::app::multipart::{Multipart, MultipartLimits, NamedTempFile, TextFields};
use rws::{App, Body, Html, Path, Problem, State, StatusCode, get, put};

const GIB: u64 = 1 << 30;

const PAGE: Html<&str> = Html(
    r#"<!doctype html><html lang="en"><title>Upload</title>
<form method="post" enctype="multipart/form-data">
<p><label>Title <input name="title" required></label>
<p><label>Files <input name="file" type="file" multiple required></label>
<p><button>Upload</button>
</form></html>"#,
);

#[derive(Clone)]
struct Uploads(Arc<PathBuf>);

impl Uploads {
    /// Where an upload gets its place. Names come from clients: only harmless ones are taken, and no file is replaced.
    fn keep(&self, file: NamedTempFile, name: &str) -> Result<u64, Problem> {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY).with_field("name", "is no name for a file"));
        }
        match file.persist_noclobber(self.0.join(name)) {
            Ok(file) => file.metadata().map(|metadata| metadata.len()).map_err(Problem::internal),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(Problem::new(StatusCode::CONFLICT).with_detail(format!("there is a file {name} already")))
            }
            Err(error) => Err(Problem::internal(error)),
        }
    }
}

/// What a browser or `curl -F` sends: any number of files among other fields. They are kept once all have arrived.
fn form(State(uploads): State<Uploads>, mut form: Multipart) -> Result<(StatusCode, String), Problem> {
    let (mut texts, mut files) = (TextFields::default(), Vec::new());
    while let Some(mut field) = form.next_field()? {
        match field.safe_file_name() {
            Some(name) => files.push((name, field.save_to_temp(&*uploads.0)?)),
            None => texts.add(field)?,
        }
    }
    let mut answer = format!("{}:\n", texts.require("title")?);
    for (name, file) in files {
        let length = uploads.keep(file, &name)?;
        writeln!(answer, "{name}: {length} bytes").map_err(Problem::internal)?;
    }
    Ok((StatusCode::CREATED, answer))
}

/// What `curl -T` sends: the file itself, and nothing else.
fn raw(
    State(uploads): State<Uploads>,
    Path(name): Path<String>,
    mut body: Body,
) -> Result<(StatusCode, String), Problem> {
    let mut file = NamedTempFile::new_in(&*uploads.0)?;
    io::copy(&mut body, &mut file)?;
    let length = uploads.keep(file, &name)?;
    Ok((StatusCode::CREATED, format!("{name}: {length} bytes\n")))
}

fn main() -> ExitCode {
    let dir = PathBuf::from(env::var_os("UPLOAD_DIR").unwrap_or("uploads".into()));
    std::fs::create_dir_all(&dir).expect("UPLOAD_DIR can be made");
    App::new()
        .route("/", get(|| PAGE).post(form).body_limit(5 * GIB))
        .route("/raw/{name}", put(raw).body_limit(4 * GIB))
        .state(MultipartLimits::default().max_fields(20).max_file_bytes(4 * GIB))
        .state(Uploads(Arc::new(dir)))
        .run()
}
