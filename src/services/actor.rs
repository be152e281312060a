//! Who acts on what is not their own, and why.

/// The longest reason, in characters.
const REASON_LENGTH: usize = 500;

/// An administrator, or a command, that does something to others' accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    name: String,
    reason: Option<String>,
}

impl Actor {
    /// Somebody who says no reason.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            reason: None,
        }
    }

    /// The same with a reason; a blank one is none. It is kept on one line of at most 500 characters.
    #[must_use]
    pub fn because(self, reason: &str) -> Self {
        let line: String = reason
            .trim()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(REASON_LENGTH)
            .collect();
        Self {
            reason: Some(line).filter(|line| !line.is_empty()),
            ..self
        }
    }

    /// What the record calls them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Why they do it, in their words.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let reason = |text: &str| Actor::named("root").because(text).reason().map(str::to_owned);
        assert_eq!(reason(" left\nthe team ").as_deref(), Some("left the team"));
        assert_eq!(reason(" \r\n"), None);
        assert_eq!(reason(&"é".repeat(600)).unwrap().chars().count(), 500);
    }
}
