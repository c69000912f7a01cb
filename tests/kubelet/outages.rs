//! The outages.

use crate::node::on_a_node;

#[test]
fn a_wrong_probe_path_restarts_a_healthy_server_and_the_log_names_the_right_one() {
    on_a_node(20, |node| {
        node.set("RWS_CONFIG_DRAIN_DELAY", "0s");
        let pod = node.apply(include_str!("../../../check/tests/check/seeds/001-restart-loop.yaml"));
        pod.wait_until("restarted", |pod| pod.state().restarts > 2);
        println!("{}\n{}", pod.describe(), pod.log().join("\n"));
    });
}
#[test]
fn loopback() {
    on_a_node(20, |node| {
        node.set("RWS_CONFIG_DRAIN_DELAY", "0s");
        let pod = node.apply(include_str!("../../../check/tests/check/seeds/000-loopback-bind.yaml"));
        pod.wait_until("restarted", |pod| pod.state().restarts > 2);
        println!("{}\n{}", pod.describe(), pod.log().join("\n"));
    });
}
