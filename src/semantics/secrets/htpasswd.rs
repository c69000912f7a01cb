//! Users as in the files of htpasswd: a line `name:password` or `name:hash` for each.

use core::str::FromStr;
use std::collections::HashSet;

use bcrypt::HashParts;

use super::{Fault, Secret, User};

/// The dearest bcrypt hash: each step up doubles the time of a login, which is some seconds at this one.
const DEAREST: u32 = 16;

/// The users of `text`: a line `name:password` or `name:hash` for each, as `htpasswd -B` writes it. Empty lines and those
/// that begin with `#` are nothing; spaces around a line are not part of it.
///
/// # Errors
/// The first line that is not of this form, has a hash other than bcrypt, or a name that stands there twice.
pub fn users(text: &str) -> Result<Vec<User>, Fault> {
    let (mut users, mut names) = (Vec::new(), HashSet::new());
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |reason| Fault { place: index + 1, reason };
        let user = user(line).map_err(fault)?;
        judge_user(&user, &mut names).map_err(fault)?;
        users.push(user);
    }
    Ok(users)
}

/// Whether `users` could stand in such a text, one a line, but that passwords may look like hashes.
///
/// # Errors
/// The first one that could not.
pub fn check_users(users: &[User]) -> Result<(), Fault> {
    let mut names = HashSet::new();
    let judge = |(index, user)| judge_user(user, &mut names).map_err(|reason| Fault { place: index + 1, reason });
    users.iter().enumerate().try_for_each(judge)
}

/// `names` are those before. Lists from elsewhere may be long.
fn judge_user(user: &User, names: &mut HashSet<String>) -> Result<(), &'static str> {
    if user.name.is_empty() || user.name.contains(|c: char| c == ':' || c.is_control()) {
        return Err("has no user before the colon, or control characters");
    }
    if !names.insert(user.name.clone()) {
        return Err("names a user for the second time");
    }
    match &user.secret {
        Secret::Plain(password) if password.is_empty() => Err("has no password behind the colon"),
        Secret::Plain(password) if password.contains(char::is_control) => Err("has control characters in the password"),
        Secret::Plain(_) => Ok(()),
        Secret::Bcrypt(hash) => judge_bcrypt(hash),
    }
}

fn user(line: &str) -> Result<User, &'static str> {
    let (name, secret) = line.split_once(':').ok_or("has no colon between user and password")?;
    Ok(User { name: name.to_owned(), secret: self::secret(secret)? })
}

fn secret(text: &str) -> Result<Secret, &'static str> {
    /// Of schemes that htpasswd and crypt(3) know besides.
    const OTHERS: [&str; 9] = ["$apr1$", "$1$", "$5$", "$6$", "$y$", "$7$", "$argon2", "{SHA}", "{SSHA}"];
    if OTHERS.iter().any(|prefix| text.starts_with(prefix)) {
        return Err("has a hash that is not bcrypt; make one with htpasswd -B");
    }
    Ok(match text.starts_with("$2") {
        true => Secret::Bcrypt(text.to_owned()),
        false => Secret::Plain(text.to_owned()),
    })
}

fn judge_bcrypt(hash: &str) -> Result<(), &'static str> {
    let parts =
        HashParts::from_str(hash).map_err(|_| "has a damaged bcrypt hash; quote the $ where a shell reads it")?;
    // The variant 2x is of a faulty implementation.
    match (parts.get_cost(), hash.starts_with("$2x")) {
        (4..=DEAREST, false) => Ok(()),
        (_, true) => Err("has a hash of the variant 2x; make one with htpasswd -B"),
        _ => Err("has a bcrypt hash whose cost is not from 4 to 16"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

    #[test]
    fn lists_from_elsewhere_are_held_to_the_same() {
        let user = |name: &str, secret| User { name: name.to_owned(), secret };
        let plain = |text: &str| Secret::Plain(text.to_owned());
        let fine = [user("ada", plain("$2y$ is no hash here")), user("bob", Secret::Bcrypt(HASH.to_owned()))];
        assert_eq!(check_users(&fine), Ok(()));
        for (bad, part) in [
            (user("", plain("x")), "no user"),
            (user("a:b", plain("x")), "no user"),
            (user("a\nb", plain("x")), "control"),
            (user("ada", plain("x")), "second time"),
            (user("eve", plain("")), "no password"),
            (user("eve", plain("a\u{7}")), "control"),
            (user("eve", Secret::Bcrypt("x".to_owned())), "damaged"),
            (user("eve", Secret::Bcrypt(HASH.replace("$05$", "$17$"))), "cost"),
        ] {
            let fault = check_users(&[fine.as_slice(), &[bad]].concat()).unwrap_err();
            assert_eq!(fault.place, 3);
            assert!(fault.reason.contains(part), "{}", fault.reason);
        }
    }

    #[test]
    fn users_are_lines() {
        let text = format!("# all of them\r\n\r\nada:open: sesame\r\n  bob:{HASH}  \ncäcilie:$ecret{{}}\n");
        let users = users(&text).unwrap();
        let plain = |text: &str| Secret::Plain(text.to_owned());
        let seen: Vec<_> = users.iter().map(|user| (user.name.as_str(), user.secret.clone())).collect();
        let expected =
            [("ada", plain("open: sesame")), ("bob", Secret::Bcrypt(HASH.to_owned())), ("cäcilie", plain("$ecret{}"))];
        assert_eq!(seen, expected);
        assert!(self::users("").unwrap().is_empty() && self::users("#\n\n").unwrap().is_empty());
        let shown = format!("{users:?}");
        assert!(shown.contains("ada") && !shown.contains("sesame") && !shown.contains("$2y"), "{shown}");
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_without_showing_it() {
        let cases = [
            ("a:b\nhunter2", 2, "no colon"),
            (":hunter2", 1, "no user"),
            ("a:hun\u{7}ter2", 1, "control characters"),
            ("#\n\na:", 3, "no password"),
            ("a:b\nb:c\na:d", 3, "second time"),
            ("a:$apr1$hunter2", 1, "htpasswd -B"),
            ("a:{SHA}hunter2", 1, "htpasswd -B"),
            ("a:$6$hunter2$x", 1, "htpasswd -B"),
            ("a:$2y$05$hunter2", 1, "quote the $"),
            (&format!("a:{}", HASH.replace("$2y$", "$2x$")), 1, "2x"),
            (&format!("a:{}", HASH.replace("$05$", "$17$")), 1, "cost"),
            (&format!("a:{}", HASH.replace("$05$", "$03$")), 1, "cost"),
        ];
        for (text, place, part) in cases {
            let fault = users(text).unwrap_err();
            assert_eq!(fault.place, place, "{text}");
            assert!(fault.reason.contains(part) && !fault.reason.contains("hunter"), "{text}: {}", fault.reason);
        }
        for version in ["$2a$", "$2b$", "$2y$"] {
            assert!(users(&format!("a:{}", HASH.replace("$2y$", version))).is_ok(), "{version}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_list_or_a_fault(text: String) {
            let _ = users(&text);
        }

        #[test]
        fn as_many_users_as_lines(names in proptest::collection::hash_set("[a-z]{1,8}", 0..20)) {
            let text: String = names.iter().map(|name| format!("{name}:pass:{name}\n")).collect();
            let users = users(&text).unwrap();
            prop_assert_eq!(users.len(), names.len());
            for user in users {
                prop_assert_eq!(user.secret, Secret::Plain("pass:".to_owned() + &user.name));
            }
        }
    }
}
