//! What the objects have in common: names, ports, times, memory, settings and mounts, all from one configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Component, Path};
use std::time::Duration;

use super::{ConfigFrom, Options};
use crate::config::{self, Change, Config, Effective, Loaded, Origin, PREFIX, Status};

/// Where the ConfigMap with the live settings is mounted: the first that no Secret is mounted in or around.
const LIVE_DIRS: [&str; 2] = ["/etc/rws", "/etc/rws-live"];
/// Where the Secret with single values is mounted.
pub(super) const SECRETS_DIR: &str = "/etc/rws-secrets";

/// Between a limit of the server's own and the kubelet's. Connections that are being closed take up to 3 s.
const MARGIN: Duration = Duration::from_secs(5);

/// One of the container's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port {
    /// Its name in the pod and in the Service.
    pub(super) name: &'static str,
    pub(super) number: u16,
    pub(super) tls: bool,
}

/// Files from a Secret, mounted as a directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) volume: String,
    pub(super) secret: String,
    pub(super) directory: String,
    /// Keys that the Secret must have.
    pub(super) keys: Vec<String>,
}

/// Everything that the texts need.
pub(super) struct Plan<'a> {
    pub(super) options: &'a Options,
    pub(super) config: &'a Config,
    pub(super) main: Port,
    pub(super) admin: Option<Port>,
    /// Plain HTTP, which is sent on to the main port.
    pub(super) redirect: Option<Port>,
    /// Settings for the environment.
    pub(super) environment: BTreeMap<String, String>,
    /// Settings for the mounted directory.
    pub(super) live: BTreeMap<String, String>,
    pub(super) mounts: Vec<Mount>,
    /// Where the ConfigMap with the live settings is mounted.
    pub(super) live_dir: &'static str,
    pub(super) grace_seconds: u64,
    pub(super) memory_mib: u64,
    /// What the operator should know.
    pub(super) doubts: Vec<String>,
}

impl<'a> Plan<'a> {
    /// The plan for this configuration, or why there is none.
    pub(super) fn of(options: &'a Options, loaded: &'a Loaded) -> Result<Self, String> {
        let config = &loaded.config;
        if config.port == 0 {
            return Err("RWS_CONFIG_PORT=0 lets the system choose the port, which no probe could know: set one".into());
        }
        if config.admin_port == Some(0) {
            return Err(
                "RWS_CONFIG_ADMIN_PORT=0 lets the system choose the port, which no probe could know: set one".into()
            );
        }
        if config.http_redirect_port == Some(0) {
            return Err(
                "RWS_CONFIG_HTTP_REDIRECT_PORT=0 lets the system choose the port, which no Service could know: set one"
                    .into(),
            );
        }
        if config.requires_client_certificates() && config.admin_port.is_none() {
            return Err(
                "RWS_CONFIG_TLS_CLIENT_CA_FILE has RWS_CONFIG_PORT refuse the kubelet's probes, which have no \
                        client certificate: set RWS_CONFIG_ADMIN_PORT for them, or RWS_CONFIG_TLS_CLIENT_AUTH=optional"
                    .into(),
            );
        }
        if options.service_monitor && config.admin_address().is_some_and(|address| is_loopback(address.ip())) {
            return Err("--service-monitor: Prometheus does not reach RWS_CONFIG_ADMIN_IP, a loopback address".into());
        }
        if options.max_replicas < options.replicas {
            return Err("--max-replicas must not be less than --replicas".into());
        }
        let tls = config.speaks_tls();
        let main = Port { name: if tls { "https" } else { "http" }, number: config.port, tls };
        let admin = config.admin_address().filter(|address| !is_loopback(address.ip()));
        let admin = admin.map(|address| Port { name: "admin", number: address.port(), tls: false });
        let redirect = config.redirect_address().filter(|address| !is_loopback(address.ip()));
        let redirect = redirect.map(|address| Port { name: "http", number: address.port(), tls: false });
        let mounts = mounts(options, loaded)?;
        let mut plan = Plan {
            options,
            config,
            main,
            admin,
            redirect,
            environment: BTreeMap::new(),
            live: BTreeMap::new(),
            live_dir: live_dir(&mounts)?,
            mounts,
            grace_seconds: grace_seconds(config),
            memory_mib: memory_mib(config),
            doubts: Vec::new(),
        };
        loaded.effective.iter().filter(|value| value.origin != Origin::Default).for_each(|value| plan.sort_in(value));
        plan.doubt();
        Ok(plan)
    }

