//! What stands near a name that is not there: for whoever mistyped it.

use strsim::jaro_winkler;

/// How alike two names must be, from 0 to 1: `pr0` and `pro` are, and so are `flatpak` and `flat`.
const ALIKE: f64 = 0.8;
/// How many are named.
const NAMED: usize = 3;

/// The names that are nearest to a mistyped one, as words behind it: ` (did you mean pro?)`. Empty
/// where none is near. Upper and lower case are alike.
pub(super) fn near<T: AsRef<str>>(
    typed: impl AsRef<str>,
    names: impl IntoIterator<Item = T>,
) -> String {
    let typed = typed.as_ref();
    let lower = typed.to_lowercase();
    let mut alike: Vec<(f64, T)> = names
        .into_iter()
        .filter(|name| name.as_ref() != typed)
        .map(|name| (jaro_winkler(&lower, &name.as_ref().to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    alike.sort_by(|(a, one), (b, other)| {
        b.total_cmp(a).then_with(|| one.as_ref().cmp(other.as_ref()))
    });
    let names: Vec<&str> = alike.iter().take(NAMED).map(|(_, name)| name.as_ref()).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!(" (did you mean {}?)", names.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_named_the_nearest_first() {
        for (typed, names, words) in [
            ("pr0", &["basic", "pro"][..], " (did you mean pro?)"),
            ("flatpak", &["flat", "gold"], " (did you mean flat?)"),
            ("PRO", &["pro"], " (did you mean pro?)"),
            ("430829", &["430892", "111111", "430829"], " (did you mean 430892?)"),
            ("goldd", &["gold", "golden", "old"], " (did you mean gold or golden or old?)"),
            ("gold", &[], ""),
            ("nobody", &["123456"], ""),
        ] {
            assert_eq!(near(typed, names), words, "{typed}");
        }
    }
}
