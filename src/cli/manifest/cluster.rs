//! What is around the pods: how they are reached, kept apart, kept up and scaled.

use super::plan::{Plan, Port};
use super::yaml::quoted;

/// Name, namespace and labels of an object.
pub(super) fn metadata(plan: &Plan<'_>, name: &str) -> String {
    let namespace = plan.options.namespace.as_ref().map(|namespace| format!("  namespace: {}\n", quoted(namespace)));
    format!(
        "metadata:\n  name: {name}\n{}  labels:\n    app.kubernetes.io/name: {}\n",
        namespace.unwrap_or_default(),
        plan.options.name
    )
}

/// The ServiceAccount: an identity without rights.
pub(super) fn service_account(plan: &Plan<'_>) -> String {
    format!(
        "apiVersion: v1\nkind: ServiceAccount\n{}automountServiceAccountToken: false\n",
        metadata(plan, &plan.options.name)
    )
}

/// The Service, and a headless one for the admin port.
pub(super) fn services(plan: &Plan<'_>) -> Vec<String> {
    let name = &plan.options.name;
    let ports: String = plan.open().map(|port| service_port(port, if port.tls { 443 } else { 80 })).collect();
    let main = format!(
        "apiVersion: v1\nkind: Service\n{}spec:\n  selector:\n    app.kubernetes.io/name: {name}\n  ports:\n{ports}",
        metadata(plan, name)
    );
    let admin = plan.admin.map(|admin| {
        format!(
            "# For Prometheus, which asks every pod: no address of its own, so no request goes to just any pod.
apiVersion: v1
kind: Service
{}spec:
  clusterIP: None
  selector:
    app.kubernetes.io/name: {name}
  ports:
{}",
            metadata(plan, &format!("{name}-admin")),
            service_port(admin, admin.number)
        )
    });
    std::iter::once(main).chain(admin).collect()
}

fn service_port(port: Port, number: u16) -> String {
    let Port { name, tls, .. } = port;
    let protocol = if tls { "https" } else { "http" };
    format!("    - name: {name}\n      port: {number}\n      targetPort: {name}\n      appProtocol: {protocol}\n")
}

/// The Ingress, if there is a host.
pub(super) fn ingress(plan: &Plan<'_>) -> Option<String> {
    let host = plan.options.host.as_ref()?;
    let tls = if plan.main.tls {
        "  # The pods speak TLS themselves. Some controllers have to be told so with an annotation of their own, for
  # instance nginx.ingress.kubernetes.io/backend-protocol: HTTPS.\n"
    } else {
        ""
    };
    Some(format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
{}spec:
{tls}  rules:
    - host: {}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {}
                port:
                  name: {}
",
        metadata(plan, &plan.options.name),
        quoted(host),
        plan.options.name,
        plan.main.name
    ))
}

/// The NetworkPolicy.
pub(super) fn network_policy(plan: &Plan<'_>) -> String {
    let name = &plan.options.name;
    let open: String =
        plan.open().map(|Port { name, .. }| format!("        - port: {name}\n          protocol: TCP\n")).collect();
    let admin = plan.admin.map(|port| {
        format!(
            "    # Whoever reaches the admin port can drain the pod. The kubelet's probes are let through in any case.
    - from:
        - namespaceSelector:
            matchLabels:
              kubernetes.io/metadata.name: monitoring
      ports:
        - port: {}
          protocol: TCP
",
            port.name
        )
    });
    format!(
        "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
{}spec:
  podSelector:
    matchLabels:
      app.kubernetes.io/name: {name}
  policyTypes: [Ingress, Egress]
  ingress:
    # From anywhere. With an ingress controller: allow its namespace only.
    - ports:
{open}{}  # It calls nobody. Add what your handlers call, and DNS with it.
  egress: []
",
        metadata(plan, name),
        admin.unwrap_or_default()
    )
}

/// The PodDisruptionBudget.
pub(super) fn disruption_budget(plan: &Plan<'_>) -> String {
    let name = &plan.options.name;
    format!(
        "apiVersion: policy/v1
kind: PodDisruptionBudget
{}spec:
  # One at a time. minAvailable as high as the number of pods would block the draining of nodes for good.
  maxUnavailable: 1
  # A pod that is not ready serves nobody, and must not keep its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      app.kubernetes.io/name: {name}
",
        metadata(plan, name)
    )
}

/// The HorizontalPodAutoscaler, if there is something to scale.
pub(super) fn autoscaler(plan: &Plan<'_>) -> Option<String> {
    let name = &plan.options.name;
    let text = format!(
        "apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
{}spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {name}
  minReplicas: {}
  maxReplicas: {}
  metrics:
    # Of the CPU request. Handlers that wait use no CPU: for those, scale on rws_workers_busy instead.
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: 70
  behavior:
    scaleDown:
      # Every pod that goes has to drain: not at every dip.
      stabilizationWindowSeconds: 300
",
        metadata(plan, name),
        plan.options.replicas,
        plan.options.max_replicas
    );
    plan.scales().then_some(text)
}

/// The ServiceMonitor, if it is wanted.
pub(super) fn service_monitor(plan: &Plan<'_>) -> Option<String> {
    if !plan.options.service_monitor {
        return None;
    }
    let scraped = plan.scraped();
    let tls = if scraped.tls {
        "      scheme: https
      tlsConfig:
        # The pod is asked by its address, which its certificate does not name.
        insecureSkipVerify: true\n"
    } else {
        ""
    };
    let service = if plan.admin.is_some() { format!("{}-admin", plan.options.name) } else { plan.options.name.clone() };
    Some(format!(
        "# Needs the Prometheus operator.
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
{}spec:
  # Of the Services with this label, {service} has the port.
  selector:
    matchLabels:
      app.kubernetes.io/name: {}
  endpoints:
    - port: {}
      path: {}
{tls}",
        metadata(plan, &plan.options.name),
        plan.options.name,
        scraped.name,
        quoted(&plan.config.metrics_path)
    ))
}
