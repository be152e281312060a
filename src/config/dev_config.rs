//! The development configuration, for running without a file.

use super::{Config, ConfigErrors, LoadedConfig};

impl Config {
    /// Returns the configuration without a file: on loopback only, open sign-up, in front of the upstream URL
    /// `to` or the demo.
    pub fn trial(to: Option<&str>) -> Result<Self, ConfigErrors> {
        Self::parse(&Self::trial_toml(to), "trial configuration").map(|LoadedConfig { config, .. }| config)
    }

    /// Returns the text of the equivalent file.
    pub fn trial_toml(to: Option<&str>) -> String {
        let upstream = toml::Value::from(to.unwrap_or("demo:"));
        format!(
            r#"# A Vestibule demo: on this machine only, and open to anyone who can reach it.
# Every key with its default is in config/reference.toml; `vestibule check` tells what is wrong.
public_url = "https://localhost:8443"

[signup]
mode = "open" # "closed": only you add people; "invite": they need an invitation

[[route]]
path = "/"
allow = "authenticated" # or "public", "optional", {{ groups = ["ops"] }}
upstream = {upstream} # an application's URL, or "demo:"
"#
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Allow, SignupMode, UpstreamTarget};

    #[test]
    fn it_stays_on_the_machine_and_leads_to_the_demo() {
        let config = Config::trial(None).unwrap();
        assert!(
            config
                .listen
                .https
                .iter()
                .all(|address| address.ip().is_loopback())
        );
        assert_eq!(config.signup.mode, SignupMode::Open);
        assert_eq!(config.route.len(), 1);
        assert_eq!(config.route[0].target(), Ok(UpstreamTarget::Demo));
        assert_eq!(config.route[0].allow, Allow::Authenticated);
    }

    #[test]
    fn what_is_saved_is_what_runs() {
        for to in [
            None,
            Some("http://127.0.0.1:3000"),
            Some("unix:/run/a \"b\".sock"),
        ] {
            let saved = Config::parse(&Config::trial_toml(to), "saved.toml")
                .unwrap()
                .config;
            assert_eq!(format!("{saved:?}"), format!("{:?}", Config::trial(to).unwrap()));
            assert_eq!(saved.route[0].upstream, to.unwrap_or("demo:"));
        }
    }

    #[test]
    fn it_leads_to_servers_only() {
        for to in ["", "localhost:3000", "ftp://a", "http://a/b", "name"] {
            assert!(Config::trial(Some(to)).is_err(), "{to}");
        }
    }
}
