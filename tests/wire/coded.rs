//! Bodies that are compressed while they are sent: each part arrives when it is sent, in bounded memory, and who does not
//! read or leaves ends it.

use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flate2::read::GzDecoder;
use rws::app::SendError;
use rws::config::Config;
use rws::server::observe::Outcome;

use super::support::{Client, Site, config, get_of, request, until};

/// As much as can be decoded of what has come.
fn readable(coded: &[u8]) -> String {
    let (mut decoder, mut text, mut piece) = (GzDecoder::new(coded), Vec::new(), [0; 64]);
    while let Ok(count @ 1..) = decoder.read(&mut piece) {
        text.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(text).unwrap()
}

fn ask(site: &Site, target: &str) -> Client {
    site.send(request("GET", target, "Accept-Encoding: gzip\r\n") + &get_of("/text"))
}

/// Reads chunks until this text can be decoded from all that came since the head.
fn until_readable(client: &mut Client, coded: &mut Vec<u8>, text: &str) {
    while readable(coded) != text {
        let chunk = client.next_chunk().unwrap();
        assert!(!chunk.is_empty(), "it ends with {:?}", readable(coded));
        coded.extend_from_slice(&chunk);
    }
}

/// The rest of the response, which must be whole, and the next one.
fn to_the_end(mut client: Client, mut coded: Vec<u8>) -> String {
    while let Some(chunk) = Some(client.next_chunk().unwrap()).filter(|chunk| !chunk.is_empty()) {
        coded.extend_from_slice(&chunk);
    }
    assert_eq!(client.reply().text(), "Hello", "the connection goes on");
    let mut text = String::new();
    GzDecoder::new(&*coded).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn what_a_function_flushes_arrives_before_it_goes_on() {
    let site = Site::start(config());
    let (mut client, mut coded) = (ask(&site, "/coded/gated/a"), Vec::new());
    assert_eq!(client.head().unwrap().field("content-encoding"), Some("gzip"));
    until_readable(&mut client, &mut coded, "before ");
    site.gate.open("a");
    assert_eq!(to_the_end(client, coded), "before and after");
    site.until_deserted();
}

#[test]
fn what_other_threads_send_arrives_at_once_and_holds_no_thread() {
    let site = Site::start(Config { thread_count: 1, ..config() });
    let (mut client, mut coded) = (ask(&site, "/coded/fed/a"), Vec::new());
    assert_eq!(client.head().unwrap().field("content-encoding"), Some("gzip"));
    let (sender, mut expected) = (site.gate.sender("a"), String::new());
    for piece in ["one ", "two ", "three "] {
        sender.send(piece).unwrap();
        expected += piece;
        until_readable(&mut client, &mut coded, &expected);
        assert_eq!(site.stats.workers_busy.load(Ordering::SeqCst), 0);
    }
    drop(sender);
    assert_eq!(to_the_end(client, coded), "one two three ");
    let client = ask(&site, "/coded/fed/b");
    let sender = site.gate.sender("b");
    client.reset();
    until("its sender hears of it", || sender.send("is anybody there?") == Err(SendError::Closed));
    site.until_deserted();
}

#[test]
fn client_and_handler_take_turns_in_a_coding() {
    let site = Site::start(config());
    let fields = "Accept-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n";
    let mut client = site.send(request("POST", "/coded/duplex", fields) + "4\r\nping\r\n");
    assert_eq!(client.head().unwrap().field("content-encoding"), Some("gzip"));
    let mut coded = Vec::new();
    until_readable(&mut client, &mut coded, "PING");
    client.send("4\r\npong\r\n");
    until_readable(&mut client, &mut coded, "PINGPONG");
    client.send("0\r\n\r\n".to_owned() + &get_of("/text"));
    assert_eq!(to_the_end(client, coded), "PINGPONG");
    site.until_deserted();
}

#[test]
fn who_does_not_read_what_is_compressed_or_leaves_ends_it() {
    let site = Site::start(Config { write_timeout: Duration::from_millis(200), ..config() });
    let mut stuck = ask(&site, "/coded/noise/1000");
    stuck.wait_for_bytes();
    assert_eq!(site.next_seen().outcome, Outcome::Timeout);
    let mut gone = ask(&site, "/coded/noise/1000");
    gone.wait_for_bytes();
    gone.reset();
    assert_eq!(site.next_seen().outcome, Outcome::ClientAbort);
    site.until_deserted();
}
