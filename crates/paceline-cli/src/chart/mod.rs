//! Charts of a simulation: in the terminal, and as SVG.

pub(crate) mod spark;
pub(crate) mod svg;

/// Returns the largest value of each of `columns` equal parts.
fn columns(values: &[f64], columns: usize) -> Vec<f64> {
    let count = columns.min(values.len());
    let part = |column: usize| {
        let (from, to) = (column * values.len() / count, (column + 1) * values.len() / count);
        values.get(from..to).unwrap_or_default().iter().copied().fold(0.0, f64::max)
    };
    (0..count).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_high_as_its_highest_value() {
        assert_eq!(columns(&[1.0, 5.0, 2.0, 3.0], 2), [5.0, 3.0]);
        assert_eq!(columns(&[1.0, 2.0], 9), [1.0, 2.0]);
        assert!(columns(&[], 4).is_empty());
    }
}
