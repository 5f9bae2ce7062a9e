//! Changes the syntax tree of an expression so that its evaluation consumes fuel.

use cel::common::ast::operators::LOGICAL_AND;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr};

use super::error::ExpressionError;

/// Prefix of a variable that every loop iteration looks up, so that iterations consume fuel. No
/// expression can contain the name. The number of operations in the loop follows, because each
/// may process a value as large as the data.
pub(super) const ITERATION_VARIABLE: &str = "@turn:";

/// Adds a lookup to each loop iteration. Refuses loops that build lists, and expressions that are
/// nested deeper than `depth`.
pub(super) fn instrument(tree: &mut IdedExpr, depth: usize) -> Result<(), ExpressionError> {
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
pub(super) fn count_nodes(tree: &IdedExpr, is: &impl Fn(&Expr) -> bool) -> usize {
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
