//! The text of `sasldblistusers2`: `user@realm: property`, a line each.

use super::{Entry, NotUnderstood};

pub(super) fn read(text: &[u8]) -> Result<Vec<Entry>, NotUnderstood> {
    if is_database(text) {
        let reason = "this is the database itself; give what `db_dump -p` (Berkeley DB) or `mdb_dump -n` (LMDB) makes of it";
        return Err(NotUnderstood { line: 0, reason });
    }
    let neither = "neither a dump (it begins with VERSION=) nor a list of users (user@realm: property)";
    let text = str::from_utf8(text).map_err(|_| NotUnderstood { line: 0, reason: neither })?;
    let mut entries = Vec::new();
    for (index, text) in text.lines().enumerate() {
        if text.trim().is_empty() {
            continue;
        }
        let line = index + 1;
        // A user's name may hold an @, and a realm's does not.
        let parts = text.rsplit_once(": ").and_then(|(whose, property)| {
            let (user, realm) = whose.rsplit_once('@')?;
            Some((user, realm, property.trim_end()))
        });
        let (user, realm, property) = parts.ok_or(NotUnderstood { line, reason: neither })?;
        let [user, realm, property] = [user, realm, property].map(str::to_owned);
        entries.push(Entry { line, user, realm, property, value: None });
    }
    if entries.is_empty() {
        return Err(NotUnderstood { line: 0, reason: "there is nothing in it" });
    }
    Ok(entries)
}

/// A file of Berkeley DB, LMDB or GDBM, as far as their first page tells, in either order of octets.
fn is_database(text: &[u8]) -> bool {
    let number =
        |at: usize| text.get(at..at + 4).and_then(|octets| octets.try_into().ok()).map(u32::from_le_bytes);
    let is = |at: usize, magic: &[u32]| {
        number(at).is_some_and(|number| magic.contains(&number) || magic.contains(&number.swap_bytes()))
    };
    // Hash and B-tree; LMDB behind the head of its first page; GDBM's kinds of today and of old.
    is(12, &[0x0006_1561, 0x0005_3162])
        || is(16, &[0xBEEF_C0DE])
        || is(0, &[0x1357_9ACE, 0x1357_9ACD, 0x1357_9ACF, 0x1357_9AD0, 0x1357_9AD1])
}
