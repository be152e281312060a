//! Reads `Accept-Encoding` (RFC 9110, section 12.5.3).

use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue};

use super::ContentCoding;

/// A weight in thousandths; 0 is "not acceptable".
type Weight = u16;

/// What a client says of each coding; `None` where it says nothing.
#[derive(Debug, Default)]
struct Weights {
    codings: [Option<Weight>; ContentCoding::ALL.len()],
    identity: Option<Weight>,
    /// That of `*`, for all codings that are not named.
    others: Option<Weight>,
}

/// Returns the coding that a client prefers, and of those that it likes equally the one that is preferred here; `None` if it
/// takes none, or likes content better as it is. A client that sends no `Accept-Encoding` is sent content as it is, since it
/// may know of no coding.
pub fn negotiate(headers: &HeaderMap) -> Option<ContentCoding> {
    let weights = Weights::of(headers);
    let (coding, weight) = ContentCoding::ALL
        .into_iter()
        .map(|coding| (coding, weights.of_coding(coding)))
        // Of equal ones the last is the greatest.
        .rev()
        .max_by_key(|(_, weight)| *weight)?;
    let is_preferred = weights.identity.is_none_or(|identity| weight >= identity);
    (weight > 0 && is_preferred).then_some(coding)
}

impl Weights {
    fn of(headers: &HeaderMap) -> Self {
        let mut weights = Self::default();
        let elements = headers.get_all(ACCEPT_ENCODING).iter();
        let elements = elements.filter_map(|value| HeaderValue::to_str(value).ok());
        for element in elements.flat_map(|value| value.split(',')) {
            let (name, parameters) = element.split_once(';').unwrap_or((element, ""));
            let Some(weight) = parse_weight(parameters) else {
                continue;
            };
            let name = name.trim();
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            let coding = ContentCoding::ALL
                .iter()
                .position(|coding| is(coding.name()) || *coding == ContentCoding::Gzip && is("x-gzip"));
            let place = match coding {
                Some(index) => &mut weights.codings[index],
                None if is("identity") => &mut weights.identity,
                None if name == "*" => &mut weights.others,
                None => continue,
            };
            // Named twice: what forbids more holds.
            *place = Some(place.map_or(weight, |known| known.min(weight)));
        }
        weights
    }

    /// Returns the weight of a coding. Of those that only `*` stands for, gzip alone is used, which every client reads that
    /// reads any.
    fn of_coding(&self, coding: ContentCoding) -> Weight {
        let named = self.codings[coding as usize];
        let others = self.others.filter(|_| coding == ContentCoding::Gzip);
        named.or(others).unwrap_or(0)
    }
}

/// Parses what follows `;` after a coding: `q=` and a number from 0 to 1 with up to three decimals, or nothing for 1.
fn parse_weight(parameters: &str) -> Option<Weight> {
    let parameters = parameters.trim();
    if parameters.is_empty() {
        return Some(1000);
    }
    let number = parameters.strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    let is_number = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let thousandths: Weight = format!("{decimals:0<3}").parse().ok().filter(|_| is_number)?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(values: &[&'static str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        negotiate(&headers).map(ContentCoding::name)
    }

    #[test]
    fn a_client_gets_the_coding_that_it_likes_best() {
        for (accepted, coding) in [
            ("gzip", Some("gzip")),
            ("x-gzip", Some("gzip")),
            ("GZIP", Some("gzip")),
            ("br", Some("br")),
            ("zstd", Some("zstd")),
            ("gzip, deflate, br, zstd", Some("zstd")),
            ("br, gzip", Some("gzip")),
            ("gzip;q=0.5, br;q=0.8", Some("br")),
            ("gzip; q=0.5 , br ;q=0.501", Some("br")),
            ("gzip;Q=1.000, zstd;q=0.999", Some("gzip")),
            ("zstd;q=0, gzip", Some("gzip")),
            ("gzip, gzip;q=0", None),
            ("deflate, compress", None),
            ("", None),
            ("gzip;q=0", None),
            ("gzip;q=0.000", None),
            ("identity", None),
            ("identity;q=0", None),
            ("identity, gzip;q=0.9", None),
            ("identity;q=0.5, gzip;q=0.5", Some("gzip")),
            ("identity;q=0, br;q=0.001", Some("br")),
            ("*", Some("gzip")),
            ("*;q=0", None),
            ("*;q=0, br", Some("br")),
            ("gzip;q=0, *", None),
            ("br;q=0.1, *;q=0.2", Some("gzip")),
            ("identity;q=1, *;q=0.5", None),
        ] {
            assert_eq!(chosen(&[accepted]), coding, "{accepted}");
        }
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&["deflate", "br"]), Some("br"));
    }

    #[test]
    fn what_is_no_weight_accepts_nothing() {
        for wrong in [
            "q=2", "q=1.1", "q=-1", "q=", "q", "q=0.0001", "q=.5", "q=x", "q=0.+1", "level=1",
        ] {
            assert_eq!(chosen(&[&*format!("gzip;{wrong}").leak()]), None, "{wrong}");
        }
    }
}
