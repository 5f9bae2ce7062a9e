//! The filters and tests that templates may use. They do not panic, do not return much more text
//! than they receive, and charge the text that they read to a budget.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::filters as builtin;
use minijinja::tests;
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::limits::MAX_OUTPUT_BYTES;

/// Filters that [`add_filters`] registers.
pub(super) const ALLOWED_FILTERS: [&str; 18] = [
    "lower", "upper", "title", "trim", "default", "d", "length", "count", "first", "last", "round",
    "abs", "int", "float", "truncate", "join", "escape", "e",
];

/// Tests that [`add_tests`] registers.
pub(super) const ALLOWED_TESTS: [&str; 28] = [
    "defined",
    "undefined",
    "none",
    "boolean",
    "true",
    "false",
    "number",
    "integer",
    "float",
    "string",
    "sequence",
    "mapping",
    "iterable",
    "odd",
    "even",
    "divisibleby",
    "startingwith",
    "endingwith",
    "in",
    "eq",
    "equalto",
    "ne",
    "lt",
    "lessthan",
    "le",
    "gt",
    "greaterthan",
    "ge",
];

/// Text that the filters of one rendering may read.
const FILTER_BUDGET_BYTES: u64 = 2_000_000;

/// The rest of [`FILTER_BUDGET_BYTES`] in a rendering.
#[derive(Clone)]
pub(super) struct TextBudget(Arc<AtomicU64>);

impl Default for TextBudget {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(FILTER_BUDGET_BYTES)))
    }
}

impl TextBudget {
    fn charge(&self, bytes: usize) -> Result<(), Error> {
        let take = |left: u64| left.checked_sub(bytes as u64 + 1);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        taken
            .map(|_| ())
            .map_err(|_| invalid_operation("the filters read too much text"))
    }

    /// Returns the text of a string, number, bool or missing value, and charges it to the budget.
    fn charge_text<'a>(&self, value: &'a Value) -> Result<Cow<'a, str>, Error> {
        if let Some(text) = value.as_str() {
            self.charge(text.len())?;
            return Ok(text.into());
        }
        match value.kind() {
            ValueKind::Undefined => Ok("".into()),
            ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                let text = value.to_string();
                self.charge(text.len())?;
                Ok(text.into())
            }
            _ => Err(invalid_operation("this filter needs a string or a number")),
        }
    }
}

pub(super) fn add_filters(environment: &mut Environment<'static>, budget: &TextBudget) {
    let mut add_text = |name: &'static str, change: fn(&str) -> String| {
        let budget = budget.clone();
        let filter = move |value: &Value| Ok::<_, Error>(change(&budget.charge_text(value)?));
        environment.add_filter(name, filter);
    };
    add_text("lower", str::to_lowercase);
    add_text("upper", str::to_uppercase);
    add_text("title", |text| builtin::title(text.into()));
    let own = budget.clone();
    let trim = move |value: &Value, chars: Option<&str>| trim(&own, value, chars);
    environment.add_filter("trim", trim);
    let own = budget.clone();
    let truncate =
        move |value: &Value, most: usize| Ok::<_, Error>(truncate(&own.charge_text(value)?, most));
    environment.add_filter("truncate", truncate);
    let own = budget.clone();
    let join = move |items: &Value, separator: Option<&str>| join(&own, items, separator);
    environment.add_filter("join", join);
    for name in ["escape", "e"] {
        let own = budget.clone();
        let escape = move |state: &mut State, value: &Value| {
            own.charge(value.as_str().map_or(MAX_OUTPUT_BYTES, str::len))?;
            builtin::escape(state, value)
        };
        environment.add_filter(name, escape);
    }
    for name in ["default", "d"] {
        environment.add_filter(name, builtin::default);
    }
    for name in ["length", "count"] {
        let own = budget.clone();
        let length = move |value: &Value| {
            own.charge(value.as_str().map_or(0, str::len))?;
            builtin::length(value)
        };
        environment.add_filter(name, length);
    }
    environment.add_filter("first", builtin::first);
    let own = budget.clone();
    let last = move |value: Value| {
        own.charge(value.len().unwrap_or(MAX_OUTPUT_BYTES))?;
        builtin::last(value)
    };
    environment.add_filter("last", last);
    environment.add_filter("round", builtin::round);
    environment.add_filter("abs", builtin::abs);
    let own = budget.clone();
    let int = move |state: &State, value: &Value, default: Option<Value>, more: Kwargs| {
        own.charge_text(value)?;
        builtin::int(state, value, default, None, more)
    };
    environment.add_filter("int", int);
    let own = budget.clone();
    let float = move |state: &State, value: &Value, default: Option<Value>, more: Kwargs| {
        own.charge_text(value)?;
        builtin::float(state, value, default, more)
    };
    environment.add_filter("float", float);
}

