//! The variables of expressions, and the fuel that looking them up consumes.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cel::Value as CelValue;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::objects::{Key, Map};
use serde_json::Value;

use super::instrument::ITERATION_VARIABLE;
use crate::domain::notify_command::NotifyCommand;
use crate::domain::priority::priority_name;

/// Fuel of one evaluation, in bytes of data that are read.
const EVALUATION_BUDGET_BYTES: i64 = 32_000_000;
/// Cost of a lookup or loop iteration, in addition to the size of the data.
const LOOKUP_COST_BYTES: i64 = 64;

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
        let data = CelValue::Map(Map {
            map: Arc::new(data.collect()),
        });
        Self {
            event: box_value(CelValue::from(command.event.as_str())),
            priority: box_value(CelValue::from(priority_name(command.priority))),
            data: box_value(data),
            iteration: box_value(CelValue::Bool(true)),
            data_bytes,
        }
    }
}

fn box_value(value: CelValue) -> Box<dyn Val> {
    Box::<dyn Val>::try_from(value).expect("strings, bools and maps convert to CEL values")
}

/// Converts whole numbers to `int`, so that expressions can combine them with integer literals.
fn to_cel_value(json: &Value, weight: &mut i64) -> CelValue {
    *weight += 16;
    match json {
        Value::Null => CelValue::Null,
        Value::Bool(is) => CelValue::Bool(*is),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => CelValue::Int(whole),
            (None, Some(large)) => CelValue::UInt(large),
            (None, None) => number.as_f64().map_or(CelValue::Null, CelValue::Float),
        },
        Value::String(text) => {
            *weight += i64::try_from(text.len()).unwrap_or(i64::MAX / 2);
            CelValue::from(text.as_str())
        }
        Value::Array(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| to_cel_value(item, weight))
                .collect();
            CelValue::List(items.into())
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields =
                fields.map(|(key, value)| (Key::from(key.as_str()), to_cel_value(value, weight)));
            CelValue::Map(Map {
                map: Arc::new(fields.collect()),
            })
        }
    }
}

/// Resolves variables until the fuel is consumed.
pub(super) struct MeteredResolver<'a> {
    facts: &'a ExpressionFacts,
    remaining_bytes: AtomicI64,
}

impl<'a> MeteredResolver<'a> {
    pub(super) const fn new(facts: &'a ExpressionFacts) -> Self {
        Self {
            facts,
            remaining_bytes: AtomicI64::new(EVALUATION_BUDGET_BYTES),
        }
    }

    /// Whether a lookup was refused.
    pub(super) fn is_exhausted(&self) -> bool {
        self.remaining_bytes.load(Ordering::Relaxed) < 0
    }
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
