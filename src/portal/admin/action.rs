//! The actions of the forms that change accounts: their names in `action`, their events, and what the page says
//! afterwards.

use crate::portal::forms::Fields;
use crate::services::Kind;

/// An action of the form of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccountAction {
    Approve,
    Decline,
    Disable,
    Enable,
    Unlock,
    SetGroups,
    SetName,
    SetEmail,
    RevokeKey,
    ResetLink,
    EndSession,
    EndSessions,
    Delete,
}

impl AccountAction {
    const ALL: [Self; 13] = [
        Self::Approve,
        Self::Decline,
        Self::Disable,
        Self::Enable,
        Self::Unlock,
        Self::SetGroups,
        Self::SetName,
        Self::SetEmail,
        Self::RevokeKey,
        Self::ResetLink,
        Self::EndSession,
        Self::EndSessions,
        Self::Delete,
    ];

    /// Reads the action of a form; `None` if it is unknown.
    pub(super) fn of(fields: &Fields) -> Option<Self> {
        Self::parse(split(fields).0)
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Decline => "decline",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Unlock => "unlock",
            Self::SetGroups => "set-groups",
            Self::SetName => "set-name",
            Self::SetEmail => "set-email",
            Self::RevokeKey => "revoke-key",
            Self::ResetLink => "reset-link",
            Self::EndSession => "end-session",
            Self::EndSessions => "end-sessions",
            Self::Delete => "delete",
        }
    }

    /// The kind of its event.
    pub(super) fn audit_kind(self) -> Kind {
        match self {
            Self::Approve => Kind::Approve,
            Self::Decline => Kind::Decline,
            Self::Disable => Kind::Disable,
            Self::Enable => Kind::Enable,
            Self::Unlock => Kind::Unlock,
            Self::SetGroups => Kind::GroupsChange,
            Self::SetName => Kind::NameChange,
            Self::SetEmail => Kind::EmailChange,
            Self::RevokeKey => Kind::AccessKeyRevoke,
            Self::ResetLink => Kind::ResetLink,
            Self::EndSession | Self::EndSessions => Kind::SessionEnd,
            Self::Delete => Kind::AccountDelete,
        }
    }

    /// The key of the text that the account's page shows once it is done; `None` if that page does not follow, or
    /// shows the result itself.
    pub(super) fn done_text(self) -> Option<&'static str> {
        Some(match self {
            Self::Approve => "admin.done-approve",
            Self::Decline => "admin.done-decline",
            Self::Disable => "admin.done-disable",
            Self::Enable => "admin.done-enable",
            Self::Unlock => "admin.done-unlock",
            Self::SetGroups => "admin.done-groups",
            Self::SetName => "admin.done-name",
            Self::SetEmail => "admin.done-email",
            Self::RevokeKey => "keys.done-revoked",
            Self::EndSession => "account.sessions-ended",
            Self::EndSessions => "admin.done-sessions",
            Self::ResetLink | Self::Delete => return None,
        })
    }
}

/// An action of the form of several accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchAction {
    Approve,
    Disable,
    AddGroups,
    RemoveGroups,
}

impl BatchAction {
    /// Reads the action of a form; `None` if it is unknown.
    pub(super) fn of(fields: &Fields) -> Option<Self> {
        Some(match fields.text("action") {
            "approve" => Self::Approve,
            "disable" => Self::Disable,
            "add-groups" => Self::AddGroups,
            "remove-groups" => Self::RemoveGroups,
            _ => return None,
        })
    }

    /// The kind of the event about each account.
    pub(super) fn audit_kind(self) -> Kind {
        match self {
            Self::Approve => Kind::Approve,
            Self::Disable => Kind::Disable,
            Self::AddGroups | Self::RemoveGroups => Kind::GroupsChange,
        }
    }
}

/// What an action is about: the field of this name, or what follows the action.
pub(super) fn object_of<'f>(fields: &'f Fields, name: &str) -> &'f str {
    match fields.text(name) {
        "" => split(fields).1,
        named => named,
    }
}

/// The action of a form, and what may follow it after a blank: a button has one value.
fn split(fields: &Fields) -> (&str, &str) {
    let action = fields.text("action");
    action.split_once(' ').unwrap_or((action, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_is_read_by_its_name() {
        for action in AccountAction::ALL {
            assert_eq!(AccountAction::parse(action.as_str()), Some(action));
        }
        assert_eq!(AccountAction::parse("add"), None);
        assert_eq!(AccountAction::parse(""), None);
    }
}
