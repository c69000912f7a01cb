//! Files as responses of handlers, on the wire: parts, copies that are current, and files that change while they are sent.

use std::fs::File;
use std::os::unix::fs::FileExt;

use rws::server::observe::Outcome;
use tempfile::NamedTempFile;

use super::support::{Site, config, get_of, request};

/// The target that answers with this file.
fn target(file: &NamedTempFile) -> String {
    format!("/named/{}", file.path().to_str().unwrap().replace('/', "%2F"))
}

#[test]
fn answers_with_and_without_content_follow_each_other_on_one_connection() {
    const LENGTH: u64 = (5 << 30) + 3;
    let site = Site::start(config());
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(LENGTH).unwrap();
    file.as_file().write_all_at(b"end", LENGTH - 3).unwrap();
    let target = target(&file);
    let mut client = site.send(request("HEAD", &target, "Range: bytes=-3\r\n"));
    let head = client.reply_to("HEAD");
    let length = LENGTH.to_string();
    assert_eq!((head.status, head.field("content-length")), (200, Some(&*length)), "{}", head.head);
    let current = format!("If-None-Match: {}\r\n", head.field("etag").unwrap());
    for fields in ["Range: bytes=-3\r\n", &current, "Range: bytes=9999999999-\r\n", "If-Match: \"other\"\r\n"] {
        client.send(request("GET", &target, fields));
    }
    client.send(get_of("/text"));
    let mut reply = || {
        let reply = client.reply();
        (reply.status, reply.text().to_owned(), reply.field("content-range").map(str::to_owned))
    };
    let range = |range: &str| Some(format!("bytes {range}/{LENGTH}"));
    assert_eq!(reply(), (206, "end".to_owned(), range("5368709120-5368709122")));
    assert_eq!(reply(), (304, String::new(), None));
    assert_eq!(reply(), (416, String::new(), range("*")));
    assert_eq!(reply(), (412, String::new(), None));
    assert_eq!(reply(), (200, "Hello".to_owned(), None));
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_does_not_look_whole() {
    let site = Site::start(config());
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(64 << 20).unwrap();
    let mut client = site.send(get_of(&target(&file)));
    client.wait_for_bytes();
    file.as_file().set_len(1 << 20).unwrap();
    client.try_reply("GET").unwrap_err();
    assert_eq!(site.next_seen().outcome, Outcome::Error);
    site.until_deserted();
}

#[test]
fn a_file_that_is_replaced_while_it_is_sent_arrives_as_it_was() {
    let site = Site::start(config());
    let file = NamedTempFile::new().unwrap();
    file.as_file().set_len(64 << 20).unwrap();
    let mut client = site.send(get_of(&target(&file)));
    client.wait_for_bytes();
    std::fs::remove_file(file.path()).unwrap();
    File::create(file.path()).unwrap();
    let reply = client.reply();
    assert!(reply.body.len() == 64 << 20 && reply.body.iter().all(|byte| *byte == 0));
    assert_eq!(site.send(get_of(&target(&file))).reply().field("content-length"), Some("0"));
}
