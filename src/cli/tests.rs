use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["vestibule"].into_iter().chain(line.split_whitespace()))
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_documented_form_is_understood() {
    for line in [
        "",
        "--config f.toml",
        "serve",
        "serve --config f.toml",
        "serve --to http://127.0.0.1:3000",
        "serve --to http://127.0.0.1:3000 --save f.toml",
        "check",
        "schema",
        "schema --reference",
        "trust",
        "trust --remove",
        "reload",
        "explain --url /a",
        "explain --method POST --url https://a.example.com/b --as a@example.com",
        "explain --request 0123",
        "explain --as a@example.com --since 1h",
        "doctor",
        "doctor --mail a@example.com --json",
        "pages export folder",
        "user add a@example.com",
        "user add a@example.com --username ann --name Ann --group ops --group dev --password-stdin",
        "user add a@example.com --password-hash $2y$10$x",
        "user add a@example.com --group ops --link",
        "user add a@example.com --send-link --reason why",
        "user list",
        "user list --sort=-last-sign-in --limit 5",
        "user list --sort -email",
        "user set-name a@example.com Ann --reason why",
        "user set-email a@example.com b@example.com",
        "user list --inactive 90d --csv",
        "user show a@example.com",
        "user approve a@example.com",
        "user decline a@example.com",
        "user disable a@example.com",
        "user enable a@example.com",
        "user unlock a@example.com",
        "user delete a@example.com",
        "user delete a@example.com --yes --reason why",
        "key revoke AKIAIOSFODNN7EXAMPLE --yes",
        "user set-password a@example.com --password-stdin",
        "user set-password a@example.com --password-hash $2y$10$x",
        "user set-groups a@example.com",
        "user set-groups a@example.com ops dev",
        "user set-groups a@example.com --group ops --group dev",
        "user set-groups a@example.com --add ops --remove dev --reason why",
        "group list",
        "user import --htpasswd f --reason why",
        "user import --htpasswd f --domain example.com --group ops --group dev --skip-existing --dry-run",
        "key rotate-master --reason why",
        "reload --reason why",
        "invite create",
        "invite create --email a@example.com --group ops --ttl 7d --count 3",
        "invite create --csv f --send --resend --lang ko --skip-existing --dry-run --needs-approval",
        "invite list",
        "invite revoke 0190b5a0-0000-7000-8000-000000000000",
        "session list",
        "session list --user a@example.com",
        "session revoke --user a@example.com",
        "session revoke 0190b5a0-0000-7000-8000-000000000000",
        "session revoke --user a@example.com 0190b5a0-0000-7000-8000-000000000000",
        "store verify",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn what_is_not_documented_is_a_usage_error() {
    for line in [
        "frobnicate",
        "--frobnicate",
        "user",
        "user add",
        "user add a@example.com --password-stdin --password-hash x",
        "user show",
        "user import",
        "user set-password",
        "invite create --ttl soon",
        "invite create --count 0",
        "invite create --count many",
        "invite revoke",
        "session revoke",
        "store",
    ] {
        let error = parse(line).unwrap_err();
        assert!(error.use_stderr(), "{line}: {error}");
        assert_eq!(error.exit_code(), i32::from(output::USAGE), "{line}");
    }
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    for line in [
        "--config f.toml --json user list",
        "user --config f.toml list --json",
        "user list --config f.toml --json",
    ] {
        let cli = parse(line).unwrap();
        assert_eq!(cli.config.as_deref(), Some(Path::new("f.toml")), "{line}");
        assert!(cli.json, "{line}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    for (line, kind) in [
        ("--help", ErrorKind::DisplayHelp),
        ("user add --help", ErrorKind::DisplayHelp),
        ("--version", ErrorKind::DisplayVersion),
    ] {
        let asked = parse(line).unwrap_err();
        assert_eq!(asked.kind(), kind, "{line}");
        assert_eq!(asked.exit_code(), 0, "{line}");
    }
}
