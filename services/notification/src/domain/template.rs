//! Texts with places to fill in: a part of Jinja (<https://docs.rs/minijinja>) that prints, loops,
//! chooses and filters, but builds no values, so that what it costs is bounded.

mod check;
mod filters;
#[cfg(test)]
mod tests;

use std::io;

use chassis::panics::catch_panic;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use serde::Serialize;
use serde_json::Map;

use self::filters::{TextBudget, add_filters, add_tests};

/// The longest template, in characters.
pub const MAX_TEMPLATE_CHARS: usize = 10_000;
/// The longest text a template may yield, in bytes.
const MAX_OUTPUT_BYTES: usize = 65_536;
/// The most steps that a template may take.
const MAX_RENDER_STEPS: u64 = 20_000;
/// The fewest steps that a template may take, however large the data are.
const MIN_RENDER_STEPS: u64 = 400;
/// Steps times the weight of the data. A comparison is one step and may look at all of the data.
const RENDER_BUDGET_BYTES: u64 = 500_000_000;
/// What a value weighs beside its text, in bytes: comparing two numbers takes about as long as
/// comparing so much text.
const VALUE_OVERHEAD_BYTES: u64 = 32;

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is too long.
    #[error("a template has {MAX_TEMPLATE_CHARS} characters at most")]
    TooLong,
    /// It is none.
    #[error("line {line}: {message}")]
    Syntax {
        /// From 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// It builds values, which could grow without bound.
    #[error("{0} cannot be used; a template prints, loops, chooses and filters")]
    Part(String),
}

/// Why a template yields no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(String);

/// What templates may use.
#[derive(Clone, Debug, Serialize)]
pub struct TemplateContext<'a> {
    /// The event's name.
    pub event: &'a str,
    /// The headline that came with it.
    pub title: Option<&'a str>,
    /// `low`, `normal`, `high` or `urgent`.
    pub priority: &'a str,
    /// What came with the event.
    pub data: &'a Map<String, serde_json::Value>,
    /// What is told together, where this is a digest.
    pub digest: Option<DigestSummary<'a>>,
}

/// Several notifications told together.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DigestSummary<'a> {
    /// How many there are.
    pub count: i64,
    /// The texts of the first of them.
    pub texts: &'a [String],
    /// How long they were gathered, in words, such as `hour` or `15 minutes`.
    pub window: &'a str,
    /// Since when, such as `12:40 UTC`, where a throttle held them back.
    pub since: Option<&'a str>,
}

/// A template that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    html: bool,
}

impl Template {
    /// A template of plain text.
    pub fn text(source: &str) -> Result<Self, TemplateError> {
        Self::new(source, false)
    }

    /// A template of HTML: what is filled in is escaped.
    pub fn html(source: &str) -> Result<Self, TemplateError> {
        Self::new(source, true)
    }

    fn new(source: &str, html: bool) -> Result<Self, TemplateError> {
        if source.chars().nth(MAX_TEMPLATE_CHARS).is_some() {
            return Err(TemplateError::TooLong);
        }
        check::check(source)?;
        let environment = environment(html, MAX_RENDER_STEPS);
        let compiled = catch_panic(|| environment.template_from_str(source).map(|_| ()));
        let compiled = compiled.map_err(|_| TemplateError::Part("this".into()))?;
        compiled.map_err(|error| check::syntax(&error))?;
        Ok(Self {
            source: source.to_owned(),
            html,
        })
    }

    /// The text with everything filled in; what is not there stays empty. A panic is a failure like
    /// any other.
    pub fn render(&self, scope: &TemplateContext) -> Result<String, RenderError> {
        let rendered = catch_panic(|| self.try_render(scope));
        rendered.unwrap_or_else(|panic| Err(RenderError(panic.to_string())))
    }

    fn try_render(&self, scope: &TemplateContext) -> Result<String, RenderError> {
        let failed = |error: Error| {
            let line = error.line().unwrap_or(1);
            let kind = error.kind();
            match error.detail() {
                Some(detail) => RenderError(format!("line {line}: {kind}: {detail}")),
                None => RenderError(format!("line {line}: {kind}")),
            }
        };
        let environment = environment(self.html, self.steps(scope));
        let template = environment.template_from_str(&self.source);
        let template = template.map_err(failed)?;
        let mut page = BoundedWriter(vec![]);
        let scope = Value::from(Serde(scope));
        let rendered = template.render_captured_to(scope, &mut page);
        rendered.map_err(failed)?;
        String::from_utf8(page.0).map_err(|_| RenderError("it is cut within a character".into()))
    }

    /// How many steps it may take: fewer where each may look at more.
    fn steps(&self, scope: &TemplateContext) -> u64 {
        let texts = scope.digest.into_iter().flat_map(|digest| digest.texts);
        let texts: usize = texts.map(String::len).sum();
        let fields = scope.data.iter();
        let data: u64 = fields
            .map(|(key, value)| key.len() as u64 + weight(value))
            .sum();
        let all = data + (texts + self.source.len()) as u64;
        (RENDER_BUDGET_BYTES / all.max(1)).clamp(MIN_RENDER_STEPS, MAX_RENDER_STEPS)
    }
}

fn weight(value: &serde_json::Value) -> u64 {
    use serde_json::Value::{Array, Object, String};
    VALUE_OVERHEAD_BYTES
        + match value {
            String(text) => text.len() as u64,
            Array(items) => items.iter().map(weight).sum(),
            Object(fields) => {
                let fields = fields.iter();
                fields
                    .map(|(key, value)| key.len() as u64 + weight(value))
                    .sum()
            }
            _ => 0,
        }
}

/// An environment with nothing in it but what [`filters`] allows.
fn environment(html: bool, steps: u64) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_fuel(Some(steps));
    environment.set_recursion_limit(20);
    environment.set_auto_escape_callback(move |_| {
        if html {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    let budget = TextBudget::default();
    add_filters(&mut environment, &budget);
    add_tests(&mut environment, &budget);
    environment
}

/// Takes what has not become too long.
struct BoundedWriter(Vec<u8>);

impl io::Write for BoundedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT_BYTES {
            let text = format!("the text has more than {MAX_OUTPUT_BYTES} bytes");
            return Err(io::Error::other(text));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn refused(detail: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}
