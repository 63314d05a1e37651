#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod pages;

use super::*;

const UNLIMITED: Limits = Limits { nodes: usize::MAX, steps: u64::MAX, text_bytes: u64::MAX };

fn text(page: &str) -> String {
    bounded(page, UNLIMITED).unwrap()
}

/// One line a case: what is in the body, and its text with `/` for a line break.
#[track_caller]
fn gives(cases: &[(&str, &str)]) {
    for (body, expected) in cases {
        assert_eq!(text(&format!("<!doctype html><body>{body}")).replace('\n', "/"), *expected, "{body}");
    }
}

#[test]
fn content_that_a_table_does_not_expect_is_kept() {
    gives(&[
        ("<table><caption>Sales<tr><td>a<td>1<tfoot><tr><td>all<td>9</table>", "Sales/a | 1/all | 9"),
        ("<table>loose<tr>also<td>a</td>more</table>", "loosealsomore//a"),
        ("<table><p>para</p><tr><td>a</table>", "para//a"),
        ("<table><tr><td>a</td></tr></table></td>after", "a//after"),
        ("<td>a<tr>b", "ab"),
        ("<table><colgroup>x<col></table>", "x"),
        ("<table><tr><td>a<td colspan=18446744073709551615>b<td rowspan=-1>c</table>", "a | b | c"),
    ]);
}

#[test]
fn content_that_a_list_does_not_expect_is_kept() {
    gives(&[
        ("<ol><li>a</li><ol><li>b</li></ol><li>c</li></ol>", "1. a/  1. b/2. c"),
        ("<ul>x<li>a</li><p>y</p><li>b</ul>", "x/- a//y//- b"),
        ("<dl><div><dt>t</dt><dd>d</dd></div>x<p>y</dl>", "t/d/x//y"),
        ("<li>alone", "- alone"),
        ("<dd>alone", "alone"),
        ("<ul><div><li>a<li>b</div></ul>", "- a/- b"),
    ]);
}

#[test]
fn other_elements_keep_their_text_and_words_apart() {
    gives(&[
        ("<details><summary>s</summary>d</details>", "s/d"),
        ("<figure>f<figcaption>c</figcaption></figure>", "f/c"),
        ("<fieldset><legend>l</legend><label>a</label><textarea>b</textarea><button>c</button></fieldset>", "l/a b c"),
        ("<select><optgroup><option>a<option>b</select><button>c</button>", "a/b/c"),
        ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>", "漢 kan"),
        ("<math><mfrac><mn>1</mn><mn>2</mn></mfrac></math>", "1 2"),
        ("a<svg><text>b</text><text>c</text></svg>", "a b c"),
        ("<svg><foreignObject><p>a</p></foreignObject></svg>", "a"),
        ("<x-card>a<y>b</y></x-card>", "ab"),
        ("<span style='display: block'>a</span><span style='display:flex'>b</span>", "a/b"),
        ("a</body>b</html>c", "abc"),
        ("a<img alt='a ship'>b<img>", "a a ship b"),
        ("<user@host>mail", "mail"),
        ("<template shadowrootmode=open>a</template>", "a"),
    ]);
}

#[test]
fn words_are_not_split_by_what_is_not_shown() {
    gives(&[
        (
            "Wert&shy;papier Sonnen<wbr>berger <b>f</b>at co<!-- x -->mma &#8203;",
            "Wertpapier Sonnenberger fat comma \u{200B}",
        ),
        ("a&#1;b&nbsp;c", "ab\u{A0}c"),
    ]);
}

#[test]
fn numbers_are_not_joined_to_what_they_are_raised_from() {
    gives(&[("10<sup>6</sup> m<sup>2</sup> 1<sup>st</sup> CO<sub>2</sub>", "10⁶ m² 1st CO2")]);
}

