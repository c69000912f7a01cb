//! The environment of a container, as the kubelet puts it together: what the cluster gives, then `envFrom`, then `env`.
//!
//! <https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/>,
//! <https://kubernetes.io/docs/tutorials/services/connect-applications-service/#environment-variables>

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::manifest::{Container, EnvVar, Manifest, PodSpec, Service, ServicePort};

/// What `fieldRef` can ask for.
pub(crate) struct PodFields<'a> {
    pub(crate) name: &'a str,
    pub(crate) ip: Ipv4Addr,
    pub(crate) host_ip: Ipv4Addr,
    pub(crate) labels: &'a BTreeMap<String, String>,
    pub(crate) annotations: &'a BTreeMap<String, String>,
}

/// The variables of `container`, or why it cannot be created (reason `CreateContainerConfigError`).
pub(crate) fn environment(
    manifest: &Manifest,
    spec: &PodSpec,
    container: &Container,
    pod: &PodFields,
) -> Result<BTreeMap<String, String>, String> {
    let services = service_variables(manifest, spec.enable_service_links);
    let mut own = BTreeMap::new();
    for from in &container.env_from {
        let (objects, reference, kind) = match (&from.config_map_ref, &from.secret_ref) {
            (Some(reference), _) => (&manifest.config_maps, reference, "configmap"),
            (_, Some(reference)) => (&manifest.secrets, reference, "secret"),
            _ => continue,
        };
        match objects.get(&reference.name) {
            Some(data) => own.extend(data.iter().map(|(key, value)| (format!("{}{key}", from.prefix), value.clone()))),
            None if reference.optional => {}
            None => return Err(format!("{kind} {:?} not found", reference.name)),
        }
    }
    for variable in &container.env {
        if let Some(value) = value(manifest, pod, variable, &own, &services)? {
            own.insert(variable.name.clone(), value);
        }
    }
    let mut all = services;
    all.insert("PATH".into(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    all.insert("HOSTNAME".into(), pod.name.to_owned());
    all.extend(own);
    Ok(all)
}

fn value(
    manifest: &Manifest,
    pod: &PodFields,
    variable: &EnvVar,
    own: &BTreeMap<String, String>,
    services: &BTreeMap<String, String>,
) -> Result<Option<String>, String> {
    let Some(from) = &variable.value_from else {
        let text = variable.value.as_deref().unwrap_or_default();
        return Ok(Some(expand(text, |name| own.get(name).or_else(|| services.get(name)).cloned())));
    };
    if let Some(field) = &from.field_ref {
        return field_of(pod, &field.field_path).map(Some);
    }
    let (objects, reference, kind) = match (&from.config_map_key_ref, &from.secret_key_ref) {
        (Some(reference), _) => (&manifest.config_maps, reference, "configmap"),
        (_, Some(reference)) => (&manifest.secrets, reference, "secret"),
        _ => return Err(format!("valueFrom of {} is none that this stand-in knows", variable.name)),
    };
    let found = objects.get(&reference.name).map(|data| data.get(&reference.key).cloned());
    match found {
        Some(Some(value)) => Ok(Some(value)),
        _ if reference.optional => Ok(None),
        Some(None) => Err(format!("couldn't find key {} in {kind} default/{}", reference.key, reference.name)),
        None => Err(format!("{kind} {:?} not found", reference.name)),
    }
}

fn field_of(pod: &PodFields, path: &str) -> Result<String, String> {
    let keyed = |map: &BTreeMap<String, String>, rest: &str| {
        map.get(rest.trim_matches(['[', ']', '\''])).cloned().unwrap_or_default()
    };
    Ok(match path {
        "metadata.name" => pod.name.to_owned(),
        "metadata.namespace" => "default".to_owned(),
        "status.podIP" | "status.podIPs" => pod.ip.to_string(),
        "status.hostIP" | "status.hostIPs" => pod.host_ip.to_string(),
        "spec.nodeName" => "node".to_owned(),
        _ => match (path.strip_prefix("metadata.labels"), path.strip_prefix("metadata.annotations")) {
            (Some(rest), _) => keyed(pod.labels, rest),
            (_, Some(rest)) => keyed(pod.annotations, rest),
            _ => return Err(format!("field label not supported: {path}")),
        },
    })
}

/// Replaces `$(NAME)`; `$$` is a dollar sign, and what is not known stays as it is.
pub(crate) fn expand(text: &str, known: impl Fn(&str) -> Option<String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let reference = after.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        rest = match (after.strip_prefix('$'), reference) {
            (Some(after), _) => {
                expanded.push('$');
                after
            }
            (None, Some((name, behind))) => {
                expanded.push_str(&known(name).unwrap_or_else(|| format!("$({name})")));
                behind
            }
            (None, None) => {
                expanded.push('$');
                after
            }
        };
    }
    expanded + rest
}

/// The links of every Service. The one of the API server is there even without links.
fn service_variables(manifest: &Manifest, links: bool) -> BTreeMap<String, String> {
    let https = ServicePort { name: "https".into(), port: 443, target_port: None };
    let mut variables = links_of("kubernetes", Ipv4Addr::new(10, 96, 0, 1), &[https]);
    if links {
        for (service, ip) in manifest.services.iter().zip(2..) {
            let Service { metadata, spec } = service;
            variables.extend(links_of(&metadata.name, Ipv4Addr::new(10, 96, 0, ip), &spec.ports));
        }
    }
    variables
}

fn links_of(service: &str, ip: Ipv4Addr, ports: &[ServicePort]) -> BTreeMap<String, String> {
    let shout = |name: &str| name.to_uppercase().replace('-', "_");
    let prefix = shout(service);
    let mut links = BTreeMap::new();
    let Some(first) = ports.first() else { return links };
    links.insert(format!("{prefix}_SERVICE_HOST"), ip.to_string());
    links.insert(format!("{prefix}_SERVICE_PORT"), first.port.to_string());
    links.insert(format!("{prefix}_PORT"), format!("tcp://{ip}:{}", first.port));
    for ServicePort { name, port, .. } in ports {
        if !name.is_empty() {
            links.insert(format!("{prefix}_SERVICE_PORT_{}", shout(name)), port.to_string());
        }
        let port_prefix = format!("{prefix}_PORT_{port}_TCP");
        links.insert(port_prefix.clone(), format!("tcp://{ip}:{port}"));
        links.insert(format!("{port_prefix}_PROTO"), "tcp".into());
        links.insert(format!("{port_prefix}_PORT"), port.to_string());
        links.insert(format!("{port_prefix}_ADDR"), ip.to_string());
    }
    links
}
