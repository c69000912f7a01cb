//! A node of its own for each test: user, network, mount and process namespaces in which the test runs itself again, as
//! the first process. When it ends, however it ends, the kernel ends every process of the node and takes back every
//! mount and interface. Nothing of it is visible outside, so tests run side by side on the same ports.
//!
//! A pod has a network namespace with an address of its own, reached over a virtual cable, as with the `ptp` plugin of
//! CNI; so a server that listens on 127.0.0.1 can really not be reached from the node.

use std::any::type_name;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use crate::manifest::Manifest;
use crate::pod::Pod;

/// How long anything may take on a loaded machine before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The node's address on its side of the cables: where probes come from.
pub(crate) const NODE_IP: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);

/// Set for the test inside: a directory for whatever the node keeps.
const DIRECTORY: &str = "RWS_TEST_NODE";
const NAMESPACES: [&str; 7] =
    ["--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"];
const TOOLS: [&str; 4] = ["unshare", "nsenter", "setpriv", "ip"];

/// Runs `test` on a node of its own; time runs `factor` times as fast for the kubelet there.
///
/// `test` has to be a closure in the test function itself, by whose name it is found again.
pub(crate) fn on_a_node<F: FnOnce(&Node)>(factor: u32, test: F) {
    match env::var_os(DIRECTORY) {
        Some(directory) => test(&Node::new(PathBuf::from(directory), factor)),
        None if possible() => run_inside(test_name::<F>()),
        None => {}
    }
}

/// The closure is called `kubelet::module::name::{{closure}}`.
fn test_name<F>() -> &'static str {
    let inside = type_name::<F>().split_once("::").expect("a path").1;
    inside.strip_suffix("::{{closure}}").expect("a closure in a function")
}

fn possible() -> bool {
    if let Some(missing) = TOOLS.iter().find(|tool| which(tool).is_none()) {
        eprintln!("SKIPPED: {missing} is not installed");
        return false;
    }
    let tried = Command::new("unshare").args(NAMESPACES).arg("true").output().unwrap();
    if !tried.status.success() {
        eprintln!("SKIPPED: no namespaces here: {}", String::from_utf8_lossy(&tried.stderr));
    }
    tried.status.success()
}

fn run_inside(name: &str) {
    let directory = tempfile::tempdir().unwrap();
    // The node ends with the thread that waits for it.
    let mut node = Command::new("setpriv");
    node.args(["--pdeathsig", "KILL", "unshare"]).args(NAMESPACES).arg(env::current_exe().unwrap());
    node.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(DIRECTORY, directory.path());
    let output = node.stdin(Stdio::null()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    assert!(output.status.success() && text.contains("1 passed"), "{name} failed on its node: {}", output.status);
}

/// Where a program is.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let path = env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/sbin"]).map(|place| Path::new(place).join(program));
    places.into_iter().find(|file| file.exists())
}

/// Runs a tool that has to succeed.
fn must(program: &str, arguments: &[&str], input: &str) {
    let mut command = Command::new(which(program).unwrap());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?} < {input}: {said}");
}

/// Waits for a condition, looking every few milliseconds, and tells whether it came.
pub(crate) fn eventually(condition: impl Fn() -> bool) -> bool {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        if Instant::now() > end {
            return false;
        }
        thread::park_timeout(Duration::from_millis(5));
    }
    true
}

/// A node with its kubelet, and as much of a control plane as pods need.
pub(crate) struct Node {
    pub(crate) directory: PathBuf,
    /// How many times as fast the kubelet's time runs: periods, delays and back-off, but neither the server's own time nor
    /// the grace period and time-outs by which the kubelet waits for the server.
    pub(crate) factor: u32,
    next_address: AtomicU8,
    /// Set in every container besides what its manifest says.
    settings: Mutex<BTreeMap<String, String>>,
    start_takes: Mutex<Duration>,
    manifest: Mutex<Manifest>,
    pods: Mutex<Vec<Arc<Pod>>>,
}

impl Node {
    fn new(directory: PathBuf, factor: u32) -> Self {
        must("mount", &["-t", "tmpfs", "node", directory.to_str().unwrap()], "");
        must("ip", &["link", "set", "lo", "up"], "");
        Node {
            directory,
            factor,
            next_address: AtomicU8::new(2),
            settings: Mutex::default(),
            start_takes: Mutex::default(),
            manifest: Mutex::default(),
            pods: Mutex::default(),
        }
    }

    /// The kubelet's time in ours.
    pub(crate) fn scaled(&self, seconds: u32) -> Duration {
        Duration::from_secs(u64::from(seconds)) / self.factor
    }

    /// Sets a variable in every container to come, for the server's own times, which the factor does not shorten.
    pub(crate) fn set(&self, variable: &str, value: &str) {
        self.settings.lock().unwrap().insert(variable.to_owned(), value.to_owned());
    }

