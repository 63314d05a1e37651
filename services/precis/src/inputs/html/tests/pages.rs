//! Generated pages, valid and broken: is every text that is shown in the text, once, in order, and
//! nothing else?
//!
//! For a valid page the generator knows what is shown. A broken one is parsed by html5ever into the
//! tree of `markup5ever_rcdom`, in one piece and without a guard, and a second, plain walk says
//! what is shown. `tests/harness/browser.py` holds the same pages against a browser.

use std::path::Path;
use std::{env, fs};

use html5ever::tendril::TendrilSink;
use html5ever::{ParseOpts, ns, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};

use super::*;

const PAGES: u64 = 400;

/// Numbers by Vigna's splitmix64: a page for each seed, the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 33) as usize % limit
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }
}

/// A valid page in tags and texts.
struct Page {
    chance: Chance,
    pieces: Vec<String>,
    words: usize,
    shown: Vec<String>,
    /// Elements around that are not shown.
    hidden: usize,
}

const FLOW: [&str; 18] = [
    "div",
    "section",
    "article",
    "aside",
    "nav",
    "header",
    "footer",
    "main",
    "blockquote",
    "figure",
    "figcaption",
    "fieldset",
    "legend",
    "details",
    "summary",
    "address",
    "center",
    "form",
];
const PHRASING: [&str; 24] = [
    "b", "i", "em", "strong", "code", "span", "a", "u", "s", "small", "sub", "sup", "q", "cite", "mark", "abbr",
    "time", "label", "font", "output", "ins", "del", "x-word", "bdi",
];
const HIDDEN: [(&str, &str); 12] = [
    ("<script>", "</script>"),
    ("<style>", "</style>"),
    ("<template>", "</template>"),
    ("<noscript>", "</noscript>"),
    ("<iframe>", "</iframe>"),
    ("<div hidden>", "</div>"),
    ("<div style='display:none'>", "</div>"),
    ("<section hidden><p>", "</p></section>"),
    ("<datalist><option>", "</option></datalist>"),
    ("<dialog>", "</dialog>"),
    ("<svg><defs><text>", "</text></defs></svg>"),
    ("<!--", "-->"),
];
const SHOWN: [(&str, &str); 9] = [
    ("<textarea>", "</textarea>"),
    ("<select><option>", "</option></select>"),
    ("<button>", "</button>"),
    ("<svg><text>", "</text></svg>"),
    ("<svg><foreignObject>", "</foreignObject></svg>"),
    ("<math><mi>", "</mi></math>"),
    ("<math><mtext>", "</mtext></math>"),
    ("<ruby><rt>", "</rt></ruby>"),
    ("<object>", "</object>"),
];

impl Page {
    fn new(seed: u64) -> Self {
        let mut page = Self { chance: Chance(seed), pieces: Vec::new(), words: 0, shown: Vec::new(), hidden: 0 };
        page.put("<!doctype html><html><head><meta charset=utf-8>");
        page.around("<script>", "</script>", true, Self::word);
        page.put("</head><body>");
        for _ in 0..=page.chance.below(6) {
            page.flow(4);
        }
        page.put("</body></html>");
        page
    }

    fn put(&mut self, piece: &str) {
        self.pieces.push(piece.to_owned());
    }

    fn word(&mut self) {
        let word = format!("w{}e", self.words);
        self.words += 1;
        let blank = self.chance.of(&["", " ", "\n"]);
        self.put(&format!("{word}{blank}"));
        if self.hidden == 0 {
            self.shown.push(word);
        }
    }

    fn around(&mut self, open: &str, close: &str, hides: bool, inner: impl FnOnce(&mut Self)) {
        for tag in open.split_inclusive('>') {
            self.put(tag);
        }
        self.hidden += usize::from(hides);
        inner(self);
        self.hidden -= usize::from(hides);
        for tag in close.split_inclusive('>') {
            self.put(tag);
        }
    }

    fn element(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        self.around(&format!("<{name}>"), &format!("</{name}>"), false, inner);
    }

    fn several(&mut self, most: usize, mut inner: impl FnMut(&mut Self)) {
        for _ in 0..=self.chance.below(most) {
            inner(self);
        }
    }

