//! A pod with one container, and what the kubelet does with it from start to end: pull, create, probe, restart with
//! back-off, and on deletion preStop, SIGTERM, grace period, SIGKILL.
//!
//! <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/>

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, after, bounded, select, unbounded};
use rustix::process::Signal;

use crate::container::{Container, Log, Recipe, Stream};
use crate::environment::{PodFields, environment, expand};
use crate::events::{Events, Type};
use crate::manifest::{self, Deployment, Handler, Manifest, PodSpec, Probe};
use crate::node::{NODE_IP, Node, PATIENCE};
use crate::probe::{Answer, Outcome, get, http_get};
use crate::volume;
use crate::worker::{Kind, Verdict, work};

/// The images that the registry has, by repository; any registry does.
const TAGS: &[(&str, &str)] = &[("rws", "0.1.0")];
/// kuberuntime: minimumGracePeriodInSeconds, left for SIGTERM after a long preStop hook.
const LEAST_GRACE: Duration = Duration::from_secs(2);

/// What the API server would say of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) running_since: Option<Instant>,
    /// Why the container does not run.
    pub(crate) waiting: Option<(&'static str, String)>,
    pub(crate) last: Option<Terminated>,
    pub(crate) started: bool,
    pub(crate) ready: bool,
    pub(crate) restarts: u32,
    pub(crate) deleting: bool,
    pub(crate) gone: bool,
    /// When an endpoint list would have taken it in or left it out.
    served: Vec<(Instant, bool)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Terminated {
    pub(crate) code: i32,
    pub(crate) message: String,
}

impl Terminated {
    fn reason(&self) -> &'static str {
        if self.code == 0 { "Completed" } else { "Error" }
    }
}

pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) ip: Ipv4Addr,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) container: manifest::Container,
    pub(crate) events: Events,
    spec: PodSpec,
    annotations: BTreeMap<String, String>,
    /// What the next container is made from.
    manifest: Mutex<Manifest>,
    directory: PathBuf,
    factor: u32,
    settings: BTreeMap<String, String>,
    start_takes: Duration,
    state: Mutex<State>,
    changed: Condvar,
    /// Of each container there was, in order.
    logs: Mutex<Vec<Log>>,
    /// With how long it has to end.
    delete: Sender<u32>,
}

/// How a container came to its end.
enum End {
    Exited,
    NeverBegun,
    Deleted,
}

impl Pod {
    /// Schedules a pod of `deployment` on the node.
    pub(crate) fn start(node: &Node, manifest: &Manifest, deployment: &Deployment, ip: Ipv4Addr) -> Arc<Self> {
        let template = &deployment.spec.template;
        let [container] = &template.spec.containers[..] else { panic!("this stand-in takes one container in a pod") };
        let name = format!("{}-5d8f7b9c6-x{:04}", deployment.metadata.name, ip.octets()[3]);
        let (delete, deleted) = bounded(1);
        let pod = Arc::new(Pod {
            directory: node.directory.join(&name),
            name,
            ip,
            labels: template.metadata.labels.clone(),
            container: container.clone(),
            events: Events::default(),
            spec: template.spec.clone(),
            annotations: template.metadata.annotations.clone(),
            manifest: Mutex::new(manifest.clone()),
            factor: node.factor,
            settings: node.settings(),
            start_takes: node.start_time(),
            state: Mutex::default(),
            changed: Condvar::new(),
            logs: Mutex::default(),
            delete,
        });
        let assigned = format!("Successfully assigned default/{} to node", pod.name);
        pod.events.record(Type::Normal, "Scheduled", "default-scheduler", assigned);
        let sandbox = node.sandbox(ip);
        let running = pod.clone();
        thread::spawn(move || running.run(sandbox, &deleted));
        pod
    }

    /// `kubectl delete pod`: it is out of the endpoints from now on, and ends.
    pub(crate) fn delete(&self) {
        self.delete_within(self.spec.termination_grace_period_seconds);
    }

