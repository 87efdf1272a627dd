//! Three-valued logic: what a rule says about a resource when some of its values are not known.

/// Kleene's three values. Unknown carries why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    True,
    False,
    Unknown(String),
}

impl Truth {
    pub(crate) fn of(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }

    pub(crate) fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            unknown @ Self::Unknown(_) => unknown,
        }
    }

    /// False when one is false, else unknown when one is unknown.
    pub(crate) fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        let mut unknown = None;
        for truth in truths {
            match truth {
                Self::False => return Self::False,
                Self::Unknown(why) => unknown = unknown.or(Some(why)),
                Self::True => {}
            }
        }
        unknown.map_or(Self::True, Self::Unknown)
    }

    /// True when one is true, else unknown when one is unknown.
    pub(crate) fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        let mut unknown = None;
        for truth in truths {
            match truth {
                Self::True => return Self::True,
                Self::Unknown(why) => unknown = unknown.or(Some(why)),
                Self::False => {}
            }
        }
        unknown.map_or(Self::False, Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{self, *};

    #[test]
    fn kleene() {
        let unknown = || Unknown("x".into());
        assert_eq!(Truth::all([True, unknown(), False]), False);
        assert_eq!(Truth::all([True, unknown()]), unknown());
        assert_eq!(Truth::any([False, unknown(), True]), True);
        assert_eq!(Truth::any([False, unknown()]), unknown());
        assert_eq!(Truth::all([]), True);
        assert_eq!(Truth::any([]), False);
        assert_eq!(unknown().not(), unknown());
    }
}
