//! Kubernetes objects, read from YAML: as much of them as the stand-in acts upon. Knows no processes.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde::Deserialize;
use serde_json::{Map, Number, Value};

/// What was applied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) deployments: Vec<Deployment>,
    pub(crate) services: Vec<Service>,
    /// Of ConfigMaps, by name.
    pub(crate) config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// Of Secrets, decoded, by name.
    pub(crate) secrets: BTreeMap<String, BTreeMap<String, String>>,
}

impl Manifest {
    /// Reads a file of one or more documents. Kinds that a kubelet does not act upon are passed over.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
        let mut manifest = Self::default();
        for document in documents.iter().map(json) {
            manifest.take(document)?;
        }
        Ok(manifest)
    }

    fn take(&mut self, document: Value) -> Result<(), String> {
        let kind = document["kind"].as_str().unwrap_or_default().to_owned();
        let name = document["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let wrong = |error: serde_json::Error| format!("{kind} {name}: {error}");
        match kind.as_str() {
            "Deployment" => self.deployments.push(serde_json::from_value(document).map_err(wrong)?),
            "Service" => self.services.push(serde_json::from_value(document).map_err(wrong)?),
            "ConfigMap" => {
                let data: Data = serde_json::from_value(document).map_err(wrong)?;
                self.config_maps.insert(name, data.data);
            }
            "Secret" => {
                let secret: Data = serde_json::from_value(document).map_err(wrong)?;
                let decoded = secret.data.into_iter().map(|(key, value)| (key, base64(&value)));
                self.secrets.insert(name, decoded.chain(secret.string_data).collect());
            }
            _ => {}
        }
        Ok(())
    }
}

fn json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Sequence(items) => Value::Array(items.iter().map(json).collect()),
        Yaml::Mapping(entries) => {
            let text = |key: &Yaml| key.as_str().map_or_else(|| json(key).to_string(), str::to_owned);
            Value::Object(entries.iter().map(|(key, value)| (text(key), json(value))).collect::<Map<_, _>>())
        }
        Yaml::Tagged(_, inner) => json(inner),
        Yaml::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        Yaml::Value(Scalar::Integer(value)) => Value::Number((*value).into()),
        Yaml::Value(Scalar::FloatingPoint(value)) => Number::from_f64(value.0).map_or(Value::Null, Value::Number),
        Yaml::Value(Scalar::String(value)) => Value::String(value.to_string()),
        _ => Value::Null,
    }
}

