//! Pods and what makes them: workloads, their containers, ports, probes and volumes, as typed views of their nodes.
//!
//! Knows the fields and defaults of the Kubernetes API
//! (<https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>); must not know rws.

use super::objects::{Object, Objects};
use super::place::Place;
use super::yaml::Node;

/// Something that runs pods.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload<'a> {
    pub(super) object: Object<'a>,
    /// The pod's spec.
    pub(super) pod: &'a Node,
    /// The pod's metadata.
    pub(super) metadata: Option<&'a Node>,
}

/// When a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Beside the others.
    Main,
    /// Before the others and beside them: an init container that is always restarted.
    Sidecar,
    /// Before the others.
    Init,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Container<'a> {
    pub(super) node: &'a Node,
    pub(super) name: &'a str,
    pub(super) role: Role,
}

/// A port that a container declares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Port<'a> {
    pub(super) node: &'a Node,
    pub(super) name: Option<&'a str>,
    pub(super) number: Option<u16>,
}

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Probe<'a> {
    pub(super) kind: ProbeKind,
    pub(super) node: &'a Node,
    pub(super) place: Place,
}

/// How a probe asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Handler<'a> {
    Http(&'a Node),
    Tcp(&'a Node),
    Grpc(&'a Node),
    Exec(&'a Node),
    None,
}

impl<'a> Workload<'a> {
    pub(super) fn of(object: Object<'a>) -> Option<Self> {
        let template: &[&str] = match object.kind {
            "Pod" => &[],
            "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "ReplicationController" | "Job" => {
                &["spec", "template"]
            }
            // OpenShift's predecessor of the Deployment.
            "DeploymentConfig" => &["spec", "template"],
            // Argo's Rollout has the fields of a Deployment.
            "Rollout" if object.node.path(&["spec", "template", "spec"]).is_some() => &["spec", "template"],
            "CronJob" => &["spec", "jobTemplate", "spec", "template"],
            _ => return None,
        };
        let template = object.node.path(template)?;
        Some(Workload { object, pod: template.get("spec")?, metadata: template.get("metadata") })
    }

    pub(super) fn all(objects: &Objects<'a>) -> Vec<Self> {
        objects.list.iter().filter_map(|object| Workload::of(*object)).collect()
    }

    pub(super) fn labels(&self) -> Option<&'a Node> {
        self.metadata?.get("labels")
    }

    pub(super) fn annotation(&self, key: &str) -> Option<&'a str> {
        self.metadata?.get("annotations")?.text_of(key)
    }

    /// All containers, those that run beside each other first.
    pub(super) fn containers(&self) -> Vec<Container<'a>> {
        let container = |role: fn(&Node) -> Role| {
            move |node: &'a Node| Container { node, name: node.text_of("name").unwrap_or_default(), role: role(node) }
        };
        let main = self.pod.items_of("containers").iter().map(container(|_| Role::Main));
        let init = self.pod.items_of("initContainers").iter().map(container(|node| {
            if node.text_of("restartPolicy") == Some("Always") { Role::Sidecar } else { Role::Init }
        }));
        main.chain(init).collect()
    }

    /// Those that run beside each other.
    pub(super) fn running(&self) -> Vec<Container<'a>> {
        self.containers().into_iter().filter(|container| container.role != Role::Init).collect()
    }

    /// How many pods, if that is for the workload to say. A Deployment that does not say has one.
    pub(super) fn replicas(&self) -> Option<i64> {
        match self.object.kind {
            "Deployment" | "DeploymentConfig" | "StatefulSet" | "ReplicaSet" | "ReplicationController" | "Rollout" => {
                Some(self.object.spec(&["replicas"]).and_then(Node::number).unwrap_or(1))
            }
            _ => None,
        }
    }

    /// Whether its pods end by themselves.
    pub(super) fn is_batch(&self) -> bool {
        matches!(self.object.kind, "Job" | "CronJob")
    }

    /// Seconds from SIGTERM to SIGKILL.
    pub(super) fn grace_period(&self) -> i64 {
        self.pod.number_of("terminationGracePeriodSeconds").unwrap_or(30)
    }

    pub(super) fn uses_host_network(&self) -> bool {
        self.pod.boolean_of("hostNetwork") == Some(true)
    }

    /// The volume of this name, a StatefulSet's claims included.
    pub(super) fn volume(&self, name: &str) -> Option<&'a Node> {
        let claims = self.object.spec(&["volumeClaimTemplates"]).map_or(&[][..], Node::items);
        let claim = claims.iter().find(|claim| claim.get("metadata").and_then(|it| it.text_of("name")) == Some(name));
        self.pod.items_of("volumes").iter().find(|volume| volume.text_of("name") == Some(name)).or(claim)
    }
}

impl<'a> Container<'a> {
    /// Where its name stands.
    pub(super) fn place(&self) -> Place {
        self.node.get("name").map_or(self.node.place, |name| name.place)
    }

