//! Drawings of a page: SVG that stretches to its place, with the words around it in HTML, so that
//! they keep their size. Lengths are whole numbers of small steps; the figures are told beside.

use crate::billing::amount::Amount;
use crate::billing::period;
use maud::{Markup, PreEscaped, html};
use std::fmt::Write;

/// How many steps a drawing is high, or a bar long.
const STEPS: u32 = 200;
/// The same of a drawing that stands in a line of a table.
const SMALL: u32 = 24;
/// How wide the place of a day is in it.
const SMALL_DAY: usize = 4;
/// How wide the place of a day is.
const DAY: usize = 20;

/// A day's bar.
pub(super) struct DayBar {
    pub(super) day_s: i64,
    pub(super) amount: Amount,
    /// The part of it that is drawn lighter, on top.
    pub(super) lighter: Amount,
}

/// What a day of a strip is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum DayMark {
    Told,
    NotAsked,
    NotOver,
}

/// An amount as a length, where the greatest has so many steps. What is above zero can be seen.
fn length(amount: &Amount, greatest: &Amount, steps: u32) -> u32 {
    if !amount.is_positive() || !greatest.is_positive() {
        return 0;
    }
    let started = (amount * &Amount::from(steps)).blocks_of(greatest);
    started.to_string().parse().map_or(steps, |length: u32| length.min(steps))
}

fn greatest<'a>(amounts: impl IntoIterator<Item = &'a Amount>) -> Amount {
    amounts.into_iter().max().cloned().unwrap_or_default()
}

/// A bar for each day, on an axis of days. `words` say what it shows.
pub(super) fn days(bars: &[DayBar], words: &str) -> Markup {
    let greatest = greatest(bars.iter().map(|bar| &bar.amount));
    let width = bars.len() * DAY;
    html! {
        p.scale aria-hidden="true" { (greatest) }
        svg.days viewBox={ "0 0 " (width) " " (STEPS) } preserveAspectRatio="none" role="img"
            aria-label=(words) {
            path.rule d={ "M0 0H" (width) "M0 " (STEPS / 2) "H" (width) } {}
            @for (place, bar) in bars.iter().enumerate() {
                g {
                    title { (period::date(bar.day_s)) ": " (bar.amount) }
                    // All of its place answers the pointer.
                    rect.place x=(place * DAY) width=(DAY) height=(STEPS) {}
                    (bar_of(place, bar, &greatest))
                }
            }
        }
        (axis(bars.iter().map(|bar| bar.day_s)))
    }
}

fn bar_of(place: usize, bar: &DayBar, greatest: &Amount) -> Markup {
    let whole = length(&bar.amount, greatest, STEPS);
    let lighter = length(&bar.lighter, greatest, STEPS).min(whole);
    let x = place * DAY + 3;
    html! {
        @if whole > lighter {
            rect.bar x=(x) y=(STEPS - whole + lighter) width=(DAY - 6) height=(whole - lighter) {}
        }
        @if lighter > 0 {
            rect.lighter x=(x) y=(STEPS - whole) width=(DAY - 6) height=(lighter) {}
        }
    }
}

/// What is at the end of each day, as steps on an axis of days; of `places` days those that have
/// begun.
pub(super) fn steps(values: &[Amount], places: &[i64], words: &str) -> Markup {
    let greatest = greatest(values);
    let width = places.len() * DAY;
    html! {
        p.scale aria-hidden="true" { (greatest) }
        svg.days viewBox={ "0 0 " (width) " " (STEPS) } preserveAspectRatio="none" role="img"
            aria-label=(words) {
            path.rule d={ "M0 0H" (width) "M0 " (STEPS / 2) "H" (width) } {}
            path.area d=(outline(values, &greatest, STEPS, DAY)) {}
        }
        (axis(places.iter().copied()))
    }
}

/// A small drawing for a line of a table: a step for each value, beside the greatest.
pub(super) fn small(values: &[Amount], greatest: Option<&Amount>, places: usize) -> Markup {
    let own = self::greatest(values);
    let outline = outline(values, greatest.unwrap_or(&own), SMALL, SMALL_DAY);
    html! {
        svg.s viewBox={ "0 0 " (places * SMALL_DAY) " " (SMALL) } aria-hidden="true" {
            path d=(outline) {}
        }
    }
}

/// The outline of steps that stand on the ground.
fn outline(values: &[Amount], greatest: &Amount, high: u32, width: usize) -> PreEscaped<String> {
    let mut path = format!("M0 {high}");
    let mut run: Option<(u32, usize)> = None;
    let end = |path: &mut String, run: Option<(u32, usize)>| {
        if let Some((y, wide)) = run {
            write!(path, "V{y}h{wide}").expect("writing into memory does not fail");
        }
    };
    for value in values {
        let y = high - length(value, greatest, high);
        run = match run {
            Some((same, wide)) if same == y => Some((y, wide + width)),
            before => {
                end(&mut path, before);
                Some((y, width))
            }
        };
    }
    end(&mut path, run);
    write!(path, "V{high}z").expect("writing into memory does not fail");
    PreEscaped(path)
}

/// A bar as long beside the longest one as an amount is beside the greatest.
pub(super) fn bar(amount: &Amount, greatest: &Amount) -> Markup {
    html! {
        svg.l viewBox={ "0 0 " (STEPS) " 1" } preserveAspectRatio="none" aria-hidden="true" {
            rect width=(length(amount, greatest, STEPS)) height="1" {}
        }
    }
}

/// A place for each day, whose form and not only whose color says what it is.
pub(super) fn strip(days: &[(i64, DayMark)], words: &str) -> Markup {
    let width = days.len() * DAY;
    html! {
        svg.strip viewBox={ "0 0 " (width) " 20" } preserveAspectRatio="none" role="img"
            aria-label=(words) {
            @for (place, (day_s, mark)) in days.iter().enumerate() {
                @let (x, day) = (place * DAY + 1, period::date(*day_s));
                g {
                    @match mark {
                        DayMark::Told => {
                            title { (day) ": told" }
                            rect.bar x=(x) width=(DAY - 2) height="20" {}
                        }
                        DayMark::NotAsked => {
                            title { (day) ": not asked for" }
                            rect.missing x=(x) y="1" width=(DAY - 2) height="18" {}
                            path.missing d={ "M" (x) " 1l" (DAY - 2) " 18" } {}
                        }
                        DayMark::NotOver => {
                            title { (day) ": not over, or over for a few hours" }
                            rect.open x=(x) y="9" width=(DAY - 2) height="2" {}
                        }
                    }
                }
            }
        }
        (axis(days.iter().map(|(day_s, _)| *day_s)))
    }
}

/// The numbers of some days under their places.
fn axis(days: impl ExactSizeIterator<Item = i64>) -> Markup {
    let count = days.len();
    html! {
        div.axis aria-hidden="true" style={ "--n:" (count) } {
            @for (place, day_s) in days.enumerate() {
                @let day = period::date(day_s).day();
                @if day == 1 || (day % 5 == 0) {
                    span style={ "grid-column:" (place + 1) } { (day) }
                }
            }
        }
    }
}
