//! What each element does to the text: whether its text is shown, and what stands around it.
//!
//! As in a browser that knows no style sheets but its own and those of `style` attributes, runs
//! scripts (so that `noscript` is hidden) and shows images, with these differences: what `details`
//! and `select` show only on a click is text; an image gives its alternative text; the page's title
//! is text, too ([`super::text`]).

use html5ever::tendril::StrTendril;
use html5ever::{Attribute, LocalName, QualName, local_name, ns};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing: the text runs on.
    Inline,
    /// Blanks around it.
    Apart,
    /// Lines of its own.
    Line,
    /// Empty lines around it.
    Block,
    /// A block whose lines and blanks are kept.
    Preformatted,
    /// A field whose lines and blanks are kept.
    Field,
    /// A line break.
    Break,
    /// A list; an ordered one has the number of its first item.
    List(Option<i32>),
    /// An item of a list, with its number where it states one.
    Item(Option<i32>),
    /// A row of a table.
    Row,
    /// A cell of a table.
    Cell,
    /// Raised text: numbers are set apart from what they are raised from.
    Superscript,
    /// A drawing, of which only some elements show text.
    Drawing,
    /// Text in a drawing.
    Drawn,
    /// The page's title.
    Title,
    /// Not shown.
    Hidden,
    /// Not shown, and HTML within a formula.
    HiddenHtml,
}

/// The role of an element.
pub(super) fn of(name: &QualName, attributes: &[Attribute], html_in_mathml: bool) -> Role {
    let role = match name.ns {
        ns!(html) => of_html(&name.local, attributes),
        ns!(svg) => of_svg(&name.local),
        ns!(mathml) => of_mathml(&name.local, html_in_mathml),
        _ => Role::Inline,
    };
    match display(attributes) {
        Some(Display::None) if !matches!(role, Role::Title | Role::HiddenHtml) => Role::Hidden,
        Some(Display::Block) if role == Role::Inline => Role::Line,
        None if name.ns == ns!(html) && states_hidden(&name.local, attributes) => Role::Hidden,
        _ => role,
    }
}

fn of_html(name: &LocalName, attributes: &[Attribute]) -> Role {
    match &**name {
        "address" | "article" | "aside" | "body" | "caption" | "center" | "dd" | "details" | "dialog" | "div"
        | "dt" | "fieldset" | "figcaption" | "footer" | "form" | "frameset" | "header" | "hgroup" | "html"
        | "legend" | "main" | "nav" | "optgroup" | "option" | "search" | "section" | "summary" | "tbody" | "tfoot"
        | "thead" => Role::Line,
        "blockquote" | "dl" | "figure" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "hr" | "p" | "table" => Role::Block,
        "button" | "embed" | "img" | "input" | "label" | "marquee" | "object" | "output" | "rt" | "rtc" | "select" => {
            Role::Apart
        }
        "listing" | "plaintext" | "pre" | "xmp" => Role::Preformatted,
        "textarea" => Role::Field,
        "br" => Role::Break,
        "dir" | "menu" | "ul" => Role::List(None),
        "ol" if attribute(attributes, "type").is_some_and(|kind| !matches!(kind.trim(), "1" | "")) => Role::List(None),
        "ol" => Role::List(Some(number(attributes, "start").unwrap_or(1))),
        "li" => Role::Item(number(attributes, "value")),
        "tr" => Role::Row,
        "td" | "th" => Role::Cell,
        "sup" => Role::Superscript,
        "title" => Role::Title,
        "template" if attribute(attributes, "shadowrootmode").is_some_and(is_shadow_root) => Role::Line,
        "area" | "audio" | "base" | "basefont" | "canvas" | "datalist" | "frame" | "head" | "iframe" | "link"
        | "meta" | "meter" | "noembed" | "noframes" | "noscript" | "param" | "progress" | "rp" | "script"
        | "source" | "style" | "template" | "track" | "video" => Role::Hidden,
        _ => Role::Inline,
    }
}

/// Only `text` and HTML within a drawing show text, and only outside of what is kept for use
/// elsewhere.
fn of_svg(name: &LocalName) -> Role {
    match &**name {
        "svg" => Role::Drawing,
        "text" | "foreignObject" => Role::Drawn,
        "clipPath" | "defs" | "desc" | "filter" | "linearGradient" | "marker" | "mask" | "metadata" | "pattern"
        | "radialGradient" | "script" | "style" | "symbol" | "title" => Role::Hidden,
        "tspan" => Role::Apart,
        _ => Role::Inline,
    }
}