/// RFC 4648 section 4, for Secrets.
fn base64(text: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sextets = text.bytes().filter_map(|byte| ALPHABET.iter().position(|letter| *letter == byte));
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for sextet in sextets {
        bits = bits << 6 | sextet as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    String::from_utf8(bytes).expect("this stand-in takes text only")
}

/// The API server takes strings only: `PORT: 8080` without quotes is refused, here as there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    #[serde(default)]
    data: BTreeMap<String, String>,
    #[serde(default)]
    string_data: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Metadata {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Deployment {
    pub(crate) metadata: Metadata,
    pub(crate) spec: DeploymentSpec,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DeploymentSpec {
    pub(crate) template: Template,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Template {
    pub(crate) metadata: Metadata,
    pub(crate) spec: PodSpec,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PodSpec {
    pub(crate) containers: Vec<Container>,
    #[serde(default)]
    pub(crate) volumes: Vec<Volume>,
    #[serde(default = "thirty")]
    pub(crate) termination_grace_period_seconds: u32,
    #[serde(default = "yes")]
    pub(crate) enable_service_links: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) image_pull_policy: Option<String>,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) ports: Vec<ContainerPort>,
    #[serde(default)]
    pub(crate) env: Vec<EnvVar>,
    #[serde(default)]
    pub(crate) env_from: Vec<EnvFrom>,
    #[serde(default)]
    pub(crate) volume_mounts: Vec<VolumeMount>,
    pub(crate) startup_probe: Option<Probe>,
    pub(crate) liveness_probe: Option<Probe>,
    pub(crate) readiness_probe: Option<Probe>,
    pub(crate) lifecycle: Option<Lifecycle>,
    #[serde(default)]
    pub(crate) security_context: SecurityContext,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecurityContext {
    #[serde(default)]
    pub(crate) read_only_root_filesystem: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerPort {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) container_port: u16,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvVar {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    pub(crate) value_from: Option<ValueFrom>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ValueFrom {
    pub(crate) config_map_key_ref: Option<KeyRef>,
    pub(crate) secret_key_ref: Option<KeyRef>,
    pub(crate) field_ref: Option<FieldRef>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct KeyRef {
    pub(crate) name: String,
    pub(crate) key: String,
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FieldRef {
    pub(crate) field_path: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EnvFrom {
    #[serde(default)]
    pub(crate) prefix: String,
    pub(crate) config_map_ref: Option<NameRef>,
    pub(crate) secret_ref: Option<NameRef>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NameRef {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VolumeMount {
    pub(crate) name: String,
    pub(crate) mount_path: String,
    pub(crate) sub_path: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) config_map: Option<Source>,
    pub(crate) secret: Option<Source>,
    pub(crate) empty_dir: Option<Value>,
}

/// A ConfigMap or Secret as a directory; Secrets call their name differently.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Source {
    #[serde(alias = "secretName")]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) items: Vec<Item>,
    #[serde(default)]
    pub(crate) optional: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Item {
    pub(crate) key: String,
    pub(crate) path: String,
}

/// With the defaults of the API (Probe v1 core).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Probe {
    pub(crate) http_get: Option<HttpGet>,
    pub(crate) tcp_socket: Option<TcpSocket>,
    pub(crate) exec: Option<Exec>,
    #[serde(default)]
    pub(crate) initial_delay_seconds: u32,
    #[serde(default = "ten")]
    pub(crate) period_seconds: u32,
    #[serde(default = "one")]
    pub(crate) timeout_seconds: u32,
    #[serde(default = "one")]
    pub(crate) success_threshold: u32,
    #[serde(default = "three")]
    pub(crate) failure_threshold: u32,
    pub(crate) termination_grace_period_seconds: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HttpGet {
    #[serde(default)]
    pub(crate) path: String,
    pub(crate) port: Port,
    pub(crate) host: Option<String>,
    #[serde(default)]
    pub(crate) scheme: Scheme,
    #[serde(default)]
    pub(crate) http_headers: Vec<HttpHeader>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Scheme {
    #[default]
    Http,
    Https,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct HttpHeader {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct TcpSocket {
    pub(crate) port: Port,
    pub(crate) host: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exec {
    pub(crate) command: Vec<String>,
}

/// A number, or the name of one of the container's ports.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Port {
    Number(u16),
    Name(String),
}

impl Port {
    /// The number, as `container` declares it.
    pub(crate) fn of(&self, container: &Container) -> Option<u16> {
        match self {
            Port::Number(number) => Some(*number),
            Port::Name(name) => container.ports.iter().find(|port| port.name == *name).map(|port| port.container_port),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Lifecycle {
    pub(crate) pre_stop: Option<Handler>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Handler {
    pub(crate) exec: Option<Exec>,
    pub(crate) http_get: Option<HttpGet>,
    pub(crate) sleep: Option<Sleep>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Sleep {
    pub(crate) seconds: u32,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Service {
    pub(crate) metadata: Metadata,
    pub(crate) spec: ServiceSpec,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ServiceSpec {
    #[serde(default)]
    pub(crate) selector: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) ports: Vec<ServicePort>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicePort {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) target_port: Option<Port>,
}

fn one() -> u32 {
    1
}

fn three() -> u32 {
    3
}

fn ten() -> u32 {
    10
}

fn thirty() -> u32 {
    30
}

fn yes() -> bool {
    true
}
