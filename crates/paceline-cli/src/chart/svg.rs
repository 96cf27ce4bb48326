//! A chart as SVG: a panel for the line, and one for each limit.

use std::fmt::Write as _;

use paceline_sim::simulate::{Series, real};

use super::columns;
use crate::text::lasting;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 16.0;
const PANEL: f64 = 96.0;
const GAP: f64 = 44.0;
const TOP: f64 = 40.0;
const BELOW: f64 = 24.0;
/// As many points as there are pixels.
const POINTS: usize = 928;

/// Draws series under each other, each under its title.
pub(crate) fn draw(charts: &[(String, &Series)]) -> String {
    let height: f64 = charts.iter().map(|(_, series)| height_of(series)).sum();
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\" fill=\"#1f2933\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let mut above = 0.0;
    for (title, series) in charts {
        let _ = writeln!(svg, "<g transform=\"translate(0 {above})\">");
        chart(&mut svg, title, series);
        svg.push_str("</g>\n");
        above += height_of(series);
    }
    svg + "</svg>\n"
}

fn height_of(series: &Series) -> f64 {
    let panels = u32::try_from(series.limits.len()).unwrap_or(u32::MAX).saturating_add(1);
    TOP + f64::from(panels) * (PANEL + GAP) + BELOW
}

fn chart(svg: &mut String, title: &str, series: &Series) {
    let waiting: Vec<f64> = series.waiting.iter().copied().map(real).collect();
    let most = waiting.iter().copied().fold(1.0, f64::max);
    let title = escaped(title);
    let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"22\" font-size=\"16\" font-weight=\"bold\">{title}</text>");
    panel(svg, 0, &format!("waiting (at most {most})"), &waiting, most, "#c2410c");
    for (position, (name, parts)) in (1..).zip(&series.limits) {
        panel(svg, position, &format!("{name}: part in use"), parts, 1.0, "#0f766e");
    }
    let samples = u64::try_from(series.waiting.len()).unwrap_or(u64::MAX);
    let (right, low) = (WIDTH - LEFT, height_of(series) - BELOW);
    let end = lasting(series.interval_ms.saturating_mul(samples));
    let _ = writeln!(svg, "<text x=\"{right}\" y=\"{low}\" text-anchor=\"end\">{end}</text>");
}

fn panel(svg: &mut String, position: u32, label: &str, values: &[f64], top: f64, colour: &str) {
    let above = TOP + f64::from(position) * (PANEL + GAP) + 18.0;
    let floor = above + PANEL;
    let values = columns(values, POINTS);
    let last = u32::try_from(values.len().saturating_sub(1)).unwrap_or(u32::MAX).max(1);
    let step = (WIDTH - 2.0 * LEFT) / f64::from(last);
    let mut points = String::new();
    for (column, value) in (0u32..).zip(&values) {
        let x = LEFT + f64::from(column) * step;
        let y = floor - (value / top).clamp(0.0, 1.0) * PANEL;
        let _ = write!(points, " L{x:.1} {y:.1}");
    }
    let right = WIDTH - LEFT;
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.1}\">{}</text>\n\
         <path d=\"M{LEFT} {floor:.1}{points} L{right} {floor:.1} Z\" fill=\"{colour}\" fill-opacity=\"0.25\" \
         stroke=\"{colour}\"/>\n\
         <path d=\"M{LEFT} {above:.1} H{right} M{LEFT} {floor:.1} H{right}\" stroke=\"#cbd2d9\" fill=\"none\"/>",
        above - 6.0,
        escaped(label),
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_panel_and_names_are_escaped() {
        let limits = vec![("a<b".to_owned(), vec![0.0, 1.0]), ("c".to_owned(), vec![0.5, 0.5])];
        let svg = draw(&[("a & b".to_owned(), &Series { interval_ms: 60_000, waiting: vec![0, 3], limits })]);
        assert_eq!(svg.matches("part in use").count(), 2);
        assert!(svg.contains("a &amp; b") && svg.contains("a&lt;b") && svg.contains("at most 3"), "{svg}");
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }
}
