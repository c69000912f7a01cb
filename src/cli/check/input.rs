//! What is to be checked: files, the files of directories, standard input. Reads them within bounds and takes
//! everything apart that cannot be checked as it is, with a line that says what to do about it.
//!
//! Knows files and YAML; of Kubernetes it knows only the files that tools keep beside manifests.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::place::Place;
use super::yaml::{self, Documents};

/// All of an input that is read. The largest rendered charts are a few megabytes.
const MAX_BYTES: u64 = 16 << 20;
/// Files of one directory and those below it.
const MAX_FILES: usize = 2_000;

/// One file, or standard input.
#[derive(Debug)]
pub(super) struct Input {
    /// As it was given on the command line; `<stdin>` for standard input.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) documents: Documents,
}

/// Why something cannot be checked.
#[derive(Debug)]
pub(super) struct Unusable {
    /// The file or directory, with the line and column if they are known.
    pub(super) what: String,
    pub(super) why: String,
}

/// Everything that was read, or could not be.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) list: Vec<Input>,
    pub(super) unusable: Vec<Unusable>,
}

impl Inputs {
    /// Reads every file of `arguments`: paths of files and directories, `-` for standard input.
    pub(super) fn read(arguments: &[PathBuf], stdin: impl Read) -> Self {
        let mut inputs = Inputs::default();
        let mut stdin = Some(stdin);
        for argument in arguments {
            if argument.as_os_str() == "-" {
                if let Some(stdin) = stdin.take() {
                    inputs.add("<stdin>", bounded(stdin));
                }
            } else if argument.is_dir() {
                inputs.add_directory(argument);
            } else {
                inputs.add_file(argument);
            }
        }
        inputs
    }

    fn add_file(&mut self, path: &Path) {
        let name = path.to_string_lossy();
        if is_kustomization(path) {
            let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            return self.refuse(&name, kustomize_advice(directory));
        }
        self.add(&name, File::open(path).and_then(bounded));
    }

    fn add(&mut self, name: &str, bytes: io::Result<Vec<u8>>) {
        let text = match bytes.and_then(|bytes| String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8"))) {
            Ok(text) => text,
            Err(error) => return self.refuse(name, format!("cannot be read: {error}")),
        };
        // Windows editors begin files with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        match yaml::parse(self.list.len(), &text) {
            Ok(documents) => match rendered_later(&text) {
                Some(line) => self.refuse(&format!("{name}:{line}"), HELM_ADVICE.to_owned()),
                None => self.list.push(Input { name: name.to_owned(), text, documents }),
            },
            Err(fault) => {
                let Place { line, column, .. } = fault.place;
                let template = text.contains("{{") && text.contains("}}");
                let why = if template { HELM_ADVICE.to_owned() } else { fault.message };
                self.refuse(&format!("{name}:{line}:{column}"), why);
            }
        }
    }

    fn add_directory(&mut self, directory: &Path) {
        let mut files = Vec::new();
        if let Err(why) = list(directory, &mut files) {
            return self.refuse(&directory.to_string_lossy(), why);
        }
        files.sort();
        if files.is_empty() {
            return self.refuse(&directory.to_string_lossy(), "holds no .yaml, .yml or .json file".to_owned());
        }
        for file in files {
            self.add_file(&file);
        }
    }

    fn refuse(&mut self, what: &str, why: String) {
        self.unusable.push(Unusable { what: what.to_owned(), why });
    }
}

const HELM_ADVICE: &str =
    "a template that Helm has not rendered yet; pipe the result in: helm template CHART | rws check -";

fn kustomize_advice(directory: &Path) -> String {
    let directory = directory.to_string_lossy();
    format!("kustomize puts the manifests together; pipe the result in: kubectl kustomize {directory} | rws check -")
}

fn is_kustomization(path: &Path) -> bool {
    let names = ["kustomization.yaml", "kustomization.yml", "Kustomization"];
    path.file_name().is_some_and(|name| names.iter().any(|own| name == *own))
}

/// The files of a directory that can be manifests. One that is made for a tool is not looked into.
fn list(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(directory).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let paths: Vec<PathBuf> = match entries {
        Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    if paths.iter().any(|path| is_kustomization(path)) {
        return Err(kustomize_advice(directory));
    }
    if paths.iter().any(|path| path.file_name().is_some_and(|name| name == "Chart.yaml")) {
        let directory = directory.to_string_lossy();
        return Err(format!("a Helm chart; pipe what it renders in: helm template {directory} | rws check -"));
    }
    for path in paths {
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        let manifest = path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|own| end == *own));
        // Links are not followed into directories: they may lead back here.
        if path.is_dir() && !path.is_symlink() && !hidden {
            list(&path, files)?;
        } else if path.is_file() && manifest && !hidden {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(format!("holds more than {MAX_FILES} files; give the right ones"));
        }
    }
    Ok(())
}

fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("larger than {} MiB", MAX_BYTES >> 20)));
    }
    Ok(bytes)
}

/// The line where a Helm template stands that happens to be valid YAML, in quotes for instance. Other templates, such as
/// those of Prometheus' alerts, look similar and are meant to stay.
fn rendered_later(text: &str) -> Option<usize> {
    const HELM: [&str; 5] = [".Values.", ".Release.", ".Chart.", "include \"", "toYaml "];
    let is_template = |line: &str| {
        let inner = line.split("{{").skip(1).map(|part| part.trim_start_matches('-').trim_start());
        !line.trim_start().starts_with('#')
            && inner.into_iter().any(|part| HELM.iter().any(|helm| part.starts_with(helm)))
    };
    text.lines().position(is_template).map(|index| index + 1)
}
