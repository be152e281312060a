//! `vestibule group …`

use std::collections::BTreeSet;

use clap::Subcommand;

use super::admin_client::AdminClient;
use super::output::{CommandOutput, Failure, mention};
use super::table::{printable, table};
use crate::api::{GroupList, GroupView};
use crate::config::Config;
use crate::control::Command;

#[derive(Debug, Subcommand)]
pub(super) enum Group {
    /// List the groups that have members or that a route names; `user list --group` lists the members of one.
    List,
}

impl Group {
    pub(super) async fn run(self, client: &AdminClient) -> Result<CommandOutput, Failure> {
        match self {
            Self::List => {
                let list: GroupList = client.send(Command::ListGroups).await?;
                CommandOutput::new(&list, listed(&list.groups))
            }
        }
    }
}

fn listed(groups: &[GroupView]) -> String {
    let rows = groups.iter().map(|group| {
        [
            group.name.clone(),
            group.member_count.to_string(),
            opened_by(group),
        ]
    });
    table(["GROUP", "MEMBERS", "ROUTES"], rows)
}

fn opened_by(group: &GroupView) -> String {
    let administration = group.administers.then_some("administration");
    let routes = group.routes.iter().map(String::as_str);
    let opened: Vec<&str> = administration.into_iter().chain(routes).collect();
    match opened.as_slice() {
        [] => "none names it".to_owned(),
        opened => opened.join(", "),
    }
}

/// Warns of given groups that no route names, which are more often typing errors than not. Gives no warning where no route
/// names any group: there, groups are for applications.
pub(super) fn mention_unnamed(config: &Config, given: &BTreeSet<String>) {
    for warning in unnamed(config, given) {
        mention(printable(&warning));
    }
}

fn unnamed(config: &Config, given: &BTreeSet<String>) -> Vec<String> {
    let named = config.groups_of_routes();
    if named.is_empty() {
        return Vec::new();
    }
    let given = given.iter().map(|group| group.trim());
    let unknown = given.filter(|group| *group != config.admin.group && !named.contains_key(*group));
    let known: Vec<&str> = named.keys().map(String::as_str).collect();
    let warning = |group: &str| {
        format!(
            "warning: no route names the group {group}: it opens nothing here, and applications alone may read it. Routes \
             name {}",
            known.join(", ")
        )
    };
    unknown.map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Conditions, RouteConfig};

    #[test]
    fn a_group_that_no_route_names_is_warned_of_where_routes_name_some() {
        let given: BTreeSet<String> = ["ops", " staff ", "opps", "gateway-admin"]
            .map(str::to_owned)
            .into();
        let mut config = Config::default();
        assert_eq!(unnamed(&config, &given), [""; 0]);
        config.route = vec![RouteConfig {
            allow: Conditions::of_groups(["ops", "staff"]).into(),
            ..RouteConfig::default()
        }];
        let warnings = unnamed(&config, &given);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("the group opps") && warnings[0].ends_with("name ops, staff"));
    }
}
