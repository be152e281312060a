//! Groups.

use serde::{Deserialize, Serialize};

use crate::services::GroupSummary;

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// Its name.
    pub name: String,
    /// How many accounts are in it.
    pub member_count: usize,
    /// The routes that name it, by host and path, in the order of the configuration.
    pub routes: Vec<String>,
    /// Whether it is the administrators' group.
    pub administers: bool,
}

/// Groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupList {
    /// The groups, by name.
    pub groups: Vec<GroupView>,
}

impl From<Vec<GroupSummary>> for GroupList {
    fn from(groups: Vec<GroupSummary>) -> Self {
        let view = |group: GroupSummary| GroupView {
            name: group.name,
            member_count: group.member_count,
            routes: group.routes,
            administers: group.administers,
        };
        Self {
            groups: groups.into_iter().map(view).collect(),
        }
    }
}
