//! Lines of little bars, and charts made of them: the newest value stands on the right.

use super::super::theme::Theme;

/// Returns the values as one line of exactly this width, from 0 to `top`.
pub(super) fn line(
    values: impl DoubleEndedIterator<Item = f64>,
    top: f64,
    width: usize,
    theme: Theme,
) -> String {
    let last: Vec<f64> = values.rev().take(width).collect();
    let gap = " ".repeat(width - last.len());
    last.into_iter().rev().fold(gap, |mut text, value| {
        text.push_str(sign(value / top.max(f64::MIN_POSITIVE), theme));
        text
    })
}

/// Returns the values as columns over several rows, the uppermost row first.
pub(super) fn rows(values: &[f64], top: f64, width: usize, height: usize, theme: Theme) -> Vec<String> {
    let columns = columns(values, width);
    let gap = width - columns.len();
    (0..height)
        .rev()
        .map(|row| {
            let mut text = " ".repeat(gap);
            for value in &columns {
                let filled = value / top.max(f64::MIN_POSITIVE) * real(height) - real(row);
                let nothing = filled <= 0.0 && (row > 0 || *value <= 0.0);
                text.push_str(if nothing { " " } else { sign(filled, theme) });
            }
            text
        })
        .collect()
}

/// Returns at most so many values: the highest of each stretch.
fn columns(values: &[f64], width: usize) -> Vec<f64> {
    let stretch = values.len().div_ceil(width.max(1)).max(1);
    let highest = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    // Whole stretches end at the newest value.
    values.rchunks(stretch).map(highest).collect::<Vec<_>>().into_iter().rev().collect()
}

/// Returns the sign for a part of 1; a little is never nothing.
fn sign(part: f64, theme: Theme) -> &'static str {
    let sparks = theme.sparks();
    if part <= 0.0 || part.is_nan() {
        return " ";
    }
    let at = super::super::words::whole((part.min(1.0) * real(sparks.len())).ceil());
    let at = usize::try_from(at).unwrap_or(0).saturating_sub(1);
    sparks.get(at).copied().unwrap_or(" ")
}

#[expect(clippy::cast_precision_loss, reason = "sizes of screens are small")]
fn real(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::super::super::theme::Colours;
    use super::*;

    #[test]
    fn the_newest_value_stands_on_the_right() {
        let theme = Theme::new(Colours::None, true);
        assert_eq!(line([0.0, 0.1, 4.0, 8.0].into_iter(), 8.0, 6, theme), "   ▁▄█");
        assert_eq!(line([1.0, 2.0, 9.0].into_iter(), 8.0, 2, theme), "▂█");
        assert_eq!(line(std::iter::empty(), 0.0, 2, theme), "  ");
    }

    #[test]
    fn columns_grow_over_rows() {
        let theme = Theme::new(Colours::None, true);
        assert_eq!(rows(&[0.0, 2.0, 3.0, 4.0], 4.0, 5, 2, theme), ["   ▄█", "  ███"]);
        assert_eq!(rows(&[1.0, 4.0, 2.0, 2.0], 4.0, 2, 1, theme), ["█▄"], "two values a column");
        let plain = Theme::new(Colours::None, false);
        assert_eq!(rows(&[2.0, 4.0], 4.0, 2, 2, plain), [" #", "##"]);
    }
}
