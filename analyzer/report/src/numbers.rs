//! Figures as people read them: shares as percent, differences of shares as points, times in milliseconds.
//!
//! A share's difference is in percentage points (`pt`), a relative change in percent of the control (`%`).

/// A metric's value.
pub(crate) fn value(unit: &str, value: f64) -> String {
    match unit {
        "share" => format!("{} %", trimmed(value * 100.0, 1)),
        "score" | "" => trimmed(value, 3),
        "ms" => format!("{} ms", rounded(value)),
        _ => rounded(value),
    }
}

/// A metric's value, or a dash.
pub(crate) fn value_or_dash(unit: &str, optional: Option<f64>) -> String {
    optional.map_or_else(|| "-".to_owned(), |known| value(unit, known))
}

/// A difference between candidate and control, with its sign.
pub(crate) fn difference(unit: &str, relative: bool, difference: f64) -> String {
    let sign = if difference > 0.0 { "+" } else { "" };
    format!("{sign}{}", size(unit, relative, difference))
}

/// The size of a margin.
pub(crate) fn margin(unit: &str, relative: bool, margin: f64) -> String {
    size(unit, relative, margin)
}

/// An interval of differences: `-6.0 to -2.2 pt`.
pub(crate) fn interval(unit: &str, relative: bool, bounds: (f64, f64)) -> String {
    format!("{} to {}", difference(unit, relative, bounds.0), difference(unit, relative, bounds.1))
}

/// A forecast, rounded up to two digits as in the reasons: `51,000`.
pub(crate) fn about(number: u64) -> String {
    let mut unit = 1;
    while number / unit >= 100 {
        unit *= 10;
    }
    count(number.div_ceil(unit) * unit)
}

/// A count with separators: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `part` of `whole` in percent, or a dash.
#[allow(clippy::cast_precision_loss)] // counts are far below 2^53
pub(crate) fn percent_of(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    format!("{} %", trimmed(part as f64 / whole as f64 * 100.0, 1))
}

/// A probability such as alpha: `0.05`, `0.0021`.
pub(crate) fn probability(value: f64) -> String {
    if value >= 0.01 { trimmed(value, 3) } else { trimmed(value, 5) }
}

/// A probability in percent without the sign and without zeros that say nothing: `5`, `1.67`.
pub(crate) fn trimmed_percent(probability: f64) -> String {
    let text = trimmed(probability * 100.0, if probability < 0.001 { 4 } else { 2 });
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A size in margins: `2.4 margins`, `none`.
pub(crate) fn margins(size: f64) -> String {
    if size > 0.0 { format!("{} margins", rounded(size)) } else { "none".to_owned() }
}

/// The unit as a word after a number, empty where [`value`] shows it already.
pub(crate) fn unit_word(unit: &str) -> &str {
    match unit {
        "share" | "ms" => "",
        other => other,
    }
}

fn size(unit: &str, relative: bool, size: f64) -> String {
    if relative {
        return format!("{} %", trimmed(size * 100.0, 1));
    }
    match unit {
        "share" => format!("{} pt", trimmed(size * 100.0, 1)),
        "score" | "" => trimmed(size, 3),
        "ms" => format!("{} ms", rounded(size)),
        _ => rounded(size),
    }
}

/// About three significant digits for small figures, whole numbers with separators for large ones.
fn rounded(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return infinite(value);
    }
    if size >= 1e15 {
        return format!("{value:e}");
    }
    if size < 10.0 {
        return trimmed(value, 2);
    }
    if size < 100.0 {
        return trimmed(value, 1);
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked above
    let whole = size.round() as u64;
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", count(whole))
}

/// A fixed number of decimals, without a minus before zero.
fn trimmed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return infinite(value);
    }
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|digit| matches!(digit, '0' | '.')) => rest.to_owned(),
        _ => text,
    }
}

fn infinite(value: f64) -> String {
    if value.is_nan() {
        "not a number".to_owned()
    } else if value > 0.0 {
        "∞".to_owned()
    } else {
        "-∞".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent_and_their_differences_points() {
        assert_eq!(value("share", 0.9321), "93.2 %");
        assert_eq!(difference("share", false, -0.041), "-4.1 pt");
        assert_eq!(difference("characters", true, 0.25), "+25.0 %");
        assert_eq!(interval("share", false, (-0.06, 0.022)), "-6.0 pt to +2.2 pt");
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(difference("share", false, -0.00001), "0.0 pt");
        assert_eq!(value("ms", -0.0), "0.00 ms");
    }

    #[test]
    fn large_figures_have_separators_and_small_ones_decimals() {
        assert_eq!(value("characters", 12_345.6), "12,346");
        assert_eq!(value("ms", 3.456), "3.46 ms");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12), "12");
    }

    #[test]
    fn infinite_bounds_are_shown_as_such() {
        assert_eq!(interval("ms", false, (f64::NEG_INFINITY, f64::INFINITY)), "-∞ ms to +∞ ms");
    }
}
