//! Message templates in a subset of Jinja (<https://docs.rs/minijinja>): output, loops, branches
//! and filters. Templates cannot create values, so the cost of rendering is bounded.

mod check;
mod error;
mod filters;
mod limits;
#[cfg(test)]
mod tests;

use std::io;

use chassis::panics::catch_panic;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error};
use serde::Serialize;
use serde_json::Map;

pub use self::error::{RenderError, TemplateError};
use self::filters::{TextBudget, add_filters, add_tests};
use self::limits::MAX_OUTPUT_BYTES;
pub use self::limits::MAX_TEMPLATE_CHARS;

const MAX_RENDER_STEPS: u64 = 20_000;
/// Steps that a template always may take, however large the data are.
const MIN_RENDER_STEPS: u64 = 400;
/// Bounds steps times the size of the data, because one step, such as a comparison, may read all
/// of the data.
const RENDER_BUDGET_BYTES: u64 = 500_000_000;
/// Counted for each value in addition to its text: comparing two numbers takes about as long as
/// comparing this many bytes of text.
const VALUE_OVERHEAD_BYTES: u64 = 32;

/// The variables of templates.
#[derive(Clone, Debug, Serialize)]
pub struct TemplateContext<'a> {
    pub event: &'a str,
    pub title: Option<&'a str>,
    /// `low`, `normal`, `high` or `urgent`.
    pub priority: &'a str,
    pub data: &'a Map<String, serde_json::Value>,
    /// Set if the message is a digest.
    pub digest: Option<DigestSummary<'a>>,
}

/// The notifications of a digest.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DigestSummary<'a> {
    pub count: i64,
    /// The texts of the first notifications.
    pub texts: &'a [String],
    /// Length of the window in words, such as `hour` or `15 minutes`.
    pub window: &'a str,
    /// Start of the window, such as `12:40 UTC`, if the digest summarizes throttled messages.
    pub since: Option<&'a str>,
}

/// A valid template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    html: bool,
}

impl Template {
    /// Compiles a plain text template.
    pub fn text(source: &str) -> Result<Self, TemplateError> {
        Self::new(source, false)
    }

    /// Compiles an HTML template, which escapes inserted values.
    pub fn html(source: &str) -> Result<Self, TemplateError> {
        Self::new(source, true)
    }

    fn new(source: &str, html: bool) -> Result<Self, TemplateError> {
        if source.chars().nth(MAX_TEMPLATE_CHARS).is_some() {
            return Err(TemplateError::TooLong);
        }
        check::check_template(source)?;
        let environment = create_environment(html, MAX_RENDER_STEPS);
        let compiled = catch_panic(|| environment.template_from_str(source).map(|_| ()));
        let compiled = compiled.map_err(|_| TemplateError::Unsupported("invalid syntax".into()))?;
        compiled.map_err(|error| check::syntax_error(&error))?;
        Ok(Self {
            source: source.to_owned(),
            html,
        })
    }

    /// Renders the template; missing values print as the empty string. A panic of the engine is
    /// returned as an error.
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
        let environment = create_environment(self.html, self.fuel(scope));
        let template = environment.template_from_str(&self.source);
        let template = template.map_err(failed)?;
        let mut page = BoundedWriter(vec![]);
        let scope = Value::from(Serde(scope));
        let rendered = template.render_captured_to(scope, &mut page);
        rendered.map_err(failed)?;
        String::from_utf8(page.0).map_err(|_| RenderError("the output is not valid UTF-8".into()))
    }

    /// Returns the fuel of a rendering: the larger the data, the fewer steps.
    fn fuel(&self, scope: &TemplateContext) -> u64 {
        let texts = scope.digest.into_iter().flat_map(|digest| digest.texts);
        let texts: usize = texts.map(String::len).sum();
        let fields = scope.data.iter();
        let data: u64 = fields
            .map(|(key, value)| key.len() as u64 + value_bytes(value))
            .sum();
        let all = data + (texts + self.source.len()) as u64;
        (RENDER_BUDGET_BYTES / all.max(1)).clamp(MIN_RENDER_STEPS, MAX_RENDER_STEPS)
    }
}

fn value_bytes(value: &serde_json::Value) -> u64 {
    use serde_json::Value::{Array, Object, String};
    VALUE_OVERHEAD_BYTES
        + match value {
            String(text) => text.len() as u64,
            Array(items) => items.iter().map(value_bytes).sum(),
            Object(fields) => {
                let fields = fields.iter();
                fields
                    .map(|(key, value)| key.len() as u64 + value_bytes(value))
                    .sum()
            }
            _ => 0,
        }
}

/// Creates an environment that contains only the filters and tests of [`filters`].
fn create_environment(html: bool, steps: u64) -> Environment<'static> {
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

/// Refuses output beyond [`MAX_OUTPUT_BYTES`].
struct BoundedWriter(Vec<u8>);

impl io::Write for BoundedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT_BYTES {
            let text = format!("the output has more than {MAX_OUTPUT_BYTES} bytes");
            return Err(io::Error::other(text));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
