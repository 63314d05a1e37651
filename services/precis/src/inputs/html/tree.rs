//! The page's tree, as the tree builder of html5ever wants it: nodes in one vector, all their text
//! in one string.
//!
//! A node knows what text it gives ([`Role`]) and its neighbours, not its attributes. Nodes and
//! steps are counted.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};

use html5ever::interface::{ElemName, ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::StrTendril;
use html5ever::{Attribute, LocalName, Namespace, QualName};

use super::Limits;
use super::role::{self, Role};
use crate::inputs::TextError;

/// A node's place in [`Tree::nodes`]; 0, the document, where there is none, for the document is
/// nobody's child or neighbour.
pub(super) type Id = u32;

const DOCUMENT: Id = 0;

/// A node and the name that the tree builder asks for most often.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    id: Id,
    space: Namespace,
    name: LocalName,
}

impl ElemName for &Handle {
    fn ns(&self) -> &Namespace {
        &self.space
    }

    fn local_name(&self) -> &LocalName {
        &self.name
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) parent: Id,
    pub(super) first: Id,
    pub(super) next: Id,
    last: Id,
    previous: Id,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Element(Role),
    /// A part of [`Tree::text`].
    Text {
        start: u32,
        end: u32,
    },
}

#[derive(Debug)]
pub(super) struct Tree {
    nodes: RefCell<Vec<Node>>,
    text: RefCell<String>,
    /// The first title.
    title: Cell<Id>,
    elements: Cell<usize>,
    steps: Cell<u64>,
    limits: Limits,
}

impl Tree {
    pub(super) fn new(limits: Limits) -> Self {
        let tree = Self {
            nodes: RefCell::default(),
            text: RefCell::default(),
            title: Cell::new(DOCUMENT),
            elements: Cell::new(0),
            steps: Cell::new(0),
            limits,
        };
        tree.create(What::Element(Role::Inline));
        tree
    }

    /// # Errors
    /// The tree is over a limit: the parser must stop.
    pub(super) fn within_limits(&self) -> Result<(), TextError> {
        let Limits { nodes, steps, .. } = self.limits;
        if self.nodes() > nodes {
            return Err(TextError::TooManyNodes { limit: nodes });
        }
        if self.steps() > steps {
            return Err(TextError::Entangled { limit: steps });
        }
        Ok(())
    }

    pub(super) fn nodes(&self) -> usize {
        self.nodes.borrow().len()
    }

    /// What was done with nodes until now: the parser's time.
    pub(super) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Elements that were created until now.
    pub(super) fn elements(&self) -> usize {
        self.elements.get()
    }

    pub(super) fn node(&self, id: Id) -> Node {
        self.nodes.borrow()[id as usize]
    }

    pub(super) fn title(&self) -> Option<Id> {
        Some(self.title.get()).filter(|id| *id != DOCUMENT)
    }

    pub(super) fn with_text<T>(&self, read: impl FnOnce(&str) -> T) -> T {
        read(&self.text.borrow())
    }

    fn step(&self) {
        self.steps.set(self.steps.get() + 1);
    }

    fn create(&self, what: What) -> Id {
        self.step();
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(Node {
            parent: DOCUMENT,
            first: DOCUMENT,
            next: DOCUMENT,
            last: DOCUMENT,
            previous: DOCUMENT,
            what,
        });
        (nodes.len() - 1) as Id
    }

    fn detached(&self, id: Id) {
        self.step();
        let mut nodes = self.nodes.borrow_mut();
        let Node { parent, next, previous, .. } = nodes[id as usize];
        if previous != DOCUMENT {
            nodes[previous as usize].next = next;
        } else if nodes[parent as usize].first == id {
            nodes[parent as usize].first = next;
        }
        if next != DOCUMENT {
            nodes[next as usize].previous = previous;
        } else if nodes[parent as usize].last == id {
            nodes[parent as usize].last = previous;
        }
        let node = &mut nodes[id as usize];
        (node.parent, node.next, node.previous) = (DOCUMENT, DOCUMENT, DOCUMENT);
    }

