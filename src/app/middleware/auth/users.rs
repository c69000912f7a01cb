//! Users with passwords or with their bcrypt hashes, and whether somebody is one of them.
//!
//! A bcrypt hash takes the processor some ten milliseconds on purpose. So what was right once is remembered, as a digest and
//! in one place for each user; and only few are computed at the same time.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZero;
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;

use super::digest::{Digest, Digester};
use super::turnstile::Turnstile;
use super::{AuthError, Verdict, busy};
use crate::app::problem::Problem;
use crate::semantics::secrets::{self, Secret, User};

/// How many requests wait for their password to be verified.
const WAITING: usize = 16;

/// A list of users for [`BasicAuth`](super::BasicAuth).
///
/// Passwords are kept as digests. A user who is not in the list is looked for as long as one whose password is wrong.
///
/// bcrypt hashes are verified by half of the processors at most; 16 requests more wait for up to 5 s, and those beyond are
/// answered 503. A password that was right is right again without bcrypt, so those who are in already notice nothing of
/// somebody who guesses. bcrypt looks at the first 72 bytes of a password.
pub struct Users {
    by_name: HashMap<Arc<str>, Proof>,
    digester: Digester,
    turnstile: Turnstile,
    /// What strangers are measured against.
    decoy: Proof,
}

#[derive(Clone)]
enum Proof {
    Digest(Digest),
    Bcrypt {
        hash: Box<str>,
        /// The password that belongs to it, once it was seen.
        seen: OnceLock<Digest>,
    },
}

impl Users {
    /// The users of a text in the format of htpasswd: a line `name:password` or `name:hash` for each. Hashes are those of
    /// bcrypt (`htpasswd -B`), which begin with `$2a$`, `$2b$` or `$2y$` and have a cost of 4 to 16. Empty lines, lines that
    /// begin with `#`, and spaces around a line are nothing.
    ///
    /// ```
    /// use rws::app::middleware::{AuthError, Users};
    ///
    /// assert!(Users::htpasswd("# staff\nada:open sesame\n").is_ok());
    /// assert!(matches!(Users::htpasswd("ada:$apr1$salt$hash"), Err(AuthError::User(1, _))));
    /// ```
    ///
    /// # Errors
    ///
    /// When there are none, one stands there twice, or a line is of another form.
    pub fn htpasswd(text: &str) -> Result<Self, AuthError> {
        let users = secrets::users(text).map_err(|fault| AuthError::User(fault.place, fault.reason))?;
        Self::new(&users)
    }

    /// These users, from a database or wherever they are written.
    ///
    /// ```
    /// use rws::app::middleware::{BasicAuth, Secret, User, Users};
    ///
    /// let ada = User { name: "ada".to_owned(), secret: Secret::Plain("open sesame".to_owned()) };
    /// let basic = BasicAuth::new("Shop", Users::new(&[ada])?)?;
    /// # Ok::<(), rws::app::middleware::AuthError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When there are none, one stands there twice, a name or a password is empty, has a control character or (the name) a
    /// colon, or a hash is not one of bcrypt as [`htpasswd`](Self::htpasswd) takes it.
    pub fn new(users: &[User]) -> Result<Self, AuthError> {
        secrets::check_users(users).map_err(|fault| AuthError::User(fault.place, fault.reason))?;
        let digester = Digester::new();
        let proof = |user: &User| match &user.secret {
            Secret::Plain(password) => Proof::Digest(digester.digest(password)),
            Secret::Bcrypt(hash) => Proof::Bcrypt { hash: hash.as_str().into(), seen: OnceLock::new() },
        };
        let by_name: HashMap<Arc<str>, Proof> =
            users.iter().map(|user| (user.name.as_str().into(), proof(user))).collect();
        let dearest = |proof: &&Proof| matches!(proof, Proof::Bcrypt { .. });
        let decoy = by_name.values().find(dearest).or(by_name.values().next()).ok_or(AuthError::Nobody)?.clone();
        let processors = available_parallelism().map_or(1, NonZero::get);
        let turnstile = Turnstile::new((processors / 2).max(1), WAITING);
        Ok(Users { by_name, digester, turnstile, decoy })
    }

    /// The same with another number of requests that may wait for their password to be verified. Each keeps a thread.
    #[must_use]
    pub fn with_waiting(self, most: usize) -> Self {
        let processors = available_parallelism().map_or(1, NonZero::get);
        Users { turnstile: Turnstile::new((processors / 2).max(1), most), ..self }
    }

    /// Whether there is such a user with this password: for a form to sign in, where [`BasicAuth`](super::BasicAuth) has
    /// browsers ask. It may take as long as bcrypt does.
    ///
    /// ```
    /// use rws::app::middleware::Users;
    ///
    /// let users = Users::htpasswd("ada:open sesame")?;
    /// assert!(users.has("ada", "open sesame")?);
    /// assert!(!users.has("ada", "open barley")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// 503 with `Retry-After` when too many passwords are being verified.
    pub fn has(&self, name: &str, password: &str) -> Result<bool, Problem> {
        match self.verify(name, password) {
            Verdict::Known(_) => Ok(true),
            Verdict::Unknown => Ok(false),
            Verdict::Busy => Err(busy()),
        }
    }

    pub(super) fn verify(&self, name: &str, password: &str) -> Verdict {
        let digest = self.digester.digest(password);
        let Some((name, proof)) = self.by_name.get_key_value(name) else {
            return match self.is_right(&self.decoy, password, &digest) {
                Some(_) => Verdict::Unknown,
                None => Verdict::Busy,
            };
        };
        match self.is_right(proof, password, &digest) {
            Some(true) => Verdict::Known(Some(name.clone())),
            Some(false) => Verdict::Unknown,
            None => Verdict::Busy,
        }
    }

