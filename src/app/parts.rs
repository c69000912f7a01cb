//! What the layers above keep with an application until it runs: health checks, hooks. Knows only that they have types.

use std::any::{Any, TypeId, type_name};
use std::fmt;

/// Values, one of each type.
#[derive(Default)]
pub(super) struct Parts(Vec<(TypeId, &'static str, Box<dyn Any + Send>)>);

impl Parts {
    /// The value of type `T`, made now if there was none.
    pub(super) fn get_or_default<T: Default + Send + 'static>(&mut self) -> &mut T {
        let wanted = TypeId::of::<T>();
        let place = self.0.iter().position(|(id, ..)| *id == wanted).unwrap_or_else(|| {
            self.0.push((wanted, type_name::<T>(), Box::new(T::default())));
            self.0.len() - 1
        });
        self.0[place].2.downcast_mut().expect("it stands beside its own type")
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(_, name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_part_of_each_type() {
        let mut parts = Parts::default();
        *parts.get_or_default::<u32>() += 7;
        parts.get_or_default::<String>().push_str("text");
        assert_eq!((*parts.get_or_default::<u32>(), parts.get_or_default::<String>().as_str()), (7, "text"));
        assert_eq!(format!("{parts:?}"), r#"["u32", "alloc::string::String"]"#);
    }
}