    /// Puts a node below `parent`, before its child `before` or behind all of them.
    fn put(&self, parent: Id, before: Option<Id>, child: NodeOrText<Handle>) {
        self.step();
        let previous = {
            let nodes = self.nodes.borrow();
            before.map_or(nodes[parent as usize].last, |before| nodes[before as usize].previous)
        };
        let id = match child {
            NodeOrText::AppendNode(handle) => {
                self.detached(handle.id);
                handle.id
            }
            NodeOrText::AppendText(text) => match self.joined(previous, &text) {
                Ok(()) => return,
                Err(what) => self.create(what),
            },
        };
        let mut nodes = self.nodes.borrow_mut();
        let next = before.unwrap_or(DOCUMENT);
        let node = &mut nodes[id as usize];
        (node.parent, node.previous, node.next) = (parent, previous, next);
        if previous == DOCUMENT {
            nodes[parent as usize].first = id;
        } else {
            nodes[previous as usize].next = id;
        }
        if next == DOCUMENT {
            nodes[parent as usize].last = id;
        } else {
            nodes[next as usize].previous = id;
        }
    }

    /// Keeps a text, in the node before it where that is the text that came last.
    fn joined(&self, previous: Id, piece: &str) -> Result<(), What> {
        let mut text = self.text.borrow_mut();
        let start = text.len() as u32;
        text.push_str(piece);
        let piece_end = text.len() as u32;
        match &mut self.nodes.borrow_mut()[previous as usize].what {
            What::Text { end, .. } if previous != DOCUMENT && *end == start => {
                *end = piece_end;
                Ok(())
            }
            _ => Err(What::Text { start, end: piece_end }),
        }
    }
}

impl TreeSink for Tree {
    type Handle = Handle;
    type Output = Self;
    type ElemName<'a> = &'a Handle;

    fn finish(self) -> Self {
        self
    }

    fn parse_error(&self, _message: Cow<'static, str>) {}

    fn get_document(&self) -> Handle {
        Handle { id: DOCUMENT, space: Namespace::default(), name: LocalName::default() }
    }

    fn elem_name<'a>(&'a self, target: &'a Handle) -> &'a Handle {
        self.step();
        target
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> Handle {
        self.elements.set(self.elements.get() + 1);
        let role = role::of(&name, &attributes, flags.mathml_annotation_xml_integration_point);
        let id = self.create(What::Element(role));
        if let Some(alternative) = role::alternative(&name, &attributes) {
            let parent = Handle { id, space: name.ns.clone(), name: name.local.clone() };
            self.append(&parent, NodeOrText::AppendText(alternative));
        }
        if role == Role::Title && self.title.get() == DOCUMENT {
            self.title.set(id);
        }
        Handle { id, space: name.ns, name: name.local }
    }

    fn create_comment(&self, _text: StrTendril) -> Handle {
        Handle { id: self.create(What::Element(Role::Hidden)), ..self.get_document() }
    }

    fn create_pi(&self, _target: StrTendril, data: StrTendril) -> Handle {
        self.create_comment(data)
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.put(parent.id, None, child);
    }

    fn append_based_on_parent_node(&self, element: &Handle, previous: &Handle, child: NodeOrText<Handle>) {
        match self.node(element.id).parent {
            DOCUMENT => self.append(previous, child),
            parent => self.put(parent, Some(element.id), child),
        }
    }

    fn append_doctype_to_document(&self, _name: StrTendril, _public: StrTendril, _system: StrTendril) {}

    /// The template itself: what it holds is hidden, or shown where it is a shadow root.
    fn get_template_contents(&self, target: &Handle) -> Handle {
        target.clone()
    }

    fn same_node(&self, one: &Handle, other: &Handle) -> bool {
        self.step();
        one.id == other.id
    }

    fn set_quirks_mode(&self, _mode: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Handle, child: NodeOrText<Handle>) {
        self.put(self.node(sibling.id).parent, Some(sibling.id), child);
    }

    /// Of `html` and `body`, which may have a second tag.
    fn add_attrs_if_missing(&self, target: &Handle, attributes: Vec<Attribute>) {
        if role::is_hidden(&attributes) {
            self.nodes.borrow_mut()[target.id as usize].what = What::Element(Role::Hidden);
        }
    }

    fn remove_from_parent(&self, target: &Handle) {
        self.detached(target.id);
    }

    fn reparent_children(&self, node: &Handle, new_parent: &Handle) {
        loop {
            let first = self.node(node.id).first;
            if first == DOCUMENT {
                return;
            }
            let child = Handle { id: first, ..self.get_document() };
            self.append(new_parent, NodeOrText::AppendNode(child));
        }
    }

    fn is_mathml_annotation_xml_integration_point(&self, handle: &Handle) -> bool {
        matches!(self.node(handle.id).what, What::Element(Role::HiddenHtml))
    }
}
