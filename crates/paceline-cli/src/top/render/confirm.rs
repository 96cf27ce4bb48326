//! Asks whether something is meant before it is done.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Clear, Paragraph};

use super::super::source::Order;
use super::super::theme::{STRONG, Theme};
use super::super::words::cut_front;

pub(super) fn render(frame: &mut Frame<'_>, area: Rect, order: &Order, theme: Theme) {
    let (title, what, means) = match order {
        Order::Pause { .. } => {
            (" Pause ", "Pause", "All its callers wait, everywhere, until somebody resumes it.")
        }
        Order::Resume { .. } => {
            (" Resume ", "Resume", "Its callers go on; token buckets under a pause restart empty.")
        }
    };
    let area = super::middle(area, 70, 7);
    let name = cut_front(order.resource(), 50);
    let lines = vec![
        Line::raw(""),
        Line::styled(format!(" {what} {name}?"), theme.waits()),
        Line::raw(format!(" {means}")),
        Line::raw(""),
        Line::from(vec![
            ratatui::text::Span::styled(" y", STRONG),
            ratatui::text::Span::raw(" does it, any other key does not"),
        ]),
    ];
    let block = Block::bordered().title(title).title_style(theme.title()).border_style(theme.frame());
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(block.border_set(super::borders(theme))), area);
}
