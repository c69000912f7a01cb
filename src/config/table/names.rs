//! Names of variables and of families of them: whom a name means, and whom a wrong one was meant for.

use super::{Kind, Variable};
use crate::config::VARIABLES;

impl Variable {
    /// Whether `name`, without its prefix, is this variable or one of this family.
    pub(in crate::config) fn is_called(&self, name: &str) -> bool {
        let Some((start, end)) = self.family() else { return name == self.name };
        let chosen = name.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        let allowed: fn(u8) -> bool = match self.kind {
            Kind::Route { .. } => |byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte),
            _ => |byte| byte.is_ascii_digit(),
        };
        // A name in _FILE names a file that holds the value, also for a family without an end of its own.
        let direct = !end.is_empty() || !name.ends_with(FILE_SUFFIX);
        direct && chosen.is_some_and(|chosen| !chosen.is_empty() && chosen.bytes().all(allowed))
    }

    /// What stands before and after the part in angle brackets.
    pub(in crate::config) fn family(&self) -> Option<(&'static str, &'static str)> {
        let (start, rest) = self.name.split_once('<')?;
        Some((start, rest.split_once('>')?.1))
    }
}

/// Ends the names of variables whose value is the path of a file that holds the value of another.
pub(in crate::config) const FILE_SUFFIX: &str = "_FILE";

/// The variable called `name`, without its prefix.
pub fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.is_called(name))
}

/// The known name most like `name`, if any is like it at all. Families offer their own names.
pub(in crate::config) fn nearest(name: &str) -> Option<&'static str> {
    /// Jaro-Winkler similarity from which a name is more likely a slip than something else; see the tests.
    const SIMILAR: f64 = 0.86;
    let name = name.strip_suffix(FILE_SUFFIX).filter(|rest| find(rest).is_none()).unwrap_or(name);
    let name = name.to_ascii_uppercase();
    let scored = VARIABLES.iter().map(|variable| (strsim::jaro_winkler(&name, variable.name), variable.name));
    let (score, nearest) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (score >= SIMILAR).then_some(nearest)
}