#[test]
fn blocks_lines_and_blanks_are_those_of_the_page() {
    gives(&[
        (" a \n b<p>c<br>d<br><br><br>e</p>f<div>g</div>h", "a b//c/d//e//f/g/h"),
        ("<h1>a\nb</h1>c<hr>d", "a b//c//d"),
        ("<pre>\n  a\n\tb  \n\n\n\nc</pre>", "  a/\tb//c"),
        ("<ol start=3><li>a<li value=9>b<li><p>c</p></ol>", "3. a/9. b//10. c"),
        ("<ol start=99999999999><li>a</ol><ol start=2147483647><li>b<li>c</ol>", "1. a//2147483647. b/2147483647. c"),
        ("<ol type=a><li>a</ol>", "- a"),
        ("<ul><li>a<ul><li>b</ul><li>c</ul>", "- a/  - b/- c"),
        ("<ul><li></ul>a", "a"),
    ]);
}

#[test]
fn cells_are_apart_and_rows_are_lines() {
    gives(&[
        ("<table><tr><th><th>2019<th>2020<tr><td><p>in</p><td><td><p>5</p><td></table>", "| 2019 | 2020/in | | 5"),
        ("<table><tr><td><br><td>a<tr><td>b</table>", "| a/b"),
        ("<table><tr><td><p>a</p><p>b</p><td>c<td>d</table>", "a//b/c | d"),
        ("<table><tr><td><table><tr><td>a<tr><td>b</table><td>c</table>", "a/b/c"),
        ("<table><tr><td>a<td><table><tr></table><td>b</table>", "a | | b"),
        ("<table><tr><td>a<td><table><tr><td></table></table>b", "a//b"),
    ]);
}

#[test]
fn what_a_browser_does_not_show_is_left_out() {
    for hidden in [
        "<script>x</script>",
        "<style>x</style>",
        "<template>x</template>",
        "<noscript>x</noscript>",
        "<iframe>x <b>y</b></iframe>",
        "<video>x</video>",
        "<datalist><option>x</datalist>",
        "<p hidden>x <b>y</b></p>",
        "<p style='color:red; DISPLAY : none !important; display:block'>x</p>",
        "<dialog>x</dialog>",
        "<div popover>x</div>",
        "<svg><title>x</title><defs><text>y</text></defs>z</svg>",
        "<math><annotation>x</annotation></math>",
        "<!-- x --><? x ><![CDATA[x]]>",
        "<p title='x'",
    ] {
        assert_eq!(text(&format!("<!doctype html><body>a<div>b</div>{hidden}")), "a\nb", "{hidden}");
    }
    gives(&[("<p hidden=until-found>a</p><p hidden style=display:block>b</p><dialog open>c</dialog>", "a//b//c")]);
}

#[test]
fn the_title_heads_the_text_where_it_is_not_in_it() {
    let page = |body: &str| format!("<title>The \n harbour</title><meta name=a>{body}<title>Other</title>");
    assert_eq!(text(&page("<p>It opened.")), "The harbour\n\nIt opened.");
    assert_eq!(text(&page("<h1>The <i>harbour</i></h1>It opened.")), "The harbour\n\nIt opened.");
    assert_eq!(text(&page("<img>")), "", "a title alone is no text");
}

#[test]
fn elements_of_xhtml_may_close_themselves() {
    for (body, expected) in [
        ("<title/><script src='a'/><p/>a<textarea/>b<br/>c", "a b\nc"),
        ("<p>a<![CDATA[ <b> ]]>c</p>", "a <b> c"),
        ("<iframe/>a", "a"),
    ] {
        for start in ["<?xml version='1.0'?>", "<!DOCTYPE html><html xmlns='http://www.w3.org/1999/xhtml'>"] {
            assert_eq!(text(&format!("{start}{body}")), expected, "{body}");
        }
    }
    assert_eq!(text("<body>a<iframe/>b"), "a", "as browsers read HTML");
}

/// The guard flattens what is too deep: text and words stay.
#[test]
fn deep_nesting_loses_no_text() {
    let depth = 20_000;
    for (open, close) in [
        ("<div>", "</div>"),
        ("<div><p>", ""),
        ("<table><tr><td>", "</table>"),
        ("<ul><li>", "</ul>"),
        ("<b>", "</b>"),
        ("<user@host>", ""),
        ("<svg>", "</svg>"),
        ("<object><b>", "</object>"),
    ] {
        let page = format!("{}<p>one<p>two</p>{}<p>three", open.repeat(depth), close.repeat(depth));
        let text = text(&page);
        assert_eq!(
            text.split_ascii_whitespace().filter(|word| word.len() > 2).collect::<Vec<_>>(),
            ["one", "two", "three"],
            "{open}"
        );
    }
}

