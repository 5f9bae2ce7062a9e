use super::*;
use serde_json::json;

fn render(template: &Template, data: &serde_json::Value) -> Result<String, RenderError> {
    template.render(&TemplateContext {
        event: "deploy.finished",
        title: None,
        priority: "normal",
        data: data.as_object().unwrap(),
        digest: None,
    })
}

fn text(source: &str, data: &serde_json::Value) -> String {
    render(&Template::text(source).unwrap(), data).unwrap()
}

#[test]
fn what_is_there_is_filled_in_and_the_rest_is_empty() {
    let data =
        json!({"version": 12, "by": {"name": "<Ann>"}, "tags": ["a", "b"], "long": "abcdefgh"});
    assert_eq!(
        text("{{ event }} {{ data.version }}{{ data.none }}", &data),
        "deploy.finished 12"
    );
    assert_eq!(
        text(
            "{% for t in data.tags %}{{ t|upper }}{% if not loop.last %}, {% endif %}{% endfor %}",
            &data
        ),
        "A, B"
    );
    assert_eq!(
        text(
            "{{ data.tags|join('+') }} {{ data.long|truncate(6) }} {{ data.x|default('?') }}",
            &data
        ),
        "a+b abc... ?"
    );
    assert_eq!(text("{{ data.by.name }}", &data), "<Ann>");
    let html = Template::html("<p>{{ data.by.name }}</p>").unwrap();
    assert_eq!(render(&html, &data).unwrap(), "<p>&lt;Ann&gt;</p>");
}

#[test]
fn what_could_grow_without_bound_is_refused() {
    for bomb in [
        "{% set a = 'x' %}",
        "{% with a = data.a %}{% endwith %}",
        "{{ data.a ~ data.a }}",
        "{{ 'x' * 100000 }}",
        "{{ data.a + data.a }}",
        "{% for a in [data.a, data.a] %}{{ a }}{% endfor %}",
        "{{ data.a|replace('a', 'aaaaaaaaaa') }}",
        "{{ range(1000000) }}",
        "{% for a in data.a recursive %}{{ loop(a) }}{% endfor %}",
        "{{ data.a|indent(1000000000) }}",
    ] {
        assert!(
            matches!(Template::text(bomb), Err(TemplateError::Unsupported(_))),
            "{bomb}"
        );
    }
    let unclosed = Template::text("\n{{ data.").unwrap_err();
    assert!(
        matches!(unclosed, TemplateError::Syntax { line: 2, .. }),
        "{unclosed}"
    );
    assert_eq!(
        Template::text(&"x".repeat(10_001)),
        Err(TemplateError::TooLong)
    );
}

#[test]
fn a_template_that_loops_ends() {
    let data = json!({"l": vec![1; 1_000], "s": "x".repeat(20_000)});
    let nested = "{% for a in data.l %}{% for b in data.l %}{% endfor %}{% endfor %}";
    let error = render(&Template::text(nested).unwrap(), &data).unwrap_err();
    assert!(error.to_string().contains("fuel"), "{error}");
    let long = "{% for a in data.l %}{{ data.s }}{% endfor %}";
    assert!(render(&Template::text(long).unwrap(), &data).is_err());
}

/// Every kind of nesting: the text to repeat before, the innermost text, the text to repeat after.
const NESTS: [(&str, &str, &str); 24] = [
    ("-", "1", ""),
    ("- ", "data.n", ""),
    ("not ", "data.n", ""),
    ("(", "1", ")"),
    ("data.l[", "0", "]"),
    ("data", ".a", ".b"),
    ("", "data", ".a"),
    ("", "data", "[0]"),
    ("", "data.s", "|title"),
    ("", "data.s", "|e"),
    ("", "data.s", "|default('')"),
    ("data.n|default(", "1", ")"),
    ("", "data.n", " is defined"),
    ("", "data.n", " - 1"),
    ("", "data.n", " / 1"),
    ("", "data.n", " // 3 % 7"),
    ("", "data.n", " and data.n"),
    ("", "data.n", " or data.n"),
    ("", "data.n", " == data.n"),
    ("", "data.n", " in data.s"),
    ("", "data.n", " < data.n"),
    ("1 if data.n else ", "2", ""),
    ("", "1", " if data.n"),
    ("[", "1", "]"),
];

/// Opening and closing tags of blocks that can be nested.
const BLOCKS: [(&str, &str); 5] = [
    ("{% if data.n %}", "{% endif %}"),
    ("{%if 0%}{%elif 1%}", "{%endif%}"),
    ("{% for a in data.l %}", "{% endfor %}"),
    ("{% if 0 %}{% else %}", "{% endif %}"),
    ("{% raw %}", ""),
];

fn large() -> serde_json::Value {
    json!({"n": 7, "s": "Ab ".repeat(19_000), "l": vec![1; 3_000]})
}

