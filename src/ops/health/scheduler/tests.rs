use std::time::Duration;

use crossbeam_channel::unbounded;

use super::*;
use crate::config::Config;
use crate::ops::health::Health;

const PATIENCE: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

/// Checks that run on a clock moved by hand, and say what the test tells them.
struct Site {
    clock: Clock,
    lifecycle: Lifecycle,
    probes: Arc<Probes>,
    checks: Vec<Arc<Periodic>>,
    watch: Watch,
    nudge: Nudge,
}

impl Site {
    fn start(describe: impl FnOnce(Health<'_>)) -> Self {
        let mut checks = HealthChecks::default();
        describe(Health { checks: &mut checks });
        let (clock, lifecycle) = (Clock::manual(), Lifecycle::default());
        let scheduler = Scheduler::new(checks, clock.clone(), lifecycle.clone());
        let mut probes = Probes::new(&Config::default(), lifecycle.clone(), Arc::default());
        let (checks, nudge): (Vec<_>, _) = (scheduler.checks().collect(), scheduler.nudge());
        for check in &checks {
            probes.add(Arc::clone(check));
        }
        let probes = Arc::new(probes);
        let watch = scheduler.start(Arc::clone(&probes)).expect("threads");
        Site { clock, lifecycle, probes, checks, watch, nudge }
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.nudge.nudge();
    }

    fn verdict(&self, check: usize) -> Verdict {
        self.checks[check].verdict(Probe::Readyz)
    }

    /// Waits until a check is so.
    fn until(&self, check: usize, what: &str, condition: impl Fn(&Verdict) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !condition(&self.verdict(check)) {
            assert!(Instant::now() < end, "waited in vain until it {what}: {:?}", self.verdict(check));
            thread::yield_now();
        }
    }

    /// Waits until it has passed and its run is over.
    fn until_it_rests(&self, check: usize) {
        self.until_it_passes(check);
        self.until(check, "rests", |_| self.checks[check].data().contains_key("next_run_ms"));
    }

    fn until_it_passes(&self, check: usize) {
        self.until(check, "passes", |verdict| *verdict == Verdict::Pass);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.lifecycle.advance(State::Stopped);
        self.nudge.nudge();
    }
}

/// A closure that tells when it begins and returns what it is sent.
fn remote() -> (impl FnMut() -> Outcome + Send + 'static, Receiver<()>, Sender<Outcome>) {
    let ((began, begins), (answer, answers)) = (unbounded(), unbounded());
    let closure = move || {
        let _ = began.send(());
        answers.recv().unwrap_or(Outcome::Pass)
    };
    (closure, begins, answer)
}

#[test]
fn a_check_that_hangs_holds_up_neither_the_others_nor_itself_for_ever() {
    let ((hanging, hangs, answer), (healthy, runs, healthy_answer)) = (remote(), remote());
    let site = Site::start(|health| {
        let health = health.check("hangs").fail_after(1).run(hanging);
        health.check("healthy").run(healthy);
    });
    let begun = |receiver: &Receiver<()>| receiver.recv_timeout(PATIENCE).expect("it is run");
    begun(&hangs);
    begun(&runs);
    healthy_answer.send(Outcome::Pass).unwrap();
    site.until_it_rests(1);
    for _ in 0..6 {
        site.pass(10 * SECOND);
        begun(&runs);
        healthy_answer.send(Outcome::Pass).unwrap();
        site.until_it_rests(1);
    }
    assert!(hangs.is_empty(), "a second run began while the first one hangs");
    let Verdict::Fail(reason) = site.verdict(0) else { panic!("it is well") };
    assert_eq!(reason.public(), "stale: it has been running for 60.0s, its timeout is 2s");

    answer.send(Outcome::Pass).unwrap();
    site.until(0, "is late", |verdict| format!("{verdict:?}").contains("it took 60.0s"));
    site.pass(10 * SECOND);
    begun(&hangs);
    answer.send(Outcome::Pass).unwrap();
    site.until_it_passes(0);
}

#[test]
fn a_panic_is_a_failure_and_the_next_run_is_another_chance() {
    let mut first = true;
    let site = Site::start(|health| {
        health.check("shaky").run(move || {
            assert!(!std::mem::take(&mut first), "number {}", 1);
            Ok::<(), String>(())
        });
    });
    site.until(0, "panics", |verdict| format!("{verdict:?}").contains("it panicked: number 1"));
    let Verdict::Fail(reason) = site.verdict(0) else { panic!("it is well") };
    assert_eq!(reason.public(), "reason withheld");
    site.pass(SECOND);
    site.until_it_passes(0);
}

#[test]
fn it_is_ready_when_all_that_is_required_has_passed_once() {
    let ((db, _, db_says), (start, _, start_says), (extra, _, _extra_says)) = (remote(), remote(), remote());
    let site = Site::start(|health| {
        let health = health.check("db").run(db).check("warm").startup().run(start);
        health.check("extra").critical(false).run(extra).check("live").liveness().run(|| Err::<(), _>("dead"));
    });
    assert!(site.watch.is_ready.is_empty());
    assert_eq!(site.watch.missing(), ["db (it has not run yet)", "warm (it has not run yet)"]);
    db_says.send(Outcome::Pass).unwrap();
    site.until_it_passes(0);
    assert_eq!(site.watch.missing(), ["warm (it has not run yet)"]);
    assert!(site.watch.is_ready.is_empty());
    start_says.send(Outcome::Pass).unwrap();
    site.watch.is_ready.recv_timeout(PATIENCE).expect("it is ready");
    assert!(site.watch.missing().is_empty());
    assert!(site.probes.names().any(|name| name == "extra"));
}

#[test]
fn nothing_is_run_or_ages_once_the_server_drains() {
    let (check, runs, answer) = remote();
    let site = Site::start(|health| _ = health.check("db").fail_after(1).run(check));
    runs.recv_timeout(PATIENCE).expect("it is run");
    answer.send(Outcome::Pass).unwrap();
    site.until_it_rests(0);
    site.pass(10 * SECOND);
    runs.recv_timeout(PATIENCE).expect("it is run again");
    site.lifecycle.advance(State::Draining);
    site.nudge.nudge();
    let end = Instant::now() + PATIENCE;
    while site.checks[0].stopped.get().is_none() {
        assert!(Instant::now() < end, "it does not stop");
        thread::yield_now();
    }
    site.pass(1000 * SECOND);
    assert_eq!(site.verdict(0), Verdict::Pass, "its last run was under way, and nobody waits for it any more");
    answer.send(Outcome::Pass).unwrap();
    drop(answer);
    assert_eq!(runs.recv_timeout(PATIENCE), Err(crossbeam_channel::RecvTimeoutError::Disconnected), "its thread ends");
}

#[test]
fn chance_is_spread_between_nought_and_one() {
    let numbers: Vec<f64> = (0..100).map(|_| random()).collect();
    assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)));
    assert!(numbers.iter().any(|&number| number < 0.3) && numbers.iter().any(|&number| number > 0.7));
}
