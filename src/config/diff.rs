//! Compares configurations, for the reload.

use super::Config;

impl Config {
    /// Returns the names of the sections that differ.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        // Destructured, so that a new section does not compile without being compared.
        let Self {
            public_url,
            listen,
            tls,
            store,
            mail,
            signup,
            login,
            lockout,
            password,
            session,
            admin,
            branding,
            identity,
            upstream,
            route,
            audit,
            limits,
            timeouts,
            log,
            checks,
            acme,
            base: _,
        } = self;
        [
            ("public_url", *public_url != other.public_url),
            ("listen", *listen != other.listen),
            ("tls", *tls != other.tls),
            ("store", *store != other.store),
            ("mail", *mail != other.mail),
            ("signup", *signup != other.signup),
            ("login", *login != other.login),
            ("lockout", *lockout != other.lockout),
            ("password", *password != other.password),
            ("session", *session != other.session),
            ("admin", *admin != other.admin),
            ("branding", *branding != other.branding),
            ("identity", *identity != other.identity),
            ("upstream", *upstream != other.upstream),
            ("route", *route != other.route),
            ("audit", *audit != other.audit),
            ("limits", *limits != other.limits),
            ("timeouts", *timeouts != other.timeouts),
            ("log", *log != other.log),
            ("checks", *checks != other.checks),
            ("acme", *acme != other.acme),
        ]
        .into_iter()
        .filter_map(|(section, differs)| differs.then_some(section))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(text, "test.toml").unwrap().config
    }

    #[test]
    fn what_is_said_differs_and_how_it_is_said_does_not() {
        let plain = parse("");
        assert!(parse("[session]\nidle = \"720m\"").differences(&plain).is_empty());
        let upstream = |secret| {
            let server = "[upstream.a]\nservers = [\"http://127.0.0.1:1\"]";
            parse(&format!("{server}\nheaders = {{ X-Key = \"{secret}\" }}"))
        };
        assert!(upstream("one").differences(&upstream("one")).is_empty());
        assert_eq!(upstream("one").differences(&upstream("two")), ["upstream"]);
        let other = parse("public_url = \"https://a.example.com\"\n[log]\naccess = false");
        assert_eq!(other.differences(&plain), ["public_url", "log"]);
    }
}