/// Every nesting is refused or renders on a stack of 2 MiB.
#[test]
fn no_nest_of_any_operator_takes_the_process_along() {
    let data = large();
    let mut usable = 0;
    for depth in [1, 5, 30, 39, 60, 150, 299, 1_000, 5_000, 9_900] {
        let expressions = NESTS.iter().map(|(before, middle, after)| {
            format!(
                "{{{{ {}{middle}{} }}}}",
                before.repeat(depth),
                after.repeat(depth)
            )
        });
        let elifs = "{%if 0%}".to_owned() + &"{%elif 0%}".repeat(depth) + "{%endif%}";
        let blocks = BLOCKS
            .iter()
            .map(|(before, after)| before.repeat(depth) + &after.repeat(depth));
        let open = BLOCKS.iter().map(|(before, _)| before.repeat(depth));
        let mixed = format!(
            "{{{{ {}1{} }}}}",
            "-(not ".repeat(depth),
            ")|abs".repeat(depth)
        );
        for source in expressions.chain(blocks).chain(open).chain([elifs, mixed]) {
            if let Ok(template) = Template::text(&source) {
                usable += 1;
                let _ = render(&template, &data);
            }
        }
    }
    assert!(usable > 60, "{usable}");
    let error = Template::text(&format!("{{{{ {}1 }}}}", "-".repeat(60))).unwrap_err();
    assert_eq!(
        error,
        TemplateError::Unsupported("more than 40 levels of nesting".into())
    );
}

#[test]
fn what_filters_read_is_bounded() {
    let data = large();
    let chain = format!("{{{{ data.s{} }}}}", "|title".repeat(1_500));
    assert!(Template::text(&chain).is_err());
    for costly in [
        "{% for a in data.l %}{% if data.s|title == 'x' %}{% endif %}{% endfor %}",
        "{% for a in data.l %}{% if data.s|e|lower == 'x' %}{% endif %}{% endfor %}",
        "{% for a in data.l %}{% if data.s|trim('bcdefghijkl') == 'x' %}{% endif %}{% endfor %}",
        "{% for a in data.l %}{% if data.s is startingwith data.s %}{% endif %}{% endfor %}",
        "{% for a in data.l %}{% if data.l|join == 'x' %}{% endif %}{% endfor %}",
        "{% for a in data.l %}{% if data.l|last == 2 %}{% endif %}{% endfor %}",
        "{% for a in data.l %}{% if data.l == data.l %}{% endif %}{% endfor %}",
        "{% for a in data.l %}{% if 2 in data.l %}{% endif %}{% endfor %}",
        "{% for a in data.l %}{% if 'z' in data.s %}{% endif %}{% endfor %}",
    ] {
        let template = Template::text(costly).unwrap();
        let error = render(&template, &data).unwrap_err().to_string();
        assert!(
            error.contains("too much") || error.contains("fuel"),
            "{costly}: {error}"
        );
    }
}

/// Every filter and test returns a value or an error for every combination of values.
#[test]
fn no_filter_and_no_test_panics() {
    let extremes = [
        "0",
        "-1",
        "1",
        "170141183460469231731687303715884105727",
        "-9223372036854775808",
        "18446744073709551615",
        "1e308",
        "-0.0",
        "''",
        "'x'",
        "data.min",
        "data.max",
        "data.none",
        "data.l",
        "data.o",
        "data.s",
        "data.empty",
        "data.inf",
        "true",
        "none",
    ];
    let data = json!({"min": i64::MIN, "max": u64::MAX, "l": [1, "a", null], "o": {"a": 1},
        "s": "ǅß\u{fffd}🙂", "empty": [], "inf": 1e308});
    let mut sources = vec![];
    for value in extremes {
        sources.push(format!("-{value}"));
        for name in filters::ALLOWED_FILTERS {
            sources.push(format!("{value}|{name}"));
        }
        for name in filters::ALLOWED_TESTS {
            sources.push(format!("{value} is {name}"));
        }
        for other in extremes {
            for operator in ["-", "/", "//", "%", "==", "<", ">=", "in", "and"] {
                sources.push(format!("{value} {operator} {other}"));
            }
            sources.push(format!("data.l[{value}]"));
            for name in filters::ALLOWED_FILTERS {
                sources.push(format!("{value}|{name}({other})"));
            }
            sources.push(format!("{value}|int(default={other})"));
            sources.push(format!("{value}|round({other}, method='ceil')"));
            for name in filters::ALLOWED_TESTS {
                sources.push(format!("{value} is {name}({other})"));
            }
        }
    }
    for source in sources {
        let Ok(template) = Template::text(&format!("{{{{ {source} }}}}")) else {
            continue;
        };
        if let Err(error) = render(&template, &data) {
            assert!(!error.to_string().contains("panicked"), "{source}: {error}");
        }
    }
}

#[test]
fn only_named_tests_and_filters_are_allowed() {
    for refused in [
        "{{ data.a is filter }}",
        "{{ data.a is test }}",
        "{{ data.a is sameas data.a }}",
        "{{ data.a is safe }}",
        "{{ data.a|format(1) }}",
        "{{ data.a|safe }}",
        "{{ data.a|tojson }}",
        "{{ data.a|sort }}",
        "{{ data.a[::-1] }}",
    ] {
        assert!(
            matches!(Template::text(refused), Err(TemplateError::Unsupported(_))),
            "{refused}"
        );
    }
    let none = json!({});
    for (source, text) in [
        ("{{ 6 is divisibleby 3 }}", "True"),
        ("{{ 6 is divisibleby 0 }}", "False"),
        ("{{ 6.0 is divisibleby 0 }}", "False"),
        ("{{ 'x' is divisibleby 2 }}", "False"),
        ("{{ dict }}{{ range }}{{ debug }}", ""),
    ] {
        assert_eq!(self::text(source, &none), text, "{source}");
    }
}
