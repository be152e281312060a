//! Stored forms of password hashes: bcrypt, behind SHA-384 for long passwords.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use sha2::{Digest, Sha384};
use zeroize::Zeroizing;

use crate::model::Password;

/// The prefix of the hash of a password that is too long for bcrypt.
const DIGESTED: &str = "{bcrypt-sha384}";

/// The highest accepted cost. Each step doubles the time: at 16 a comparison takes seconds, at 31 a day, and
/// every client that knows the account's name can cause one.
const MAX_COST: u32 = 16;

/// The number of bytes that bcrypt reads.
const BCRYPT_READS: usize = 72;

/// A parsed hash.
///
/// Passwords of up to 72 bytes are hashed by bcrypt alone, so that other programs can use the hash. Longer
/// ones, which bcrypt would silently truncate, go through SHA-384 first, in base64, since bcrypt ends at a
/// NUL byte.
#[derive(Debug)]
pub(super) struct PasswordHash {
    digested: bool,
    current_version: bool,
    cost: u32,
    /// In the spelling that the bcrypt crate accepts.
    canonical: String,
}

impl PasswordHash {
    /// Parses a stored or imported hash: `$2a$`, `$2b$` or `$2y$` with a cost of 4 to [`MAX_COST`].
    pub(super) fn parse(stored: &str) -> Option<Self> {
        let (digested, text) = match stored.strip_prefix(DIGESTED) {
            Some(text) => (true, text),
            None => (false, stored),
        };
        let version = text.get(..4)?;
        if !matches!(version, "$2a$" | "$2b$" | "$2y$") {
            return None;
        }
        // Two digits: the crate would accept a sign, which no other program does.
        let [tens, units, b'$'] = text.as_bytes().get(4..7)? else {
            return None;
        };
        if !(tens.is_ascii_digit() && units.is_ascii_digit()) {
            return None;
        }
        let canonical = canonical(text)?;
        let cost = canonical.parse::<HashParts>().ok()?.get_cost();
        (4..=MAX_COST).contains(&cost).then(|| Self {
            digested,
            current_version: version == "$2b$",
            cost,
            canonical,
        })
    }

    /// Hashes a new password.
    pub(super) fn compute(
        password: &Password,
        cost: u32,
        salt: [u8; 16],
    ) -> Result<String, bcrypt::BcryptError> {
        let digested = is_long(password);
        let hash = bcrypt::hash_with_salt(input(password, digested).as_slice(), cost, salt)?;
        Ok(format!("{}{hash}", if digested { DIGESTED } else { "" }))
    }

    /// Returns whether this is the password's hash. Always costs one bcrypt.
    ///
    /// A password that bcrypt would truncate never matches a plain hash: it could be another password's.
    pub(super) fn matches(&self, password: &Password) -> Result<bool, bcrypt::BcryptError> {
        let equal = bcrypt::verify(input(password, self.digested).as_slice(), &self.canonical)?;
        Ok(equal && is_long(password) == self.digested)
    }

    /// Returns whether the hash should be replaced by one of this cost.
    pub(super) fn is_outdated(&self, cost: u32) -> bool {
        self.cost < cost || !self.current_version
    }
}

fn is_long(password: &Password) -> bool {
    password.expose().len() > BCRYPT_READS
}

fn input(password: &Password, digested: bool) -> Zeroizing<Vec<u8>> {
    let bytes = if digested {
        Cow::Owned(
            STANDARD
                .encode(Sha384::digest(password.expose().as_bytes()))
                .into_bytes(),
        )
    } else {
        Cow::Borrowed(password.expose().as_bytes())
    };
    Zeroizing::new(bytes.into_owned())
}

