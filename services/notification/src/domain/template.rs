//! Texts with places to fill in: a part of Jinja (<https://docs.rs/minijinja>) that prints, loops,
//! chooses and filters, but builds no values, so that what it costs is bounded.

use std::io;

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind};
use serde::Serialize;
use serde_json::Map;

/// The longest template, in characters.
pub const TEMPLATE_CHARS: usize = 10_000;
/// The longest text a template may yield, in bytes.
const OUTPUT_BYTES: usize = 65_536;
/// How many steps a template may take.
const FUEL: u64 = 20_000;
/// Filters whose answer is hardly longer than what they are given.
const FILTERS: [&str; 18] = [
    "lower", "upper", "title", "trim", "default", "d", "length", "count", "first", "last", "round",
    "abs", "int", "float", "truncate", "join", "escape", "e",
];

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is too long.
    #[error("a template has {TEMPLATE_CHARS} characters at most")]
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
pub struct Failed(String);

/// What templates may use.
#[derive(Clone, Debug, Serialize)]
pub struct Scope<'a> {
    /// The event's name.
    pub event: &'a str,
    /// The headline that came with it.
    pub title: Option<&'a str>,
    /// `low`, `normal`, `high` or `urgent`.
    pub priority: &'a str,
    /// What came with the event.
    pub data: &'a Map<String, serde_json::Value>,
    /// What is told together, where this is a digest.
    pub digest: Option<Digest<'a>>,
}

/// Several notifications told together.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Digest<'a> {
    /// How many there are.
    pub count: i64,
    /// The texts of the first of them.
    pub texts: &'a [String],
    /// How long they were gathered, in words, such as `hour` or `15 minutes`.
    pub window: &'a str,
}

/// A template that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    source: String,
    html: bool,
}

impl Template {
    /// A template of plain text.
    pub fn text(source: &str) -> Result<Self, Unusable> {
        Self::new(source, false)
    }

    /// A template of HTML: what is filled in is escaped.
    pub fn html(source: &str) -> Result<Self, Unusable> {
        Self::new(source, true)
    }

    fn new(source: &str, html: bool) -> Result<Self, Unusable> {
        if source.chars().nth(TEMPLATE_CHARS).is_some() {
            return Err(Unusable::TooLong);
        }
        let tree = minijinja::machinery::parse(source, "template", SyntaxConfig::default());
        statement(&tree.map_err(|error| syntax(&error))?)?;
        let environment = environment(html);
        let compiled = environment.template_from_str(source);
        compiled.map_err(|error| syntax(&error))?;
        Ok(Self {
            source: source.to_owned(),
            html,
        })
    }

    /// The text with everything filled in; what is not there stays empty.
    pub fn render(&self, scope: &Scope) -> Result<String, Failed> {
        let failed = |error: Error| {
            let line = error.line().unwrap_or(1);
            let kind = error.kind();
            match error.detail() {
                Some(detail) => Failed(format!("line {line}: {kind}: {detail}")),
                None => Failed(format!("line {line}: {kind}")),
            }
        };
        let environment = environment(self.html);
        let template = environment.template_from_str(&self.source);
        let template = template.map_err(failed)?;
        let mut page = Page(vec![]);
        let scope = Value::from(Serde(scope));
        let rendered = template.render_captured_to(scope, &mut page);
        rendered.map_err(failed)?;
        String::from_utf8(page.0).map_err(|_| Failed("it is cut within a character".into()))
    }
}

fn syntax(error: &Error) -> Unusable {
    Unusable::Syntax {
        line: error.line().unwrap_or(1),
        message: error.detail().unwrap_or("it cannot be read").to_owned(),
    }
}

