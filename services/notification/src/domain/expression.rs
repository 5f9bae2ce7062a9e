//! CEL expressions (<https://cel.dev>) over `event`, `priority` and `data`, compiled once. The cost
//! of an evaluation is bounded.

use std::cell::OnceCell;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use cel::common::ast::operators::{ADD, LOGICAL_AND};
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::objects::{Key, Map};
use cel::parser::Parser;
use cel::{Context, Value};
use chassis::panics::catch_panic;
use serde_json::Value as Json;

use super::notify_command::NotifyCommand;
use super::priority::priority_name;

pub const MAX_EXPRESSION_CHARS: usize = 1_000;
/// Fuel of one evaluation, in bytes of data that are read.
const EVALUATION_BUDGET_BYTES: i64 = 32_000_000;
/// Cost of a lookup or loop iteration, in addition to the size of the data.
const LOOKUP_COST_BYTES: i64 = 64;
/// Evaluation recurses once per level.
const MAX_NESTING_DEPTH: usize = 50;
/// Bounds the `+` in an expression, because each copies the result of those before it.
const MAX_ADDITIONS: usize = 20;
/// Stack of the parser's thread; memory is committed only as it is used.
const PARSER_STACK_BYTES: usize = 64 << 20;
const MAX_RESULT_CHARS: usize = 200;
/// Prefix of a variable that every loop iteration looks up, so that iterations consume fuel. No
/// expression can contain the name. The number of operations in the loop follows, because each
/// may process a value as large as the data.
const ITERATION_VARIABLE: &str = "@turn:";

#[derive(Clone)]
pub struct CelExpression {
    source: String,
    ast: IdedExpr,
}

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    #[error("the expression must have at most {MAX_EXPRESSION_CHARS} characters")]
    TooLong,
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Starts at 1.
        line: isize,
        /// Starts at 1.
        column: isize,
        message: String,
    },
    /// The expression contains a construct whose cost cannot be bounded.
    #[error("the expression must not contain {0}")]
    Unsupported(&'static str),
}

/// Why an evaluation has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The evaluation consumed its fuel.
    #[error("the expression exceeds its evaluation budget for this data")]
    BudgetExceeded,
    /// The data do not fit the expression; for example, a field is missing.
    #[error("{0}")]
    Failed(String),
    /// The interpreter panicked.
    #[error("{0}")]
    Panicked(String),
}

impl EvaluationError {
    /// Whether the expression is at fault and not the data.
    #[must_use]
    pub const fn is_expression_fault(&self) -> bool {
        matches!(self, Self::BudgetExceeded | Self::Panicked(_))
    }
}

impl CelExpression {
    pub fn new(source: &str) -> Result<Self, ExpressionError> {
        if source.chars().nth(MAX_EXPRESSION_CHARS).is_some() {
            return Err(ExpressionError::TooLong);
        }
        if nesting_depth(source) > MAX_NESTING_DEPTH {
            return Err(ExpressionError::Unsupported(
                "more than 50 levels of nesting",
            ));
        }
        // The parser recurses and needs a large stack frame for each level.
        let text = source.to_owned();
        let parser = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES);
        let parsed = parser.spawn(move || parse_expression(&text));
        let tree = parsed.map(std::thread::JoinHandle::join);
        let Ok(Ok(tree)) = tree else {
            return Err(ExpressionError::Unsupported("invalid syntax"));
        };
        Ok(Self {
            source: source.to_owned(),
            ast: tree?,
        })
    }

    /// Evaluates the expression as a condition.
    pub fn evaluate_bool(&self, facts: &ExpressionFacts) -> Result<bool, EvaluationError> {
        match self.evaluate(facts)? {
            Value::Bool(holds) => Ok(holds),
            other => Err(EvaluationError::Failed(format!(
                "the expression has the type {}, not bool",
                other.type_of()
            ))),
        }
    }

    /// Evaluates the expression to a text of at most 200 characters.
    pub fn evaluate_text(&self, facts: &ExpressionFacts) -> Result<String, EvaluationError> {
        let text = match self.evaluate(facts)? {
            Value::String(text) => text.to_string(),
            Value::Int(number) => number.to_string(),
            Value::UInt(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Bool(is) => is.to_string(),
            Value::Null => String::new(),
            other => {
                let kind = other.type_of();
                return Err(EvaluationError::Failed(format!(
                    "the expression has the type {kind}; expected string, number or bool"
                )));
            }
        };
        Ok(text.chars().take(MAX_RESULT_CHARS).collect())
    }

    fn evaluate(&self, facts: &ExpressionFacts) -> Result<Value, EvaluationError> {
        let tank = MeteredResolver {
            facts,
            remaining_bytes: AtomicI64::new(EVALUATION_BUDGET_BYTES),
        };
        let mut context = Context::default();
        context.set_variable_resolver(&tank);
        let value = catch_panic(|| Value::resolve(&self.ast, &context));
        let value = value.map_err(|panic| EvaluationError::Panicked(panic.to_string()))?;
        if tank.remaining_bytes.load(Ordering::Relaxed) < 0 {
            return Err(EvaluationError::BudgetExceeded);
        }
        value.map_err(|error| {
            let text: String = error.to_string().chars().take(MAX_RESULT_CHARS).collect();
            EvaluationError::Failed(text)
        })
    }
}