/// Clears the unused low bits of the last characters of salt and hash.
///
/// 22 characters hold 132 bits, a salt has 128; 31 hold 186, a hash has 184. Some programs leave random bits
/// there, every implementation ignores them, and a strict base64 decoder refuses them.
fn canonical(text: &str) -> Option<String> {
    const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes: [u8; 60] = text.as_bytes().try_into().ok()?;
    for (at, unused) in [(28, 0b1111), (59, 0b11)] {
        let value = ALPHABET.iter().position(|&symbol| symbol == bytes[at])?;
        bytes[at] = ALPHABET[value & !unused];
    }
    String::from_utf8(bytes.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn password(text: &str) -> Password {
        Password::parse(&Secret::new(text.to_owned())).unwrap()
    }

    fn hash(text: &str) -> PasswordHash {
        PasswordHash::parse(&PasswordHash::compute(&password(text), 4, [7; 16]).unwrap()).unwrap()
    }

    #[test]
    fn short_passwords_are_portable_and_long_ones_are_marked() {
        let short = PasswordHash::compute(&password(&"a".repeat(72)), 4, [7; 16]).unwrap();
        assert!(short.starts_with("$2b$04$"), "{short}");
        let long = PasswordHash::compute(&password(&"a".repeat(73)), 4, [7; 16]).unwrap();
        assert!(long.starts_with("{bcrypt-sha384}$2b$04$"), "{long}");
    }

    #[test]
    fn passwords_that_agree_up_to_byte_72_are_not_interchangeable() {
        let stem = "a".repeat(72);
        let (one, other) = (format!("{stem}x"), format!("{stem}y"));
        assert!(hash(&one).matches(&password(&one)).unwrap());
        assert!(!hash(&one).matches(&password(&other)).unwrap());
        assert!(!hash(&one).matches(&password(&stem)).unwrap());
        assert!(hash(&stem).matches(&password(&stem)).unwrap());
        assert!(!hash(&stem).matches(&password(&one)).unwrap());
    }

    #[test]
    fn sixty_four_hangul_characters_count_to_the_last() {
        let all = "한".repeat(64);
        let other = format!("{}글", "한".repeat(63));
        assert!(hash(&all).matches(&password(&all)).unwrap());
        assert!(!hash(&all).matches(&password(&other)).unwrap());
    }

    #[test]
    fn the_digest_of_a_long_password_is_no_password() {
        let long = "a".repeat(100);
        let digest = STANDARD.encode(Sha384::digest(long.as_bytes()));
        assert!(!hash(&long).matches(&password(&digest)).unwrap());
    }

    /// Test vectors of Openwall's `crypt_blowfish`, in the public domain.
    #[test]
    fn hashes_from_elsewhere_are_read() {
        for (text, stored) in [
            (
                "U*U",
                "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            ),
            (
                "U*U",
                "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            ),
            (
                "U*U*U",
                "$2b$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a",
            ),
        ] {
            let hash = PasswordHash::parse(stored).unwrap();
            assert!(hash.matches(&password(text)).unwrap(), "{stored}");
            assert!(!hash.matches(&password("U*V")).unwrap(), "{stored}");
            assert_eq!(hash.is_outdated(5), !stored.starts_with("$2b$"));
            assert!(hash.is_outdated(6));
        }
    }

    #[test]
    fn surplus_bits_are_ignored() {
        let stored = "$2a$05$CCCCCCCCCCCCCCCCCCCCC/E5YPO9kmyuRGyh0XouQYb4YMJKvyOeX";
        assert!(
            PasswordHash::parse(stored)
                .unwrap()
                .matches(&password("U*U"))
                .unwrap()
        );
    }

    #[test]
    fn anything_else_is_no_hash() {
        for stored in [
            "",
            "plain",
            "$apr1$x$y",
            "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$2b$+9$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "{bcrypt-sha384}$2b$+9$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$2b$9$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWW",
            "$2a$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$2a$32$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
            "$2a$05$CCCC CCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
            "$2a$05$CCCCCCCCCCCCCCCCCCCC한E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        ] {
            assert!(PasswordHash::parse(stored).is_none(), "{stored}");
        }
    }

    #[test]
    fn a_hash_that_takes_minutes_is_none() {
        let at_cost = |cost: u32| {
            let hash = "$2b$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
            PasswordHash::parse(&hash.replace("$16$", &format!("${cost:02}$")))
        };
        assert!(at_cost(4).is_some() && at_cost(MAX_COST).is_some());
        for cost in [3, MAX_COST + 1, 31] {
            assert!(at_cost(cost).is_none(), "{cost}");
        }
    }
}