    pub(super) fn ports(&self) -> impl Iterator<Item = Port<'a>> {
        self.node.items_of("ports").iter().map(|node| Port {
            node,
            name: node.text_of("name"),
            number: node.number_of("containerPort").and_then(|number| u16::try_from(number).ok()),
        })
    }

    /// The probes it has.
    pub(super) fn probes(&self) -> Vec<Probe<'a>> {
        [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness]
            .into_iter()
            .filter_map(|kind| self.probe(kind))
            .collect()
    }

    pub(super) fn probe(&self, kind: ProbeKind) -> Option<Probe<'a>> {
        let (key, node) = self.node.entry(kind.field())?;
        (!node.is_null()).then_some(Probe { kind, node, place: key.place })
    }

    /// The image without registry, tag and digest: `rws` of `ghcr.io/x/rws:0.1.0`.
    pub(super) fn image_name(&self) -> &'a str {
        let image = self.node.text_of("image").unwrap_or_default();
        let image = image.split('@').next().unwrap_or_default();
        let last = image.rsplit('/').next().unwrap_or_default();
        last.split(':').next().unwrap_or_default()
    }

    /// The words of `command` and `args`.
    pub(super) fn words(&self, key: &str) -> Vec<&'a str> {
        self.node.items_of(key).iter().filter_map(Node::text).collect()
    }

    /// A field of the security context: the container's own, or else the pod's.
    pub(super) fn security(&self, pod: &'a Node, field: &str) -> Option<&'a Node> {
        let own = self.node.get("securityContext").and_then(|context| context.get(field));
        own.or_else(|| pod.get("securityContext")?.get(field)).filter(|node| !node.is_null())
    }
}

/// The path that an `httpGet` asks for. The kubelet makes a URL of it, with a slash before a path that has none.
pub(super) fn path_asked(http: &Node) -> Option<String> {
    let text = http.text_of("path")?;
    Some(if text.starts_with('/') { text.to_owned() } else { format!("/{text}") })
}

impl ProbeKind {
    pub(super) fn field(self) -> &'static str {
        match self {
            ProbeKind::Startup => "startupProbe",
            ProbeKind::Liveness => "livenessProbe",
            ProbeKind::Readiness => "readinessProbe",
        }
    }

    /// What the kubelet does when it fails.
    pub(super) fn consequence(self) -> &'static str {
        match self {
            ProbeKind::Startup => "the container would never count as started and be restarted again and again",
            ProbeKind::Liveness => "the kubelet would restart the container again and again",
            ProbeKind::Readiness => "the pod would never get traffic",
        }
    }
}

impl<'a> Probe<'a> {
    pub(super) fn field(&self) -> &'static str {
        self.kind.field()
    }

    pub(super) fn handler(&self) -> Handler<'a> {
        let handler = |key: &str| self.node.get(key);
        let http = handler("httpGet").map(Handler::Http);
        let tcp = || handler("tcpSocket").map(Handler::Tcp);
        let grpc = || handler("grpc").map(Handler::Grpc);
        http.or_else(tcp).or_else(grpc).or_else(|| handler("exec").map(Handler::Exec)).unwrap_or(Handler::None)
    }

    pub(super) fn period(&self) -> i64 {
        self.number("periodSeconds", 10)
    }

    pub(super) fn failures(&self) -> i64 {
        self.number("failureThreshold", 3)
    }

    pub(super) fn timeout(&self) -> i64 {
        self.number("timeoutSeconds", 1)
    }

    pub(super) fn initial_delay(&self) -> i64 {
        self.node.number_of("initialDelaySeconds").unwrap_or(0).max(0)
    }

    /// Seconds without a good answer until the kubelet acts, once it has begun to ask.
    pub(super) fn patience(&self) -> i64 {
        self.period().saturating_mul(self.failures())
    }

    /// Where a field stands, or the probe if it has its default.
    pub(super) fn place_of(&self, field: &str) -> Place {
        self.node.get(field).map_or(self.place, |node| node.place)
    }

    /// The API replaces zero by the default too.
    fn number(&self, field: &str, default: i64) -> i64 {
        self.node.number_of(field).filter(|number| *number > 0).unwrap_or(default)
    }
}

/// Kubernetes quantities such as `100m`, `64Mi`, `1G`, in thousandths.
pub(super) fn quantity_milli(text: &str) -> Option<u128> {
    const UNITS: [(&str, u128); 12] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("k", 1_000),
        ("K", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("m", 0),
    ];
    let (number, unit) = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, if *unit == "m" { None } else { Some(*factor) })))
        .unwrap_or((text, Some(1)));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let milli: String = fraction.chars().chain("000".chars()).take(3).collect();
    let thousandths = whole.parse::<u64>().ok()? as u128 * 1000 + milli.parse::<u128>().ok()?;
    Some(unit.map_or(thousandths / 1000, |factor| thousandths.saturating_mul(factor)))
}