fn environment(html: bool) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(20);
    environment.set_auto_escape_callback(move |_| {
        if html {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    environment.add_filter("truncate", truncate);
    environment.add_filter("join", join);
    environment
}

/// At most `most` characters, the last three of them `...` where it was longer.
fn truncate(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(3)).collect();
    kept.trim_end().to_owned() + "..."
}

fn join(items: &Value, separator: Option<&str>) -> Result<String, Error> {
    let mut joined = String::new();
    for (at, item) in items.try_iter()?.enumerate() {
        if at > 0 {
            joined.push_str(separator.unwrap_or_default());
        }
        match item.as_str() {
            Some(text) => joined.push_str(text),
            None if item.kind() == minijinja::value::ValueKind::Number => {
                joined.push_str(&item.to_string());
            }
            None => {
                let detail = "join is for texts and numbers";
                return Err(Error::new(ErrorKind::InvalidOperation, detail));
            }
        }
        if joined.len() > OUTPUT_BYTES {
            return Err(Error::new(ErrorKind::InvalidOperation, "too long"));
        }
    }
    Ok(joined)
}

/// Takes what has not become too long.
struct Page(Vec<u8>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_BYTES {
            let text = format!("the text has more than {OUTPUT_BYTES} bytes");
            return Err(io::Error::other(text));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn part<T>(name: &str) -> Result<T, Unusable> {
    Err(Unusable::Part(name.into()))
}

fn statement(it: &Stmt) -> Result<(), Unusable> {
    let all = |body: &[Stmt]| body.iter().try_for_each(statement);
    match it {
        Stmt::Template(template) => all(&template.children),
        Stmt::EmitExpr(emit) => expression(&emit.expr),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::ForLoop(it) => {
            if it.recursive {
                return part("a recursive loop");
            }
            expression(&it.iter)?;
            it.filter_expr.iter().try_for_each(expression)?;
            all(&it.body)?;
            all(&it.else_body)
        }
        Stmt::IfCond(it) => {
            expression(&it.expr)?;
            all(&it.true_body)?;
            all(&it.false_body)
        }
        Stmt::WithBlock(_) => part("with"),
        Stmt::Set(_) | Stmt::SetBlock(_) => part("set"),
        _ => part("this kind of block"),
    }
}

fn expression(it: &Expr) -> Result<(), Unusable> {
    match it {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::UnaryOp(it) => expression(&it.expr),
        Expr::BinOp(it) => {
            match it.op {
                BinOpKind::Add => return part("+"),
                BinOpKind::Mul => return part("*"),
                BinOpKind::Pow => return part("**"),
                BinOpKind::Concat => return part("~"),
                _ => {}
            }
            expression(&it.left)?;
            expression(&it.right)
        }
        Expr::Compare(it) => {
            expression(&it.expr)?;
            it.ops.iter().try_for_each(|op| expression(&op.expr))
        }
        Expr::IfExpr(it) => {
            expression(&it.test_expr)?;
            expression(&it.true_expr)?;
            it.false_expr.iter().try_for_each(expression)
        }
        Expr::Filter(it) => {
            if !FILTERS.contains(&it.name) {
                return part(&format!("the filter {}", it.name));
            }
            it.expr.iter().try_for_each(expression)?;
            it.args.iter().try_for_each(argument)
        }
        Expr::Test(it) => {
            expression(&it.expr)?;
            it.args.iter().try_for_each(argument)
        }
        Expr::GetAttr(it) => expression(&it.expr),
        Expr::GetItem(it) => {
            expression(&it.expr)?;
            expression(&it.subscript_expr)
        }
        Expr::Slice(_) => part("a slice"),
        Expr::Call(_) => part("a call"),
        Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => part("a list or a map of its own"),
    }
}

fn argument(it: &CallArg) -> Result<(), Unusable> {
    match it {
        CallArg::Pos(it) | CallArg::Kwarg(_, it) => expression(it),
        CallArg::PosSplat(_) | CallArg::KwargSplat(_) => part("a spread argument"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(template: &Template, data: &serde_json::Value) -> Result<String, Failed> {
        template.render(&Scope {
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
                matches!(Template::text(bomb), Err(Unusable::Part(_))),
                "{bomb}"
            );
        }
        let unclosed = Template::text("\n{{ data.").unwrap_err();
        assert!(
            matches!(unclosed, Unusable::Syntax { line: 2, .. }),
            "{unclosed}"
        );
        assert_eq!(Template::text(&"x".repeat(10_001)), Err(Unusable::TooLong));
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
}