    /// The port that the kubelet's probes ask: the operators' own, if there is one, since it never runs out of connections
    /// and asks for no client certificate. None, if it reaches neither.
    pub(super) fn probed(&self) -> Option<Port> {
        self.admin.or(Some(self.main).filter(|_| !is_loopback(self.config.ip)))
    }

    /// The port that is scraped.
    pub(super) fn scraped(&self) -> Port {
        self.admin.unwrap_or(self.main)
    }

    /// Whether there is an autoscaler: one that may not change the number of pods would do nothing.
    pub(super) fn scales(&self) -> bool {
        self.options.max_replicas > self.options.replicas
    }

    /// The ports for users.
    pub(super) fn open(&self) -> impl Iterator<Item = Port> {
        std::iter::once(self.main).chain(self.redirect)
    }

    /// All ports.
    pub(super) fn ports(&self) -> impl Iterator<Item = Port> {
        self.open().chain(self.admin)
    }

    /// Name of the ConfigMap for the environment.
    pub(super) fn environment_map(&self) -> String {
        format!("{}-env", self.options.name)
    }

    /// Name of the ConfigMap for the mounted directory, if one is mounted.
    pub(super) fn live_map(&self) -> Option<String> {
        (self.options.config == ConfigFrom::Dir).then(|| format!("{}-live", self.options.name))
    }

    /// Changes whenever a pod must be replaced for the settings to take effect.
    pub(super) fn fingerprint(&self) -> Option<String> {
        let text: String = self.environment.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        (!text.is_empty()).then(|| format!("{:016x}", fnv_1a(text.as_bytes())))
    }

    /// Finds the place of a setting.
    fn sort_in(&mut self, value: &Effective) {
        let own = value.name.strip_prefix(PREFIX).unwrap_or(&value.name);
        // The directory is where the manifest mounts it.
        if own == "DIR" || config::find(own).is_some_and(|variable| matches!(variable.status, Status::ReplacedBy(_))) {
            // What an old name sets is here under the new one as well.
            return;
        }
        if value.redacted {
            let name = format!("{}_FILE", value.name);
            self.environment.insert(name, format!("{SECRETS_DIR}/{}", value.name));
            return;
        }
        let reloadable = config::find(own).is_some_and(|variable| variable.change == Change::Reload);
        let live = reloadable && self.options.config == ConfigFrom::Dir;
        let place = if live { &mut self.live } else { &mut self.environment };
        // What auto came to here is not what it comes to there.
        let text = value.value.strip_suffix(" (auto)").map_or(value.value.as_str(), |_| "auto");
        place.insert(value.name.clone(), text.to_owned());
    }

    fn doubt(&mut self) {
        let odd: Vec<_> = self.environment.keys().filter(|name| !is_environment_name(name)).cloned().collect();
        for name in odd {
            self.doubts
                .push(format!("{name} is no environment variable's name, so older clusters leave it out: rename it"));
        }
        if is_loopback(self.config.ip) {
            let text =
                "RWS_CONFIG_IP is a loopback address: nobody outside of the pod reaches it, also not by the Service";
            self.doubts.push(text.to_owned());
        }
        if self.config.static_dir.is_some() {
            let text = "RWS_CONFIG_STATIC_DIR must be in the image, or in a volume that you add";
            self.doubts.push(text.to_owned());
        }
    }
}

/// Also when it is written as IPv6.
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Kubernetes' C_IDENTIFIER, which is what envFrom has always taken.
fn is_environment_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Seconds that a pod gets to start: longer than the server gives itself, so that it ends with a reason of its own.
pub(super) fn startup_seconds(config: &Config) -> u64 {
    const UNLIMITED: u64 = 60;
    if config.startup_timeout.is_zero() { UNLIMITED } else { whole_seconds(config.startup_timeout + MARGIN) }
}

/// SIGKILL must come after the drain has ended by itself.
fn grace_seconds(config: &Config) -> u64 {
    whole_seconds(config.drain_delay + config.drain_timeout + MARGIN)
}

/// Rounded up.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A limit that is not reached by connections and threads alone, in MiB. A connection that is not idle holds about
/// 16 KiB in buffers of ours and the kernel's, a thread 256 KiB of stack and allocator; the process itself 32 MiB.
/// What handlers keep comes on top.
fn memory_mib(config: &Config) -> u64 {
    const STEP: u64 = 64;
    let kib = 32 * 1024 + config.max_connections as u64 * 16 + config.thread_count as u64 * 256;
    kib.div_ceil(1024).div_ceil(STEP) * STEP
}

