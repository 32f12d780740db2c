//! When a certificate is renewed, and how long a failure is waited out.

use std::time::Duration;

/// How long the first failure is waited out; each one after it twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(60);
/// Longer than this no failure is waited out.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);

/// A stretch of time, in Unix seconds: in which a certificate is good, or is best renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from_s: i64,
    pub(super) until_s: i64,
}

impl Span {
    /// The second that lies at a share of it, in 2⁻⁶⁴ths.
    fn at(self, share: u64) -> i64 {
        let length = i128::from(self.until_s) - i128::from(self.from_s);
        let part = (length.max(0) * i128::from(share)) >> 64;
        self.from_s + i64::try_from(part).expect("a part of what fits")
    }
}

/// The second from which a certificate is renewed: at the certificate's own `share` of what the
/// authority advises (RFC 9773), so that not all certificates are renewed at once; without advice,
/// or where the certificate would have expired by then, at two thirds of its life.
pub(super) fn due_s(life: Span, advised: Option<Span>, share: u64) -> i64 {
    let by_advice = advised.map(|window| window.at(share)).filter(|at_s| *at_s < life.until_s);
    by_advice.unwrap_or_else(|| life.at(u64::MAX / 3 * 2))
}

/// How long is waited after so many failures in a row.
pub(super) fn wait_after(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 86_400;

    fn span(from_s: i64, until_s: i64) -> Span {
        Span { from_s, until_s }
    }

    #[test]
    fn without_advice_two_thirds_of_any_life_count() {
        for days in [6, 45, 47, 90, 398] {
            let due_s = due_s(span(1_000, 1_000 + 3 * days * DAY_S), None, u64::MAX);
            let exact = 1_000 + 2 * days * DAY_S;
            assert!((exact - 1..=exact).contains(&due_s), "{days}: {due_s}");
        }
    }

    #[test]
    fn advice_is_followed_at_the_certificates_own_share_of_it() {
        let (life, advised) = (span(0, 90 * DAY_S), span(50 * DAY_S, 60 * DAY_S));
        assert_eq!(due_s(life, Some(advised), 0), 50 * DAY_S);
        assert_eq!(due_s(life, Some(advised), 1 << 63), 55 * DAY_S);
        assert_eq!(due_s(life, Some(advised), u64::MAX), 60 * DAY_S - 1);
        // An authority that is about to revoke a certificate advises a span that is over.
        assert_eq!(due_s(life, Some(span(-5, -5)), u64::MAX), -5);
    }

    #[test]
    fn advice_that_comes_too_late_or_makes_no_sense_is_not_followed() {
        let life = span(0, 9 * DAY_S);
        let (late, turned) = (span(9 * DAY_S, 10 * DAY_S), span(20 * DAY_S, 1));
        assert_eq!(due_s(life, Some(late), 0), due_s(life, None, 0));
        assert_eq!(due_s(life, Some(turned), 7), due_s(life, None, 7));
    }

    #[test]
    fn each_failure_is_waited_out_twice_as_long_up_to_six_hours() {
        let minutes = |failures| wait_after(failures).as_secs() / 60;
        assert_eq!([1, 2, 3, 4].map(minutes), [1, 2, 4, 8]);
        assert_eq!([9, 10, 11, 1_000].map(minutes), [256, 360, 360, 360]);
    }
}
