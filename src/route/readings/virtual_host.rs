//! Drops the segments by which proxies tell Zope and Plone of virtual hosts (`VirtualHostMonster`). Clients can send them as
//! well. Each has one spelling.

use crate::request::Host;

/// A scheme and a host follow.
const BASE: &[u8] = b"VirtualHostBase";

/// The path on that host follows, behind segments that [begin so](PREFIX).
const ROOT: &[u8] = b"VirtualHostRoot";

/// Segments that begin so are where that path begins for clients.
const PREFIX: &[u8] = b"_vh_";

/// The object that reads these segments.
const HOSTING: &[u8] = b"virtual_hosting";

/// Whether a reading of a path names a virtual host other than `own`, or any if `own` is `None`: another application would
/// answer, or the same one with links to that host.
pub(super) fn names_other_host(reading: &str, own: Option<&Host>) -> bool {
    if memchr::memmem::find(reading.as_bytes(), BASE).is_none() {
        return false;
    }
    let segments: Vec<&str> = reading.split('/').collect();
    let mut bases = segments.windows(3).filter(|base| base[0].as_bytes() == BASE);
    bases.any(|base| base[2].parse::<Host>().ok().as_ref() != own || own.is_none())
}

/// Drops `VirtualHostBase` with the scheme and the host after it, as Zope does. The host's first label takes the place of
/// `*`.
pub(super) fn drop_virtual_host_base(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(path, BASE)?;
    let mut segments: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    let base = segments.iter().position(|&segment| segment == BASE)?;
    let host = *segments.get(base + 2)?;
    segments.drain(base..base + 3);
    if let Some(any) = segments.iter().rposition(|&segment| segment == b"*") {
        let label = memchr::memchr(b'.', host).unwrap_or(host.len());
        segments[any] = &host[..label];
    }
    Some(join(&segments))
}

/// Drops all from `VirtualHostBase` to `VirtualHostRoot`: an application may take the path on the virtual host for its own.
pub(super) fn drop_virtual_host(path: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(path, BASE)?;
    let mut segments: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    let base = segments.iter().position(|&segment| segment == BASE)?;
    let root = segments.iter().rposition(|&segment| segment == ROOT)?;
    if root < base {
        return None;
    }
    segments.drain(base..=root);
    Some(join(&segments))
}

/// Drops the other segments by which Zope is told of virtual hosts.
pub(super) fn drop_virtual_host_names(path: &[u8]) -> Option<Vec<u8>> {
    let mut names = [ROOT, HOSTING, PREFIX].into_iter();
    names.find(|name| memchr::memmem::find(path, name).is_some())?;
    let mut segments: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
    let count = segments.len();
    segments.retain(|&segment| segment != ROOT && segment != HOSTING && !segment.starts_with(PREFIX));
    (segments.len() < count).then(|| join(&segments))
}

/// Whether a `_` with what stands before and from it on makes a segment that [`drop_virtual_host_names`] drops and that has
/// no capitals.
pub(super) fn names_virtual_host(before: &[u8], from: &[u8]) -> bool {
    before.ends_with(b"/") && from.starts_with(PREFIX)
        || before.ends_with(b"/virtual") && from.starts_with(b"_hosting")
}

/// Makes a path of segments, of which the first one is empty.
fn join(segments: &[&[u8]]) -> Vec<u8> {
    if segments.len() < 2 {
        return b"/".to_vec();
    }
    segments.join(&b'/')
}
