//! podman with a store of its own, which goes when the test ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tempfile::TempDir;

use crate::support::{RWS, clean, program};

const BASE: &str = "localhost/base:test";

/// podman, and a directory for everything it keeps.
pub(crate) struct Podman {
    dir: TempDir,
}

impl Podman {
    /// A podman that works here, or a word why there is none.
    pub(crate) fn prepare() -> Option<Self> {
        // timeout, so that nothing here waits for ever.
        for name in ["podman", "runc", "ldd", "timeout"] {
            program(name)?;
        }
        let podman = Podman { dir: tempfile::tempdir().unwrap() };
        podman.configure();
        podman.build_base();
        // The only program in it is the dynamic loader.
        let loader = loader().expect("the binary is linked dynamically");
        let output = podman.run(&["run", "--rm", "--network=none", BASE, &loader, "--version"]);
        if !output.status.success() {
            eprintln!("SKIPPED: podman cannot run a container here: {}", String::from_utf8_lossy(&output.stderr));
            return None;
        }
        Some(podman)
    }

    /// Files that podman reads: any image may be used, and limits that a container inside a container can have.
    fn configure(&self) {
        let config = self.dir().join("home/.config/containers");
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#).unwrap();
        let limits = "[containers]\ndefault_ulimits = [\"nofile=10000:10000\", \"nproc=20000:20000\"]\n";
        fs::write(self.dir().join("containers.conf"), limits).unwrap();
    }

    /// The C library and what else the binary is linked to: what distroless/cc has, without its certificates.
    fn build_base(&self) {
        let context = self.dir().join("base");
        for library in libraries() {
            let target = context.join(library.strip_prefix("/").unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&library, &target).unwrap();
        }
        let file = self.dir().join("base.Dockerfile");
        fs::write(&file, "FROM scratch\nCOPY . /\n").unwrap();
        self.ok(&["build", "--tag", BASE, "--file", text(&file), text(&context)]);
    }

    /// The Dockerfile's image. What its first stage would make is at hand.
    pub(crate) fn build(&self, tag: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let built = self.dir().join("built");
        for (from, to) in [
            (Path::new(RWS), "usr/local/bin/rws"),
            (&root.join("LICENSE-MIT"), "usr/share/doc/rws/LICENSE-MIT"),
            (&root.join("LICENSE-APACHE"), "usr/share/doc/rws/LICENSE-APACHE"),
        ] {
            let target = built.join("build/root").join(to);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(from, &target).unwrap();
        }
        fs::create_dir(built.join("build/root/srv")).unwrap();
        let context = format!("--build-context=build={}", text(&built));
        let base = format!("--build-arg=RUNTIME_IMAGE={BASE}");
        let file = format!("--file={}", text(&root.join("Dockerfile")));
        // Docker's format, since that of OCI has no HEALTHCHECK. One layer, since this store copies each one as a whole.
        let form = ["--format=docker", "--layers=false"];
        self.ok(&["build", form[0], form[1], "--target=runtime", &context, &base, &file, "--tag", tag, text(root)]);
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Runs podman for at most two minutes, which only a very busy machine needs.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = clean("timeout");
        command.args(["--kill-after=5", "120", "podman", "--runtime=runc", "--cgroup-manager=cgroupfs"]);
        command.args(["--storage-driver=vfs", "--events-backend=file"]);
        for (option, place) in [("--root", "root"), ("--runroot", "runroot"), ("--tmpdir", "tmp")] {
            command.arg(option).arg(self.dir().join(place));
        }
        command.env("HOME", self.dir().join("home")).env("CONTAINERS_CONF", self.dir().join("containers.conf"));
        command.args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Runs podman, which must succeed, and returns its stdout.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "podman {arguments:?}: {out}\n{err}");
        out.into_owned()
    }

    /// Starts a container in the background.
    pub(crate) fn start(&self, arguments: &[&str]) -> Container<'_> {
        let id = self.ok(&[&["run", "--detach"], arguments].concat());
        Container { podman: self, id: id.trim().to_owned(), owned: true }
    }

    /// Starts the pods of a manifest.
    pub(crate) fn play(&self, manifest: &Path) -> Played<'_> {
        let played = Played { podman: self, manifest: manifest.to_owned() };
        self.ok(&["kube", "play", "--network=slirp4netns", text(manifest)]);
        played
    }
}

/// A container, gone when this is dropped.
pub(crate) struct Container<'p> {
    podman: &'p Podman,
    id: String,
    /// Otherwise a pod has it.
    owned: bool,
}

impl Container<'_> {
    /// A command of podman about this container, with `behind` after its name.
    pub(crate) fn podman(&self, before: &[&str], behind: &[&str]) -> Output {
        self.podman.run(&[before, &[&self.id], behind].concat())
    }

    pub(crate) fn inspect(&self, format: &str) -> String {
        self.podman.ok(&["inspect", "--format", format, &self.id]).trim().to_owned()
    }

    pub(crate) fn logs(&self) -> String {
        let output = self.podman(&["logs"], &[]);
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    /// Waits for the end, and returns the exit code.
    pub(crate) fn wait(&self) -> i32 {
        self.podman.ok(&["wait", &self.id]).trim().parse().unwrap()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if self.owned {
            let _ = self.podman.run(&["rm", "--force", "--time=0", &self.id]);
        }
    }
}

/// The pods of a manifest, gone when this is dropped.
pub(crate) struct Played<'p> {
    podman: &'p Podman,
    manifest: PathBuf,
}

impl Played<'_> {
    pub(crate) fn container(&self, name: &str) -> Container<'_> {
        Container { podman: self.podman, id: name.to_owned(), owned: false }
    }
}

impl Drop for Played<'_> {
    fn drop(&mut self) {
        let _ = self.podman.run(&["kube", "down", text(&self.manifest)]);
    }
}

/// The files that the dynamic loader loads for the binary, itself included.
fn libraries() -> Vec<PathBuf> {
    let output = clean("ldd").arg(RWS).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

fn loader() -> Option<String> {
    let loader = |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-"));
    libraries().iter().find(loader).map(|path| text(path).to_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
