//! Numbers of octets, written as people write them.

/// Reads `4096`, `64KiB`, `16 GiB`, `10MB`; units of 1000 (kB, MB, GB, TB) and of 1024 (KiB, MiB, GiB, TiB), in any
/// case, and the bare letters K, M, G, T for 1024. `None` for anything else, and for what does not fit.
pub fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|char: char| !char.is_ascii_digit() && char != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.replace('_', "").parse().ok()?;
    let unit: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1000 * 1000,
        "gb" => 1000 * 1000 * 1000,
        "tb" => 1000 * 1000 * 1000 * 1000,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Writes a size that [`parse`] reads back, with the largest unit that divides it.
pub fn show(octets: u64) -> String {
    let units = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| octets >= *unit && octets.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", octets / unit),
        None => octets.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units() {
        assert_eq!(parse("16GiB"), Some(16 << 30));
        assert_eq!(parse(" 16 gib "), Some(16 << 30));
        assert_eq!(parse("4096"), Some(4096));
        assert_eq!(parse("1_000 B"), Some(1000));
        assert_eq!(parse("10MB"), Some(10_000_000));
        assert_eq!(parse("1T"), Some(1 << 40));
        for wrong in ["", "GiB", "-1", "1.5GiB", "1 XB", "99999999999999999999", "20000000TiB", "__"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn shown_sizes_are_read_back(octets: u64) {
            prop_assert_eq!(parse(&show(octets)), Some(octets));
        }

        #[test]
        fn no_text_panics(text: String) {
            parse(&text);
        }
    }
}
