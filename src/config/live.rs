//! The running configuration, for those who read it while it changes, and for those who must hear of it.
//!
//! It says what a reload did, in an [`Outcome`]; when to reload and what to log is the caller's business.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::error::{ConfigErrors, Notice};
use super::load::Loaded;
use super::places::Places;
use super::reload::{ChangedValue, Reloaded};
use super::{Config, Sources};

/// A shared view of the [`Running`] configuration. Clones see the same one.
#[derive(Clone)]
pub struct Live {
    running: Arc<ArcSwap<Running>>,
    followers: Arc<Mutex<Vec<Follower>>>,
}

type Follower = Box<dyn Fn(&Config) + Send>;

/// What is in force, and what is not.
#[derive(Clone, Debug)]
pub struct Running {
    /// The configuration in force, with values, origins and notices. What only changes at the next start is as it was
    /// at this one.
    pub loaded: Loaded,
    /// What has another value by now that waits for the next start.
    pub pending: Vec<ChangedValue>,
    /// Why the latest state of the sources is not in force, if it is not.
    pub errors: Option<ConfigErrors>,
    /// When the sources were last found valid and different, or asked for and valid; first of all the start.
    pub since: SystemTime,
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: the sources say what they said before.
    Unchanged,
    /// Nothing: the sources are as wrong as they were before.
    StillRefused(ConfigErrors),
    /// Nothing: the sources are wrong.
    Refused(ConfigErrors),
    /// The sources are valid, and something is different.
    Accepted {
        /// What is in force from now on.
        applied: Vec<ChangedValue>,
        /// What will be after the next start, and is news.
        pending: Vec<ChangedValue>,
        /// What would have been after the next start, and is no longer to be.
        withdrawn: Vec<ChangedValue>,
        /// Warnings that are news.
        notices: Vec<Notice>,
    },
}

impl Live {
    /// The configuration of a server that starts now.
    pub fn new(loaded: Loaded) -> Self {
        let running = Running { loaded, pending: Vec::new(), errors: None, since: SystemTime::now() };
        Live { running: Arc::new(ArcSwap::from_pointee(running)), followers: Arc::default() }
    }

    /// What is in force now.
    pub fn running(&self) -> Arc<Running> {
        self.running.load_full()
    }

    /// Calls `follower` with the configuration now, and again after every change, on the thread that reloads. It must
    /// neither block for long nor follow others.
    pub fn follow(&self, follower: impl Fn(&Config) + Send + 'static) {
        let mut followers = self.followers();
        follower(&self.running.load().loaded.config);
        followers.push(Box::new(follower));
    }

    /// Reads the sources again and takes over what may change, if all of it is valid. Only one thread should, and then
    /// [tell](Self::tell) those who follow.
    pub fn reload(&self, sources: &Sources) -> (Places, Outcome) {
        let (places, read) = Config::load_from_places(sources);
        let before = self.running();
        let outcome = match read.and_then(|next| before.loaded.reload(&next)) {
            Ok(reloaded) => self.accept(&before, reloaded),
            Err(errors) => self.refuse(&before, errors),
        };
        (places, outcome)
    }

    /// Calls everybody who follows.
    pub fn tell(&self) {
        let running = self.running();
        self.followers().iter().for_each(|follower| follower(&running.loaded.config));
    }

    fn accept(&self, before: &Running, reloaded: Reloaded) -> Outcome {
        let Reloaded { running: loaded, applied, pending, overruled } = reloaded;
        let news_in = |old: &[ChangedValue], new: &[ChangedValue]| -> Vec<ChangedValue> {
            new.iter().filter(|change| !old.contains(change)).cloned().collect()
        };
        let withdrawn = before.pending.iter().filter(|old| pending.iter().all(|new| new.variable != old.variable));
        let withdrawn: Vec<_> = withdrawn.cloned().collect();
        let news = news_in(&before.pending, &pending);
        let old_notices = &before.loaded.notices;
        let notices = loaded.notices.iter().filter(|notice| !old_notices.contains(notice)).cloned();
        let notices: Vec<_> = notices.chain(overruled).collect();

        let unchanged = applied.is_empty() && news.is_empty() && withdrawn.is_empty() && notices.is_empty();
        let unchanged = unchanged && before.errors.is_none();
        let since = if unchanged { before.since } else { SystemTime::now() };
        self.running.store(Arc::new(Running { loaded, pending, errors: None, since }));
        if unchanged {
            return Outcome::Unchanged;
        }
        Outcome::Accepted { applied, pending: news, withdrawn, notices }
    }

