//! Stands between tokenizer and tree builder and keeps the stack of open elements short.
//!
//! The tree builder goes through the stack of open elements for most tags. Where the stack has
//! [`MAX_OPEN`] elements, start tags no longer open an element; a line break stands for a block, so
//! that words stay apart. Browsers flatten what is nested as deeply, too.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{EndTag, StartTag, Tag, TagToken, Token, TokenSink, TokenSinkResult};
use html5ever::tree_builder::{Tracer, TreeBuilder, TreeBuilderOpts};
use html5ever::{LocalName, local_name};

use super::feed::MAX_ATTRIBUTES;
use super::role;
use super::tree::{Handle, Tree};

/// Elements that are open at once, those that only format text counted twice.
pub(super) const MAX_OPEN: usize = 512;

/// What the tokenizer takes the next bytes for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Text and tags.
    Markup,
    /// Text up to the end tag of this name.
    Raw(LocalName),
    /// Text up to the end of the page.
    Plain,
}

pub(super) struct Guard {
    builder: TreeBuilder<Handle, Tree>,
    content: RefCell<Content>,
    texts: Cell<usize>,
    declarations: Cell<usize>,
    xhtml: bool,
    /// How many start tags of each name opened no element: as many end tags close none.
    flattened: RefCell<HashMap<LocalName, usize>>,
    /// Open elements when they were last counted, and how many had been created then.
    counted: Cell<(usize, usize)>,
}

impl Guard {
    pub(super) fn new(tree: Tree, xhtml: bool) -> Self {
        let options = TreeBuilderOpts { drop_doctype: true, ..TreeBuilderOpts::default() };
        Self {
            builder: TreeBuilder::new(tree, options),
            content: RefCell::new(Content::Markup),
            texts: Cell::new(0),
            declarations: Cell::new(0),
            xhtml,
            flattened: RefCell::default(),
            counted: Cell::new((0, 0)),
        }
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.builder.sink
    }

    pub(super) fn into_tree(self) -> Tree {
        self.builder.sink
    }

    pub(super) fn content(&self) -> Content {
        self.content.borrow().clone()
    }

    /// Pieces of text until now.
    pub(super) fn texts(&self) -> usize {
        self.texts.get()
    }

    /// Comments and document types until now.
    pub(super) fn declarations(&self) -> usize {
        self.declarations.get()
    }

    /// Whether `<![CDATA[` begins text here.
    pub(super) fn has_cdata(&self) -> bool {
        self.adjusted_current_node_present_but_not_in_html_namespace()
    }

    fn is_foreign(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }

    fn start(&self, mut tag: Tag) -> TokenSinkResult<Handle> {
        let foreign = self.is_foreign();
        let opens = if foreign { !tag.self_closing } else { !role::is_void(&tag.name) };
        let closes_itself = self.xhtml && tag.self_closing && opens && !role::is_root(&tag.name);
        // A tag that is followed by its end or that closes more than it opens does not deepen the
        // stack.
        let deepens = if foreign { !role::ends_foreign(&tag.name) } else { !role::is_raw(&tag.name) };
        if opens && deepens && self.is_full() {
            if !closes_itself {
                *self.flattened.borrow_mut().entry(tag.name.clone()).or_default() += 1;
            }
            return self.set_apart(&tag.name, foreign);
        }
        if closes_itself {
            tag.self_closing = false;
            let end = Tag { kind: EndTag, attrs: Vec::new(), ..tag.clone() };
            // The tokenizer goes on as it was: there is no raw text between the two.
            let _ = self.build(TagToken(tag));
            let _ = self.build(TagToken(end));
            return TokenSinkResult::Continue;
        }
        let name = tag.name.clone();
        let result = self.build(TagToken(tag));
        match result {
            TokenSinkResult::RawData(_) => *self.content.borrow_mut() = Content::Raw(name),
            TokenSinkResult::Plaintext => *self.content.borrow_mut() = Content::Plain,
            _ => {}
        }
        result
    }

    fn end_tag(&self, tag: Tag) -> TokenSinkResult<Handle> {
        *self.content.borrow_mut() = Content::Markup;
        if let Some(count) = self.flattened.borrow_mut().get_mut(&tag.name).filter(|count| **count > 0) {
            *count -= 1;
            return self.set_apart(&tag.name, self.is_foreign());
        }
        self.build(TagToken(tag))
    }

    /// Keeps apart what a tag would, which opens or closes no element.
    fn set_apart(&self, name: &LocalName, foreign: bool) -> TokenSinkResult<Handle> {
        if foreign {
            self.build(Token::CharacterTokens(StrTendril::from_slice(" ")))
        } else if role::is_inline(name) {
            TokenSinkResult::Continue
        } else {
            let (name, attrs) = (local_name!("br"), Vec::new());
            self.build(TagToken(Tag {
                kind: StartTag,
                name,
                self_closing: false,
                attrs,
                had_duplicate_attributes: false,
            }))
        }
    }

    fn build(&self, token: Token) -> TokenSinkResult<Handle> {
        match self.builder.process_token(token, 1) {
            // Neither scripts nor other encodings keep the tokenizer from going on.
            TokenSinkResult::Script(_) | TokenSinkResult::EncodingIndicator(_) => TokenSinkResult::Continue,
            result => result,
        }
    }

    /// Whether the tree builder has [`MAX_OPEN`] elements open. They are counted only where there
    /// may be as many: only elements that were created since the last count can have come.
    fn is_full(&self) -> bool {
        let (open, created) = self.counted.get();
        let now = self.tree().elements();
        if open + (now - created) < MAX_OPEN {
            return false;
        }
        let counter = Counter::default();
        self.builder.trace_handles(&counter);
        self.counted.set((counter.0.get(), now));
        counter.0.get() >= MAX_OPEN
    }
}

impl TokenSink for Guard {
    type Handle = Handle;

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<Handle> {
        if let TagToken(tag) = &token {
            debug_assert!(tag.attrs.len() <= MAX_ATTRIBUTES, "the feed cuts what is more");
        }
        match token {
            TagToken(tag) if tag.kind == StartTag => self.start(tag),
            TagToken(tag) => self.end_tag(tag),
            Token::CharacterTokens(_) | Token::NullCharacterToken => {
                self.texts.set(self.texts.get() + 1);
                self.build(token)
            }
            Token::CommentToken(_) => {
                self.declarations.set(self.declarations.get() + 1);
                TokenSinkResult::Continue
            }
            Token::DoctypeToken(_) => {
                self.declarations.set(self.declarations.get() + 1);
                self.build(token)
            }
            Token::ParseError(_) => TokenSinkResult::Continue,
            Token::EOFToken => self.build(token),
        }
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.xhtml || self.is_foreign()
    }
}

/// Counts what the tree builder holds: open elements, formatting elements and a few others.
#[derive(Default)]
struct Counter(Cell<usize>);

impl Tracer for Counter {
    type Handle = Handle;

    fn trace_handle(&self, _node: &Handle) {
        self.0.set(self.0.get() + 1);
    }
}
