//! CEL expressions (<https://cel.dev>) over `event`, `priority` and `data`, compiled once. The cost
//! of an evaluation is bounded.

mod error;
mod facts;
mod instrument;
#[cfg(test)]
mod tests;

use std::fmt;

use cel::common::ast::operators::ADD;
use cel::common::ast::{Expr, IdedExpr};
use cel::parser::Parser;
use cel::{Context, Value};
use chassis::panics::catch_panic;

pub use self::error::{EvaluationError, ExpressionError, MAX_EXPRESSION_CHARS};
use self::facts::MeteredResolver;
pub use self::facts::{ExpressionFacts, LazyFacts};
use self::instrument::{count_nodes, instrument};

/// Evaluation recurses once per level.
const MAX_NESTING_DEPTH: usize = 50;
/// Bounds the `+` in an expression, because each copies the result of those before it.
const MAX_ADDITIONS: usize = 20;
/// Stack of the parser's thread; memory is committed only as it is used.
const PARSER_STACK_BYTES: usize = 64 << 20;
const MAX_RESULT_CHARS: usize = 200;
#[derive(Clone)]
pub struct CelExpression {
    source: String,
    ast: IdedExpr,
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
        let resolver = MeteredResolver::new(facts);
        let mut context = Context::default();
        context.set_variable_resolver(&resolver);
        let value = catch_panic(|| Value::resolve(&self.ast, &context));
        let value = value.map_err(|panic| EvaluationError::Panicked(panic.to_string()))?;
        if resolver.is_exhausted() {
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
