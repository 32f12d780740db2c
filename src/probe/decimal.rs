//! Amounts as they stand in an answer: whether the text is an exact decimal.

/// What is wrong with the text of a JSON number as an amount, and whether Agora's pages say so
/// (`true`) or only we.
pub(super) fn fault(number: &str) -> Option<(bool, &'static str)> {
    if number.contains(['e', 'E']) {
        return Some((true, "it has an exponent"));
    }
    let digits = number.trim_start_matches('-');
    let fraction = digits.split_once('.').map_or("", |(_, fraction)| fraction);
    let significant: String = digits.chars().filter(|c| *c != '.').collect();
    let significant = significant.trim_start_matches('0');
    if !fraction.is_empty() && is_artefact(significant) {
        return Some((true, "it looks like a binary float, not like an exact decimal"));
    }
    if fraction.len() > MOST_BEHIND_POINT || significant.len() > MOST_DIGITS {
        return Some((false, "it has more than 38 digits, or more than 18 behind the point"));
    }
    if number.starts_with('-') && !is_zero(number) {
        return Some((false, "it is negative"));
    }
    None
}

/// The digits that amounts have here, at most.
const MOST_DIGITS: usize = 38;
const MOST_BEHIND_POINT: usize = 18;

/// Tells whether the text of a number is zero.
pub(super) fn is_zero(number: &str) -> bool {
    let digits = number.split(['e', 'E']).next().unwrap_or_default();
    digits.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'))
}

/// Tells whether significant digits are those of a double that missed a short decimal, such as
/// 0.30000000000000004 or 0.7999999999999999. A double is printed with 17 digits at most, and what
/// it misses by is in the last two.
fn is_artefact(significant: &str) -> bool {
    let bytes = significant.as_bytes();
    if !(16..=17).contains(&bytes.len()) {
        return false;
    }
    let run = |from: usize, digit: u8| {
        let run = bytes[..from].iter().rev().take_while(|byte| **byte == digit).count();
        run >= LEAST_RUN
    };
    let ends_in = |digit: u8| bytes.last() == Some(&digit);
    let len = bytes.len();
    (1..=2).any(|tail| run(len - tail, b'0') && !ends_in(b'0'))
        || (0..=2).any(|tail| run(len - tail, b'9'))
}

/// So many zeros or nines before the last digits are no accident.
const LEAST_RUN: usize = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_float_leaves_behind_is_seen_and_exact_decimals_are_not_suspected() {
        for number in [
            "0.30000000000000004",
            "0.7999999999999999",
            "3.3000000000000003",
            "434.99999999999994",
            "1004.9999999999999",
            "5.000000000000001",
            "0.020000000000000004",
            "100.00000000000001",
            "-0.30000000000000004",
        ] {
            let fault = fault(number);
            assert!(fault.is_some_and(|(is_fail, words)| is_fail && words.contains("float")));
        }
        for number in [
            "0.3",
            "1",
            "12345678901234567890.123456789",
            "0.1234567890123456",
            "1000000000000001",
            "0.000000000000000001",
            "1.50",
            "99999999999.99",
            "0.333333333333333333",
        ] {
            assert_eq!(fault(number), None, "{number}");
        }
    }

    #[test]
    fn an_exponent_fails_and_too_many_digits_only_warn() {
        assert_eq!(fault("1.5E+2").map(|(is_fail, _)| is_fail), Some(true));
        assert_eq!(fault("1e2").map(|(is_fail, _)| is_fail), Some(true));
        assert_eq!(fault("0.1234567890123456789").map(|(is_fail, _)| is_fail), Some(false));
        assert_eq!(fault("-1.5").map(|(is_fail, _)| is_fail), Some(false));
    }

    #[test]
    fn zero_is_zero_however_it_is_written() {
        for number in ["0", "0.00", "-0", "0e5"] {
            assert!(is_zero(number), "{number}");
        }
        for number in ["10", "0.001", "1e0"] {
            assert!(!is_zero(number), "{number}");
        }
    }
}
