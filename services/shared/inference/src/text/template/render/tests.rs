#![allow(clippy::unwrap_used)]

use super::*;

fn render(source: &str) -> Result<String, EngineError> {
    Renderer::new(source, ("<s>", "</s>"))?.render(Some("be brief"), "the text")
}

fn reason(source: &str) -> String {
    match render(source) {
        Err(EngineError::BadTemplate { reason }) => reason,
        other => panic!("{source:.80}: {other:?}"),
    }
}

/// Each would otherwise run for years or take all memory.
#[test]
fn templates_that_never_end_are_refused() {
    let loops = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";
    let macros = "{% macro f(n) %}{{ f(n + 1) }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}";
    let doubling = |by: &str| {
        format!("{{% set ns = namespace(s='ab') %}}{{% for i in range(90) %}}{{% set ns.s = {by} %}}{{% endfor %}}")
    };
    let lists = "{% set ns = namespace(l=[1, 2]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}";
    for source in [
        "{% for i in range(10**9) %}{% endfor %}".to_owned(),
        loops.to_owned(),
        macros.to_owned(),
        "{{ 'ab' * 10**9 }}".to_owned(),
        "{{ 'ab' * 10**7 }}".to_owned(),
        "{{ ([1] * 10**7)|list|length }}".to_owned(),
        "{{ ('a' * 10**6).replace('a', 'b' * 10**6)|length }}".to_owned(),
        "{{ ('a' * 10**6)|replace('a', 'b' * 10**6)|length }}".to_owned(),
        "{{ ('b' * 10**6).join(range(99999))|length }}".to_owned(),
        "{{ range(99999)|join('b' * 10**6)|length }}".to_owned(),
        "{{ '%0999999999d'|format(1) }}".to_owned(),
        "{{ '{:>999999999}'.format(1) }}".to_owned(),
        "{{ '{:{}}'.format(1, 999999999) }}".to_owned(),
        "{{ ('{0:>999}' * 10**5).format(1)|length }}".to_owned(),
        "{{ ('{0}' * 10**4).format('a' * 10**6)|length }}".to_owned(),
        "{{ 'ab'|indent(10**9) }}".to_owned(),
        "{{ ('a\n' * 10**5)|indent(10**5)|length }}".to_owned(),
        doubling("ns.s ~ ns.s"),
        doubling("ns.s + ns.s"),
        doubling("ns.s * 2"),
        doubling("[ns.s, ns.s]|join"),
        doubling("ns.s.join('abc')"),
        doubling("ns.s|replace('a', 'aa')"),
        doubling("(ns.s ~ ns.s)|upper"),
        format!("{lists}{{{{ ns.l }}}}"),
        format!("{lists}{{{{ ns.l|tojson }}}}"),
        format!("{lists}{{{{ ns.l|tojson(indent=64) }}}}"),
        "{{ [1]|tojson(indent='x' * 10**6) }}".to_owned(),
        "{{ 10 ** 10 ** 10 }}".to_owned(),
        "{{ raise_exception('x' * 10**6) }}".to_owned(),
    ] {
        assert!(reason(&source).len() < 2_000, "{source}");
    }
}

/// What would overflow a stack of ordinary size ends as an error or as text, never the process.
#[test]
fn deep_templates_do_not_overflow_the_stack() {
    let fill = |open: &str, middle: &str, close: &str| {
        let times = (MAX_SOURCE_BYTES - middle.len() - 100) / (open.len() + close.len());
        format!("{{{{ 1 {}{middle}{} }}}}", open.repeat(times), close.repeat(times))
    };
    let grown = |step: &str, end: &str| {
        format!(
            "{{% set ns = namespace(l=[]) %}}{{% for i in range(99999) %}}{{% set ns.l = {step} %}}{{% if i > 6000 %}}{{% break %}}{{% endif %}}{{% endfor %}}{end}"
        )
    };
    for source in [
        fill("+1", "", ""),
        fill("*1", "", ""),
        fill(" or 1", "", ""),
        fill("|e", "", ""),
        fill(".a", "", ""),
        fill("[1]", "", ""),
        fill(" if 1 else 1", "", ""),
        fill("+(", "1", ")"),
        fill("+[", "", "]"),
        fill("+-", "1", ""),
        fill(" and not", " 1", ""),
        fill("+{1:", "1", "}"),
        format!("{}x{}", "{% if 1 %}".repeat(2000), "{% endif %}".repeat(2000)),
        format!("{}x{}", "{% for a in [1] %}".repeat(140), "{% endfor %}".repeat(140)),
        format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(5000)),
        format!("{}x{}", "{% generation %}".repeat(1000), "{% endgeneration %}".repeat(1000)),
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}".to_owned(),
        "{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_owned(),
        grown("[ns.l]", ""),
        grown("[ns.l]", "{{ ns.l }}"),
        grown("[ns.l]", "{{ ns.l|tojson }}"),
        grown("[ns.l]", "{{ ns.l == [ns.l] }}{{ [ns.l, [ns.l]]|sort|length }}{{ {ns.l: 1} }}"),
        grown("{'a': ns.l}", "{{ ns.l|pprint }}"),
        grown("ns.l + [1]", "{{ ns.l }}{{ ns.l|length }}"),
        grown("(ns.l|map('string'))", "{{ ns.l|list }}"),
    ] {
        let _ = render(&source);
    }
}

/// The text of a list that holds another twice, which holds another twice, burns no fuel.
#[test]
fn a_template_that_takes_too_long_is_refused() {
    let list = "{% set ns = namespace(l=[1]) %}{% for i in range(12) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|string|length }}";
    let renderer = Renderer::new(list, ("<s>", "</s>")).unwrap();
    let error = renderer.render_within(Duration::ZERO, None, "the text").unwrap_err();
    assert!(error.to_string().contains("it was not rendered within"), "{error}");
}

#[test]
fn a_template_that_is_too_long_or_writes_too_much_is_refused() {
    assert!(reason(&" ".repeat(MAX_SOURCE_BYTES + 1)).contains("are read"));
    assert!(reason("{{ 'ab' * 40000 }}").contains("more than 65536 bytes"));
    assert_eq!(render("{{ 'ab' * 100 }}").unwrap().len(), 200);
    assert_eq!(render("{{ 'a{:>3}{b}'.format(1, b='c') }}").unwrap(), "a  1c");
}

/// Neither text is too long to be written. Both filters pay while, or before, they make theirs: the
/// length of a finished text would come too late.
#[test]
fn what_makes_a_text_pays_for_it_beforehand() {
    let format = |times: u32| format!("{{{{ ('{{0}}' * {times}).format('a')|length }}}}");
    assert_eq!(render(&format(1_000)).unwrap(), "1000");
    assert!(reason(&format(4_000)).contains("it did not end within"));
    let tojson = |item: &str, times: u32| {
        format!(
            "{{% set ns = namespace(l=[{item}]) %}}{{% for i in range({times}) %}}{{% set ns.l = [ns.l, ns.l] %}}{{% endfor %}}\
             {{{{ ns.l|tojson|length }}}}"
        )
    };
    assert_eq!(render(&tojson("1", 3)).unwrap().trim(), (8 * 3 + 7 * 4).to_string());
    // Many values, and few that are long.
    for (item, times) in [("1", 15), ("'a' * 1000", 12)] {
        assert!(reason(&tojson(item, times)).contains("it did not end within"), "{item}");
    }
}

#[test]
fn an_endless_template_says_that_it_is_one() {
    let endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";
    assert!(reason(endless).contains("it did not end within"));
}