    fn refuse(&self, before: &Running, errors: ConfigErrors) -> Outcome {
        if before.errors.as_ref() == Some(&errors) {
            return Outcome::StillRefused(errors);
        }
        self.running.store(Arc::new(Running { errors: Some(errors.clone()), ..before.clone() }));
        Outcome::Refused(errors)
    }

    /// Nothing is ever left half done in the list.
    fn followers(&self) -> std::sync::MutexGuard<'_, Vec<Follower>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Live").field(&self.running.load()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::channel;

    use tempfile::TempDir;

    use super::super::error::REDACTED;
    use super::super::{Change, PREFIX, Status, VARIABLES};
    use super::*;

    /// A directory as the only source, and the configuration that runs with what is in it.
    struct Setup {
        dir: TempDir,
        sources: Sources,
        live: Live,
    }

    impl Setup {
        fn new(files: &[(&str, &str)]) -> Self {
            Self::in_place(files, &[])
        }

        fn in_place(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            files.iter().for_each(|(name, text)| fs::write(dir.path().join(name), text).unwrap());
            let own = (format!("{PREFIX}DIR"), dir.path().to_str().unwrap().to_owned());
            let others = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let sources = Sources::new(others.chain([own]));
            let live = Live::new(Config::load(&sources).unwrap());
            Setup { dir, sources, live }
        }

        fn set(&self, name: &str, text: &str) -> &Self {
            fs::write(self.dir.path().join(name), text).unwrap();
            self
        }

        fn remove(&self, name: &str) -> &Self {
            fs::remove_file(self.dir.path().join(name)).unwrap();
            self
        }

        fn reload(&self) -> Outcome {
            self.live.reload(&self.sources).1
        }

        fn config(&self) -> Config {
            self.live.running().loaded.config.clone()
        }
    }

    fn names(changes: &[ChangedValue]) -> Vec<&str> {
        changes.iter().map(|change| change.variable.strip_prefix(PREFIX).unwrap()).collect()
    }

    /// What was applied, what waits, and what waits no more.
    fn accepted(outcome: Outcome) -> (Vec<ChangedValue>, Vec<ChangedValue>, Vec<ChangedValue>) {
        match outcome {
            Outcome::Accepted { applied, pending, withdrawn, .. } => (applied, pending, withdrawn),
            other => panic!("{other:?}"),
        }
    }

