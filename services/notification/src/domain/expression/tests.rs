use common::notification::NotifyRequest;
use serde_json::json;

use super::*;
use crate::domain::notify_command::NotifyCommand;

fn facts(data: &serde_json::Value) -> ExpressionFacts {
    let request = NotifyRequest {
        event: Some("visitor.arrived".into()),
        data: data.as_object().unwrap().clone(),
        ..NotifyRequest::default()
    };
    ExpressionFacts::new(&NotifyCommand::try_from(request).unwrap())
}

fn holds(source: &str, data: &serde_json::Value) -> Result<bool, EvaluationError> {
    CelExpression::new(source)
        .unwrap()
        .evaluate_bool(&facts(data))
}

#[test]
fn conditions_look_at_the_event_and_its_data() {
    let data = json!({"visit": {"country_code": "GB", "n": 3, "tags": ["a", "b"]}});
    for yes in [
        "event == 'visitor.arrived' && priority == 'normal'",
        "data.visit.country_code in ['GB', 'DE']",
        "data.visit.n + 1 == 4 && data.visit.n > 2",
        "data.visit.tags.exists(tag, tag == 'b')",
        "has(data.visit.n) && !has(data.visit.m)",
        "event.startsWith('visitor.') && size(data.visit.tags) == 2",
    ] {
        assert_eq!(holds(yes, &data), Ok(true), "{yes}");
    }
    assert_eq!(holds("data.visit.n < 3", &data), Ok(false));
    assert!(matches!(
        holds("data.visit.m == 1", &data),
        Err(EvaluationError::Failed(_))
    ));
    assert!(matches!(
        holds("data.visit.n", &data),
        Err(EvaluationError::Failed(_))
    ));
    let text = CelExpression::new("data.visit.country_code").unwrap();
    assert_eq!(text.evaluate_text(&facts(&data)), Ok("GB".into()));
}

#[test]
fn what_cannot_be_compiled_is_refused_with_the_position() {
    let wrong = CelExpression::new("data.a ==\n  && true").unwrap_err();
    let ExpressionError::Syntax { line, column, .. } = wrong else {
        panic!("{wrong}");
    };
    assert_eq!((line, column), (2, 3));
    assert!(matches!(
        CelExpression::new(""),
        Err(ExpressionError::Syntax { .. })
    ));
    let long = "a".repeat(MAX_EXPRESSION_CHARS + 1);
    assert_eq!(
        CelExpression::new(&long).unwrap_err(),
        ExpressionError::TooLong
    );
    for deep in [
        "(".repeat(400) + "1" + &")".repeat(400),
        "1".to_owned() + &"+1".repeat(400),
        "!".repeat(900) + "true",
        "true?1:".repeat(140) + "1",
        "a".to_owned() + &".a".repeat(400),
        "[".repeat(900),
        "-(".repeat(300),
    ] {
        // Some of these are valid; none may crash the process.
        if let Ok(expression) = CelExpression::new(&deep) {
            let _ = expression.evaluate_bool(&facts(&json!({})));
        }
    }
    let listed = CelExpression::new("data.a.map(x, [x, x]) == []").unwrap_err();
    assert_eq!(listed, ExpressionError::Unsupported("map() or filter()"));
    assert!(CelExpression::new("Thing{a: 1} == 1").is_err());
}

/// Every nesting is refused or evaluates on a stack of 2 MiB.
#[test]
fn no_nest_of_any_operator_takes_the_process_along() {
    let data = json!({"n": 7, "s": "ab".repeat(9_000), "l": vec![1; 3_000]});
    let nests = [
        ("-", "1", ""),
        ("!", "true", ""),
        ("(", "1", ")"),
        ("[", "1", "]"),
        ("{'a':", "1", "}"),
        ("data.l[", "0", "]"),
        ("", "data", ".a"),
        ("", "data", "['a']"),
        ("", "data.n", "+1"),
        ("", "data.s", "+data.s"),
        ("", "data.n", "-1"),
        ("", "data.n", "*2"),
        ("", "data.n", "%3"),
        ("", "data.n", "/3"),
        ("", "data.n", "==7"),
        ("", "data.n", "<7"),
        ("", "true", "&&true"),
        ("", "false", "||false"),
        ("", "1", " in [1]"),
        ("false?1:", "2", ""),
        ("true?", "1", ":2"),
        ("size(", "'a'", ")"),
        ("string(", "data.n", ")"),
        ("data.l.all(a,", "true", ")"),
        ("data.l.exists(a,", "a==2", ")"),
        ("[1].exists_one(a,", "a==1", ")"),
        ("has(data.", "n", ")"),
        ("", "data.s", ".contains('b')"),
    ];
    let mut usable = 0;
    for depth in [1, 3, 10, 24, 48, 60, 120, 249, 999] {
        for (before, middle, after) in nests {
            let source = before.repeat(depth) + middle + &after.repeat(depth);
            if let Ok(expression) = CelExpression::new(&source) {
                usable += 1;
                let _ = expression.evaluate_bool(&facts(&data));
                let _ = expression.evaluate_text(&facts(&data));
            }
            let _ = CelExpression::new(&before.repeat(depth));
        }
    }
    assert!(usable > 60, "{usable}");
}

#[test]
fn what_a_loop_does_with_its_variable_is_paid_for() {
    let data = json!({"l": ["x".repeat(60_000)]});
    let sum = "a".to_owned() + &"+a".repeat(20);
    let twenty = "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]";
    let bomb = format!("{twenty}.all(i, data.l.all(a, size({sum}) > 0))");
    assert_eq!(holds(&bomb, &data), Err(EvaluationError::BudgetExceeded));
    let sum = "a".to_owned() + &"+a".repeat(21);
    let refused = CelExpression::new(&format!("data.l.all(a, size({sum}) > 0)"));
    assert_eq!(
        refused.unwrap_err(),
        ExpressionError::Unsupported("more than 20 `+`")
    );
    // Realistic conditions stay far below the limit.
    let items: Vec<_> = (0..100)
        .map(|n| json!({"name": "Widget, blue", "price": n}))
        .collect();
    let data = json!({"items": items});
    let condition = "data.items.exists(i, i.price > 98 && i.name.startsWith('Widget'))";
    assert_eq!(holds(condition, &data), Ok(true));
}

#[test]
fn a_bomb_runs_out_of_fuel() {
    let many = json!({"l": vec![1; 5_000], "s": "x".repeat(20_000)});
    let nested = "data.l.all(a, data.l.all(b, data.l.all(c, a == b)))";
    assert_eq!(holds(nested, &many), Err(EvaluationError::BudgetExceeded));
    let literals = format!(
        "[{}].all(a, data.s != data.s + data.s)",
        "1,".repeat(300) + "1"
    );
    assert_eq!(
        holds(&literals, &many),
        Err(EvaluationError::BudgetExceeded)
    );
    let hidden = "data.l.all(a, data.l.all(b, a == b)) || true";
    assert_eq!(holds(hidden, &many), Err(EvaluationError::BudgetExceeded));
}