    pub(crate) fn settings(&self) -> BTreeMap<String, String> {
        self.settings.lock().unwrap().clone()
    }

    /// Makes the entry point of every container to come do something else this long before it becomes rws.
    pub(crate) fn start_takes(&self, time: Duration) {
        *self.start_takes.lock().unwrap() = time;
    }

    pub(crate) fn start_time(&self) -> Duration {
        *self.start_takes.lock().unwrap()
    }

    /// Applies a file and starts one pod for each Deployment in it, whatever its `replicas` say.
    pub(crate) fn apply(self: &Node, yaml: &str) -> Arc<Pod> {
        self.apply_replicas(yaml, 1).into_iter().next().expect("a Deployment")
    }

    /// The same with more pods.
    pub(crate) fn apply_replicas(&self, yaml: &str, replicas: usize) -> Vec<Arc<Pod>> {
        let manifest = Manifest::parse(yaml).unwrap_or_else(|error| panic!("the API server refuses it: {error}"));
        *self.manifest.lock().unwrap() = manifest.clone();
        let deployments = manifest.deployments.iter().flat_map(|deployment| std::iter::repeat_n(deployment, replicas));
        let pods: Vec<_> = deployments
            .map(|deployment| {
                let ip = Ipv4Addr::new(10, 244, 0, self.next_address.fetch_add(1, Ordering::Relaxed));
                Pod::start(self, &manifest, deployment, ip)
            })
            .collect();
        self.pods.lock().unwrap().extend(pods.iter().cloned());
        pods
    }

    /// `kubectl delete pod`, and waits until it is gone.
    pub(crate) fn delete(&self, pod: &Pod) {
        pod.delete();
        pod.wait_until("gone", |pod| pod.state().gone);
    }

    /// Changes a ConfigMap, and the directories in which pods have it mounted, as the kubelet's next sync would.
    pub(crate) fn update_config_map(&self, name: &str, key: &str, value: &str) {
        let mut manifest = self.manifest.lock().unwrap();
        let data = manifest.config_maps.get_mut(name).expect("the ConfigMap was applied");
        data.insert(key.to_owned(), value.to_owned());
        self.pods.lock().unwrap().iter().for_each(|pod| pod.sync(&manifest));
    }

    /// Where a Service sends connections when the endpoint lists are `lag` behind: the addresses of pods that are ready
    /// and not being deleted, with the target port.
    pub(crate) fn endpoints(&self, service: &str, lag: Duration) -> Vec<SocketAddr> {
        let manifest = self.manifest.lock().unwrap();
        let service = manifest.services.iter().find(|found| found.metadata.name == service).expect("the Service");
        let Some(port) = service.spec.ports.first() else { return Vec::new() };
        let pods = self.pods.lock().unwrap();
        let selected = pods.iter().filter(|pod| {
            let labels = &pod.labels;
            service.spec.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        });
        let serving = selected.filter(|pod| pod.served(lag));
        let address = |pod: &Arc<Pod>| {
            let target = port.target_port.as_ref().map_or(Some(port.port), |target| target.of(&pod.container));
            target.map(|target| SocketAddr::from((pod.ip, target)))
        };
        serving.filter_map(address).collect()
    }

    /// A network namespace with this address, held by a process that does nothing: what `pause` is to a pod.
    pub(crate) fn sandbox(&self, ip: Ipv4Addr) -> Child {
        let pause = Command::new("unshare").args(["--net", "sleep", "infinity"]).spawn().unwrap();
        let pid = pause.id();
        let own = fs::read_link("/proc/self/ns/net").unwrap();
        let unshared = || fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|other| other != own);
        assert!(eventually(unshared), "no network namespace");
        let cable = format!("veth{}", ip.octets()[3]);
        let node = format!(
            "link add {cable} type veth peer name eth0 netns {pid}\naddr add {NODE_IP}/32 dev {cable}\n\
             link set {cable} up\nroute add {ip}/32 dev {cable} src {NODE_IP}\n"
        );
        must("ip", &["-batch", "-"], &node);
        let pod = format!(
            "link set lo up\naddr add {ip}/32 dev eth0\nlink set eth0 up\nroute add {NODE_IP} dev eth0 scope link\n\
             route add default via {NODE_IP} dev eth0\n"
        );
        must("nsenter", &["-t", &pid.to_string(), "-n", "ip", "-batch", "-"], &pod);
        // Container runtimes let everybody listen on any port of a pod (containerd: enable_unprivileged_ports).
        let any_port = "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start";
        must("nsenter", &["-t", &pid.to_string(), "-n", "sh", "-c", any_port], "");
        pause
    }
}
