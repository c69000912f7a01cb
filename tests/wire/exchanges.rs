//! Requests and responses as they should be (F2).

use super::support::{Site, config, get_of};

#[test]
fn hello() {
    let site = Site::start(config());
    assert_eq!(site.send(get_of("/text")).reply().text(), "Hello");
}
