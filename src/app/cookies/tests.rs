use http::header::SET_COOKIE;

use super::*;
use crate::app::{App, Handler, TestClient, TestResponse, any};

const KEY: [u8; 64] = [7; 64];

fn client<H: Handler<M>, M: 'static>(handler: H) -> TestClient {
    TestClient::new(App::new().route("/", any(handler)).state(CookieKey::from_bytes(&KEY).unwrap())).unwrap()
}

/// The `Set-Cookie` fields of a response.
fn set(response: &TestResponse) -> Vec<String> {
    let fields = response.headers().iter().filter(|(name, _)| *name == SET_COOKIE);
    fields.map(|(_, value)| value.to_str().unwrap().to_owned()).collect()
}

/// The pair that a client sends back.
fn pair(set_cookie: &str) -> &str {
    set_cookie.split(';').next().unwrap()
}

fn list(cookies: Cookies) -> String {
    let mut pairs: Vec<_> = cookies.iter().map(|cookie| format!("{:?}", cookie.name_value())).collect();
    pairs.sort();
    pairs.join(" ")
}

#[test]
fn all_fields_are_read_and_bad_pairs_left_out() {
    for (fields, read) in [
        (&[][..], r#""#),
        (&[&b""[..]], r#""#),
        (&[b"a=1; b=2", b"c=3"], r#"("a", "1") ("b", "2") ("c", "3")"#),
        (&[b" a = 1 ;; ;b="], r#"("a", "1") ("b", "")"#),
        (&[b"novalue; =noname; a=1=2"], r#"("a", "1=2")"#),
        (&[b"a=1; a=2", b"a=3"], r#"("a", "1")"#),
        (&[b"a=J%C3%BCrgen; b=100%; c=%3B%20"], r#"("a", "Jürgen") ("b", "100%") ("c", "; ")"#),
        (&[b"a=%FF; b=\xff; c=1"], r#"("c", "1")"#),
        (&[b"a=\"quoted\""], r#"("a", "\"quoted\"")"#),
        (&[b"A=1; a=2"], r#"("A", "1") ("a", "2")"#),
    ] {
        let client = client(list);
        let request = fields.iter().fold(client.get("/"), |request, field| request.header("cookie", field));
        assert_eq!(request.send().text(), read, "{fields:?}");
    }
}

#[test]
fn what_a_new_cookie_leaves_open_is_safe() {
    let plain = || Cookie::build(("a", "1"));
    for (cookie, secure, sent) in [
        (plain(), false, "a=1; HttpOnly; SameSite=Lax; Path=/"),
        (plain(), true, "a=1; HttpOnly; SameSite=Lax; Secure; Path=/"),
        (plain().secure(false).http_only(false).path("/x"), true, "a=1; SameSite=Lax; Path=/x"),
        (plain().same_site(SameSite::Strict), false, "a=1; HttpOnly; SameSite=Strict; Path=/"),
        (plain().same_site(SameSite::None), false, "a=1; HttpOnly; SameSite=None; Secure; Path=/"),
        (plain().partitioned(true), false, "a=1; HttpOnly; SameSite=Lax; Partitioned; Secure; Path=/"),
        (Cookie::build(("__Host-a", "1")), false, "__Host-a=1; HttpOnly; SameSite=Lax; Secure; Path=/"),
        (
            plain().domain("example.com").max_age(cookie::time::Duration::minutes(1)),
            false,
            "a=1; HttpOnly; SameSite=Lax; Path=/; Domain=example.com; Max-Age=60",
        ),
        (Cookie::build(("a b", "ü;\r\n")), false, "a%20b=%C3%BC%3B%0D%0A; HttpOnly; SameSite=Lax; Path=/"),
    ] {
        let cookie = cookie.build();
        let client = client(move |cookies: Cookies| cookies.add(cookie.clone()));
        let request = if secure { client.get("/").secure() } else { client.get("/") };
        assert_eq!(set(&request.send()), [sent]);
    }
}

#[test]
fn only_changes_are_sent_each_in_a_field_of_its_own() {
    let unchanged = client(|cookies: Cookies| (cookies, "")).get("/").header("cookie", "a=1").send();
    assert_eq!(set(&unchanged), [""; 0]);
    let handler = |cookies: Cookies| {
        let cookies = cookies.add(("c", "1")).add(("b", "1")).add(("b", "2")).remove("a").remove("absent");
        (cookies, [("set-cookie", "other=1")], "")
    };
    let sent = set(&client(handler).get("/").header("cookie", "a=1; d=4").send());
    assert_eq!(sent.iter().map(|field| pair(field)).collect::<Vec<_>>(), ["other=1", "a=", "b=2", "c=1"]);
    assert!(sent[1].contains("; Path=/; Max-Age=0; Expires="), "{sent:?}");
}

#[test]
fn attributes_cannot_be_smuggled_in() {
    for bad in ["/;Domain=example.com", "/\r\nx: y"] {
        let handler = move |cookies: Cookies| (cookies.add(Cookie::build(("a", "1")).path(bad)), "");
        let response = client(handler).get("/").send();
        assert_eq!((response.status().as_u16(), set(&response)), (500, vec![]), "{bad}");
    }
}

/// Sets `a` to `value one` and says what `a` was.
fn signed(cookies: SignedCookies) -> (SignedCookies, String) {
    let text = cookies.get("a").map_or("none".to_owned(), |cookie| cookie.value().to_owned());
    assert_eq!(cookies.iter().count(), usize::from(text != "none"));
    (cookies.add(("a", "value one")), text)
}

/// The same.
fn private(cookies: PrivateCookies) -> (PrivateCookies, String) {
    let text = cookies.get("a").map_or("none".to_owned(), |cookie| cookie.value().to_owned());
    assert_eq!(cookies.iter().count(), usize::from(text != "none"));
    (cookies.add(("a", "value one")), text)
}

#[test]
fn sealed_cookies_come_back_and_tampered_ones_are_absent() {
    for (client, legible) in [(client(signed), true), (client(private), false)] {
        let sent = set(&client.get("/").send()).remove(0);
        assert!(sent.ends_with("; HttpOnly; SameSite=Lax; Path=/"), "{sent}");
        assert_eq!(sent.contains("value%20one"), legible, "{sent}");
        let ask = |cookie: &str| client.get("/").header("cookie", cookie).send().text().to_owned();
        let pair = pair(&sent);
        assert_eq!(ask(pair), "value one");
        // Each byte counts.
        for at in "a=".len()..pair.len() {
            let mut changed = pair.as_bytes().to_vec();
            changed[at] = if changed[at] == b'x' { b'y' } else { b'x' };
            assert_eq!(ask(str::from_utf8(&changed).unwrap()), "none", "byte {at} of {pair}");
        }
        for forged in ["a=value%20one", "a=", &pair[..pair.len() - 1], &format!("{pair}x")] {
            assert_eq!(ask(forged), "none", "{forged}");
        }
    }
}

#[test]
fn a_private_cookie_is_bound_to_its_name_and_a_tampered_one_can_be_removed() {
    let sent = set(&client(private).get("/").send()).remove(0);
    let other = client(|cookies: PrivateCookies| cookies.get("b").map_or("none", |_| "some"));
    let renamed = pair(&sent).replacen("a=", "b=", 1);
    assert_eq!(other.get("/").header("cookie", renamed).send().text(), "none");
    for client in
        [client(|cookies: PrivateCookies| cookies.remove("a")), client(|cookies: SignedCookies| cookies.remove("a"))]
    {
        let removed = set(&client.get("/").header("cookie", "a=forged").send());
        assert!(removed[0].starts_with("a=; "), "{removed:?}");
    }
}

#[test]
fn keys_rotate() {
    let [old, new] = [1, 2].map(|byte| CookieKey::derive_from(&[byte; 32]).unwrap());
    let client =
        |key| TestClient::new(App::new().route("/", any(signed)).route("/p", any(private)).state(key)).unwrap();
    for path in ["/", "/p"] {
        let sent = set(&client(old.clone()).get(path).send()).remove(0);
        let ask = |key| {
            let response = client(key).get(path).header("cookie", pair(&sent)).send();
            (response.text().to_owned(), set(&response).remove(0))
        };
        assert_eq!(ask(new.clone()).0, "none");
        let (text, renewed) = ask(new.or_older(old.clone()));
        assert_eq!(text, "value one");
        let again = client(new.clone()).get(path).header("cookie", pair(&renewed)).send();
        assert_eq!(again.text(), "value one", "new cookies are sealed with the new key");
    }
}

#[test]
fn keys_need_their_length_and_are_not_shown() {
    for (key, error) in [
        (CookieKey::from_bytes(&[0; 63]), Some(CookieKeyError::TooShort { bytes: 63 })),
        (CookieKey::from_bytes(&[0; 64]), None),
        (CookieKey::derive_from(&[0; 31]), Some(CookieKeyError::TooShortToDerive { bytes: 31 })),
        (CookieKey::derive_from(&[0; 32]), None),
        (CookieKey::generate(), None),
    ] {
        assert_eq!(key.as_ref().err(), error.as_ref());
        assert!(key.is_err() || format!("{key:?}") == "Ok(CookieKey)");
    }
}

#[test]
fn an_application_without_a_key_cannot_be_built() {
    for (route, extractor) in [(any(signed), "SignedCookies"), (any(private), "PrivateCookies")] {
        let errors = App::new().route("/", route).build().unwrap_err().to_string();
        let wanted =
            format!("it takes {extractor}, but the application has no key for them; add `.state(…)` with a CookieKey");
        assert!(errors.contains(&wanted), "{errors}");
    }
}
