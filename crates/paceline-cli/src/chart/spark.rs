//! A line of blocks, high where the value is high.

use paceline_sim::simulate::whole;

use super::columns;

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws values from 0 to `top` in at most `width` characters.
pub(crate) fn line(values: &[f64], top: f64, width: usize) -> String {
    columns(values, width).into_iter().map(|value| block(value / top.max(f64::MIN_POSITIVE))).collect()
}

fn block(part: f64) -> char {
    let eighths = whole((part.clamp(0.0, 1.0) * 8.0).ceil());
    usize::try_from(eighths).ok().and_then(|index| BLOCKS.get(index)).copied().unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_space_and_all_is_a_full_block() {
        assert_eq!(line(&[0.0, 0.01, 0.5, 1.0, 2.0], 1.0, 60), " ▁▄██");
        assert_eq!(line(&[0.0, 0.0], 0.0, 60), "  ");
    }
}
