//! Checks which syntax a template contains and how deep it is nested.

use std::thread;

use minijinja::Error;
use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, IfCond, Stmt};
use minijinja::machinery::{Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;

use super::error::TemplateError;
use super::filters::{ALLOWED_FILTERS, ALLOWED_TESTS};

/// Tokens between `{{` and `}}` or `{%` and `%}`. The parser recurses at most once per token.
const MAX_TAG_TOKENS: usize = 300;
/// The parser recurses at most once per tag that opens a block.
const MAX_TAGS: usize = 1_000;
/// Nesting of expressions and blocks. Compilation and rendering recurse once per level.
const MAX_DEPTH: usize = 40;
/// Stack of the parser's thread in bytes; memory is committed only as it is used. The deepest
/// template within the limits above needs less than a quarter of it in a debug build.
const PARSER_STACK_BYTES: usize = 16 << 20;

/// Refuses templates that create values, call functions or are nested too deep.
pub(super) fn check_template(source: &str) -> Result<(), TemplateError> {
    check_token_counts(source)?;
    // The thread also drops the tree, because dropping recurses like the parser.
    let text = source.to_owned();
    let parser = thread::Builder::new().stack_size(PARSER_STACK_BYTES);
    let parser = parser.spawn(move || {
        let tree = parse(&text, "template", SyntaxConfig::default());
        check_statement(&tree.map_err(|error| syntax_error(&error))?, MAX_DEPTH)
    });
    let checked = parser.map(thread::JoinHandle::join);
    let Ok(Ok(checked)) = checked else {
        return unsupported("invalid syntax");
    };
    checked
}

pub(super) fn syntax_error(error: &Error) -> TemplateError {
    TemplateError::Syntax {
        line: error.line().unwrap_or(1),
        message: error.detail().unwrap_or("invalid syntax").to_owned(),
    }
}

/// Bounds the recursion of the parser before it runs.
fn check_token_counts(source: &str) -> Result<(), TemplateError> {
    let (mut tags, mut in_tag) = (0, 0);
    for token in tokenize(source, false, SyntaxConfig::default()) {
        match token.map_err(|error| syntax_error(&error))?.0 {
            Token::BlockStart | Token::VariableStart => {
                tags += 1;
                in_tag = 0;
            }
            _ => in_tag += 1,
        }
        if tags > MAX_TAGS || in_tag > MAX_TAG_TOKENS {
            return unsupported(&format!(
                "more than {MAX_TAGS} tags or {MAX_TAG_TOKENS} tokens in a tag"
            ));
        }
    }
    Ok(())
}

fn unsupported<T>(name: &str) -> Result<T, TemplateError> {
    Err(TemplateError::Unsupported(name.into()))
}

fn descend(depth: usize) -> Result<usize, TemplateError> {
    let deeper = depth.checked_sub(1);
    deeper.ok_or_else(|| {
        TemplateError::Unsupported(format!("more than {MAX_DEPTH} levels of nesting"))
    })
}

fn check_statement(it: &Stmt, depth: usize) -> Result<(), TemplateError> {
    let depth = descend(depth)?;
    let all = |body: &[Stmt]| body.iter().try_for_each(|it| check_statement(it, depth));
    match it {
        Stmt::Template(template) => all(&template.children),
        Stmt::EmitExpr(emit) => check_expression(&emit.expr, depth),
        Stmt::EmitRaw(_) => Ok(()),
        Stmt::ForLoop(it) => {
            if it.recursive {
                return unsupported("a recursive loop");
            }
            check_expression(&it.iter, depth)?;
            let mut filters = it.filter_expr.iter();
            filters.try_for_each(|filter| check_expression(filter, depth))?;
            all(&it.body)?;
            all(&it.else_body)
        }
        Stmt::IfCond(it) => check_condition(it, depth),
        Stmt::WithBlock(_) => unsupported("`with`"),
        Stmt::Set(_) | Stmt::SetBlock(_) => unsupported("`set`"),
        _ => unsupported("a block other than `for` and `if`"),
    }
}

fn check_condition(it: &IfCond, depth: usize) -> Result<(), TemplateError> {
    check_expression(&it.expr, depth)?;
    let mut bodies = it.true_body.iter().chain(&it.false_body);
    bodies.try_for_each(|it| check_statement(it, depth))
}

fn check_expression(it: &Expr, depth: usize) -> Result<(), TemplateError> {
    let depth = descend(depth)?;
    let inner = |it: &Expr| check_expression(it, depth);
    let arguments = |all: &[CallArg]| all.iter().try_for_each(|it| check_argument(it, depth));
    match it {
        Expr::Var(_) | Expr::Const(_) => Ok(()),
        Expr::UnaryOp(it) => inner(&it.expr),
        Expr::BinOp(it) => {
            match it.op {
                BinOpKind::Add => return unsupported("the operator `+`"),
                BinOpKind::Mul => return unsupported("the operator `*`"),
                BinOpKind::Pow => return unsupported("the operator `**`"),
                BinOpKind::Concat => return unsupported("the operator `~`"),
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
                return unsupported(&format!("the filter `{}`", it.name));
            }
            it.expr.iter().try_for_each(inner)?;
            arguments(&it.args)
        }
        Expr::Test(it) => {
            if !ALLOWED_TESTS.contains(&it.name) {
                return unsupported(&format!("the test `{}`", it.name));
            }
            inner(&it.expr)?;
            arguments(&it.args)
        }
        Expr::GetAttr(it) => inner(&it.expr),
        Expr::GetItem(it) => {
            inner(&it.expr)?;
            inner(&it.subscript_expr)
        }
        Expr::Slice(_) => unsupported("a slice"),
        Expr::Call(_) => unsupported("a function call"),
        Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => unsupported("a list or map literal"),
    }
}

fn check_argument(it: &CallArg, depth: usize) -> Result<(), TemplateError> {
    match it {
        CallArg::Pos(it) | CallArg::Kwarg(_, it) => check_expression(it, depth),
        CallArg::PosSplat(_) | CallArg::KwargSplat(_) => unsupported("a spread argument"),
    }
}