    /// `kubectl delete pod --force --grace-period=0`, for a pod that has served its purpose.
    pub(crate) fn discard(&self) {
        self.delete_within(0);
    }

    fn delete_within(&self, grace: u32) {
        self.change(|state| state.deleting = true);
        let _ = self.delete.try_send(grace);
    }

    /// The kubelet's time in ours.
    pub(crate) fn scaled(&self, seconds: u32) -> Duration {
        Duration::from_secs(u64::from(seconds)) / self.factor
    }

    pub(crate) fn state(&self) -> State {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let serves = state.ready && !state.deleting;
        if state.served.last().is_some_and(|(_, last)| *last) != serves {
            state.served.push((Instant::now(), serves));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Whether endpoint lists that are `lag` behind have this pod.
    pub(crate) fn served(&self, lag: Duration) -> bool {
        let state = self.lock();
        state.served.iter().rfind(|(when, _)| when.elapsed() >= lag).is_some_and(|(_, serves)| *serves)
    }

    /// Waits for a condition, and fails with all there is to see when it does not come.
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < end, "not {what}:\n{}\n{}", self.describe(), self.log().join("\n"));
            // Events and logs change without a notice.
            let _ = self.changed.wait_timeout(self.lock(), Duration::from_millis(10)).unwrap();
        }
    }

    pub(crate) fn wait_until_ready(&self) {
        self.wait_until("ready", |pod| pod.state().ready);
    }

    /// `kubectl logs`, of all containers that there were.
    pub(crate) fn log(&self) -> Vec<String> {
        let logs = self.logs.lock().unwrap();
        logs.iter().flat_map(|log| log.lock().unwrap().clone()).map(|(_, line)| line).collect()
    }

    /// The diagnostics that contain all of `needles`.
    pub(crate) fn said(&self, needles: &[&str]) -> Vec<String> {
        let logs = self.logs.lock().unwrap();
        let lines = logs.iter().flat_map(|log| log.lock().unwrap().clone());
        let diagnostics = lines.filter(|(stream, _)| *stream == Stream::Stderr).map(|(_, line)| line);
        diagnostics.filter(|line| needles.iter().all(|needle| line.contains(needle))).collect()
    }

    /// The lines of both logs that contain all of `needles`.
    pub(crate) fn log_lines(&self, needles: &[&str]) -> Vec<String> {
        self.log().into_iter().filter(|line| needles.iter().all(|needle| line.contains(needle))).collect()
    }

    /// One GET from the node to the first port that the container declares.
    pub(crate) fn try_get(&self, path: &str) -> io::Result<Answer> {
        let port = self.container.ports.first().expect("a port").container_port;
        get((self.ip, port).into(), path, PATIENCE)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error}\n{}", self.describe()))
    }

    /// Takes changed objects up: in what is mounted at once, in the environment with the next container.
    pub(crate) fn sync(&self, manifest: &Manifest) {
        for (directory, files) in self.volumes(manifest) {
            volume::write(&directory, &files);
        }
        *self.manifest.lock().unwrap() = manifest.clone();
    }

    /// The ConfigMaps and Secrets it has mounted: directory on the node, and files.
    fn volumes(&self, manifest: &Manifest) -> Vec<(PathBuf, BTreeMap<String, String>)> {
        let sources = self.spec.volumes.iter().filter_map(|volume| {
            let directory = self.directory.join("volumes").join(&volume.name);
            let (objects, source) = match (&volume.config_map, &volume.secret) {
                (Some(source), _) => (&manifest.config_maps, source),
                (_, Some(source)) => (&manifest.secrets, source),
                _ => return None,
            };
            let data = objects.get(&source.name)?;
            let chosen = source.items.iter().filter_map(|item| Some((item.path.clone(), data.get(&item.key)?.clone())));
            let files = if source.items.is_empty() { data.clone() } else { chosen.collect() };
            Some((directory, files))
        });
        sources.collect()
    }

    /// From the image to the end of the pod.
    fn run(&self, mut sandbox: Child, deleted: &Receiver<u32>) {
        if self.pull(deleted) {
            let mut back_off = BackOff::new(self.factor);
            loop {
                let ended = match self.create(sandbox.id()) {
                    Ok(container) => self.watch(&Arc::new(container), deleted),
                    Err((reason, message)) => self.not_created(reason, message, deleted),
                };
                match ended {
                    End::Deleted => break,
                    End::NeverBegun => {}
                    End::Exited if self.wait_for_back_off(&mut back_off, deleted) => break,
                    End::Exited => self.change(|state| state.restarts += 1),
                }
            }
        }
        let _ = sandbox.kill();
        let _ = sandbox.wait();
        self.change(|state| state.gone = true);
    }

    /// Whether there is an image to start; if not, tries again until the pod is deleted.
    fn pull(&self, deleted: &Receiver<u32>) -> bool {
        let image = &self.container.image;
        let (repository, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
        let name = repository.rsplit('/').next().unwrap_or_default();
        let latest = if tag == "latest" { "Always" } else { "IfNotPresent" };
        let policy = self.container.image_pull_policy.as_deref().unwrap_or(latest);
        if TAGS.contains(&(name, tag)) {
            let pulled = match policy {
                "Always" => format!("Successfully pulled image {image:?}"),
                _ => format!("Container image {image:?} already present on machine"),
            };
            self.events.normal("Pulled", pulled);
            return true;
        }
        loop {
            self.events.normal("Pulling", format!("Pulling image {image:?}"));
            let failed = format!(
                "Failed to pull image {image:?}: rpc error: code = NotFound desc = failed to pull and unpack image \
                 {image:?}: failed to resolve reference {image:?}: {image}: not found"
            );
            self.events.warning("Failed", failed);
            self.events.warning("Failed", "Error: ErrImagePull");
            self.events.normal("BackOff", format!("Back-off pulling image {image:?}"));
            self.events.warning("Failed", "Error: ImagePullBackOff");
            self.change(|state| {
                state.waiting = Some(("ImagePullBackOff", format!("Back-off pulling image {image:?}")))
            });
            select! {
                recv(deleted) -> _ => return false,
                recv(after(self.scaled(10))) -> _ => {}
            }
        }
    }

    /// Creates and starts a container; the error has a reason that the API shows.
    fn create(&self, sandbox: u32) -> Result<Container, (&'static str, String)> {
        let fields = PodFields {
            name: &self.name,
            ip: self.ip,
            host_ip: NODE_IP,
            labels: &self.labels,
            annotations: &self.annotations,
        };
        let config_error = |error| ("CreateContainerConfigError", error);
        let mut environment =
            environment(&self.manifest.lock().unwrap(), &self.spec, &self.container, &fields).map_err(config_error)?;
        environment.extend(self.settings.clone());
        let known = |name: &str| environment.get(name).cloned();
        let expanded = |words: &[String]| words.iter().map(|word| expand(word, known)).collect();
        let n = self.logs.lock().unwrap().len();
        let recipe = Recipe {
            sandbox,
            root: self.directory.join(format!("root.{n}")),
            mounts: self.mounts()?,
            read_only: self.container.security_context.read_only_root_filesystem,
            command: expanded(&self.container.command),
            args: expanded(&self.container.args),
            environment: environment.clone(),
            start_takes: self.start_takes,
        };
        let name = &self.container.name;
        self.events.normal("Created", format!("Created container: {name}"));
        let container = Container::start(&recipe).map_err(|error| {
            ("StartError", format!(
                "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create \
                 failed: unable to start container process: {error}: unknown"
            ))
        })?;
        self.events.normal("Started", format!("Started container {name}"));
        self.logs.lock().unwrap().push(container.log.clone());
        Ok(container)
    }

    fn mounts(&self) -> Result<Vec<(PathBuf, String)>, (&'static str, String)> {
        let volumes = self.volumes(&self.manifest.lock().unwrap());
        for (directory, files) in volumes.into_iter().filter(|(directory, _)| !directory.exists()) {
            volume::write(&directory, &files);
        }
        let mount = |mount: &manifest::VolumeMount| {
            let volume = self.spec.volumes.iter().find(|volume| volume.name == mount.name);
            let volume = volume.unwrap_or_else(|| panic!("the API server refuses it: no volume {}", mount.name));
            let directory = self.directory.join("volumes").join(&mount.name);
            if volume.empty_dir.is_some() {
                std::fs::create_dir_all(&directory).unwrap();
            }
            let optional = |source: &manifest::Source| source.optional;
            if !directory.exists() && !volume.config_map.as_ref().or(volume.secret.as_ref()).is_some_and(optional) {
                let object = volume.config_map.as_ref().or(volume.secret.as_ref()).map_or("", |source| &source.name);
                let message = format!("MountVolume.SetUp failed for volume {:?} : {object:?} not found", mount.name);
                self.events.warning("FailedMount", message.clone());
                return Err(("ContainerCreating", message));
            }
            std::fs::create_dir_all(&directory).unwrap();
            // With a subPath the file itself is mounted, so that it stays what it was.
            let from = mount.sub_path.as_ref().map(|name| directory.join(name).canonicalize().unwrap());
            Ok((from.unwrap_or(directory), mount.mount_path.clone()))
        };
        self.container.volume_mounts.iter().map(mount).collect()
    }

    /// A container that cannot be started counts as one that ended; one that cannot be put together is tried again
    /// whenever the kubelet comes by.
    fn not_created(&self, reason: &'static str, message: String, deleted: &Receiver<u32>) -> End {
        if reason != "ContainerCreating" {
            self.events.warning("Failed", format!("Error: {message}"));
        }
        let started = reason == "StartError";
        self.change(|state| {
            state.last = started.then(|| Terminated { code: 128, message: message.clone() }).or(state.last.take());
            state.waiting = Some((reason, message));
        });
        if started {
            return End::Exited;
        }
        select! {
            recv(deleted) -> _ => End::Deleted,
            recv(after(self.scaled(10))) -> _ => End::NeverBegun,
        }
    }

    /// From the start of a container to its end: probes, their verdicts, and deletion.
    fn watch(&self, container: &Arc<Container>, deleted: &Receiver<u32>) -> End {
        let gated = self.container.startup_probe.is_some();
        let unprobed = self.container.readiness_probe.is_none();
        self.change(|state| {
            (state.running_since, state.waiting) = (Some(Instant::now()), None);
            (state.started, state.ready) = (!gated, !gated && unprobed);
        });
        let (verdicts, decided) = unbounded();
        let (stop, stopped) = bounded(0);
        let mut end = End::Exited;
        thread::scope(|scope| {
            for (kind, probe) in self.probes() {
                let (verdicts, stopped) = (verdicts.clone(), stopped.clone());
                scope.spawn(move || work(self, kind, probe, container, &verdicts, &stopped));
            }
            let kill = |grace| {
                scope.spawn(move || self.kill(container, grace));
            };
            loop {
                select! {
                    recv(container.exited) -> code => {
                        self.exited(container, code.unwrap_or(1));
                        break;
                    }
                    recv(decided) -> verdict => self.heed(verdict.expect("a sender is here"), unprobed, &kill),
                    recv(deleted) -> grace => {
                        end = End::Deleted;
                        self.events.normal("Killing", format!("Stopping container {}", self.container.name));
                        kill(grace.expect("the sender is ours"));
                    }
                }
            }
            drop(stop);
        });
        end
    }

    fn probes(&self) -> impl Iterator<Item = (Kind, &Probe)> {
        let Self { container, .. } = self;
        let all = [
            (Kind::Startup, &container.startup_probe),
            (Kind::Liveness, &container.liveness_probe),
            (Kind::Readiness, &container.readiness_probe),
        ];
        all.into_iter().filter_map(|(kind, probe)| Some((kind, probe.as_ref()?)))
    }

    fn heed(&self, verdict: Verdict, unprobed: bool, kill: &impl Fn(u32)) {
        match verdict {
            Verdict { kind: Kind::Readiness, success } => self.change(|state| state.ready = success),
            Verdict { kind: Kind::Startup, success: true } => {
                self.change(|state| (state.started, state.ready) = (true, unprobed));
            }
            Verdict { success: true, .. } => {}
            Verdict { kind, success: false } => {
                let name = &self.container.name;
                let failed = format!("Container {name} failed {} probe, will be restarted", kind.name());
                self.events.normal("Killing", failed);
                let probe = self.probes().find(|(other, _)| *other == kind).map(|(_, probe)| probe);
                let own = probe.and_then(|probe| probe.termination_grace_period_seconds);
                kill(own.unwrap_or(self.spec.termination_grace_period_seconds));
            }
        }
    }

    /// preStop, SIGTERM, and SIGKILL when the grace period, which has begun before preStop, is over.
    fn kill(&self, container: &Container, grace: u32) {
        let begun = Instant::now();
        let grace = Duration::from_secs(u64::from(grace));
        let hook = self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        if hook.is_some_and(|hook| !self.pre_stop(container, hook, grace)) {
            self.events.warning("FailedPreStopHook", "PreStopHook failed");
        }
        container.signal(Signal::TERM);
        if !container.ends_within(grace.saturating_sub(begun.elapsed()).max(LEAST_GRACE.min(grace))) {
            container.signal(Signal::KILL);
        }
    }

    fn pre_stop(&self, container: &Container, hook: &Handler, grace: Duration) -> bool {
        if let Some(sleep) = &hook.sleep {
            container.ends_within(Duration::from_secs(u64::from(sleep.seconds)).min(grace));
        }
        let exec =
            hook.exec.as_ref().is_none_or(|exec| matches!(container.exec(&exec.command, grace), Ok((Some(0), _))));
        let get = hook.http_get.as_ref().is_none_or(|get| {
            matches!(http_get(get, &self.container, self.ip, grace), Outcome::Success | Outcome::Warning(_))
        });
        exec && get
    }

    fn exited(&self, container: &Container, code: i32) {
        let message = container.last_message();
        self.change(|state| {
            state.last = Some(Terminated { code, message });
            (state.running_since, state.started, state.ready) = (None, false, false);
        });
    }

    /// Whether the pod was deleted meanwhile.
    fn wait_for_back_off(&self, back_off: &mut BackOff, deleted: &Receiver<u32>) -> bool {
        let finished = Instant::now();
        while let Some(left) = back_off.left(finished) {
            let full = format!("{}_default({})", self.name, "6c2b9a52-0f4e-4c55-9c1d-7b0a4f1f2d11");
            let name = &self.container.name;
            self.events.warning("BackOff", format!("Back-off restarting failed container {name} in pod {full}"));
            let message = format!("back-off {}s restarting failed container={name} pod={full}", back_off.seconds);
            self.change(|state| state.waiting = Some(("CrashLoopBackOff", message)));
            select! {
                recv(deleted) -> _ => return true,
                // The kubelet comes by every 10 s or so.
                recv(after(left.min(self.scaled(10)))) -> _ => {}
            }
        }
        back_off.next();
        deleted.try_recv().is_ok()
    }

    /// `kubectl describe pod`, without what nobody looks at.
    pub(crate) fn describe(&self) -> String {
        let state = self.state();
        let mut text = String::new();
        let status = if state.deleting { "Terminating" } else { "Running" };
        let Self { name, ip, container, .. } = self;
        writeln!(text, "Name:    {name}\nStatus:  {status}\nIP:      {ip}\nContainers:\n  {}:", container.name)
            .unwrap();
        writeln!(text, "    Image:          {}", container.image).unwrap();
        match (&state.waiting, state.running_since) {
            (_, Some(_)) => writeln!(text, "    State:          Running").unwrap(),
            (Some((reason, _)), None) => {
                writeln!(text, "    State:          Waiting\n      Reason:       {reason}").unwrap();
            }
            (None, None) => writeln!(text, "    State:          Terminated").unwrap(),
        }
        if let Some(last) = &state.last {
            writeln!(text, "    Last State:     Terminated\n      Reason:       {}", last.reason()).unwrap();
            if !last.message.is_empty() {
                let message = last.message.trim_end().replace('\n', "\n                    ");
                writeln!(text, "      Message:      {message}").unwrap();
            }
            writeln!(text, "      Exit Code:    {}", last.code).unwrap();
        }
        let ready = if state.ready { "True" } else { "False" };
        writeln!(text, "    Ready:          {ready}\n    Restart Count:  {}", state.restarts).unwrap();
        for (kind, probe) in self.probes() {
            writeln!(text, "    {:<15} {}", format!("{:?}:", kind), summary(probe)).unwrap();
        }
        text + &self.events.table(self.factor)
    }
}