fn parse_expression(source: &str) -> Result<IdedExpr, ExpressionError> {
    let mut tree = Parser::new().parse(source).map_err(|errors| {
        let first = errors.errors.into_iter().next();
        let (position, message) = first.map_or(((1, 1), String::new()), |e| (e.pos, e.msg));
        ExpressionError::Syntax {
            line: position.0.max(1),
            column: position.1.max(1),
            message,
        }
    })?;
    instrument(&mut tree, MAX_NESTING_DEPTH)?;
    let additions = count_nodes(
        &tree,
        &|it| matches!(it, Expr::Call(call) if call.func_name == ADD),
    );
    if additions > MAX_ADDITIONS {
        return Err(ExpressionError::Unsupported("more than 20 `+`"));
    }
    Ok(tree)
}

/// Returns the nesting depth of brackets, including those in string literals.
fn nesting_depth(source: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

impl fmt::Debug for CelExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

/// Builds [`ExpressionFacts`] when the first expression needs them.
pub struct LazyFacts<'a> {
    command: &'a NotifyCommand,
    facts: OnceCell<ExpressionFacts>,
}

impl<'a> LazyFacts<'a> {
    #[must_use]
    pub fn new(command: &'a NotifyCommand) -> Self {
        let facts = OnceCell::new();
        Self { command, facts }
    }

    pub fn get(&self) -> &ExpressionFacts {
        self.facts
            .get_or_init(|| ExpressionFacts::new(self.command))
    }
}

/// The variables of expressions.
pub struct ExpressionFacts {
    event: Box<dyn Val>,
    priority: Box<dyn Val>,
    data: Box<dyn Val>,
    iteration: Box<dyn Val>,
    /// Approximate size of the data in bytes.
    data_bytes: i64,
}

impl ExpressionFacts {
    #[must_use]
    pub fn new(command: &NotifyCommand) -> Self {
        let mut data_bytes = 0;
        let data = command.data.iter();
        let data = data.map(|(key, value)| {
            (
                Key::from(key.as_str()),
                to_cel_value(value, &mut data_bytes),
            )
        });
        let data = Value::Map(Map {
            map: std::sync::Arc::new(data.collect()),
        });
        Self {
            event: box_value(Value::from(command.event.as_str())),
            priority: box_value(Value::from(priority_name(command.priority))),
            data: box_value(data),
            iteration: box_value(Value::Bool(true)),
            data_bytes,
        }
    }
}

fn box_value(value: Value) -> Box<dyn Val> {
    Box::<dyn Val>::try_from(value).expect("strings, bools and maps convert to CEL values")
}

/// Converts whole numbers to `int`, so that expressions can combine them with integer literals.
fn to_cel_value(json: &Json, weight: &mut i64) -> Value {
    *weight += 16;
    match json {
        Json::Null => Value::Null,
        Json::Bool(is) => Value::Bool(*is),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(large)) => Value::UInt(large),
            (None, None) => number.as_f64().map_or(Value::Null, Value::Float),
        },
        Json::String(text) => {
            *weight += i64::try_from(text.len()).unwrap_or(i64::MAX / 2);
            Value::from(text.as_str())
        }
        Json::Array(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| to_cel_value(item, weight))
                .collect();
            Value::List(items.into())
        }
        Json::Object(fields) => {
            let fields = fields.iter();
            let fields =
                fields.map(|(key, value)| (Key::from(key.as_str()), to_cel_value(value, weight)));
            Value::Map(Map {
                map: std::sync::Arc::new(fields.collect()),
            })
        }
    }
}

/// Resolves variables until the fuel is consumed.
struct MeteredResolver<'a> {
    facts: &'a ExpressionFacts,
    remaining_bytes: AtomicI64,
}

