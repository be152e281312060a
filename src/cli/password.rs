//! Reads passwords for commands.

use std::io::{self, BufRead, BufReader, IsTerminal, Read};

use clap::Args;
use zeroize::Zeroize;

use super::output::Failure;
use crate::secret::Secret;
use crate::services::NewPassword;

/// Longer than any password: the services refuse what exceeds 4096 bytes, with an error.
const LONGEST_LINE: u64 = 64 << 10;

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct PasswordSource {
    /// Read the password from standard input, as one line.
    #[arg(long)]
    password_stdin: bool,
    /// Use an existing bcrypt hash ($2a$, $2b$ or $2y$) as it is.
    #[arg(long, value_name = "HASH")]
    password_hash: Option<String>,
}

impl PasswordSource {
    /// Returns the password; prompts for it twice on a terminal if no option is given.
    pub(super) fn read(self) -> Result<NewPassword, Failure> {
        if let Some(hash) = self.password_hash {
            return Ok(NewPassword::Hash(hash));
        }
        if self.password_stdin {
            return Ok(NewPassword::Plain(line_of(io::stdin().lock())?));
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(
                "a password is needed: use --password-stdin or --password-hash HASH",
            ));
        }
        let password = prompt("Password: ")?;
        let again = prompt("The same again: ")?;
        if password.matches(again.expose().as_bytes()) {
            Ok(NewPassword::Plain(password))
        } else {
            Err(Failure::failed("the two passwords differ; try again"))
        }
    }
}

fn prompt(text: &str) -> Result<Secret<String>, Failure> {
    Ok(Secret::new(rpassword::prompt_password(text)?))
}

/// Reads the first line, without its line break.
fn line_of(input: impl Read) -> Result<Secret<String>, Failure> {
    // Allocated once, so that no copy of the password stays behind.
    let mut line = Vec::with_capacity(usize::try_from(LONGEST_LINE).unwrap_or(usize::MAX));
    let read = BufReader::with_capacity(1, input)
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut line);
    let text = read.map(|_| String::from_utf8(line).map_err(|error| error.into_bytes().zeroize()));
    let Ok(mut text) = text? else {
        return Err(Failure::failed("the password is not UTF-8"));
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_and_its_break_dropped() {
        for (input, password) in [
            ("geheim1!\n", "geheim1!"),
            ("geheim1!", "geheim1!"),
            ("geheim1!\r\n", "geheim1!"),
            (" a b \n", " a b "),
            ("one\ntwo\n", "one"),
            ("비밀번호1!\n", "비밀번호1!"),
            ("", ""),
        ] {
            assert_eq!(line_of(input.as_bytes()).unwrap().expose(), password, "{input:?}");
        }
    }

    #[test]
    fn what_is_not_text_is_no_password() {
        assert!(line_of(&b"\xff\xfe\n"[..]).is_err());
    }
}