    /// `None`: there was no time to find out.
    fn is_right(&self, proof: &Proof, password: &str, digest: &Digest) -> Option<bool> {
        let (hash, seen) = match proof {
            Proof::Digest(right) => return Some(right.is(digest)),
            Proof::Bcrypt { hash, seen } => (hash, seen),
        };
        let was_seen = || seen.get().is_some_and(|right| right.is(digest));
        if was_seen() {
            return Some(true);
        }
        let turn = self.turnstile.enter()?;
        // A browser sends several requests at once; the first of them has found out for all.
        if turn.waited && was_seen() {
            return Some(true);
        }
        // The hash was checked before: it is well-formed.
        let is_right = bcrypt::verify(password, hash).unwrap_or(false);
        if is_right {
            let _ = seen.set(*digest);
        }
        Some(is_right)
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    fn known(name: &str) -> Verdict {
        Verdict::Known(Some(name.into()))
    }

    /// A list with hashes that take no time to speak of.
    fn users(bcrypt: &[(&str, &str)]) -> Users {
        let line = |(name, password): &(&str, &str)| format!("{name}:{}\n", bcrypt::hash(password, 4).unwrap());
        Users::htpasswd(&(bcrypt.iter().map(line).collect::<String>() + "plain:pass:word\n")).unwrap()
    }

    #[test]
    fn passwords_are_right_or_wrong() {
        let users = users(&[("ada", "open sesame"), ("bob", "é:")]);
        let cases = [
            ("ada", "open sesame", known("ada")),
            ("ada", "open sesam", Verdict::Unknown),
            ("ada", "", Verdict::Unknown),
            ("bob", "é:", known("bob")),
            ("bob", "open sesame", Verdict::Unknown),
            ("plain", "pass:word", known("plain")),
            ("plain", "pass", Verdict::Unknown),
            ("Ada", "open sesame", Verdict::Unknown),
            ("", "", Verdict::Unknown),
            ("eve", "pass:word", Verdict::Unknown),
        ];
        for round in 0..2 {
            for (name, password, expected) in &cases {
                assert_eq!(users.verify(name, password), *expected, "{name}:{password} in round {round}");
                assert_eq!(users.has(name, password).unwrap(), *expected != Verdict::Unknown, "{name}:{password}");
            }
        }
    }

    #[test]
    fn each_variant_of_bcrypt_is_understood() {
        let hash = bcrypt::hash("secret", 4).unwrap();
        for version in ["$2a$", "$2b$", "$2y$"] {
            let users = Users::htpasswd(&format!("ada:{version}{}", &hash[4..])).unwrap();
            assert_eq!(users.verify("ada", "secret"), known("ada"), "{version}");
            assert_eq!(users.verify("ada", "Secret"), Verdict::Unknown, "{version}");
        }
    }

    #[test]
    fn nobody_is_an_error() {
        for text in ["", "\n# ada:x\n"] {
            assert!(matches!(Users::htpasswd(text), Err(AuthError::Nobody)), "{text:?}");
        }
    }

    /// By ratio: what was right once takes a fraction of the time.
    #[test]
    fn a_password_that_was_right_takes_no_bcrypt_again() {
        let users = Users::htpasswd(&format!("ada:{}", bcrypt::hash("secret", 6).unwrap())).unwrap();
        let time = |password: &str| {
            let start = Instant::now();
            (users.verify("ada", password), start.elapsed())
        };
        let (first, slow) = time("secret");
        let (again, fast) = (0..10).map(|_| time("secret")).min_by_key(|(_, time)| *time).unwrap();
        assert_eq!((first, again), (known("ada"), known("ada")));
        assert!(fast * 10 < slow, "{slow:?}, then {fast:?}");
        let (stranger, as_slow) = {
            let start = Instant::now();
            (users.verify("eve", "secret"), start.elapsed())
        };
        assert_eq!(stranger, Verdict::Unknown);
        assert!(as_slow > fast * 3, "a stranger is found out in {as_slow:?}, which tells that there is no such user");
    }

    #[test]
    fn a_crowd_of_wrong_passwords_keeps_nobody_out_who_is_in() {
        let users = users(&[("ada", "secret")]).with_waiting(0);
        assert_eq!(users.verify("ada", "secret"), known("ada"));
        // All turns are taken.
        let turns: Vec<_> = std::iter::from_fn(|| users.turnstile.enter()).collect();
        assert!(!turns.is_empty());
        assert_eq!(users.verify("ada", "guess"), Verdict::Busy);
        assert_eq!(users.verify("eve", "guess"), Verdict::Busy);
        assert_eq!(users.has("ada", "guess").unwrap_err().status(), 503);
        assert_eq!(users.verify("ada", "secret"), known("ada"));
        assert_eq!(users.verify("plain", "pass:word"), known("plain"));
        drop(turns);
        assert_eq!(users.verify("ada", "guess"), Verdict::Unknown);
    }

    #[test]
    fn requests_that_come_together_are_verified_once() {
        let users = Arc::new(users(&[("ada", "secret")]));
        let turns: Vec<_> = (0..(available_parallelism().map_or(1, NonZero::get) / 2).max(1))
            .map(|_| users.turnstile.enter().unwrap())
            .collect();
        let (sender, verdicts) = channel();
        for _ in 0..6 {
            let (users, sender) = (users.clone(), sender.clone());
            thread::spawn(move || sender.send(users.verify("ada", "secret")));
        }
        drop(turns);
        for _ in 0..6 {
            assert_eq!(verdicts.recv_timeout(Duration::from_secs(20)).unwrap(), known("ada"));
        }
    }
}
