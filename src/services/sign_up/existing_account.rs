//! A signup with an address that has an account, where addresses are verified: the answer is that of a new account
//! after the same work (S18), and the mail tells the owner.

use super::{SignUp, SignUpError};
use crate::model::{Account, MailKind, Password};
use crate::services::Origin;
use crate::services::mail::NOBODY;

impl SignUp {
    /// One hash and one write, as for a new account; also where the client's share of mails is spent.
    pub(super) async fn notify_holder(
        &self,
        holder: &Account,
        password: Password,
        origin: &Origin,
    ) -> Result<(), SignUpError> {
        let known = Some(holder.password_hash.clone());
        let verdict = self.hasher.place()?.verify(password, known).await;
        let topic = match (holder.email_verified, verdict.matches) {
            (false, true) => MailKind::VerifyEmail,
            (true, _) | (false, false) => MailKind::AlreadyRegistered,
        };
        let mail = self.mailer.mail_for_anybody(&holder.email, topic, origin);
        let mail = match (mail, NOBODY.parse()) {
            (None, Ok(nobody)) => Some(self.mailer.mail(&nobody, MailKind::VerifyEmail, origin)),
            (mail, _) => mail,
        };
        self.mailer.enqueue(mail.into_iter().collect()).await?;
        Ok(())
    }
}
