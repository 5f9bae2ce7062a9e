//! Televisions with Android, which name themselves in many ways.

/// Whether the comment names a television with Android: `TV` as a word, also at the end of another
/// word (`BeyondTV`) or before a number (`AQUOS-TVX20A`). Phones with a tuner have it behind a digit
/// (`LG-K430TV`).
pub(super) fn names_television(device: &str) -> bool {
    if !device.contains("Andr") {
        return false;
    }
    let places = device.match_indices("TV").chain(device.match_indices("Tv"));
    places.into_iter().any(|(place, _)| {
        let before = &device[..place];
        let follows = |words: [&str; 3]| words.iter().any(|word| before.ends_with(word));
        let begins = before
            .ends_with(|c: char| !c.is_ascii_alphanumeric() || c.is_ascii_lowercase())
            || follows(["HD", "4K", "Smart"]);
        let mut after = device[place + 2..].chars();
        let ends = match after.next() {
            None => true,
            Some(next) if next.is_ascii_uppercase() => {
                after.next().is_some_and(|c| c.is_ascii_digit())
            }
            Some(next) => !next.is_ascii_lowercase(),
        };
        begins && ends
    })
}

#[cfg(test)]
mod tests {
    use super::names_television;

    #[test]
    fn tv_is_a_word() {
        for device in [
            "(Linux; Android 11; Arcelik Android UHD TV Build/RTM6.230109.219; wv",
            "(Linux; Android 9; PHILIPS 4K TV",
            "(Linux; Android 9; AQUOS-TVX20A Build/PTO5",
            "(Linux; Android 10; BeyondTV Build/QTG3",
            "(Linux; Andr0id 9; Smart_TV",
            "(Linux; Android 9; 4KTV",
            "(Linux; Android 12; Hisense TV; wv",
        ] {
            assert!(names_television(device), "{device}");
        }
        for device in [
            "(Linux; Android 6.0; LG-K430TV Build/MRA58K",
            "(Linux; Android 13; RTVE",
            "(X11; Linux x86_64; TV",
            "(Linux; Android 13; ATVS-1",
            "(Linux; Android 13; Native",
        ] {
            assert!(!names_television(device), "{device}");
        }
    }
}