#[test]
fn attributes_by_the_ten_thousand_lose_no_text() {
    let attributes: String = (0..50_000).map(|number| format!(" a{number}=\"b>\"")).collect();
    assert_eq!(text(&format!("<p{attributes}>a</p{attributes}>b<br{attributes}/>c")), "a\n\nb\nc");
}

/// The markup of a size.
type Shape = Box<dyn Fn(usize) -> String>;

/// Four times as much takes four times as many steps and nodes, not sixteen times.
#[test]
fn time_and_memory_grow_with_the_size() {
    let numbered = |start: &'static str, end: &'static str| {
        move |count: usize| (0..count).map(|number| format!("{start}{number}{end}")).collect::<String>()
    };
    let repeated = |unit: &'static str| move |count: usize| unit.repeat(count);
    let mut shapes: Vec<(&str, Shape)> = vec![
        ("numbered bold", Box::new(numbered("<b id=", ">x"))),
        ("numbered bold in paragraphs", Box::new(numbered("<p><b id=", ">x"))),
        ("numbered links over blocks", Box::new(numbered("<a id=", "><div>x"))),
        ("unknown elements", Box::new(numbered("<user", "@host>x"))),
        ("unknown end tags", Box::new(move |count| "<div>".repeat(1_000) + &numbered("</x", ">")(count))),
        ("attributes", Box::new(move |count| format!("<p {}>", numbered(" a", "=1")(count)))),
    ];
    for unit in [
        "<div>",
        "<div>x",
        "<b>",
        "<b>x</i>",
        "<a>x",
        "<a><p>x",
        "<b><i><u><p>x</b></i></u>",
        "<nobr>x",
        "<font size=1>x",
        "<table>",
        "<table>x",
        "<table><tr><td>",
        "<tr><td>x",
        "<li>x",
        "<ul><li>x",
        "<dl><dd>x",
        "<p>x",
        "<p><b>",
        "<select>",
        "<select><option>x",
        "<option>x",
        "<optgroup>",
        "<template>",
        "<template><td>x",
        "<svg>",
        "<svg><a>x",
        "<svg><p>",
        "<math><mi>x",
        "<object><b>x",
        "<button>x",
        "<form>",
        "<ruby><rt>x",
        "<h1>x",
        "<html a><body b>",
        "</p>",
        "</br>",
        "<frameset>",
        "<title>",
        "<textarea>",
        "<script></script",
        "<script><!--<script></script",
        "<!--",
        "<!-->-",
        "<![CDATA[",
        "<svg><![CDATA[",
        "&amp;",
        "&nGt;",
        "&#9999;",
        "&",
        "<",
        "</",
        "<a b='",
        "x ",
        "<pre> ",
        "<td colspan=18446744073709551615 rowspan=65534>x",
    ] {
        shapes.push((unit, Box::new(repeated(unit))));
    }
    for (name, shape) in shapes {
        let measure = |count: usize| {
            let page = shape(count);
            let tree = feed::parse(&page, UNLIMITED).unwrap();
            let text = text::of(&tree, u64::MAX).unwrap();
            [tree.steps(), tree.nodes() as u64, text.len() as u64].map(|amount| amount + 10_000)
        };
        // More than what the guard leaves open.
        let (less, more) = (measure(1_000), measure(4_000));
        for (less, more) in less.into_iter().zip(more) {
            assert!(more <= 6 * less, "{name}: {less} became {more}");
        }
    }
}

#[test]
fn a_page_over_a_limit_is_refused_with_its_number() {
    let page = "<p>word ".repeat(1_000);
    let refused = |limits| bounded(&page, limits).unwrap_err().to_string();
    assert!(refused(Limits { nodes: 100, ..UNLIMITED }).contains("100 elements"));
    assert!(refused(Limits { steps: 100, ..UNLIMITED }).contains("100 steps"));
    assert!(refused(Limits { text_bytes: 5_000, ..UNLIMITED }).contains("limit"));
    assert!(bounded(&page, Limits { nodes: 2_010, steps: 100_000, text_bytes: 6_000 }).is_ok());
}