fn trim(budget: &TextBudget, value: &Value, chars: Option<&str>) -> Result<String, Error> {
    let text = budget.charge_text(value)?;
    let Some(chars) = chars else {
        return Ok(text.trim().to_owned());
    };
    let chars: Vec<char> = chars.chars().collect();
    budget.charge(text.len().saturating_mul(chars.len()))?;
    Ok(text.trim_matches(&chars[..]).to_owned())
}

/// Returns at most `most` characters; a text that is cut ends in `...`.
fn truncate(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(3)).collect();
    kept.trim_end().to_owned() + "..."
}

fn join(budget: &TextBudget, items: &Value, separator: Option<&str>) -> Result<String, Error> {
    let mut joined = String::new();
    for (at, item) in items.try_iter()?.enumerate() {
        if at > 0 {
            joined.push_str(separator.unwrap_or_default());
        }
        match item.as_str() {
            Some(text) => {
                budget.charge(text.len())?;
                joined.push_str(text);
            }
            None if item.kind() == ValueKind::Number => {
                joined.push_str(&budget.charge_text(&item)?);
            }
            None => return Err(invalid_operation("join needs strings or numbers")),
        }
        if joined.len() > MAX_OUTPUT_BYTES {
            return Err(invalid_operation("the joined text is too long"));
        }
    }
    budget.charge(joined.len())?;
    Ok(joined)
}

pub(super) fn add_tests(environment: &mut Environment<'static>, budget: &TextBudget) {
    environment.add_test("defined", tests::is_defined);
    environment.add_test("undefined", tests::is_undefined);
    environment.add_test("none", tests::is_none);
    environment.add_test("boolean", tests::is_boolean);
    environment.add_test("true", tests::is_true);
    environment.add_test("false", tests::is_false);
    environment.add_test("number", tests::is_number);
    environment.add_test("integer", tests::is_integer);
    environment.add_test("float", tests::is_float);
    environment.add_test("string", tests::is_string);
    environment.add_test("sequence", tests::is_sequence);
    environment.add_test("mapping", tests::is_mapping);
    environment.add_test("iterable", tests::is_iterable);
    environment.add_test("odd", tests::is_odd);
    environment.add_test("even", tests::is_even);
    environment.add_test("divisibleby", is_divisible_by);
    let own = budget.clone();
    let starting = move |value: &Value, start: &Value| {
        Ok::<_, Error>(
            own.charge_text(value)?
                .starts_with(&*own.charge_text(start)?),
        )
    };
    environment.add_test("startingwith", starting);
    let own = budget.clone();
    let ending = move |value: &Value, end: &Value| {
        Ok::<_, Error>(own.charge_text(value)?.ends_with(&*own.charge_text(end)?))
    };
    environment.add_test("endingwith", ending);
    environment.add_test("in", tests::is_in);
    for name in ["eq", "equalto"] {
        environment.add_test(name, tests::is_eq);
    }
    environment.add_test("ne", tests::is_ne);
    for name in ["lt", "lessthan"] {
        environment.add_test(name, tests::is_lt);
    }
    for name in ["gt", "greaterthan"] {
        environment.add_test(name, tests::is_gt);
    }
    environment.add_test("le", tests::is_le);
    environment.add_test("ge", tests::is_ge);
}

/// Replaces the engine's test, which panics if the divisor is 0, and if the divisor is -1 and the
/// value is the smallest integer. No value is divisible by 0.
fn is_divisible_by(value: &Value, divisor: &Value) -> bool {
    let whole = |value: &Value| i128::try_from(value.clone()).ok();
    if let (Some(value), Some(divisor)) = (whole(value), whole(divisor)) {
        return divisor == -1 || value.checked_rem(divisor) == Some(0);
    }
    let real = |value: &Value| f64::try_from(value.clone()).ok();
    let both = real(value).zip(real(divisor));
    both.is_some_and(|(value, divisor)| value % divisor == 0.0)
}

fn invalid_operation(detail: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}
