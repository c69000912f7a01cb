use std::thread;

use serde_json::Value;

use super::*;
use crate::app::middleware::Compression;
use crate::app::{App, TestClient, get};

/// What a client hears, read as the standard says (section 9.2.6): for each event its type, data and last id.
fn heard(stream: &str) -> Vec<(String, String, String)> {
    let (mut events, mut id) = (Vec::new(), String::new());
    let (mut kind, mut data) = (String::new(), String::new());
    for line in stream.split('\n') {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                let (kind, data) = (std::mem::take(&mut kind), std::mem::take(&mut data));
                if let Some(data) = data.strip_suffix('\n') {
                    events.push((kind, data.to_owned(), id.clone()));
                }
            }
            "event" => kind = value.to_owned(),
            "data" => data = data + value + "\n",
            "id" => id = value.to_owned(),
            _ => {}
        }
    }
    events
}

fn text(event: Event) -> String {
    String::from_utf8(Bytes::from(event).to_vec()).unwrap()
}

fn all(events: Sse) -> String {
    let body = std::mem::take(events.into_response().body_mut());
    String::from_utf8(body.into_bytes().unwrap().to_vec()).unwrap()
}

#[test]
fn data_arrives_with_its_lines_and_cannot_begin_another_field() {
    let cases = [
        ("", ""),
        ("a", "a"),
        (" a ", " a "),
        ("a\nb", "a\nb"),
        ("a\rb", "a\nb"),
        ("a\r\nb", "a\nb"),
        ("a\n\rb", "a\n\nb"),
        ("a\r\r\nb", "a\n\nb"),
        ("\n", "\n"),
        ("a\n", "a\n"),
        ("\n\nevent: x\n\n", "\n\nevent: x\n\n"),
        ("a\r\n\r\nid: 5\rretry: 1", "a\n\nid: 5\nretry: 1"),
        (":a", ":a"),
        ("ünï\u{2028}code\0", "ünï\u{2028}code\0"),
    ];
    for (data, expected) in cases {
        let stream = text(Event::new(data)) + &text(Event::new("next"));
        let expected = [expected, "next"].map(|data| (String::new(), data.to_owned(), String::new()));
        assert_eq!(heard(&stream), expected, "{data:?}");
        assert!(!stream.contains('\r'), "{data:?}");
    }
}

#[test]
fn fields_arrive_and_one_without_data_is_not_heard() {
    let named = Event::new("a").event("note").unwrap().id(7).unwrap().retry(Duration::from_millis(1500));
    assert_eq!(text(named.clone()), "data: a\nevent: note\nid: 7\nretry: 1500\n\n");
    let only_id = Event::default().id("8").unwrap();
    let stream = text(named) + &text(only_id) + &event::comment("x\ny") + &text(Event::new("b"));
    let expected = [("note", "a", "7"), ("", "b", "8")].map(|(a, b, c)| (a.into(), b.into(), c.into()));
    assert_eq!(heard(&stream), expected);
    let json = Event::json(&serde_json::json!({ "text": "a\nb" })).unwrap();
    assert_eq!(text(json), "data: {\"text\":\"a\\nb\"}\n\n");
}

#[test]
fn what_would_begin_another_field_is_refused() {
    for value in ["\n", "a\nb", "a\rb", "a\r\ndata: b"] {
        assert_eq!(Event::new("x").event(value), Err(InvalidEvent::LineBreak("event")), "{value:?}");
        assert_eq!(Event::new("x").id(value), Err(InvalidEvent::LineBreak("id")), "{value:?}");
    }
    assert_eq!(Event::new("x").id("a\0"), Err(InvalidEvent::Nul));
    assert_eq!(crate::app::Problem::from(InvalidEvent::Nul).into_response().status(), 500);
}

#[test]
fn the_response_says_what_it_is_and_is_not_compressed() {
    let stream = || {
        let (sender, events) = Sse::channel();
        thread::spawn(move || (0..1000).try_for_each(|n| sender.send(Event::new(format!("the same again {n}")))));
        events
    };
    let client = TestClient::new(App::new().route("/", get(stream)).layer(Compression::new())).unwrap();
    let answer = client.get("/").header("accept-encoding", "gzip, br, zstd").send();
    let fields: Vec<_> =
        answer.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let expected = [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache, no-transform"),
        ("x-accel-buffering", "no"),
    ];
    assert_eq!(fields, expected);
    assert_eq!(heard(answer.text()).len(), 1000);
}

#[test]
fn options_reach_the_feed() {
    let terms = |options: SseBuilder| options.channel().1.feed.terms.clone();
    let default = terms(Sse::builder());
    assert!(default.is_endless);
    assert_eq!(default.keep_alive, Some((Duration::from_secs(15), Bytes::from_static(b":\n\n"))));
    let interval = |options| terms(options).keep_alive.map(|(interval, _)| interval);
    let second = Duration::from_secs(1);
    assert_eq!(interval(Sse::builder().keep_alive(second)), Some(second));
    assert_eq!(interval(Sse::builder().keep_alive(Duration::ZERO)), Some(LEAST_KEEP_ALIVE));
    assert_eq!(interval(Sse::builder().keep_alive(None)), None);
    let (sender, events) = Sse::builder().retry(second).buffer(0).channel();
    assert_eq!(sender.try_send(Event::new("a")), Err(SendError::Full));
    drop(sender);
    assert_eq!(all(events), "retry: 1000\n\n");
}

#[test]
fn a_sender_learns_that_the_client_has_gone() {
    let (sender, events) = Sse::channel();
    assert!(!sender.is_closed());
    drop(events.into_response());
    assert!(sender.is_closed());
    assert_eq!(sender.send(Event::new("a")), Err(SendError::Closed));
    assert_eq!(sender.comment("a"), Err(SendError::Closed));
}