    /// A value other than the default, as a file.
    fn another_value(name: &str) -> &'static str {
        match name {
            "IP" => "::1",
            "ADMIN_IP" => "127.0.0.1",
            "PORT" | "ADMIN_PORT" | "HTTP_REDIRECT_PORT" => "8081",
            "STATIC_DIR" | "DIR" => "/",
            "STATIC_IMMUTABLE" => "off",
            "ROUTE_<NAME>" => "/x -> respond 200 text/plain x",
            "AUTH_BASIC" => "ada:open sesame",
            "AUTH_BEARER" => "abcdefghijklmnop",
            _ => "",
        }
    }

    #[test]
    fn every_restart_variable_waits_and_every_reloadable_one_does_not() {
        for variable in VARIABLES {
            let name = variable.name.replace("<NAME>", "X").replace("<N>", "1");
            let unread = matches!(variable.status, Status::Refused(_) | Status::NoEffect(_));
            // It cannot come from the directory.
            if unread || name == "DIR" {
                continue;
            }
            let candidates = [
                another_value(variable.name),
                "true",
                "7",
                "65s",
                "20KiB",
                "2KiB",
                "429",
                "warn",
                "all",
                "common",
                "/y",
                "max-age=1",
                "10.0.0.0/8",
                "none",
                "https://a.example",
                "default-src *",
                "60s",
                "off",
            ];
            let setup = Setup::new(&[]);
            let before = setup.config();
            let taken = candidates.iter().filter(|text| !text.is_empty()).find_map(|text| {
                match setup.set(&name, text).reload() {
                    Outcome::Accepted { applied, pending, .. } if !applied.is_empty() || !pending.is_empty() => {
                        Some((applied, pending))
                    }
                    _ => None,
                }
            });
            let Some((applied, pending)) = taken else {
                // Values that need others, such as a certificate its key: a word that stands for none is no change.
                assert!(
                    ["TLS_", "VIRTUAL_HOST_", "HTTP_REDIRECT_PORT"].iter().any(|start| name.starts_with(start)),
                    "{name}: no value found"
                );
                continue;
            };
            if variable.change == Change::Restart {
                assert_eq!((names(&applied), names(&pending)), (vec![], vec![name.as_str()]));
                assert_eq!(setup.config(), before, "{name}");
                assert_eq!(setup.live.running().pending, pending);
            } else {
                assert_eq!((names(&applied), names(&pending)), (vec![name.as_str()], vec![]));
                assert_ne!(setup.config(), before, "{name}");
            }
            setup.remove(&name);
            let (_, _, withdrawn) = accepted(setup.reload());
            assert_eq!(withdrawn, pending, "{name}");
            assert_eq!(setup.config(), before, "{name}");
        }
    }

    #[test]
    fn another_spelling_or_place_of_the_same_value_is_no_change() {
        let setup = Setup::new(&[("IDLE_TIMEOUT", "120s"), ("LOG_FORMAT", "JSON")]);
        setup.set("IDLE_TIMEOUT", " 2m\n").set("LOG_FORMAT", "json").set("QUEUE_DEPTH", "1000");
        assert_eq!(setup.reload(), Outcome::Unchanged);
        setup.remove("QUEUE_DEPTH").remove("LOG_FORMAT");
        assert_eq!(setup.reload(), Outcome::Unchanged, "the default was written down");
        let port = |setup: &Setup| {
            let running = setup.live.running();
            running.loaded.effective.iter().find(|value| value.name == "RWS_CONFIG_PORT").unwrap().origin.clone()
        };
        setup.set("PORT", "7878");
        assert_eq!(
            (setup.reload(), port(&setup)),
            (Outcome::Unchanged, super::super::Origin::File(setup.dir.path().join("PORT")))
        );
    }

    #[test]
    fn auto_is_compared_by_what_it_comes_to() {
        let setup = Setup::in_place(&[], &[("KUBERNETES_SERVICE_HOST", "10.96.0.1")]);
        assert_eq!(setup.set("DRAIN_DELAY", "5s").reload(), Outcome::Unchanged);
        let (applied, ..) = accepted(setup.set("DRAIN_DELAY", "7s").reload());
        assert_eq!((applied[0].from.as_str(), applied[0].to.as_str()), ("5s", "7s"));
        let (applied, ..) = accepted(setup.remove("DRAIN_DELAY").reload());
        assert_eq!((applied[0].from.as_str(), applied[0].to.as_str()), ("7s", "auto"));
    }

    #[test]
    fn errors_are_told_once_and_kept_until_they_are_gone() {
        let setup = Setup::new(&[("IDLE_TIMEOUT", "1m")]);
        setup.set("IDLE_TIMEOUT", "soon").set("BODY_TIMEOUT", "1m");
        let Outcome::Refused(errors) = setup.reload() else { panic!("it is wrong") };
        assert_eq!(setup.reload(), Outcome::StillRefused(errors.clone()));
        assert_eq!(setup.live.running().errors.as_ref(), Some(&errors));
        assert_eq!(setup.config().body_timeout, Config::default().body_timeout);
        let since = setup.live.running().since;
        setup.set("IDLE_TIMEOUT", "1m").remove("BODY_TIMEOUT");
        assert_eq!(accepted(setup.reload()), (vec![], vec![], vec![]), "valid again is news");
        assert!(setup.live.running().errors.is_none() && setup.live.running().since > since);
        assert_eq!(setup.reload(), Outcome::Unchanged);
    }

    #[test]
    fn what_may_change_must_fit_to_what_may_not() {
        // The routes are read at the start only; so is the path that a route would now be in the place of.
        let setup = Setup::new(&[("HEALTHZ_PATH", "/well"), ("ROUTE_A", "/healthz -> respond 200 text/plain a")]);
        let (_, pending, _) = accepted(setup.set("HEALTHZ_PATH", "/fine").reload());
        assert_eq!(names(&pending), ["HEALTHZ_PATH"]);
        let Outcome::Refused(errors) = setup.set("HEALTHZ_PATH", "/healthz").reload() else { panic!("they clash") };
        assert!(errors.to_string().contains("RWS_CONFIG_ROUTE_A"), "{errors}");
        assert_eq!(names(&setup.live.running().pending), ["HEALTHZ_PATH"], "as it was when it was last valid");
    }

    #[test]
    fn warnings_are_told_when_they_are_new() {
        let setup = Setup::new(&[("NO_SUCH", "1")]);
        assert_eq!(setup.reload(), Outcome::Unchanged);
        let Outcome::Accepted { notices, .. } = setup.set("NOR_THIS", "1").reload() else { panic!("it is news") };
        assert_eq!(notices.iter().map(Notice::variable).collect::<Vec<_>>(), ["RWS_CONFIG_NOR_THIS"]);
    }

    #[test]
    fn a_file_that_is_changed_in_vain_is_told() {
        // The same ConfigMap as a directory and through envFrom.
        let setup = Setup::in_place(&[("IDLE_TIMEOUT", "1m")], &[("RWS_CONFIG_IDLE_TIMEOUT", "1m")]);
        assert_eq!(setup.reload(), Outcome::Unchanged);
        let Outcome::Accepted { applied, notices, .. } = setup.set("IDLE_TIMEOUT", "2m").reload() else {
            panic!("it is news")
        };
        assert_eq!(names(&applied), [""; 0]);
        let file = setup.dir.path().join("IDLE_TIMEOUT");
        let expected = format!(
            "RWS_CONFIG_IDLE_TIMEOUT was changed in file {}, which has no effect: it is set by the environment as well, \
             which wins",
            file.display()
        );
        assert_eq!(notices.iter().map(Notice::to_string).collect::<Vec<_>>(), [expected]);
        assert_eq!(setup.reload(), Outcome::Unchanged, "told once");
        assert_eq!(setup.set("IDLE_TIMEOUT", "1m").reload(), Outcome::Unchanged);
    }

    #[test]
    fn a_secret_is_compared_and_never_shown() {
        let secret = tempfile::NamedTempFile::new().unwrap();
        fs::write(secret.path(), "hunter2").unwrap();
        let file = ("RWS_CONFIG_LOG_REDACT_QUERY_FILE", secret.path().to_str().unwrap());
        let setup = Setup::in_place(&[], &[file]);
        assert_eq!(setup.reload(), Outcome::Unchanged);
        fs::write(secret.path(), "hunter3").unwrap();
        let (applied, ..) = accepted(setup.reload());
        assert_eq!((applied[0].from.as_str(), applied[0].to.as_str()), (REDACTED, REDACTED));
        assert_eq!(setup.config().log_redact_query, ["hunter3"]);
        fs::write(secret.path(), "hunter4").unwrap();
        assert!(!format!("{:?}", setup.reload()).contains("hunter"));
    }

    #[test]
    fn who_follows_is_told_at_once_and_then_when_asked() {
        let setup = Setup::new(&[("IDLE_TIMEOUT", "1m")]);
        let (sender, told) = channel();
        setup.live.follow(move |config| sender.send(config.idle_timeout.as_secs()).unwrap());
        assert_eq!(told.try_recv(), Ok(60));
        setup.set("IDLE_TIMEOUT", "2m").reload();
        assert!(told.try_recv().is_err());
        setup.live.tell();
        assert_eq!(told.try_recv(), Ok(120));
    }

    #[test]
    fn places_tell_what_to_watch_even_when_something_is_wrong() {
        let setup = Setup::new(&[]);
        let secret = setup.dir.path().join("sub/secret");
        setup.set("PORT_FILE", secret.to_str().unwrap());
        let (places, outcome) = setup.live.reload(&setup.sources);
        assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
        let expected = [setup.dir.path().to_owned(), setup.dir.path().join("sub")];
        assert_eq!(places.directories().collect::<Vec<_>>(), expected);
    }
}
