//! What the keys do, and what the screen says.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};

use super::super::theme::Theme;

const TEXT: &str = "\
q, Ctrl-C     quit              Up, Down, j, k   choose a resource
Enter         its charts        Left, Right      other charts
/             filter by name    Esc              back, show all
s             sort by another   p, then y        pause the resource
?             this page         r, then y        let it go on

waits for     the limit that the line waits for
oldest        how long the first of the line has waited
in flight     permits that are out: calls on their way
used          spent, and not come back yet
reserved      held apart for calls that have not settled
full          when all of it is there again if nothing more is granted
head goes     about when the first of the line goes, where that can be told
rate          what is spent now, after refunds, the mean of 20 seconds

Only p and r change anything: all else looks, once an interval.";

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let height = super::length(TEXT.lines().count()) + 2;
    let area = super::middle(area, 76, height);
    let lines: Vec<Line<'_>> = TEXT.lines().map(|line| Line::raw(format!(" {line}"))).collect();
    let block = Block::bordered().title(" Help ").title_style(theme.title()).border_style(theme.frame());
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(block.border_set(super::borders(theme))), area);
}
