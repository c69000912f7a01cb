use super::*;

fn mistakes(describe: impl Fn(Health<'_>)) -> Vec<String> {
    let mut checks = HealthChecks::default();
    describe(Health { checks: &mut checks });
    checks.mistakes(&["ping"]).iter().map(ToString::to_string).collect()
}

fn fine() -> Result<(), String> {
    Ok(())
}

#[test]
fn what_is_out_of_range_is_told_with_its_place() {
    type Describe = fn(CheckBuilder<'_>) -> CheckBuilder<'_>;
    const MS: Duration = Duration::from_millis(1);
    let cases: &[(Describe, &str)] = &[
        (|check| check.every(Duration::ZERO), "`every(0ns)` must be at least a millisecond"),
        (|check| check.every(MS / 2), "`every(500µs)` must be at least a millisecond"),
        (|check| check.every(LONGEST + MS), "at most a day"),
        (|check| check.timeout(Duration::ZERO), "`timeout(0ns)` must be more than zero"),
        (|check| check.every(5 * MS).timeout(6 * MS), "`timeout(6ms)` must be more than zero and at most `every(5ms)`"),
        (|check| check.fail_after(0), "`fail_after(0)` must be at least 1"),
        (|check| check.pass_after(0), "`pass_after(0)` must be at least 1"),
    ];
    for (describe, expected) in cases {
        let found = mistakes(|health| _ = describe(health.check("db")).run(fine));
        assert_eq!(found.len(), 1, "{found:?}");
        let place = "the health check \"db\" (src/ops/health/tests.rs:";
        assert!(found[0].starts_with(place) && found[0].contains(expected), "{found:?}");
    }
    let good: &[Describe] = &[
        |check| check,
        |check| check.every(MS),
        |check| check.every(LONGEST).timeout(LONGEST).fail_after(1).pass_after(9),
    ];
    for describe in good {
        assert_eq!(mistakes(|health| _ = describe(health.check("db")).run(fine)), [""; 0]);
    }
}

#[test]
fn names_are_plain_short_and_one_of_a_kind() {
    for name in ["", "a b", "a/b", "é", "a\n", &"x".repeat(64)] {
        let found = mistakes(|health| _ = health.check(name).run(fine));
        assert!(found.len() == 1 && found[0].contains("1 to 63 letters"), "{name:?}: {found:?}");
    }
    assert_eq!(mistakes(|health| _ = health.check("x".repeat(63)).run(fine).check("a-B_9.z").run(fine)), [""; 0]);

    let found = mistakes(|health| _ = health.check("db").run(fine).check("ping").run(fine).check("db").run(fine));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("\"ping\"") && found[0].contains("the server has a check of this name itself"));
    let places: Vec<_> = found[1].match_indices("src/ops/health/tests.rs:").collect();
    assert!(places.len() == 2 && found[1].contains("already a check of this name"), "{found:?}");
}

#[test]
fn readiness_is_what_a_check_is_for_unless_it_says_otherwise() {
    let mut checks = HealthChecks::default();
    let health = Health { checks: &mut checks };
    let health = health.check("a").run(fine).check("b").liveness().run(fine).check("c").startup().run(fine);
    health.check("d").readiness().liveness().run(fine);
    let probes = |check: &Registered| {
        [Probe::Readyz, Probe::Livez, Probe::Healthz, Probe::Startupz].map(|probe| check.settings.concerns(probe))
    };
    let expected = [
        [true, false, false, false],
        [false, true, true, false],
        [false, false, false, true],
        [true, true, true, false],
    ];
    assert_eq!(checks.checks.iter().map(probes).collect::<Vec<_>>(), expected);
}

#[test]
fn closures_return_results_or_outcomes() {
    let error = std::io::Error::other("no answer");
    assert_eq!(Err::<(), _>(error).into_outcome(), Outcome::Fail("no answer".into()));
    assert_eq!(Ok::<(), String>(()).into_outcome(), Outcome::Pass);
    assert_eq!(Ok::<_, String>(Outcome::Degraded("slow".into())).into_outcome(), Outcome::Degraded("slow".into()));
    assert_eq!(Err::<Outcome, _>("gone").into_outcome(), Outcome::Fail("gone".into()));
    assert_eq!(Outcome::Pass.into_outcome(), Outcome::Pass);
}
