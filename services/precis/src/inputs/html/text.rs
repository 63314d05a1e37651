//! The text of a tree: one walk over its nodes, without calling itself, so that no depth is too
//! much.

use super::role::Role;
use super::tree::{Id, Node, Tree, What};
use super::writer::Writer;
use crate::inputs::TextError;

/// Digits of a raised number; a longer one is text.
const MAX_RAISED_DIGITS: usize = 4;
const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];

/// The text that the tree shows, headed by its title where that is not in the text already.
///
/// # Errors
/// [`TextError::TooLarge`]: it is longer than `max_bytes`.
pub(super) fn of(tree: &Tree, max_bytes: u64) -> Result<String, TextError> {
    let text = tree.with_text(|source| {
        let text = shown(tree, source, 0, max_bytes);
        match tree.title().map(|title| shown(tree, source, title, max_bytes)) {
            Some(title) if !text.is_empty() && !text.contains(&title) => format!("{title}\n\n{text}"),
            _ => text,
        }
    });
    if text.len() as u64 > max_bytes { Err(TextError::TooLarge { limit: max_bytes }) } else { Ok(text) }
}

/// What is shown of a node. It may end soon after `max_bytes`.
fn shown(tree: &Tree, source: &str, root: Id, max_bytes: u64) -> String {
    let mut walk = Walk { tree, source, writer: Writer::default(), drawings: Vec::new() };
    let mut at = root;
    loop {
        let node = tree.node(at);
        let first = if walk.enter(at, root, &node) { node.first } else { 0 };
        if first != 0 {
            at = first;
            continue;
        }
        // Up to the next that has a neighbour.
        loop {
            let node = tree.node(at);
            walk.leave(&node);
            if at == root || walk.writer.written() as u64 > max_bytes {
                return walk.writer.finished();
            }
            if node.next != 0 {
                at = node.next;
                break;
            }
            at = node.parent;
        }
    }
}

struct Walk<'a> {
    tree: &'a Tree,
    source: &'a str,
    writer: Writer,
    /// For each drawing and each text in one, from the outside: is text shown?
    drawings: Vec<bool>,
}

impl Walk<'_> {
    /// Writes what stands before a node's children, or its text; whether its children are shown.
    fn enter(&mut self, id: Id, root: Id, node: &Node) -> bool {
        let writer = &mut self.writer;
        match node.what {
            What::Text { start, end } => {
                if self.drawings.last() != Some(&false) {
                    writer.text(&self.source[start as usize..end as usize]);
                }
            }
            What::Element(role) => match role {
                Role::Inline => {}
                Role::Hidden | Role::HiddenHtml => return false,
                Role::Title => return id == root,
                Role::Superscript => {
                    if let Some(number) = self.raised(node) {
                        self.writer.raised(&number);
                        return false;
                    }
                }
                Role::Apart => writer.space(),
                Role::Line => writer.line(),
                Role::Block => writer.block(),
                Role::Break => writer.line_break(),
                Role::Preformatted => {
                    writer.block();
                    writer.keep_blanks();
                }
                Role::Field => {
                    writer.space();
                    writer.keep_blanks();
                }
                Role::List(first) => writer.begin_list(first),
                Role::Item(number) => writer.begin_item(number),
                Role::Row => writer.begin_row(),
                Role::Cell => writer.begin_cell(),
                Role::Drawing | Role::Drawn => {
                    writer.space();
                    self.drawings.push(role == Role::Drawn);
                }
            },
        }
        true
    }

    /// Writes what stands behind a node's children.
    fn leave(&mut self, node: &Node) {
        let writer = &mut self.writer;
        let What::Element(role) = node.what else { return };
        match role {
            Role::Inline | Role::Hidden | Role::HiddenHtml | Role::Title | Role::Superscript | Role::Break => {}
            Role::Apart => writer.space(),
            Role::Line => writer.line(),
            Role::Block => writer.block(),
            Role::Preformatted => {
                writer.drop_blanks();
                writer.block();
            }
            Role::Field => {
                writer.drop_blanks();
                writer.space();
            }
            Role::List(_) => writer.end_list(),
            Role::Item(_) => writer.end_item(),
            Role::Row => writer.end_row(),
            Role::Cell => writer.end_cell(),
            Role::Drawing | Role::Drawn => {
                self.drawings.pop();
                writer.space();
            }
        }
    }

    /// The number that a superscript consists of, with raised digits: 10<sup>6</sup> is not 106.
    fn raised(&self, node: &Node) -> Option<String> {
        let only = self.tree.node(node.first);
        let What::Text { start, end } = only.what else { return None };
        let text = self.source[start as usize..end as usize].trim();
        if only.next != 0 || text.is_empty() || text.len() > MAX_RAISED_DIGITS {
            return None;
        }
        text.chars().map(|digit| Some(RAISED[digit.to_digit(10)? as usize])).collect()
    }
}