/// As `kubectl describe` tells a probe.
fn summary(probe: &Probe) -> String {
    let port = |port: &manifest::Port| match port {
        manifest::Port::Number(number) => number.to_string(),
        manifest::Port::Name(name) => name.clone(),
    };
    let what = match probe {
        Probe { http_get: Some(get), .. } => {
            let host = get.host.as_ref().and_then(|host| host.parse::<IpAddr>().ok());
            let scheme = format!("{:?}", get.scheme).to_lowercase();
            let host = host.map_or_else(String::new, |host| host.to_string());
            format!("http-get {scheme}://{host}:{}{}", port(&get.port), get.path)
        }
        Probe { tcp_socket: Some(tcp), .. } => format!("tcp-socket :{}", port(&tcp.port)),
        Probe { exec: Some(exec), .. } => format!("exec [{}]", exec.command.join(" ")),
        _ => "unknown".into(),
    };
    let Probe { initial_delay_seconds: delay, timeout_seconds: timeout, period_seconds: period, .. } = probe;
    let (success, failure) = (probe.success_threshold, probe.failure_threshold);
    format!("{what} delay={delay}s timeout={timeout}s period={period}s #success={success} #failure={failure}")
}

/// How long a container that keeps ending is left alone: 10 s, doubled each time up to 5 minutes, and forgotten after
/// ten minutes without a restart. The first restart is not delayed.
struct BackOff {
    factor: u32,
    seconds: u32,
    updated: Option<Instant>,
}

impl BackOff {
    const FIRST: u32 = 10;
    const MOST: u32 = 300;

    fn new(factor: u32) -> Self {
        BackOff { factor, seconds: 0, updated: None }
    }

    fn current(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds)) / self.factor
    }

    fn forgotten(&self) -> bool {
        let most = Duration::from_secs(u64::from(2 * Self::MOST)) / self.factor;
        self.updated.is_none_or(|updated| updated.elapsed() > most)
    }

    /// What is left of it for a container that ended at `finished`.
    fn left(&self, finished: Instant) -> Option<Duration> {
        let left = self.current().checked_sub(finished.elapsed()).filter(|left| !left.is_zero());
        left.filter(|_| !self.forgotten())
    }

    fn next(&mut self) {
        let doubled = (self.seconds * 2).clamp(Self::FIRST, Self::MOST);
        self.seconds = if self.forgotten() { Self::FIRST } else { doubled };
        self.updated = Some(Instant::now());
    }
}
