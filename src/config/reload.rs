//! From the running configuration and the one that was read anew to the next running one: what may change does,
//! what may not stays as it was at the start.

use super::Config;
use super::error::{ConfigErrors, Notice, REDACTED, Report, full_name, shown};
use super::gather::{Setting, Settings};
use super::load::{Loaded, build, parse};
use super::source::Origin;
use super::table::{Change, Variable};

/// A variable that has another value than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedValue {
    /// The full name.
    pub variable: String,
    /// The value that was, or still is, in force; safe to show. Empty: none.
    pub from: String,
    /// The new one.
    pub to: String,
    /// Where the new one comes from.
    pub origin: Origin,
}

/// The next running configuration.
pub(super) struct Reloaded {
    pub(super) running: Loaded,
    /// What is different from now on.
    pub(super) applied: Vec<ChangedValue>,
    /// What will be different after the next start.
    pub(super) pending: Vec<ChangedValue>,
    /// What was changed in vain.
    pub(super) overruled: Vec<Notice>,
}

impl Loaded {
    /// Takes over from `next` what may change in a running server.
    ///
    /// # Errors
    ///
    /// When that does not fit to what cannot change.
    pub(super) fn reload(&self, next: &Loaded) -> Result<Reloaded, ConfigErrors> {
        let (mut applied, mut pending) = (Vec::new(), Vec::new());
        let mut settings = Settings::new();
        for (name, variable) in self.names_with(next) {
            let (ours, theirs) = (self.settings.get(name), next.settings.get(name));
            let reloads = variable.change == Change::Reload;
            // The same value from elsewhere is no change, and is shown as coming from there.
            let differs = !same_value(variable, name, ours, theirs, self.in_kubernetes);
            if differs {
                let changes = if reloads { &mut applied } else { &mut pending };
                changes.push(changed(variable, name, ours, theirs));
            }
            let kept = if reloads || !differs { theirs } else { ours };
            settings.extend(kept.map(|setting| (name.clone(), setting.clone())));
        }
        let mut running = build(settings, Vec::new(), self.in_kubernetes, Report::default())?;
        running.notices.clone_from(&next.notices);
        running.overruled.clone_from(&next.overruled);
        let overruled = self.newly_overruled(next);
        Ok(Reloaded { running, applied, pending, overruled })
    }

    /// Files that were changed, although a layer above has the say. At the start that may be meant; whoever changes the
    /// file of a running server expects that something happens.
    fn newly_overruled(&self, next: &Loaded) -> Vec<Notice> {
        let text = |loaded: &Loaded, name: &str| loaded.overruled.get(name).map(|setting| setting.text.clone());
        let changed = next.overruled.iter().filter(|(name, setting)| {
            let winner = next.settings.get(*name);
            text(self, name).as_ref() != Some(&setting.text) && winner.is_some_and(|winner| winner.text != setting.text)
        });
        let notice = |(name, setting): (&String, &Setting)| {
            let winner = next.settings.get(name).map(|winner| winner.origin.to_string()).unwrap_or_default();
            let message = format!(
                "was changed in {}, which has no effect: it is set by the {winner} as well, which wins",
                setting.origin
            );
            Notice::new(name, message)
        };
        changed.map(notice).collect()
    }

    /// Every name that either has set.
    fn names_with<'a>(&'a self, next: &'a Loaded) -> impl Iterator<Item = (&'a String, &'static Variable)> {
        let ours = self.settings.iter();
        let new = next.settings.iter().filter(|(name, _)| !self.settings.contains_key(*name));
        ours.chain(new).map(|(name, setting)| (name, setting.variable))
    }
}

/// Whether both texts mean the same: `60` and `1m`, or the default and nothing.
fn same_value(
    variable: &Variable,
    name: &str,
    ours: Option<&Setting>,
    theirs: Option<&Setting>,
    in_kubernetes: bool,
) -> bool {
    let text = |setting: Option<&Setting>| setting.map(|setting| setting.text.trim().to_owned());
    if text(ours) == text(theirs) {
        return true;
    }
    let value = |setting: Option<&Setting>| {
        let mut config = Config::before_settings(in_kubernetes);
        let parsed = setting.map_or(Ok(()), |setting| parse(variable, name, &setting.text, &mut config));
        parsed.is_ok().then_some(config)
    };
    let ours = value(ours);
    ours.is_some() && ours == value(theirs)
}

fn changed(variable: &Variable, name: &str, ours: Option<&Setting>, theirs: Option<&Setting>) -> ChangedValue {
    ChangedValue {
        variable: full_name(name),
        from: shown_value(variable, ours),
        to: shown_value(variable, theirs),
        origin: theirs.map_or(Origin::Default, |setting| setting.origin.clone()),
    }
}

fn shown_value(variable: &Variable, setting: Option<&Setting>) -> String {
    match setting {
        Some(setting) if setting.is_secret() => REDACTED.to_owned(),
        Some(setting) => shown(setting.text.trim()),
        None => variable.default.to_owned(),
    }
}
