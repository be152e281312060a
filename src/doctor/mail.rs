//! Checks that mail can be delivered.

use std::path::Path;

use rustix::fs::{Access, access};

use super::disk::existing;
use super::{DoctorContext, Finding, LIMIT};
use crate::config::{MailUrlError, SecretError};
use crate::model::Email;
use crate::random::Random;
use crate::services::{MailError, MailProbe, ProbeError};

const CHECK: &str = "mail";

/// Checks the server and its credentials, or that the folder is writable; with `to`, sends a test mail.
pub(super) async fn leaves(context: &DoctorContext<'_>, to: Option<&Email>) -> Vec<Finding> {
    let probe = match MailProbe::new(context.config, LIMIT) {
        Ok(probe) => probe,
        // The running gateway may have the variables that this shell lacks.
        Err(MailError::Url(MailUrlError::Secret(error @ SecretError::NoVariable(_))))
            if context.running.is_some() =>
        {
            return vec![Finding::skipped(CHECK, error.to_string())];
        }
        Err(error) => return vec![Finding::problem(CHECK, error.to_string(), "see [mail]")],
    };
    let mut findings = match probe.folder() {
        Some(folder) => vec![writable(folder)],
        None => server(&probe).await,
    };
    if let Some(to) = to {
        findings.push(
            match probe.send(to, context.clock.now(), &Random::system()).await {
                Ok(()) => Finding::ok(CHECK, format!("a mail to {to} was taken")),
                Err(error) => failed(&error),
            },
        );
    }
    findings
}

async fn server(probe: &MailProbe) -> Vec<Finding> {
    let (greeted, offers_starttls) = futures_util::join!(probe.greet(), probe.offers_starttls());
    let greeted_well = greeted.is_ok();
    let mut findings = vec![match greeted {
        Ok(()) => Finding::ok(CHECK, "the server answers, and takes what mail.url says"),
        Err(error) => failed(&error),
    }];
    if greeted_well && probe.bares_mails() {
        findings.push(match offers_starttls {
            Some(true) => Finding::warning(
                CHECK,
                "mails may leave unencrypted, though the server offers STARTTLS",
                "write ?tls=required at the end of mail.url",
            ),
            _ => Finding::warning(
                CHECK,
                "mails leave unencrypted: the server offers no STARTTLS",
                "use smtps:, or a server of this machine",
            ),
        });
    }
    findings
}

fn failed(error: &ProbeError) -> Finding {
    let advice = match error {
        ProbeError::Credentials(_) => {
            "correct the user and the password in mail.url; in a URL, `@`, `:` and `/` are encoded"
        }
        ProbeError::SignInOverTls => "add `?tls=required` at the end of mail.url",
        ProbeError::NoStarttls => "use `smtps:`, if the server has a port for that, or another server",
        ProbeError::Tls(_) => {
            "see that the certificate is for the host in mail.url, and name the authority that signed it in mail.ca if this \
             system does not know it; `smtps:` is for port 465, `?tls=required` for 587"
        }
        ProbeError::Folder(_) => "see that the gateway's user may write there",
        ProbeError::Server(_) | ProbeError::Timeout(_) => {
            "see host and port in mail.url, and whether a firewall lets mail out; port 25 is often closed"
        }
        ProbeError::Message(_) => "see mail.from and the address",
    };
    Finding::problem(CHECK, error.to_string(), advice)
}

fn writable(folder: &Path) -> Finding {
    let there = existing(folder);
    let shown = folder.display();
    if !there.is_dir() {
        let text = format!("{} is no folder: mails cannot be written", there.display());
        return Finding::problem(CHECK, text, "move it away");
    }
    match access(&there, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok(CHECK, format!("mails are written into {shown}, and reach nobody")),
        Err(error) => Finding::problem(
            CHECK,
            format!("{shown} cannot be written: {error}"),
            "see that the gateway's user may write there",
        ),
    }
}
