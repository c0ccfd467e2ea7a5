//! Names that others are shown.

/// A name that can stand in a banner and in a location.
pub(crate) fn server_name(name: &str) -> Result<String, String> {
    if name.is_empty() || name.len() > 255 || name.contains(['!', '"', '\\', ' ']) {
        return Err("allowed: a host name".into());
    }
    printable(name)
}

/// Printable ASCII without quotes.
pub(super) fn printable(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|octet| (b' '..=b'~').contains(&octet) && octet != b'"' && octet != b'\\');
    if plain && !text.is_empty() {
        Ok(text.to_owned())
    } else {
        Err("allowed: printable ASCII without quotes".into())
    }
}

/// What this host calls itself.
pub(super) fn host_name() -> String {
    let name = rustix::system::uname();
    server_name(&name.nodename().to_string_lossy()).unwrap_or_else(|_| "localhost".into())
}
