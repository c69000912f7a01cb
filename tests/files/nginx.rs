//! A real nginx with its defaults, serving a directory or in front of a server.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::process::{PATIENCE, free_port, program};

/// One that is running.
pub(crate) struct Nginx {
    child: Child,
    pub(crate) address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Nginx {
    /// Starts one that serves `root`. `None`, and a line that says so, where it is not installed.
    #[allow(dead_code, reason = "shared with sse.rs")]
    pub(crate) fn start(root: &Path) -> Option<Nginx> {
        Nginx::of(&format!("root {};", root.display()))
    }

    /// Starts one whose server has these directives.
    pub(crate) fn of(directives: &str) -> Option<Nginx> {
        let nginx = ["/usr/sbin/nginx".to_owned()].into_iter().find(|path| Path::new(path).exists());
        let nginx = nginx.or_else(|| program("nginx"))?;
        let started = (0..10).find_map(|_| Nginx::on(&nginx, directives, free_port()));
        Some(started.expect("nginx starts on a port that is free"))
    }

    /// `None` when it ended by itself: somebody else has taken the port.
    fn on(nginx: &str, directives: &str, port: u16) -> Option<Nginx> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("nginx.conf"), configuration(dir.path(), directives, port)).unwrap();
        let mut command = Command::new(nginx);
        command.arg("-p").arg(dir.path()).arg("-c").arg(dir.path().join("nginx.conf")).arg("-e").arg("stderr");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut nginx = Nginx { child, address: SocketAddr::from(([127, 0, 0, 1], port)), _dir: dir };
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(nginx.address).is_err() {
            if nginx.child.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(Instant::now() < end, "nginx does not listen");
            thread::park_timeout(Duration::from_millis(5));
        }
        // Whoever accepted that connection may have been another.
        nginx.child.try_wait().unwrap().is_none().then_some(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nothing but what has to be said: what it serves, where it may write, and the types it comes with.
fn configuration(dir: &Path, directives: &str, port: u16) -> String {
    let dir = dir.display();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.iter().map(|name| format!("    {name}_temp_path {dir}/{name};\n")).collect();
    let types = if Path::new("/etc/nginx/mime.types").exists() { "include /etc/nginx/mime.types;" } else { "" };
    format!(
        "daemon off;\nmaster_process off;\npid {dir}/nginx.pid;\nerror_log stderr crit;\n\
         events {{ worker_connections 64; }}\n\
         http {{\n    access_log off;\n{temporary}    {types}\n    default_type application/octet-stream;\n    \
         keepalive_requests 100000;\n    large_client_header_buffers 4 64k;\n    \
         server {{ listen 127.0.0.1:{port}; {directives} }}\n}}\n"
    )
}
