use http::header::{ALLOW, ETAG, SET_COOKIE};

use super::*;

/// Status, content type and body of what something becomes.
fn seen(value: impl IntoResponse) -> (u16, Option<String>, String) {
    let mut response = value.into_response();
    let content_type = response.headers().get(&CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
    let mut body = String::new();
    response.body_mut().read_to_string(&mut body).unwrap();
    (response.status().as_u16(), content_type, body)
}

fn as_seen(status: u16, content_type: &str, body: &str) -> (u16, Option<String>, String) {
    (status, Some(content_type.to_owned()).filter(|name| !name.is_empty()), body.to_owned())
}

#[test]
fn values_become_responses() {
    for (response, expected) in [
        (seen(()), as_seen(200, "", "")),
        (seen("text"), as_seen(200, TEXT, "text")),
        (seen(String::from("text")), as_seen(200, TEXT, "text")),
        (seen(Cow::Borrowed("text")), as_seen(200, TEXT, "text")),
        (seen(Cow::<'static, str>::Owned("text".into())), as_seen(200, TEXT, "text")),
        (seen(&b"bytes"[..]), as_seen(200, OCTETS, "bytes")),
        (seen(b"bytes".to_vec()), as_seen(200, OCTETS, "bytes")),
        (seen(b"bytes"), as_seen(200, OCTETS, "bytes")),
        (seen(*b"bytes"), as_seen(200, OCTETS, "bytes")),
        (seen(Box::<str>::from("text")), as_seen(200, TEXT, "text")),
        (seen([(CONTENT_TYPE, "text/css")]), as_seen(200, "text/css", "")),
        (seen(HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("a/b"))])), as_seen(200, "a/b", "")),
        (seen((StatusCode::CREATED, [("content-type", "text/css")])), as_seen(201, "text/css", "")),
        (seen(Bytes::from_static(b"bytes")), as_seen(200, OCTETS, "bytes")),
        (seen(Body::from("body")), as_seen(200, "", "body")),
        (seen(StatusCode::IM_A_TEAPOT), as_seen(418, "", "")),
        (seen(Html("<p>")), as_seen(200, "text/html; charset=utf-8", "<p>")),
        (seen(Html(String::from("<p>"))), as_seen(200, "text/html; charset=utf-8", "<p>")),
        (seen(Json([1, 2])), as_seen(200, "application/json", "[1,2]")),
        (seen(Ok::<_, StatusCode>("fine")), as_seen(200, TEXT, "fine")),
        (seen(Err::<(), _>(StatusCode::CONFLICT)), as_seen(409, "", "")),
        (seen(Response::stream(&b"stream"[..])), as_seen(200, "", "stream")),
    ] {
        assert_eq!(response, expected);
    }
    assert_eq!(Response::stream(&b"stream"[..]).body().length(), None);
}

#[test]
fn tuples_add_a_status_and_fields() {
    assert_eq!(seen((StatusCode::CREATED, "made")), as_seen(201, TEXT, "made"));
    assert_eq!(seen(([(CONTENT_TYPE, "text/css")], "p{}")), as_seen(200, "text/css", "p{}"));
    assert_eq!(seen((StatusCode::CREATED, [("content-type", "text/css")], "p{}")), as_seen(201, "text/css", "p{}"));

    let mut map = HeaderMap::new();
    map.append(SET_COOKIE, HeaderValue::from_static("a=1"));
    map.append(SET_COOKIE, HeaderValue::from_static("b=2"));
    let response = (StatusCode::CREATED, [(ETAG, "\"1\"")], map.clone(), (map, "twice")).into_response();
    let fields: Vec<_> =
        response.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    assert_eq!(
        fields,
        ["content-type: text/plain; charset=utf-8", "set-cookie: a=1", "set-cookie: b=2", "etag: \"1\""]
    );
    assert_eq!(response.status(), 201);
}

#[test]
fn bad_fields_are_a_500_that_tells_the_client_nothing() {
    for response in [
        seen(([("x-name", "line\nbreak".to_owned())], "")),
        seen(([("bad name", "value")], "")),
        seen((StatusCode::OK, [(ALLOW, "a\0".to_owned())], "")),
        seen(Redirect::to("/a\r\nset-cookie: x")),
    ] {
        let body = r#"{"type":"about:blank","title":"Internal Server Error","status":500}"#;
        assert_eq!(response, as_seen(500, "application/problem+json", body));
    }
}

#[test]
fn a_value_that_is_no_json_is_a_500() {
    let map = std::collections::HashMap::from([((1, 2), 3)]);
    assert_eq!(seen(Json(map)).0, 500);
}

#[test]
fn redirects_say_where_to() {
    for (redirect, status, location) in [
        (Redirect::to("/next"), 303, "/next"),
        (Redirect::temporary("https://example.com/?a=b%20c#d"), 307, "https://example.com/?a=b%20c#d"),
        (Redirect::permanent("/Jürgen M"), 308, "/J%C3%BCrgen%20M"),
    ] {
        let response = redirect.into_response();
        assert_eq!(
            (response.status().as_u16(), response.headers().get(&LOCATION).unwrap().to_str().unwrap()),
            (status, location)
        );
    }
}