    fn flow(&mut self, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return self.phrasing(1) };
        match self.chance.below(12) {
            0..=3 => {
                // A form within a form has no tag of its own.
                let name = if depth == 3 { self.chance.of(&FLOW) } else { self.chance.of(&FLOW[..17]) };
                self.element(name, |page| page.several(3, |page| page.flow(depth)));
            }
            4 | 5 => {
                let name = self.chance.of(&["p", "h1", "h3", "pre"]);
                self.element(name, |page| page.several(3, |page| page.phrasing(2)));
            }
            6 => {
                let list = self.chance.of(&["ul", "ol", "menu"]);
                self.element(list, |page| page.several(3, |page| page.items(depth)));
            }
            7 => self.element("dl", |page| {
                page.several(2, |page| {
                    page.element("div", |page| {
                        page.element("dt", |page| page.phrasing(2));
                        page.element("dd", |page| page.flow(depth));
                    });
                });
            }),
            8 => self.table(depth),
            9 => {
                let (open, close) = HIDDEN[self.chance.below(HIDDEN.len())];
                self.around(open, close, true, |page| page.several(2, Self::word));
            }
            10 => {
                let (open, close) = SHOWN[self.chance.below(SHOWN.len())];
                self.around(open, close, false, |page| page.several(2, Self::word));
            }
            _ => self.phrasing(2),
        }
    }

    /// Items, and what lists should not hold.
    fn items(&mut self, depth: usize) {
        match self.chance.below(6) {
            0 => self.word(),
            1 => self.element("ol", |page| page.element("li", Self::word)),
            2 => self.flow(depth),
            _ => self.element("li", |page| page.flow(depth)),
        }
    }

    fn table(&mut self, depth: usize) {
        self.element("table", |page| {
            page.element("caption", Self::word);
            for part in ["thead", "tbody", "tfoot"] {
                page.element(part, |page| {
                    page.several(2, |page| {
                        page.element("tr", |page| {
                            page.several(3, |page| {
                                let cell = page.chance.of(&["td", "th"]);
                                page.element(cell, |page| page.flow(depth));
                            });
                        });
                    });
                });
            }
        });
    }

    fn phrasing(&mut self, depth: usize) {
        match (self.chance.below(4), depth.checked_sub(1)) {
            (0 | 1, Some(depth)) => {
                let name = self.chance.of(&PHRASING);
                // A label in a label or a link in a link ends the outer one.
                self.element(name, |page| page.several(2, |page| page.phrasing(depth)));
            }
            (2, _) => {
                let piece =
                    self.chance.of(&["<br>", "<wbr>", "<img src=a>", "<input type=checkbox>", "<!-- -->", "&amp;"]);
                self.put(piece);
            }
            _ => self.word(),
        }
    }

    /// Tags are lost, doubled, moved, and put where none was; the end may be missing.
    fn broken(mut self) -> String {
        for _ in 0..=self.chance.below(8) {
            let (at, other) = (self.chance.below(self.pieces.len()), self.chance.below(self.pieces.len()));
            let is_word = |piece: &String| !piece.starts_with('<');
            match self.chance.below(5) {
                0 if !is_word(&self.pieces[at]) => self.pieces[at].clear(),
                1 if !is_word(&self.pieces[at]) => {
                    let tag = self.pieces[at].clone();
                    self.pieces.insert(other, tag);
                }
                2 => self.pieces.swap(at, other),
                3 => {
                    let name = self
                        .chance
                        .of(&["table", "tr", "td", "p", "li", "b", "a", "select", "svg", "math", "div", "form", "h1"]);
                    let slash = self.chance.of(&["", "/"]);
                    self.pieces.insert(at, format!("<{slash}{name}>"));
                }
                4 if self.chance.below(4) == 0 => self.pieces.truncate(at + 1),
                _ => {}
            }
        }
        self.pieces.concat()
    }
}

fn words(text: &str) -> Vec<&str> {
    let ends =
        |piece: &str| piece.find('e').filter(|end| *end > 0 && piece[..*end].bytes().all(|byte| byte.is_ascii_digit()));
    text.split('w').filter_map(|piece| Some(&piece[..ends(piece)?])).collect()
}

/// What a plain walk over the tree of another sink shows.
fn shown_by_tree(node: &Handle, out: &mut String) {
    match &node.data {
        NodeData::Text { contents } => out.push_str(&contents.borrow()),
        NodeData::Element { name, attrs, .. } => {
            let hides = ["script", "style", "template", "noscript", "iframe", "datalist", "dialog", "head"];
            let attrs = attrs.borrow();
            let is_html = name.ns == ns!(html);
            if name.ns == ns!(svg) && matches!(&*name.local, "defs" | "script" | "style") {
                return;
            }
            if is_html
                && (hides.contains(&&*name.local)
                    || attrs.iter().any(|attr| matches!(&*attr.name.local, "hidden" | "style")))
            {
                return;
            }
            // Of a drawing only text and HTML.
            if name.ns == ns!(svg) && &*name.local == "svg" {
                return shown_by_drawing(node, out);
            }
        }
        _ => {}
    }
    for child in node.children.borrow().iter() {
        shown_by_tree(child, out);
    }
}

fn shown_by_drawing(node: &Handle, out: &mut String) {
    for child in node.children.borrow().iter() {
        match &child.data {
            NodeData::Element { name, .. } if matches!(&*name.local, "text" | "foreignObject") => {
                shown_by_tree(child, out);
            }
            NodeData::Element { name, .. } if !matches!(&*name.local, "defs" | "script" | "style") => {
                shown_by_drawing(child, out);
            }
            _ => {}
        }
    }
}

fn tree_of(page: &str) -> RcDom {
    parse_document(RcDom::default(), ParseOpts::default()).one(page)
}

#[test]
fn generated_pages_give_every_text_that_is_shown() {
    for seed in 0..PAGES {
        let page = Page::new(seed);
        let source = page.pieces.concat();
        let shown: Vec<&str> = page.shown.iter().map(|word| &word[1..word.len() - 1]).collect();
        assert_eq!(words(&text(&source)), shown, "seed {seed}: {source}");
    }
}

#[test]
fn broken_pages_give_every_text_that_their_tree_shows() {
    for seed in 0..PAGES {
        let source = Page::new(seed).broken();
        let mut shown = String::new();
        shown_by_tree(&tree_of(&source).document, &mut shown);
        assert_eq!(words(&text(&source)), words(&shown), "seed {seed}: {source}");
    }
}

/// Where `PRECIS_HTML_PAGES` names a folder, pages and their texts for `tests/harness/browser.py`;
/// otherwise nothing.
#[test]
fn generated_pages_are_written_where_asked() {
    let Some(folder) = env::var_os("PRECIS_HTML_PAGES") else { return };
    for seed in 0..PAGES {
        for (kind, source) in [("valid", Page::new(seed).pieces.concat()), ("broken", Page::new(seed).broken())] {
            let path = Path::new(&folder).join(format!("{kind}-{seed}"));
            fs::write(path.with_extension("txt"), text(&source)).unwrap();
            fs::write(path.with_extension("html"), source).unwrap();
        }
    }
}