/// A Secret for each directory that a setting wants a certificate or key from, and one for single values.
fn mounts(options: &Options, loaded: &Loaded) -> Result<Vec<Mount>, String> {
    let mut directories = BTreeMap::<&str, Vec<String>>::new();
    let set = loaded.effective.iter().filter(|value| value.origin != Origin::Default);
    for value in set.clone().filter(|value| names_a_file(value)) {
        let path = Path::new(value.value.trim());
        let parts = path.parent().and_then(Path::to_str).zip(path.file_name().and_then(|name| name.to_str()));
        let Some((directory, file)) = parts.filter(|(directory, file)| can_be_mounted(path, directory, file)) else {
            return Err(format!(
                "{}={:?} must be an absolute path such as /etc/tls/tls.crt: a Secret is mounted at the directory, and the file is one \
                 of its keys",
                value.name, value.value
            ));
        };
        let keys = directories.entry(directory).or_default();
        if !keys.iter().any(|key| key == file) {
            keys.push(file.to_owned());
        }
    }
    let ending = |index| if index == 0 { String::new() } else { format!("-{}", index + 1) };
    let tls = directories.into_iter().enumerate().map(|(index, (directory, keys))| Mount {
        volume: format!("tls{}", ending(index)),
        secret: format!("{}-tls{}", options.name, ending(index)),
        directory: directory.to_owned(),
        keys,
    });
    let mut mounts: Vec<Mount> = tls.collect();
    let keys: Vec<String> = set.filter(|value| value.redacted).map(|value| value.name.clone()).collect();
    if !keys.is_empty() {
        if mounts.iter().any(|mount| mount.directory == SECRETS_DIR) {
            return Err(format!("{SECRETS_DIR} is where secret settings are mounted: put the certificates elsewhere"));
        }
        let secret = format!("{}-secrets", options.name);
        mounts.push(Mount { volume: "secrets".into(), secret, directory: SECRETS_DIR.into(), keys });
    }
    Ok(mounts)
}

/// Whether a Secret can bring the file: what is mounted at the root would hide the program, a mount's path has no colon, and
/// keys have letters, digits and `-_.` only.
/// <https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#volumes-1>
fn can_be_mounted(path: &Path, directory: &str, file: &str) -> bool {
    let plain = path.is_absolute() && path.components().all(|part| part != Component::ParentDir);
    let mountable = directory != "/" && !directory.contains(|c: char| c == ':' || c.is_control());
    plain && mountable && file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// A directory for the live settings that has nothing to do with those of the Secrets.
fn live_dir(mounts: &[Mount]) -> Result<&'static str, String> {
    let is_free = |own: &&str| {
        let own = Path::new(own);
        !mounts.iter().any(|mount| own.starts_with(&mount.directory) || Path::new(&mount.directory).starts_with(own))
    };
    let why = "no directory is left for the live settings beside those of the certificates; use --config env";
    LIVE_DIRS.into_iter().find(is_free).ok_or_else(|| why.to_owned())
}

/// Whether the value is a path: not one that switches off what this version cannot do.
fn names_a_file(value: &Effective) -> bool {
    let variable = value.name.strip_prefix(PREFIX).and_then(config::find);
    let works = variable.is_some_and(|variable| variable.status == Status::Supported);
    works && value.name.ends_with("_FILE") && !value.value.trim().is_empty()
}

/// FNV-1a, 64 bits: tells texts apart, and always the same way.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::default();
        change(&mut config);
        config
    }

    #[test]
    fn the_grace_period_outlasts_the_drain() {
        let cases = [((0, 20_000), 25), ((5_000, 20_000), 30), ((500, 1_200), 7), ((0, 0), 5)];
        for ((delay, timeout), expected) in cases {
            let config = config(|config| {
                config.drain_delay = Duration::from_millis(delay);
                config.drain_timeout = Duration::from_millis(timeout);
            });
            assert_eq!(grace_seconds(&config), expected, "{delay} {timeout}");
        }
    }

    #[test]
    fn the_startup_probe_outlasts_the_start() {
        for (millis, expected) in [(0, 60), (30_000, 35), (300_000, 305), (1_500, 7)] {
            let config = config(|config| config.startup_timeout = Duration::from_millis(millis));
            assert_eq!(startup_seconds(&config), expected, "{millis}");
        }
    }

    #[test]
    fn memory_grows_with_threads_and_connections() {
        for ((threads, connections), expected) in [((200, 10_000), 256), ((1, 1), 64), ((1000, 100_000), 1856)] {
            let config = config(|config| (config.thread_count, config.max_connections) = (threads, connections));
            assert_eq!(memory_mib(&config), expected, "{threads} {connections}");
        }
    }

    #[test]
    fn hashes_are_those_that_are_published() {
        assert_eq!(fnv_1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv_1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