#[test]
fn one_event_goes_to_all_with_the_same_bytes_and_who_is_slow_or_gone_is_let_go() {
    let news = SseBroadcast::new().options(Sse::builder().buffer(8));
    let (first, gone) = (news.subscribe(), news.subscribe());
    let (own, second) = Sse::channel();
    own.comment("hello").unwrap();
    news.add(own);
    assert_eq!(news.len(), 3);
    drop(gone.into_response());
    assert_eq!(news.len(), 2);
    assert_eq!(news.clone().send(Event::new("a")), 2);
    assert_eq!(news.send(Event::new("b")), 1, "a little waits for the first, which is as much as may");
    assert_eq!(all(first), "data: a\n\n", "what waited came, and then a clean end");
    news.close();
    assert_eq!(all(second), ": hello\n\ndata: a\n\ndata: b\n\n");
    assert!(news.is_empty());
    assert_eq!(news.send(Event::new("c")), 0);
}

#[test]
fn those_who_have_gone_do_not_pile_up_where_nothing_is_sent() {
    let news = SseBroadcast::new();
    for _ in 0..1000 {
        drop(news.subscribe().into_response());
    }
    assert_eq!(news.len(), 0);
    assert!(news.senders() <= 8, "{}", news.senders());
}

#[test]
fn who_resumes_misses_nothing_that_is_kept() {
    let news = SseBroadcast::new().history(3);
    for id in 1..=5 {
        news.send(Event::new(format!("e{id}")).id(id).unwrap());
    }
    news.send(Event::new("without an id"));
    let cases = [(None, vec![]), (Some("5"), vec![]), (Some("4"), vec!["e5"]), (Some("1"), vec!["e3", "e4", "e5"])];
    for (last, missed) in cases {
        let events = news.resume(last.map(|id: &str| LastEventId(id.to_owned())));
        news.send(Event::new("new"));
        news.close();
        let expected: Vec<_> = missed.into_iter().chain(["new"]).collect();
        let stream = all(events);
        let data: Vec<_> = heard(&stream).into_iter().map(|(_, data, _)| data).collect();
        assert_eq!(data, expected, "{last:?}");
    }
}

#[test]
fn who_has_seen_nothing_yet_can_resume_too() {
    let place = |news: &SseBroadcast| {
        let events = news.subscribe();
        news.close();
        all(events)
    };
    let news = SseBroadcast::new().history(2);
    assert_eq!(place(&news), "", "there is nothing to resume from");
    news.send(Event::new("a").id(7).unwrap());
    news.send(Event::new("b"));
    assert_eq!(place(&news), "id: 7\n\n");
    assert!(heard(&place(&news)).is_empty());
    let forgetful = SseBroadcast::new();
    forgetful.send(Event::new("a").id(7).unwrap());
    assert_eq!(place(&forgetful), "", "where nothing is kept nobody can resume");
}

#[test]
fn an_event_may_be_larger_than_all_that_may_wait() {
    let huge = "x".repeat(10 << 20);
    let (sender, events) = Sse::channel();
    sender.try_send(Event::new(&huge)).unwrap();
    assert_eq!(sender.try_send(Event::new("a")), Err(SendError::Full), "and no other waits beside it");
    drop(sender);
    assert!(all(events) == format!("data: {huge}\n\n"));
}

#[test]
fn who_missed_more_than_fits_gets_it_in_several_turns() {
    let news = SseBroadcast::new().history(100).options(Sse::builder().buffer(50));
    for id in 1..=20 {
        news.send(Event::new("e").id(id).unwrap());
    }
    let (mut last, mut turns) = ("0".to_owned(), 0);
    while last != "20" {
        let events = news.resume(Some(LastEventId(last.clone())));
        news.close();
        let (_, _, id) = heard(&all(events)).pop().unwrap();
        assert_ne!(id, last);
        (last, turns) = (id, turns + 1);
    }
    assert!(turns > 2, "{turns}");
}

#[test]
fn the_last_event_id_is_what_the_client_says() {
    let app = App::new()
        .route("/any", get(|last: Option<LastEventId>| last.map_or("none".into(), |LastEventId(id)| id)))
        .route("/number", get(|last: Option<LastEventId<u8>>| last.map_or("none".into(), |id| id.0.to_string())))
        .route("/must", get(|LastEventId(id): LastEventId| id));
    let client = TestClient::new(app).unwrap();
    type Case<'c> = (&'c str, Option<&'c [u8]>, Result<&'c str, &'c str>);
    let cases: [Case<'_>; 8] = [
        ("/any", None, Ok("none")),
        ("/any", Some(b""), Ok("none")),
        ("/any", Some("ünï 1".as_bytes()), Ok("ünï 1")),
        ("/any", Some(b"\xff"), Err("must be UTF-8")),
        ("/number", Some(b"255"), Ok("255")),
        ("/number", Some(b"256"), Err("is none of ours: number too large to fit in target type")),
        ("/must", Some(b"x"), Ok("x")),
        ("/must", None, Err("is missing")),
    ];
    for (path, id, expected) in cases {
        let request = client.get(path);
        let answer = id.into_iter().fold(request, |request, id| request.header("Last-Event-ID", id)).send();
        match expected {
            Ok(text) => assert_eq!((answer.status().as_u16(), answer.text()), (200, text), "{path} {id:?}"),
            Err(detail) => {
                assert_eq!(answer.status(), 400, "{path} {id:?}");
                let error = &answer.json::<Value>()["errors"][0];
                assert_eq!((&error["field"], &error["detail"]), (&"Last-Event-ID".into(), &detail.into()));
            }
        }
    }
}