impl VariableResolver for MeteredResolver<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let value = match name {
            "event" => &self.facts.event,
            "priority" => &self.facts.priority,
            "data" => &self.facts.data,
            name if name.starts_with(ITERATION_VARIABLE) => &self.facts.iteration,
            _ => return None,
        };
        let operations = name
            .strip_prefix(ITERATION_VARIABLE)
            .and_then(|n| n.parse().ok());
        // The work on a value until the next lookup costs about its size.
        let cost =
            (LOOKUP_COST_BYTES + self.facts.data_bytes).saturating_mul(operations.unwrap_or(1));
        let left = self.remaining_bytes.fetch_sub(cost, Ordering::Relaxed) - cost;
        (left >= 0).then(|| CowVal::Borrowed(value.as_ref()))
    }
}

/// Adds a lookup to each loop iteration. Refuses loops that build lists, and expressions that are
/// nested deeper than `depth`.
fn instrument(tree: &mut IdedExpr, depth: usize) -> Result<(), ExpressionError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(ExpressionError::Unsupported(
            "more than 50 levels of nesting",
        ));
    };
    let deeper = |part: &mut IdedExpr| instrument(part, depth);
    match &mut tree.expr {
        Expr::Literal(_) | Expr::Ident(_) => Ok(()),
        Expr::Select(select) => deeper(&mut select.operand),
        Expr::Call(call) => {
            let target = call.target.iter_mut().map(|target| &mut **target);
            target.chain(&mut call.args).try_for_each(deeper)
        }
        Expr::List(list) => list.elements.iter_mut().try_for_each(deeper),
        Expr::Map(map) => {
            let mut entries = map.entries.iter_mut();
            entries.try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    deeper(&mut entry.key)?;
                    deeper(&mut entry.value)
                }
                EntryExpr::StructField(_) => Err(ExpressionError::Unsupported("a message type")),
            })
        }
        Expr::Comprehension(comprehension) => {
            if matches!(comprehension.accu_init.expr, Expr::List(_)) {
                return Err(ExpressionError::Unsupported("map() or filter()"));
            }
            deeper(&mut comprehension.iter_range)?;
            deeper(&mut comprehension.loop_step)?;
            let is_operation = |it: &Expr| matches!(it, Expr::Call(_) | Expr::Select(_));
            let operations = count_nodes(&comprehension.loop_step, &is_operation);
            add_iteration_lookup(comprehension, operations + 1);
            Ok(())
        }
        Expr::Struct(_) | Expr::Unspecified => Err(ExpressionError::Unsupported("a message type")),
    }
}

/// Counts the nodes that match `is`. Recursion is safe, because the depth was checked before.
fn count_nodes(tree: &IdedExpr, is: &impl Fn(&Expr) -> bool) -> usize {
    let all = |parts: &[IdedExpr]| {
        parts
            .iter()
            .map(|part| count_nodes(part, is))
            .sum::<usize>()
    };
    let inner = match &tree.expr {
        Expr::Select(select) => count_nodes(&select.operand, is),
        Expr::Call(call) => {
            let target = call.target.iter().map(|target| count_nodes(target, is));
            target.sum::<usize>() + all(&call.args)
        }
        Expr::List(list) => all(&list.elements),
        Expr::Map(map) => {
            let entry = |entry: &EntryExpr| match entry {
                EntryExpr::MapEntry(entry) => {
                    count_nodes(&entry.key, is) + count_nodes(&entry.value, is)
                }
                EntryExpr::StructField(_) => 0,
            };
            map.entries.iter().map(|it| entry(&it.expr)).sum()
        }
        Expr::Comprehension(it) => count_nodes(&it.iter_range, is) + count_nodes(&it.loop_step, is),
        _ => 0,
    };
    inner + usize::from(is(&tree.expr))
}

fn add_iteration_lookup(comprehension: &mut ComprehensionExpr, operations: usize) {
    let condition = std::mem::take(&mut comprehension.loop_cond);
    let turn = IdedExpr {
        id: condition.id,
        expr: Expr::Ident(format!("{ITERATION_VARIABLE}{operations}")),
    };
    comprehension.loop_cond = IdedExpr {
        id: condition.id,
        expr: Expr::Call(CallExpr {
            func_name: LOGICAL_AND.into(),
            target: None,
            args: vec![turn, condition],
        }),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::notification::NotifyRequest;
    use serde_json::json;

    fn facts(data: &Json) -> ExpressionFacts {
        let request = NotifyRequest {
            event: "visitor.arrived".into(),
            data: data.as_object().unwrap().clone(),
            ..NotifyRequest::default()
        };
        ExpressionFacts::new(&NotifyCommand::try_from(request).unwrap())
    }

    fn holds(source: &str, data: &Json) -> Result<bool, EvaluationError> {
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
}