fn of_mathml(name: &LocalName, html: bool) -> Role {
    match &**name {
        "annotation-xml" if html => Role::HiddenHtml,
        "annotation" | "annotation-xml" => Role::Hidden,
        "mtr" | "mlabeledtr" => Role::Line,
        "mi" | "mn" | "mo" | "ms" | "mtable" | "mtd" | "mtext" => Role::Apart,
        _ => Role::Inline,
    }
}

/// The text that stands for an image.
pub(super) fn alternative(name: &QualName, attributes: &[Attribute]) -> Option<StrTendril> {
    if name.ns != ns!(html) || name.local != local_name!("img") {
        return None;
    }
    attributes.iter().find(|attribute| &*attribute.name.local == "alt").map(|attribute| attribute.value.clone())
}

/// Whether an element with these attributes is not shown.
pub(super) fn is_hidden(attributes: &[Attribute]) -> bool {
    match display(attributes) {
        Some(display) => display == Display::None,
        None => has_hidden(attributes),
    }
}

fn states_hidden(name: &LocalName, attributes: &[Attribute]) -> bool {
    has_hidden(attributes)
        || attribute(attributes, "popover").is_some()
        || (*name == local_name!("dialog") && attribute(attributes, "open").is_none())
}

/// What is hidden until it is found by a search is text that can be found.
fn has_hidden(attributes: &[Attribute]) -> bool {
    attribute(attributes, "hidden").is_some_and(|value| !value.eq_ignore_ascii_case("until-found"))
}

fn is_shadow_root(mode: &str) -> bool {
    mode.eq_ignore_ascii_case("open") || mode.eq_ignore_ascii_case("closed")
}

fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| &*attribute.name.local == name).map(|attribute| &*attribute.value)
}

fn number(attributes: &[Attribute], name: &str) -> Option<i32> {
    attribute(attributes, name)?.trim().parse().ok()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Display {
    None,
    Inline,
    Block,
}

/// What the `style` attribute says of `display`: the last one that it says, or the last important
/// one.
fn display(attributes: &[Attribute]) -> Option<Display> {
    let mut found = None;
    for declaration in attribute(attributes, "style")?.split(';') {
        let Some((property, value)) = declaration.split_once(':') else { continue };
        if !property.trim().eq_ignore_ascii_case("display") {
            continue;
        }
        let value = value.to_ascii_lowercase();
        let (value, important) = match value.split_once('!') {
            Some((value, rest)) => (value.trim(), rest.trim() == "important"),
            None => (value.trim(), false),
        };
        let display = match value {
            "none" => Display::None,
            "block" | "flex" | "grid" | "flow-root" | "list-item" | "table" | "table-row" | "table-caption" => {
                Display::Block
            }
            _ => Display::Inline,
        };
        if important || !matches!(found, Some((_, true))) {
            found = Some((display, important));
        }
    }
    found.map(|(display, _)| display)
}

/// Elements without content.
pub(super) fn is_void(name: &LocalName) -> bool {
    matches!(
        &**name,
        "area"
            | "base"
            | "basefont"
            | "bgsound"
            | "br"
            | "col"
            | "embed"
            | "frame"
            | "hr"
            | "image"
            | "img"
            | "input"
            | "keygen"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

/// Elements whose content has no tags.
pub(super) fn is_raw(name: &LocalName) -> bool {
    matches!(
        &**name,
        "iframe"
            | "noembed"
            | "noframes"
            | "noscript"
            | "plaintext"
            | "script"
            | "style"
            | "textarea"
            | "title"
            | "xmp"
    )
}

/// Elements that a page has once.
pub(super) fn is_root(name: &LocalName) -> bool {
    matches!(&**name, "html" | "head" | "body")
}

/// Elements that end the drawing or formula in which their start tag is.
pub(super) fn ends_foreign(name: &LocalName) -> bool {
    matches!(
        &**name,
        "b" | "big"
            | "blockquote"
            | "body"
            | "br"
            | "center"
            | "code"
            | "dd"
            | "div"
            | "dl"
            | "dt"
            | "em"
            | "embed"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "head"
            | "hr"
            | "i"
            | "img"
            | "li"
            | "listing"
            | "menu"
            | "meta"
            | "nobr"
            | "ol"
            | "p"
            | "pre"
            | "ruby"
            | "s"
            | "small"
            | "span"
            | "strike"
            | "strong"
            | "sub"
            | "sup"
            | "table"
            | "tt"
            | "u"
            | "ul"
            | "var"
    )
}

/// Elements within a line.
pub(super) fn is_inline(name: &LocalName) -> bool {
    of_html(name, &[]) == Role::Inline
}
