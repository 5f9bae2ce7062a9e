//! Checks which syntax a template contains and how deep it is nested.

use std::thread;

use minijinja::Error;
use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, IfCond, Stmt};
use minijinja::machinery::{Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::TemplateError;
use super::filters::{ALLOWED_FILTERS, ALLOWED_TESTS};

/// Tokens between `{{` and `}}` or `{%` and `%}`. The parser recurses at most once per token.
const MAX_TAG_TOKENS: usize = 300;
/// The parser recurses at most once per tag that opens a block.
const MAX_TAGS: usize = 1_000;
/// Nesting of expressions and blocks. Compilation and rendering recurse once per level.
const MAX_DEPTH: usize = 40;
/// Stack of the parser's thread in bytes; memory is committed only as it is used. The deepest
/// template within the limits above needs less than a quarter of it in a debug build.
const PARSER_STACK: usize = 16 << 20;

/// Refuses templates that create values, call functions or are nested too deep.
pub(super) fn check(source: &str) -> Result<(), TemplateError> {
    count_tokens(source)?;
    // The thread also drops the tree, because dropping recurses like the parser.
    let text = source.to_owned();
    let parser = thread::Builder::new().stack_size(PARSER_STACK);
    let parser = parser.spawn(move || {
        let tree = parse(&text, "template", SyntaxConfig::default());
        statement(&tree.map_err(|error| syntax(&error))?, MAX_DEPTH)
    });
    let checked = parser.map(thread::JoinHandle::join);
    let Ok(Ok(checked)) = checked else {
        return part("invalid syntax");
    };
    checked
}

pub(super) fn syntax(error: &Error) -> TemplateError {
    TemplateError::Syntax {
        line: error.line().unwrap_or(1),
        message: error.detail().unwrap_or("invalid syntax").to_owned(),
    }
}

/// Bounds the recursion of the parser before it runs.
fn count_tokens(source: &str) -> Result<(), TemplateError> {
    let (mut tags, mut in_tag) = (0, 0);
    for token in tokenize(source, false, SyntaxConfig::default()) {
        match token.map_err(|error| syntax(&error))?.0 {
            Token::BlockStart | Token::VariableStart => {
                tags += 1;
                in_tag = 0;
            }
            _ => in_tag += 1,
        }
        if tags > MAX_TAGS || in_tag > MAX_TAG_TOKENS {
            return part(&format!(
                "more than {MAX_TAGS} tags or {MAX_TAG_TOKENS} tokens in a tag"
            ));
        }
    }
    Ok(())
}

fn part<T>(name: &str) -> Result<T, TemplateError> {
    Err(TemplateError::Part(name.into()))
}

fn deeper(depth: usize) -> Result<usize, TemplateError> {
    let deeper = depth.checked_sub(1);
    deeper.ok_or_else(|| TemplateError::Part(format!("more than {MAX_DEPTH} levels of nesting")))
}

fn statement(it: &Stmt, depth: usize) -> Result<(), TemplateError> {
    let depth = deeper(depth)?;
    let all = |body: &[Stmt]| body.iter().try_for_each(|it| statement(it, depth));
    match it {
        Stmt::Template(template) => all(&template.children),
        Stmt::EmitExpr(emit) => expression(&emit.expr, depth),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::ForLoop(it) => {
            if it.recursive {
                return part("a recursive loop");
            }
            expression(&it.iter, depth)?;
            let mut filters = it.filter_expr.iter();
            filters.try_for_each(|filter| expression(filter, depth))?;
            all(&it.body)?;
            all(&it.else_body)
        }
        Stmt::IfCond(it) => condition(it, depth),
        Stmt::WithBlock(_) => part("`with`"),
        Stmt::Set(_) | Stmt::SetBlock(_) => part("`set`"),
        _ => part("a block other than `for` and `if`"),
    }
}

fn condition(it: &IfCond, depth: usize) -> Result<(), TemplateError> {
    expression(&it.expr, depth)?;
    let mut bodies = it.true_body.iter().chain(&it.false_body);
    bodies.try_for_each(|it| statement(it, depth))
}

fn expression(it: &Expr, depth: usize) -> Result<(), TemplateError> {
    let depth = deeper(depth)?;
    let inner = |it: &Expr| expression(it, depth);
    let arguments = |all: &[CallArg]| all.iter().try_for_each(|it| argument(it, depth));
    match it {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::UnaryOp(it) => inner(&it.expr),
        Expr::BinOp(it) => {
            match it.op {
                BinOpKind::Add => return part("the operator `+`"),
                BinOpKind::Mul => return part("the operator `*`"),
                BinOpKind::Pow => return part("the operator `**`"),
                BinOpKind::Concat => return part("the operator `~`"),
                _ => {}
            }
            inner(&it.left)?;
            inner(&it.right)
        }
        Expr::Compare(it) => {
            inner(&it.expr)?;
            it.ops.iter().try_for_each(|op| inner(&op.expr))
        }
        Expr::IfExpr(it) => {
            inner(&it.test_expr)?;
            inner(&it.true_expr)?;
            it.false_expr.iter().try_for_each(inner)
        }
        Expr::Filter(it) => {
            if !ALLOWED_FILTERS.contains(&it.name) {
                return part(&format!("the filter `{}`", it.name));
            }
            it.expr.iter().try_for_each(inner)?;
            arguments(&it.args)
        }
        Expr::Test(it) => {
            if !ALLOWED_TESTS.contains(&it.name) {
                return part(&format!("the test `{}`", it.name));
            }
            inner(&it.expr)?;
            arguments(&it.args)
        }
        Expr::GetAttr(it) => inner(&it.expr),
        Expr::GetItem(it) => {
            inner(&it.expr)?;
            inner(&it.subscript_expr)
        }
        Expr::Slice(_) => part("a slice"),
        Expr::Call(_) => part("a function call"),
        Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => part("a list or map literal"),
    }
}

fn argument(it: &CallArg, depth: usize) -> Result<(), TemplateError> {
    match it {
        CallArg::Pos(it) | CallArg::Kwarg(_, it) => expression(it, depth),
        CallArg::PosSplat(_) | CallArg::KwargSplat(_) => part("a spread argument"),
    }
}
