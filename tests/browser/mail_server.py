"""The mail server of the browser tests: aiosmtpd's Maildir, and a file beside it that names whom it refuses."""

from pathlib import Path

from aiosmtpd.handlers import Mailbox


class Maildir(Mailbox):
    """Each line of `refused` is an address, a space and what is answered to it (RFC 5321, section 4.2)."""

    async def handle_RCPT(self, server, session, envelope, address, options):
        lines = Path(self.mail_dir).with_name("refused").read_text().splitlines()
        answer = dict(line.split(" ", 1) for line in lines).get(address)
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"
